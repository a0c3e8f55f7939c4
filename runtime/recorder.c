#include "runtime/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strv.h"
#include "runtime/channel.h"
#include "runtime/kernel.h"
#include "runtime/notify.h"
#include "runtime/recorder_request.h"
#include "runtime/sandbox.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS _IOW('!', 4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* ---- the sandbox's side --------------------------------------------------------------------------------------- */

int cb_recorder_attach(int sock, const struct cb_sandbox_spec *spec)
{
	struct cb_recorder_hello hello = { .uid = spec->uid, .gid = spec->gid, .no_new_privs = spec->no_new_privs };
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), listener = -EBADF;

	hello.n_groups = (unsigned int)CB_MIN(spec->n_groups, (size_t)CB_RECORDER_GROUPS_MAX);
	if (hello.n_groups)
		memcpy(hello.groups, spec->groups, hello.n_groups * sizeof(*spec->groups));
	listener = root < 0 ? -1 : cb_recorder_filter();
	if (listener < 0)
		return -1;
	/* From here on, only calls that nobody is asked about. */
	const int fds[] = { listener, root };
	return cb_channel_send(sock, &hello, sizeof(hello), fds, ARRAY_SIZE(fds));
}

/* ---- memory of others ----------------------------------------------------------------------------------------- */

int cb_request_read(const struct cb_request *req, uint64_t addr, void *data, size_t len)
{
	return cb_notify_read(req->pid, addr, data, len);
}

int cb_request_write(const struct cb_request *req, uint64_t addr, const void *data, size_t len)
{
	return cb_notify_write(req->pid, addr, data, len);
}

ssize_t cb_request_string(const struct cb_request *req, uint64_t addr, char *out, size_t size)
{
	return cb_notify_string(req->pid, addr, out, size);
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

/* Names that lead back to the process itself, which in our place would be another one. */
static const struct {
	const char *prefix, *ours;
} selves[] = {
	{ "/proc/self/", "" },
	{ "/proc/thread-self/", "" },
	{ "/dev/fd/", "fd/" },
	{ "/dev/stdin", "fd/0" },
	{ "/dev/stdout", "fd/1" },
	{ "/dev/stderr", "fd/2" },
};

static int put(struct cb_request_name *ret, int n)
{
	return n < 0 || (size_t)n >= sizeof(ret->text) ? -1 : 0;
}

int cb_request_name_of(struct cb_request *req, int dirfd, const char *path, struct cb_request_name *ret)
{
	int pid = (int)req->pid;

	ret->is_fd = false;
	if (*path == '/') {
		for (size_t i = 0; i < ARRAY_SIZE(selves); i++) {
			const char *rest = path + strlen(selves[i].prefix);
			if (cb_str_starts(path, selves[i].prefix) &&
				(selves[i].prefix[strlen(selves[i].prefix) - 1] == '/' || !*rest))
				return put(ret,
					snprintf(ret->text, sizeof(ret->text), "%d/%s%s", pid, selves[i].ours, rest));
		}
		return put(ret, snprintf(ret->text, sizeof(ret->text), "%s", path));
	}
	if (dirfd == AT_FDCWD)
		return put(ret, snprintf(ret->text, sizeof(ret->text), "%d/cwd/%s", pid, path));
	return put(ret, snprintf(ret->text, sizeof(ret->text), "%d/fd/%d/%s", pid, dirfd, path));
}

int cb_request_name(struct cb_request *req, int dirfd, uint64_t path, int flags, struct cb_request_name *ret)
{
	char text[PATH_MAX] = "";

	/* Since Linux 6.11 no path is as good as an empty one. */
	if (path && cb_request_string(req, path, text, sizeof(text)) < 0)
		return -1;
	if (*text)
		return cb_request_name_of(req, dirfd, text, ret);
	if (!(flags & AT_EMPTY_PATH))
		return -1;
	ret->is_fd = true;
	if (dirfd == AT_FDCWD)
		return put(ret, snprintf(ret->text, sizeof(ret->text), "%d/cwd", (int)req->pid));
	return put(ret, snprintf(ret->text, sizeof(ret->text), "%d/fd/%d", (int)req->pid, dirfd));
}

void cb_request_parent(const struct cb_request_name *name, struct cb_request_name *ret)
{
	size_t len = strlen(name->text);

	while (len > 1 && name->text[len - 1] == '/')
		len--;
	while (len > 0 && name->text[len - 1] != '/')
		len--;
	/* The slash stays: a link that names a directory is followed. */
	memcpy(ret->text, name->text, len);
	ret->text[len] = '\0';
	ret->is_fd = false;
}

/* ---- one request ---------------------------------------------------------------------------------------------- */

/* A process that called chroot has another root than the sandbox's; ours follows for the moment. */
static int follow_root(struct cb_recorder *rec, pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "%d/root", (int)pid);
	cleanup_close int root = openat(rec->proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0 || fchdir(root) < 0 || chroot(".") < 0 || fchdir(rec->proc) < 0 ? -1 : 0;
}

static int own_root(struct cb_recorder *rec)
{
	return fchdir(rec->root) < 0 || chroot(".") < 0 || fchdir(rec->proc) < 0 ? -1 : 0;
}

static void answer(struct cb_recorder *rec, const struct seccomp_notif *notif)
{
	struct cb_request req = { .rec = rec, .notif = notif, .pid = (pid_t)notif->pid, .args = notif->data.args };
	cb_recorder_fn fn = cb_recorder_handler(notif->data.nr);
	bool moved = rec->roots_vary;

	if (!fn || (moved && follow_root(rec, req.pid) < 0))
		cb_request_go_on(&req);
	else
		fn(&req);
	if (moved && own_root(rec) < 0)
		_exit(1);
	if (req.answered)
		return;
	struct seccomp_notif_resp resp = {
		.id = notif->id,
		.val = req.go_on || req.error ? 0 : req.value,
		.error = req.go_on ? 0 : -req.error,
		.flags = req.go_on ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
	};
	/* ENOENT: it was killed meanwhile. */
	(void)ioctl(rec->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static CB_NORETURN void serve(struct cb_recorder *rec)
{
	struct pollfd pfd = { .fd = rec->listener, .events = POLLIN };
	struct seccomp_notif *notif;
	struct seccomp_notif_sizes sizes;

	/* A later kernel may write more than we know of. */
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		_exit(1);
	size_t size = CB_MAX((size_t)sizes.seccomp_notif, sizeof(*notif));
	notif = cb_xmalloc(size);
	for (;;) {
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			_exit(1);
		if (pfd.revents & POLLIN) {
			memset(notif, 0, size);
			if (ioctl(rec->listener, SECCOMP_IOCTL_NOTIF_RECV, notif) == 0)
				answer(rec, notif);
		} else if (pfd.revents & (POLLHUP | POLLERR | POLLNVAL)) {
			_exit(0); /* nobody is left who could ask */
		}
	}
}

/* Descriptor 3 is the channel, 4 the zygote's /proc, which knows all its processes. */
static int tidy_fds(int sock)
{
	cleanup_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int low_sock = fcntl(sock, F_DUPFD_CLOEXEC, 10), low_proc = fcntl(proc, F_DUPFD_CLOEXEC, 10);

	if (low_sock < 0 || low_proc < 0 || dup3(low_sock, 3, O_CLOEXEC) < 0 || dup3(low_proc, 4, O_CLOEXEC) < 0)
		return -1;
	return cb_sys_close_range(5, ~0U, 0);
}

void cb_recorder_main(int sock)
{
	struct cb_recorder rec = { .proc = 4 };
	struct cb_recorder_hello hello;
	int fds[2];
	size_t n_fds = ARRAY_SIZE(fds);
	sigset_t none;

	(void)prctl(PR_SET_NAME, "cbuild-recorder");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	umask(0);
	if (tidy_fds(sock) < 0)
		_exit(1);
	/* A sandbox that is never used, or fails, closes its end. */
	if (cb_channel_recv(3, &hello, sizeof(hello), fds, &n_fds) != (ssize_t)sizeof(hello) || n_fds != 2 ||
		hello.n_groups > CB_RECORDER_GROUPS_MAX)
		_exit(0);
	rec.listener = fds[0];
	rec.root = fds[1];
	rec.no_new_privs = hello.no_new_privs;
	rec.odd = cb_map_new(free);
	cb_recorder_ids_init(&rec, &hello);
	close(3);
	if (own_root(&rec) < 0)
		_exit(1);
	uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
	/* Linux 6.6: the one that asks and the one that answers share a processor. */
	(void)ioctl(rec.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags);
	serve(&rec);
}
