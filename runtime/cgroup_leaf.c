#include "runtime/cgroup_leaf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/strv.h"

#define PROCS_MAX (1U << 20)

/* Deeper than that, no process of ours is. */
#define GENERATIONS 32

static bool is_outer(pid_t pid)
{
	char path[32];
	cleanup_buf struct cb_buf name = { 0 };

	if (pid != getppid())
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	return cb_file_read_at(AT_FDCWD, path, 64, &name, NULL) == 0 &&
	       strcmp(cb_buf_str(&name), "cbuild-outer\n") == 0;
}

/* 0: none, or not to be found out. */
static pid_t parent_of(pid_t pid)
{
	cleanup_buf struct cb_buf text = { 0 };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (cb_file_read_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return 0;
	/* "1234 (name, which may hold anything) S 1 ..." */
	const char *end = strrchr(cb_buf_str(&text), ')');
	return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

/* This process, what it has made (its seed, say), and cbuild-outer. */
static bool is_ours(pid_t pid)
{
	if (pid > 0 && is_outer(pid))
		return true;
	for (int i = 0; pid > 0 && i < GENERATIONS; i++, pid = parent_of(pid))
		if (pid == getpid())
			return true;
	return false;
}

/* The processes of a group: 0 when all are ours. Who is outside of our pid namespace is a 0 in the list. */
static int list_ours(int group, struct cb_strv *ret)
{
	cleanup_buf struct cb_buf text = { 0 };

	if (cb_file_read_at(group, "cgroup.procs", PROCS_MAX, &text, NULL) < 0) {
		errno = EIO;
		return -1;
	}
	cb_strv_split(ret, cb_buf_str(&text), '\n');
	for (size_t i = 0; i < ret->n; i++)
		if (*ret->v[i] && !is_ours((pid_t)strtol(ret->v[i], NULL, 10))) {
			errno = EBUSY;
			return -1;
		}
	return 0;
}

static int move_to(int group, const struct cb_strv *pids)
{
	cleanup_close int fd = openat(group, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	for (size_t i = 0; i < pids->n; i++)
		/* ESRCH: it has ended by itself. */
		if (*pids->v[i] && cb_fd_write_all(fd, pids->v[i], strlen(pids->v[i])) < 0 && errno != ESRCH)
			return -1;
	return 0;
}

int cb_cgroup_leave(int group, int dir)
{
	cleanup_strv struct cb_strv pids = { 0 };
	cleanup_close int self = -EBADF;

	if (list_ours(group, &pids) < 0 || mkdirat(dir, CB_CGROUP_SELF, 0755) < 0)
		return -1;
	self = openat(dir, CB_CGROUP_SELF, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (self >= 0 && move_to(self, &pids) == 0)
		return 0;
	int saved = errno;
	(void)cb_cgroup_return(group, dir);
	errno = saved;
	return -1;
}

bool cb_cgroup_return(int group, int dir)
{
	cleanup_strv struct cb_strv pids = { 0 };
	cleanup_close int self = openat(dir, CB_CGROUP_SELF, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (self < 0)
		return true;
	/* Nobody else goes there; who did is moved as well. */
	(void)list_ours(self, &pids);
	return move_to(group, &pids) == 0 && unlinkat(dir, CB_CGROUP_SELF, AT_REMOVEDIR) == 0;
}
