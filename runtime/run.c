#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "base/timefmt.h"
#include "runtime/channel.h"
#include "runtime/kernel.h"
#include "runtime/notify.h"
#include "runtime/run_spec.h"
#include "runtime/sandbox.h"

/* To close what it holds is all that the process that makes devices has left to do. */
#define DEVICES_END_MS 10000

struct cb_run {
	struct cb_runtime *runtime;
	struct cb_sandbox_handle sandbox;
	int upper_fd, work_fd; /* borrowed */
	uint64_t started;
	uint64_t deadline; /* or 0 */
	atomic_bool killed, timed_out;
	bool reports_end;
	int listener; /* of questions about devices, until somebody answers them; or -1 */
	int devices;  /* at its end when that process is gone; or -1 */
	bool devices_refused;
	struct cb_strv created, warnings;
	struct cb_err *error; /* the first that the sandbox reported */
};

static void run_free(struct cb_run *run)
{
	cb_sandbox_handle_done(&run->sandbox);
	cb_closep(&run->listener);
	cb_closep(&run->devices);
	cb_strv_done(&run->created);
	cb_strv_done(&run->warnings);
	cb_err_free(run->error);
	free(run);
}

void cb_run_result_done(struct cb_run_result *result)
{
	cb_strv_done(&result->warnings);
}

/* One report of the sandbox; sets reports_end at the end. */
static void take_report(struct cb_run *run)
{
	struct cb_report_head head = { 0 };
	char text[CB_REPORT_MAX];
	cleanup_err struct cb_err *err = NULL;
	cleanup_close int fd = -EBADF;
	int r = cb_report_read(run->sandbox.sock, &head, text, sizeof(text), &fd, &err);

	if (r != 0) {
		run->reports_end = true;
		if (r < 0 && !run->error)
			run->error = CB_TAKE_PTR(err);
	} else if (head.kind == CB_REPORT_ERROR && !run->error) {
		(void)cb_err_errno(&run->error, head.errnum, "%s", text);
		/* A path that is something else than it must be: the image is at fault, not this host. */
		if (head.errnum == ENOTDIR || head.errnum == EISDIR || head.errnum == ELOOP ||
			head.errnum == ENAMETOOLONG || head.errnum == EEXIST)
			(void)cb_err_recode(&run->error, CB_ERR_INPUT);
	} else if (head.kind == CB_REPORT_WARNING) {
		cb_strv_add(&run->warnings, text);
	} else if (head.kind == CB_REPORT_CREATED) {
		cb_strv_add(&run->created, text);
	} else if (head.kind == CB_REPORT_ASKING && run->listener < 0) {
		run->listener = CB_TAKE_FD(fd);
	}
}

/* Nobody here can make a device: the kernel says so itself, and we remember it. */
static void decline(struct cb_run *run)
{
	union cb_notify asked;
	struct cb_notify_mknod call;

	if (cb_notify_receive(run->listener, &asked) < 0)
		return;
	/* A whiteout, 0:0, is not one. */
	if (cb_notify_mknod(&asked.notif.data, &call) && (call.dev || S_ISBLK(call.mode)))
		run->devices_refused = true;
	cb_notify_go_on(run->listener, &asked);
}

/* The listener is ready. With the first question it goes to a process of its own that can make devices, if there is. */
static void take_question(struct cb_run *run, short events)
{
	const struct cb_runtime *rt = run->runtime;
	bool given =
		!(events & POLLIN) /* nobody is left who could ask */ ||
		(rt->info.isolation == CB_ISOLATION_ROOT_USERNS &&
			cb_zygote_seed_devices(&rt->seed, run->listener, rt->zygote.userns_fd, &run->devices) == 0);

	if (!given) {
		decline(run);
		return;
	}
	cb_closep(&run->listener);
	run->listener = -EBADF;
}

void cb_runtime_watch(const struct cb_run *run, struct pollfd fds[static CB_RUN_FDS])
{
	fds[0] = (struct pollfd){ .fd = run->reports_end ? -1 : run->sandbox.sock, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = run->listener, .events = POLLIN };
}

void cb_runtime_attend(struct cb_run *run, const struct pollfd fds[static CB_RUN_FDS])
{
	if (fds[1].revents && fds[1].fd == run->listener)
		take_question(run, fds[1].revents);
	if (fds[0].revents && !run->reports_end)
		take_report(run);
}

/* A node could still be on its way into a layer that is taken for complete. Nobody is left who asks, so it will end. */
static int wait_devices(struct cb_run *run, struct cb_err **err)
{
	struct pollfd pfd = { .fd = run->devices, .events = POLLIN };
	int r;

	if (run->devices < 0)
		return 0;
	do
		r = poll(&pfd, 1, DEVICES_END_MS);
	while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : cb_err_set(err, CB_ERR_INTERNAL, "the process that makes device nodes does not end");
}

/* What is asked for and cannot be given is refused, never left out. */
static int check_possible(const struct cb_runtime *runtime, const struct cb_run_spec *spec, struct cb_err **err)
{
	const char *what = NULL;

	if (runtime->info.isolation != CB_ISOLATION_CHROOT)
		return 0;
	if (spec->network == CB_RUN_NETWORK_NONE)
		what = "--network=none";
	else if (spec->insecure)
		what = "--security=insecure";
	for (size_t i = 0; i < spec->n_mounts && !what; i++)
		if (spec->mounts[i].kind != CB_RUN_MOUNT_FILE)
			what = "mounts other than secrets";
	if (!what)
		return 0;
	int r = cb_err_set(err, CB_ERR_UNSUPPORTED, "isolation chroot cannot give %s", what);
	return cb_err_hint(err, r, "see what this host or container allows, and how to get more: cbuild doctor");
}

int cb_runtime_start(
	struct cb_runtime *runtime, const struct cb_run_spec *spec, struct cb_run **ret, struct cb_err **err)
{
	struct cb_spec_message msg = { .n_fds = 0 };
	cleanup_strv struct cb_strv warnings = { 0 };
	unsigned int kind = (spec->network == CB_RUN_NETWORK_NONE ? CB_SANDBOX_NETNS : 0) |
			    (spec->insecure ? CB_SANDBOX_INSECURE : 0) | runtime->kind;
	struct cb_run *run;
	int r;

	/* Only to know of questions, no filter is loaded beside one of the user's, or none. */
	if (runtime->info.isolation != CB_ISOLATION_ROOT_USERNS && (spec->filter || spec->unfiltered))
		kind &= ~(unsigned int)CB_SANDBOX_ASKING;
	if (spec->network == CB_RUN_NETWORK_DEFAULT && runtime->info.isolation != CB_ISOLATION_CHROOT &&
		cb_runtime_join_network(runtime, &warnings))
		kind |= CB_SANDBOX_JOINED;
	uint64_t started = cb_time_mono();
	r = check_possible(runtime, spec, err);
	if (r < 0)
		return r;
	r = cb_spec_message_make(runtime, spec, kind & CB_SANDBOX_JOINED, &msg, err);
	if (r < 0)
		return r;
	run = cb_new0(struct cb_run);
	run->warnings = warnings;
	warnings = (struct cb_strv){ 0 };
	run->sandbox = (struct cb_sandbox_handle){ .sock = -EBADF, .status = -EBADF, .pidfd = -EBADF };
	run->runtime = runtime;
	run->listener = run->devices = -EBADF;
	run->upper_fd = spec->upper_fd;
	run->work_fd = spec->work_fd;
	run->started = started;
	run->deadline = spec->deadline_ns;
	r = cb_runtime_take_sandbox(runtime, kind, &run->sandbox, err);
	if (r == 0) {
		const struct cb_spec_head head = { .wire_len = msg.wire_len };
		/* A sandbox that died while it was prepared has said why: wait tells. */
		if (cb_channel_send(run->sandbox.sock, &head, sizeof(head), msg.fds, msg.n_fds) < 0 && errno != EPIPE)
			r = cb_err_errno(err, errno, "start the container");
		/* Only now, so that the two do not wait for each other's mounts. */
		cb_runtime_prepare_next(runtime, kind);
	}
	cb_spec_message_done(&msg);
	if (r < 0) {
		run_free(run);
		return r;
	}
	*ret = run;
	return 0;
}

/* The pid of the run, in our pid namespace, or 0 when it is gone. */
static pid_t pid_of(const struct cb_run *run)
{
	char path[64];
	cleanup_buf struct cb_buf text = { 0 };

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", run->sandbox.pidfd);
	if (cb_file_read_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return 0;
	const char *at = strstr(cb_buf_str(&text), "\nPid:");
	return at ? (pid_t)strtol(at + 5, NULL, 10) : 0;
}

/* The first process of a pid namespace does not get signals that it does not handle: no use to wait then. */
static bool listens_to(const struct cb_run *run, int sig)
{
	char path[64];
	cleanup_buf struct cb_buf text = { 0 };
	pid_t pid = pid_of(run);

	if (pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (cb_file_read_at(AT_FDCWD, path, 65536, &text, NULL) < 0)
		return false;
	const char *at = strstr(cb_buf_str(&text), "\nSigCgt:");
	return at && (strtoull(at + 8, NULL, 16) >> (sig - 1)) & 1;
}

void cb_runtime_kill(struct cb_run *run, int grace_ms)
{
	struct pollfd pfd = { .fd = run->sandbox.pidfd, .events = POLLIN };

	atomic_store(&run->killed, true);
	if (grace_ms > 0 && listens_to(run, SIGTERM) && cb_sys_pidfd_send_signal(run->sandbox.pidfd, SIGTERM) == 0) {
		int r;
		do
			r = poll(&pfd, 1, grace_ms);
		while (r < 0 && errno == EINTR);
		if (r > 0)
			return;
	}
	(void)cb_sys_pidfd_send_signal(run->sandbox.pidfd, SIGKILL);
	if (run->sandbox.group)
		cb_cgroups_kill(run->runtime->groups, run->sandbox.group);
}

void cb_runtime_expire(struct cb_run *run, int grace_ms)
{
	atomic_store(&run->timed_out, true);
	cb_runtime_kill(run, grace_ms);
}

/* Until the zygote says that it is gone: it reaps it only after its whole pid namespace. */
static int wait_end(struct cb_run *run, const struct cb_cancel *cancel, int grace_ms, struct cb_sandbox_exit *ret,
	struct cb_err **err)
{
	struct pollfd fds[2 + CB_RUN_FDS] = {
		{ .fd = run->sandbox.status, .events = POLLIN },
		{ .fd = cb_cancel_fd(cancel), .events = POLLIN },
	};

	for (;;) {
		uint64_t deadline = atomic_load(&run->timed_out) ? 0 : run->deadline;
		cb_runtime_watch(run, fds + 2);
		int n = poll(fds, ARRAY_SIZE(fds), cb_time_left_ms(deadline));
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return cb_err_errno(err, errno, "wait for the container");
		}
		if (deadline && !fds[0].revents && cb_time_mono() >= deadline)
			cb_runtime_expire(run, grace_ms);
		cb_runtime_attend(run, fds + 2);
		if (fds[1].revents) {
			fds[1].fd = -1;
			cb_runtime_kill(run, grace_ms);
		}
		if (!fds[0].revents)
			continue;
		if (cb_fd_read_full(run->sandbox.status, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
			return cb_err_set(err, CB_ERR_INTERNAL, "the container helper ended unexpectedly");
		while (!run->reports_end)
			take_report(run);
		return wait_devices(run, err);
	}
}

/* Takes away an empty file or directory; the times of @dir stay. */
static void remove_target(int dir, const char *name)
{
	struct timespec times[2];
	struct stat up, st;
	int r = -1;

	if (dir < 0 || fstat(dir, &up) < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISDIR(st.st_mode))
		r = unlinkat(dir, name, AT_REMOVEDIR);
	else if (S_ISREG(st.st_mode) && st.st_size == 0)
		r = unlinkat(dir, name, 0);
	if (r < 0)
		return;
	times[0] = up.st_atim;
	times[1] = up.st_mtim;
	(void)utimensat(dir, "", times, AT_EMPTY_PATH);
}

/* Mount targets that had to be made in the image, deepest first, if they are still as they were: empty. */
static void remove_created(const struct cb_run *run)
{
	if (run->upper_fd < 0)
		return;
	for (size_t i = run->created.n; i-- > 0;) {
		const char *path = run->created.v[i];
		cleanup_free char *parent = cb_path_dir(path);
		cleanup_close int dir = cb_path_open_beneath(
			run->upper_fd, strcmp(parent, "/") == 0 ? "." : parent + 1, O_PATH | O_DIRECTORY, 0);

		remove_target(dir, cb_path_base(path));
	}
}

/* What the run's control group counted; without one for memory, what happened around us may explain a SIGKILL. */
static void fill_usage(struct cb_run *run, struct cb_run_result *ret)
{
	struct cb_cgroup_usage usage = { 0 };

	if (run->sandbox.group)
		cb_cgroups_usage(run->runtime->groups, run->sandbox.group, &usage);
	ret->peak_memory = usage.peak_memory;
	ret->pids_refused = usage.pids_refused;
	ret->oom = usage.oom_kills != 0;
	ret->oom_limit = usage.memory_reached ? run->runtime->memory_limit : 0;
	if (!ret->oom && ret->status == 128 + SIGKILL && !ret->killed)
		ret->oom = cb_cgroup_own_oom_kills() > run->runtime->oom_kills;
}

static void fill_result(struct cb_run *run, const struct cb_sandbox_exit *end, struct cb_run_result *ret)
{
	*ret = (struct cb_run_result){
		.signal = WIFSIGNALED(end->wait_status) ? WTERMSIG(end->wait_status) : 0,
		.killed = atomic_load(&run->killed),
		.timed_out = atomic_load(&run->timed_out),
		.devices_refused = run->devices_refused,
		.duration_ns = cb_time_mono() - run->started,
		.user_ns = end->user_ns,
		.system_ns = end->system_ns,
		.max_rss = end->max_rss,
		.warnings = run->warnings,
	};
	ret->status = ret->signal ? 128 + ret->signal : WEXITSTATUS(end->wait_status);
	run->warnings = (struct cb_strv){ 0 };
	fill_usage(run, ret);
}

int cb_runtime_wait(struct cb_run *run, const struct cb_cancel *cancel, int grace_ms, struct cb_run_result *ret,
	struct cb_err **err)
{
	struct cb_sandbox_exit end = { 0 };
	int r = wait_end(run, cancel, grace_ms, &end, err);

	remove_created(run);
	if (run->work_fd >= 0)
		cb_runtime_discard_work(run->runtime, run->work_fd);
	if (r == 0 && run->error && !atomic_load(&run->killed))
		r = cb_err_wrap(err, cb_err_move(err, CB_TAKE_PTR(run->error)), "start the container");
	if (r == 0)
		fill_result(run, &end, ret);
	if (run->sandbox.group)
		cb_cgroups_remove(run->runtime->groups, run->sandbox.group);
	run_free(run);
	return r;
}
