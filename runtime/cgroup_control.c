#include "runtime/cgroup_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/strv.h"
#include "runtime/cgroup.h"
#include "runtime/cgroup_sweep.h"

/* Both files of /proc/self, and any file of a group. */
#define TEXT_MAX (1U << 20)
#define NOTE "user.cbuild.enabled"
#define LOCK_TRIES 100
#define LOCK_WAIT_NS 10000000L

static const struct {
	enum cb_controller controller;
	const char *name;
} words[] = { { CB_CONTROLLER_MEMORY, "memory" }, { CB_CONTROLLER_CPU, "cpu" }, { CB_CONTROLLER_CPUSET, "cpuset" },
	{ CB_CONTROLLER_PIDS, "pids" } };

int cb_cgroup_write(int dir, const char *name, const char *text)
{
	cleanup_close int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : cb_fd_write_all(fd, text, strlen(text));
}

char *cb_cgroup_read(int dir, const char *name)
{
	cleanup_buf struct cb_buf text = { 0 };

	if (cb_file_read_at(dir, name, TEXT_MAX, &text, NULL) < 0)
		return NULL;
	return cb_xstrdup(cb_buf_str(&text));
}

unsigned int cb_cgroup_read_controllers(int dir, const char *name)
{
	cleanup_free char *text = cb_cgroup_read(dir, name);

	return text ? cb_cgroup_controllers(text, " \n") : 0;
}

/* One at a time, so that one that is in use does not keep the others. The set that was written; errno of the last
 * failure. */
static unsigned int write_controllers(int dir, char sign, unsigned int set)
{
	unsigned int done = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char text[16];
		snprintf(text, sizeof(text), "%c%s", sign, words[i].name);
		if (set & words[i].controller && cb_cgroup_write(dir, "cgroup.subtree_control", text) == 0)
			done |= words[i].controller;
	}
	return done;
}

/* ---- the note -------------------------------------------------------------------------------------------------- */

static unsigned int read_note(int dir)
{
	char text[64];
	ssize_t n = fgetxattr(dir, NOTE, text, sizeof(text) - 1);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return cb_cgroup_controllers(text, " ");
}

/* Where no attributes can be kept (Linux before 5.7), nothing is taken back. */
static void write_note(int dir, unsigned int set)
{
	cleanup_buf struct cb_buf text = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (set & words[i].controller)
			cb_buf_addf(&text, "%s%s", text.len ? " " : "", words[i].name);
	if (text.len)
		(void)fsetxattr(dir, NOTE, cb_buf_str(&text), text.len, 0);
	else
		(void)fremovexattr(dir, NOTE);
}

int cb_cgroup_hand_down(int dir, unsigned int set)
{
	unsigned int noted = read_note(dir), missing;

	missing = set & ~cb_cgroup_read_controllers(dir, "cgroup.subtree_control");
	if (!missing)
		return 0;
	/* First the note: a process that is killed in between has promised too much, which does no harm. */
	write_note(dir, noted | missing);
	unsigned int done = write_controllers(dir, '+', missing);
	if (done == missing)
		return 0;
	int saved = errno;
	(void)write_controllers(dir, '-', done);
	write_note(dir, noted);
	errno = saved;
	return -1;
}

/* ---- who else uses a controller -------------------------------------------------------------------------------- */

/* What a group has that nobody has touched. */
static const struct {
	enum cb_controller controller;
	const char *file, *untouched;
} settings[] = {
	{ CB_CONTROLLER_MEMORY, "memory.max", "max" },
	{ CB_CONTROLLER_MEMORY, "memory.high", "max" },
	{ CB_CONTROLLER_MEMORY, "memory.low", "0" },
	{ CB_CONTROLLER_MEMORY, "memory.min", "0" },
	{ CB_CONTROLLER_MEMORY, "memory.swap.max", "max" },
	{ CB_CONTROLLER_MEMORY, "memory.swap.high", "max" },
	{ CB_CONTROLLER_CPU, "cpu.weight", "100" },
	{ CB_CONTROLLER_CPU, "cpu.max", "max 100000" },
	{ CB_CONTROLLER_CPU, "cpu.idle", "0" },
	{ CB_CONTROLLER_CPUSET, "cpuset.cpus", "" },
	{ CB_CONTROLLER_CPUSET, "cpuset.mems", "" },
	{ CB_CONTROLLER_CPUSET, "cpuset.cpus.partition", "member" },
	{ CB_CONTROLLER_PIDS, "pids.max", "max" },
};

static unsigned int used_by(int group)
{
	unsigned int set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		cleanup_free char *text = cb_cgroup_read(group, settings[i].file);
		if (!text)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (strcmp(text, settings[i].untouched) != 0)
			set |= settings[i].controller;
	}
	return set;
}

void cb_cgroup_take_back(int dir)
{
	unsigned int noted = read_note(dir), used = 0;
	cleanup_strv struct cb_strv names = { 0 };

	if (!noted)
		return;
	cb_cgroup_list(dir, "", &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_close int group = openat(dir, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (group >= 0)
			used |= used_by(group);
	}
	/* The kernel itself refuses what a group below hands on. */
	write_note(dir, noted & ~write_controllers(dir, '-', noted & ~used));
}

void cb_cgroup_take_all(int dir)
{
	(void)write_controllers(dir, '-', cb_cgroup_read_controllers(dir, "cgroup.subtree_control"));
}

void cb_cgroup_lock(int dir)
{
	const struct timespec wait = { .tv_nsec = LOCK_WAIT_NS };

	for (int i = 0; i < LOCK_TRIES && flock(dir, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK; i++)
		(void)nanosleep(&wait, NULL);
}

void cb_cgroup_unlock(int dir)
{
	(void)flock(dir, LOCK_UN);
}
