#include "runtime/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "runtime/cgroup.h"
#include "runtime/channel.h"
#include "runtime/keeper.h"
#include "runtime/kernel.h"
#include "runtime/recorder.h"
#include "runtime/sandbox.h"
#include "runtime/zygote_mounts.h"
#include "runtime/zygote_private.h"

/* Owner to zygote: one byte 'M' (ids are mapped), or this with descriptors of control groups. */
struct request {
	unsigned int kind;
	bool groups_required;
};

/* Zygote to owner, with descriptors. */
struct reply {
	int errnum;
	unsigned int kind;
	char what[64];
};

struct child {
	pid_t pid;
	int status;
};

struct zygote_state {
	int sock, signals;
	enum cb_zygote_mode mode;
	struct child *children;
	size_t n, cap;
	pid_t *helpers; /* recorders */
	size_t n_helpers, cap_helpers;
};

static void reply_error(int sock, int errnum, const char *what)
{
	struct reply reply = { .errnum = errnum };

	snprintf(reply.what, sizeof(reply.what), "%s", what);
	(void)cb_channel_send(sock, &reply, sizeof(reply), NULL, 0);
}

static pid_t clone_sandbox(unsigned int kind, int *pidfd)
{
	uint64_t namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | (kind & CB_SANDBOX_NETNS ? CLONE_NEWNET : 0) |
			      (kind & CB_SANDBOX_SHARED ? 0 : CLONE_NEWPID);
	struct cb_clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | (kind & CB_SANDBOX_CHROOT ? 0 : namespaces),
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
	};
	return cb_sys_clone3(&args);
}

/* The sandbox's end of the channel. The recorder itself ends with the other end, or with those who ask it. */
static int start_recorder(struct zygote_state *z, int *ret)
{
	int pair[2];

	if (cb_channel_pair(pair) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[1]);
		cb_recorder_main(pair[0]);
	}
	close(pair[0]);
	if (pid < 0) {
		cb_closep(&pair[1]);
		return -1;
	}
	CB_GROW(z->helpers, z->cap_helpers, z->n_helpers + 1);
	z->helpers[z->n_helpers++] = pid;
	*ret = pair[1];
	return 0;
}

/* Without a pid namespace of its own, what a killed keeper has left behind becomes the zygote's. */
static bool keeps_orphans(enum cb_zygote_mode mode)
{
	return mode == CB_ZYGOTE_SHARED || mode == CB_ZYGOTE_CHROOT;
}

/* The owner is gone. With a pid namespace, everything else is then gone with this exit. */
static CB_NORETURN void leave(const struct zygote_state *z)
{
	cleanup_close int proc = keeps_orphans(z->mode) ? open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (proc >= 0)
		cb_keeper_end_strangers(proc, NULL, NULL);
	_exit(0);
}

static void prepare(struct zygote_state *z, const struct cb_sandbox_setup *setup)
{
	unsigned int kind = setup->kind;
	int pair[2] = { -EBADF, -EBADF }, status[2] = { -EBADF, -EBADF }, pidfd = -EBADF, recorder = -EBADF;
	struct reply reply = { .kind = kind };

	if (cb_channel_pair(pair) < 0 || pipe2(status, O_CLOEXEC) < 0) {
		reply_error(z->sock, errno, "make channel");
		cb_closep(&pair[0]);
		cb_closep(&pair[1]);
		return;
	}
	if (kind & CB_SANDBOX_RECORDED && start_recorder(z, &recorder) < 0) {
		reply_error(z->sock, errno, "start the recorder of owners");
		cb_closep(&pair[0]);
		cb_closep(&pair[1]);
		cb_closep(&status[0]);
		cb_closep(&status[1]);
		return;
	}
	pid_t pid = clone_sandbox(kind, &pidfd);
	if (pid == 0)
		cb_sandbox_main(pair[1], recorder, setup);
	cb_closep(&recorder);
	cb_closep(&pair[1]);
	if (pid < 0) {
		reply_error(z->sock, errno, "clone");
		cb_closep(&status[1]);
	} else {
		CB_GROW(z->children, z->cap, z->n + 1);
		z->children[z->n++] = (struct child){ pid, status[1] };
		const int fds[] = { pair[0], status[0], pidfd };
		if (cb_channel_send(z->sock, &reply, sizeof(reply), fds, ARRAY_SIZE(fds)) < 0)
			leave(z);
	}
	cb_closep(&pair[0]);
	cb_closep(&status[0]);
	cb_closep(&pidfd);
}

static uint64_t timeval_ns(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000000000U + (uint64_t)tv.tv_usec * 1000U;
}

static bool is_ours(void *arg, pid_t pid)
{
	const struct zygote_state *z = arg;

	for (size_t i = 0; i < z->n; i++)
		if (z->children[i].pid == pid)
			return true;
	for (size_t i = 0; i < z->n_helpers; i++)
		if (z->helpers[i] == pid)
			return true;
	return false;
}

static void forget_helper(struct zygote_state *z, pid_t pid)
{
	for (size_t i = 0; i < z->n_helpers; i++)
		if (z->helpers[i] == pid)
			z->helpers[i] = z->helpers[--z->n_helpers];
}

static void end_orphans(struct zygote_state *z)
{
	cleanup_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (proc >= 0)
		cb_keeper_end_strangers(proc, is_ours, z);
}

static void reap(struct zygote_state *z)
{
	struct signalfd_siginfo info;
	struct rusage usage;
	pid_t pid;
	int status;

	(void)!read(z->signals, &info, sizeof(info));
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		forget_helper(z, pid);
		for (size_t i = 0; i < z->n; i++) {
			if (z->children[i].pid != pid)
				continue;
			struct cb_sandbox_exit e = {
				.wait_status = status,
				.user_ns = timeval_ns(usage.ru_utime),
				.system_ns = timeval_ns(usage.ru_stime),
				.max_rss = (uint64_t)usage.ru_maxrss * 1024U,
			};
			if (keeps_orphans(z->mode))
				end_orphans(z);
			/* EPIPE: nobody waits for a sandbox that was never used. */
			(void)cb_fd_write_all(z->children[i].status, &e, sizeof(e));
			close(z->children[i].status);
			z->children[i] = z->children[--z->n];
			break;
		}
	}
}

static CB_NORETURN void serve(struct zygote_state *z)
{
	struct pollfd polled[] = { { .fd = z->sock, .events = POLLIN }, { .fd = z->signals, .events = POLLIN } };
	struct request request;
	int fds[CB_CHANNEL_FDS_MAX];

	for (;;) {
		if (poll(polled, ARRAY_SIZE(polled), -1) < 0 && errno != EINTR)
			_exit(1);
		if (polled[1].revents)
			reap(z);
		if (!polled[0].revents)
			continue;
		size_t n_fds = ARRAY_SIZE(fds);
		ssize_t n = cb_channel_recv(z->sock, &request, sizeof(request), fds, &n_fds);
		if (n != (ssize_t)sizeof(request))
			leave(z);
		/* The namespace comes behind the groups. */
		const bool joined = request.kind & CB_SANDBOX_JOINED && n_fds;
		const struct cb_sandbox_setup setup = { .kind = request.kind,
			.groups = fds,
			.n_groups = n_fds - joined,
			.groups_required = request.groups_required,
			.netns = joined ? fds[n_fds - 1] : -1 };
		prepare(z, &setup);
		for (size_t i = 0; i < n_fds; i++)
			cb_closep(&fds[i]);
	}
}

int cb_zygote_tidy_fds(int sock, int *sys)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), copy, sys_copy = -1;

	copy = fcntl(sock, F_DUPFD_CLOEXEC, 10);
	if (*sys >= 0)
		sys_copy = fcntl(*sys, F_DUPFD_CLOEXEC, 10);
	if (null < 0 || copy < 0 || (*sys >= 0 && sys_copy < 0))
		return -1;
#ifdef CB_SANITIZED
	const int last = 1; /* keep stderr, where a sanitizer reports */
#else
	const int last = 2;
#endif
	for (int i = 0; i <= last; i++)
		if (dup2(null, i) < 0)
			return -1;
	if (dup3(copy, 3, O_CLOEXEC) < 0 || (*sys >= 0 && dup3(sys_copy, 4, O_CLOEXEC) < 0))
		return -1;
	*sys = *sys >= 0 ? 4 : -1;
	return cb_sys_close_range(*sys >= 0 ? 5 : 4, ~0U, 0);
}

/* Returns a detached copy of /sys, or -1. */
static int become_root(int sock)
{
	int sys = -1;
	size_t n_fds = 1;
	char go = 0;

	if (cb_channel_recv(sock, &go, 1, &sys, &n_fds) != 1 || go != 'M')
		_exit(1);
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
		reply_error(sock, errno, "become root of the user namespace");
		_exit(1);
	}
	return sys;
}

static CB_NORETURN void zygote_main(int sock, enum cb_zygote_mode mode, bool death_signal)
{
	struct zygote_state z = { .sock = 3, .mode = mode };
	const char *what = NULL;
	sigset_t mask;
	int sys = -1;

	(void)prctl(PR_SET_NAME, "cbuild-zygote");
	if (mode == CB_ZYGOTE_USERNS)
		sys = become_root(sock);
	/* After the change of ids, which would forget it. A signal is sent when the *thread* ends that forked. */
	if (death_signal && !keeps_orphans(mode))
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setsid();
	umask(0);
	if (cb_zygote_tidy_fds(sock, &sys) < 0) {
		reply_error(sock, errno, "close descriptors");
		_exit(1);
	}
	/* The owner may have been started with signals ignored, as by nohup; its steps are not. */
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, i == SIGPIPE ? SIG_IGN : SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	z.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeps_orphans(mode))
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (mode != CB_ZYGOTE_CHROOT && cb_zygote_mounts(sys, mode == CB_ZYGOTE_SHARED, &what) < 0) {
		reply_error(z.sock, errno, what);
		_exit(1);
	}
	cb_closep(&sys);
	reply_error(z.sock, 0, "");
	serve(&z);
}

static int write_map(pid_t pid, const char *file, struct cb_err **err)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	snprintf(text, sizeof(text), "0 %u %u\n", CB_USERNS_ROOT_ID, CB_USERNS_N_IDS);
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || cb_fd_write_all(fd, text, strlen(text)) < 0)
		return cb_err_errno(err, errno, "write %s", file);
	return 0;
}

static int map_ids(struct cb_zygote *zygote, struct cb_err **err)
{
	char path[64];
	int r = write_map(zygote->pid, "uid_map", err);

	if (r == 0)
		r = write_map(zygote->pid, "gid_map", err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)zygote->pid);
	zygote->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (zygote->userns_fd < 0)
		return cb_err_errno(err, errno, "open user namespace");
	/*
	 * Inside, /sys could only be copied with all that is mounted below it (a dozen of cgroup hierarchies, say),
	 * which every sandbox would have to copy again.
	 */
	cleanup_close int sys = cb_sys_open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE);
	if (cb_channel_send(zygote->sock, "M", 1, &sys, sys >= 0) < 0)
		return cb_err_errno(err, errno, "start the container helper");
	return 0;
}

static int read_reply(int sock, struct reply *reply, int *fds, size_t *n_fds, struct cb_err **err)
{
	ssize_t n = cb_channel_recv(sock, reply, sizeof(*reply), fds, n_fds);

	if (n < 0)
		return cb_err_errno(err, errno, "ask the container helper");
	if (n != (ssize_t)sizeof(*reply))
		return cb_err_set(err, CB_ERR_INTERNAL, "the container helper ended unexpectedly");
	reply->what[sizeof(reply->what) - 1] = '\0';
	if (reply->errnum)
		return cb_err_errno(err, reply->errnum, "make container: %s", reply->what);
	return 0;
}

pid_t cb_zygote_clone(enum cb_zygote_mode mode, int sock, int other, uint64_t flags, bool death_signal)
{
	static const uint64_t namespaces[] = {
		[CB_ZYGOTE_OWN] = CLONE_NEWNS | CLONE_NEWPID,
		[CB_ZYGOTE_USERNS] = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER,
		[CB_ZYGOTE_SHARED] = CLONE_NEWNS,
		[CB_ZYGOTE_CHROOT] = 0,
	};
	struct cb_clone_args args = {
		.flags = CLONE_CLEAR_SIGHAND | namespaces[mode] | flags,
		/* With CLONE_PARENT it is that of the calling process, the same. */
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};
	pid_t pid = cb_sys_clone3(&args);

	if (pid == 0) {
		cb_closep(&other);
		zygote_main(sock, mode, death_signal);
	}
	return pid;
}

/* ---- the owner's side ----------------------------------------------------------------------------------------- */

int cb_zygote_start(
	const struct cb_zygote_seed *seed, enum cb_zygote_mode mode, struct cb_zygote *ret, struct cb_err **err)
{
	bool userns = mode == CB_ZYGOTE_USERNS;
	struct cb_zygote zygote = { .sock = -EBADF, .userns_fd = -EBADF, .keeps_orphans = keeps_orphans(mode) };
	struct reply hello;
	int pair[2], r = 0;

	if (cb_channel_pair(pair) < 0)
		return cb_err_errno(err, errno, "make channel");
	zygote.pid = seed ? cb_zygote_seed_ask(seed, mode, pair[1])
			  : cb_zygote_clone(mode, pair[1], pair[0], 0, gettid() == getpid());
	int saved = errno;
	close(pair[1]);
	zygote.sock = pair[0];
	if (zygote.pid < 0) {
		r = cb_err_errno(err, saved, "make namespaces");
		close(pair[0]);
		return r;
	}
	if (userns)
		r = map_ids(&zygote, err);
	if (r == 0)
		r = read_reply(zygote.sock, &hello, NULL, NULL, err);
	if (r < 0) {
		cb_zygote_stop(&zygote);
		return r;
	}
	*ret = zygote;
	return 0;
}

void cb_zygote_stop(struct cb_zygote *zygote)
{
	if (zygote->pid > 0) {
		/* The end of the channel makes it end all that it has; else that is gone before it can be reaped. */
		if (zygote->keeps_orphans) {
			cb_closep(&zygote->sock);
			zygote->sock = -EBADF;
		} else {
			(void)kill(zygote->pid, SIGKILL);
		}
		while (waitpid(zygote->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cb_closep(&zygote->sock);
	cb_closep(&zygote->userns_fd);
	*zygote = (struct cb_zygote){ .sock = -EBADF, .userns_fd = -EBADF };
}

int cb_zygote_request(struct cb_zygote *zygote, const struct cb_sandbox_setup *setup, struct cb_err **err)
{
	struct request request;
	int fds[CB_CGROUP_HIERARCHIES + 1];
	size_t n = setup->n_groups;

	memset(&request, 0, sizeof(request));
	request.kind = setup->kind;
	request.groups_required = setup->groups_required;
	for (size_t i = 0; i < n; i++)
		fds[i] = setup->groups[i];
	if (setup->kind & CB_SANDBOX_JOINED)
		fds[n++] = setup->netns;
	if (cb_channel_send(zygote->sock, &request, sizeof(request), fds, n) < 0)
		return cb_err_errno(err, errno, "ask the container helper");
	return 0;
}

int cb_zygote_receive(struct cb_zygote *zygote, struct cb_sandbox_handle *ret, struct cb_err **err)
{
	struct reply reply;
	int fds[3];
	size_t n = ARRAY_SIZE(fds);
	int r = read_reply(zygote->sock, &reply, fds, &n, err);

	if (r < 0)
		return r;
	if (n != ARRAY_SIZE(fds)) {
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
		return cb_err_set(err, CB_ERR_INTERNAL, "the container helper sent no descriptors");
	}
	*ret = (struct cb_sandbox_handle){ .kind = reply.kind, .sock = fds[0], .status = fds[1], .pidfd = fds[2] };
	return 0;
}

void cb_sandbox_handle_done(struct cb_sandbox_handle *handle)
{
	cb_closep(&handle->sock);
	cb_closep(&handle->status);
	cb_closep(&handle->pidfd);
	*handle = (struct cb_sandbox_handle){ .sock = -EBADF, .status = -EBADF, .pidfd = -EBADF };
}
