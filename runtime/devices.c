#include "runtime/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/mem.h"
#include "runtime/kernel.h"
#include "runtime/notify.h"
#include "runtime/zygote.h"

/* Descriptors of this process. PARENT is where its child puts what it has found; between requests it is PROC, too. */
enum { LISTENER = 3, USERNS, END, PROC, PARENT, FIRST_FREE };

#define GROUPS_MAX 1024
#define BIT(cap) (1ULL << (cap))

/* Those that decide about making a node: where, and whether it keeps its set-group-id bit. */
#define FILE_CAPS (BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FSETID))

/* Who asks. Ids are those outside of the user namespace. */
struct asker {
	pid_t tid;
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	size_t n_groups;
	mode_t umask;
	uint64_t caps;  /* effective ones */
	int root, base; /* where paths begin */
};

/* A path in two parts, and the rest of the call. */
struct node {
	char dir[PATH_MAX]; /* empty: the base itself */
	const char *name;
	struct cb_notify_mknod call;
};

/* ---- rights --------------------------------------------------------------------------------------------------- */

/* Only of this thread, which is all there is. */
static int set_effective(uint64_t caps)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return -1;
	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++)
		data[i].effective = data[i].permitted & (uint32_t)(caps >> (32 * i));
	return (int)syscall(SYS_capset, &head, data);
}

/* The system calls of libc would do it for all threads; of file system ids alone there is no error to be had. */
static int become(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups)
{
	if (syscall(SYS_setgroups, n_groups, groups) < 0)
		return -1;
	syscall(SYS_setfsgid, gid);
	syscall(SYS_setfsuid, uid);
	return syscall(SYS_setfsuid, -1) == (long)uid && syscall(SYS_setfsgid, -1) == (long)gid ? 0 : -1;
}

static bool is_mapped(uint32_t id)
{
	return id >= CB_USERNS_ROOT_ID && id - CB_USERNS_ROOT_ID < CB_USERNS_N_IDS;
}

/* ---- who asks ------------------------------------------------------------------------------------------------- */

static const char *field(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? at + strlen(name) : NULL;
}

/* The fourth number behind Uid: and Gid: is the one for files. */
static bool fourth_id(const char *at, uint32_t *ret)
{
	unsigned long id = 0;
	char *end;

	for (int i = 0; at && i < 4; i++, at = end) {
		id = strtoul(at, &end, 10);
		if (end == at)
			return false;
	}
	*ret = (uint32_t)id;
	return at && is_mapped(*ret);
}

static bool read_groups(const char *at, struct asker *who)
{
	char *end;

	for (who->n_groups = 0; at; at = end) {
		at += strspn(at, " \t");
		unsigned long gid = strtoul(at, &end, 10);
		if (*at == '\n' || end == at)
			return true;
		if (who->n_groups == GROUPS_MAX)
			return false;
		who->groups[who->n_groups++] = (gid_t)gid;
	}
	return false;
}

/* Names in it are escaped by the kernel: a line is what it seems to be. */
static bool read_status(struct asker *who)
{
	static char text[64U << 10];
	char path[32];

	snprintf(path, sizeof(path), "%d/status", (int)who->tid);
	cleanup_close int fd = openat(PROC, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : cb_fd_read_full(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *caps = field(text, "\nCapEff:"), *mask = field(text, "\nUmask:");
	if (!caps || !mask || !fourth_id(field(text, "\nUid:"), &who->uid) ||
		!fourth_id(field(text, "\nGid:"), &who->gid) || !read_groups(field(text, "\nGroups:"), who))
		return false;
	who->caps = strtoull(caps, NULL, 16);
	who->umask = (mode_t)strtoul(mask, NULL, 8) & 0777;
	return true;
}

/* Capabilities in a namespace that the step made for itself are none here. */
static bool in_our_userns(pid_t tid)
{
	struct stat theirs, ours;
	char path[32];

	snprintf(path, sizeof(path), "%d/ns/user", (int)tid);
	return fstatat(PROC, path, &theirs, 0) == 0 && fstat(USERNS, &ours) == 0 && theirs.st_dev == ours.st_dev &&
	       theirs.st_ino == ours.st_ino;
}

static int open_place(pid_t tid, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "%d/%s", (int)tid, name);
	return openat(PROC, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Everything that is to be known, once. False: the kernel shall answer. */
static bool learn(const union cb_notify *asked, struct asker *who, struct node *node)
{
	static char path[PATH_MAX];
	char name[24] = "cwd";
	ssize_t len;

	/* A whiteout, 0:0, takes no capability: overlay refuses it, others do not. */
	if (!cb_notify_mknod(&asked->notif.data, &node->call) || (S_ISCHR(node->call.mode) && !node->call.dev))
		return false;
	if (!in_our_userns(who->tid) || !read_status(who) || !(who->caps & BIT(CAP_MKNOD)))
		return false;
	len = cb_notify_string(who->tid, node->call.path, path, sizeof(path));
	if (len <= 0)
		return false;
	/* What ends in a directory is there already, or is not one; the kernel knows which. */
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return false;
	memcpy(node->dir, path, (size_t)(last - path));
	node->dir[last - path] = '\0';
	node->name = last;
	if (node->call.dirfd != AT_FDCWD)
		snprintf(name, sizeof(name), "fd/%d", node->call.dirfd);
	who->root = open_place(who->tid, "root");
	/* A descriptor that is none does not matter to a path from the root. */
	who->base = open_place(who->tid, path[0] == '/' ? "root" : name);
	return who->root >= 0 && who->base >= 0;
}

/* ---- where ---------------------------------------------------------------------------------------------------- */

/* In a child, which shares our descriptors: becomes who asks, in the step's user namespace, and looks up. */
static CB_NORETURN void look_up(const struct asker *who, const struct node *node)
{
	const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Entering the namespace gives all capabilities in it, and takes those outside. */
	if (become(who->uid, who->gid, who->groups, who->n_groups) < 0 ||
		syscall(SYS_setns, USERNS, CLONE_NEWUSER) < 0 || fchdir(who->root) < 0 || chroot(".") < 0 ||
		set_effective(who->caps) < 0)
		_exit(1);
	int fd = (int)syscall(SYS_openat2, who->base, *node->dir ? node->dir : ".", &how, sizeof(how));
	_exit(fd < 0 || dup3(fd, PARENT, O_CLOEXEC) < 0 || close(fd) < 0 ? 1 : 0);
}

/* PARENT is the directory then. */
static bool find_parent(const struct asker *who, const struct node *node)
{
	struct cb_clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	pid_t pid = cb_sys_clone3(&args), r;
	int status;

	if (pid == 0)
		look_up(who, node);
	if (pid < 0)
		return false;
	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	return r == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- the node ------------------------------------------------------------------------------------------------- */

/* A positive errno, 0, or -1: the kernel shall answer. */
static int make(const struct asker *who, const struct node *node)
{
	uint64_t caps = BIT(CAP_MKNOD) | (who->caps & FILE_CAPS);
	struct statvfs fs;
	struct stat st;
	int r = -1;

	if (fstatvfs(PARENT, &fs) < 0 || !(fs.f_flag & ST_NODEV) || fstat(PARENT, &st) < 0)
		return -1;
	/* In its namespace, capabilities count for files whose owners have a name there. */
	if (!is_mapped(st.st_uid) || !is_mapped(st.st_gid))
		caps = BIT(CAP_MKNOD);
	if (become(who->uid, who->gid, who->groups, who->n_groups) == 0 && set_effective(caps) == 0) {
		umask(who->umask);
		r = syscall(SYS_mknodat, PARENT, node->name, node->call.mode, node->call.dev) < 0 ? errno : 0;
	}
	/* It has to be root again, or cannot go on. */
	if (set_effective(~0ULL) < 0 || become(0, 0, NULL, 0) < 0)
		_exit(1);
	return r;
}

static void answer(const union cb_notify *asked)
{
	struct asker who = { .tid = (pid_t)asked->notif.pid, .root = -EBADF, .base = -EBADF };
	static struct node node;
	int r = -1;

	/* While it waits it is who it was when its number was given. */
	if (learn(asked, &who, &node) && cb_notify_valid(LISTENER, asked) && find_parent(&who, &node) &&
		cb_notify_valid(LISTENER, asked))
		r = make(&who, &node);
	/* Nothing of the step stays open, or its root would stay mounted. */
	cb_closep(&who.root);
	cb_closep(&who.base);
	if (dup3(PROC, PARENT, O_CLOEXEC) < 0)
		_exit(1);
	if (r < 0)
		cb_notify_go_on(LISTENER, asked);
	else
		cb_notify_answer(LISTENER, asked, r);
}

/* ---- the process ---------------------------------------------------------------------------------------------- */

static int tidy_fds(const int *given)
{
	int high[FIRST_FREE];

	for (int i = LISTENER; i < FIRST_FREE; i++)
		high[i] = fcntl(given[i], F_DUPFD_CLOEXEC, 2 * FIRST_FREE);
	for (int i = LISTENER; i < FIRST_FREE; i++)
		if (high[i] < 0 || dup3(high[i], i, O_CLOEXEC) < 0)
			return -1;
	return cb_sys_close_range(FIRST_FREE, ~0U, 0);
}

void cb_devices_main(int listener, int userns, int end)
{
	cleanup_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int given[] = { [LISTENER] = listener, [USERNS] = userns, [END] = end, [PROC] = proc, [PARENT] = proc };
	struct pollfd pfd = { .fd = LISTENER, .events = POLLIN };
	union cb_notify asked;

	(void)prctl(PR_SET_NAME, "cbuild-devices");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)signal(SIGCHLD, SIG_DFL);
	if (tidy_fds(given) < 0)
		_exit(1);
	for (;;) {
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			_exit(1);
		if (pfd.revents & POLLIN) {
			if (cb_notify_receive(LISTENER, &asked) == 0)
				answer(&asked);
		} else if (pfd.revents) {
			_exit(0); /* nobody is left who could ask */
		}
	}
}
