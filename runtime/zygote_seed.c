/* The process that waits to clone others while this one has threads already. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/cgroup_heir.h"
#include "runtime/channel.h"
#include "runtime/devices.h"
#include "runtime/kernel.h"
#include "runtime/zygote_private.h"

/*
 * What it is asked for: a zygote or the heir of control groups, with its end of its channel, or who makes devices, with
 * what that needs.
 */
struct order {
	bool devices, heir;
	enum cb_zygote_mode mode;
};

/* As cb_zygote_clone. */
static pid_t clone_heir(int sock, int other, uint64_t flags)
{
	struct cb_clone_args args = {
		.flags = CLONE_CLEAR_SIGHAND | flags,
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};
	pid_t pid = cb_sys_clone3(&args);
	int none = -1;

	if (pid != 0)
		return pid;
	cb_closep(&other);
	if (cb_zygote_tidy_fds(sock, &none) < 0)
		_exit(1);
	cb_cgroup_heir_main(3);
}

/* Back comes a pid, or a negative error number. */
static void seed_child(const struct order *order, int sock, bool death_signal)
{
	/* The parent of both, and so the thread whose end is their end, is the same. */
	pid_t pid = order->heir ? clone_heir(sock, -1, CLONE_PARENT)
				: cb_zygote_clone(order->mode, sock, -1, CLONE_PARENT, death_signal);

	if (pid < 0)
		pid = -errno;
	if (cb_channel_send(3, &pid, sizeof(pid), NULL, 0) < 0)
		_exit(1);
}

static CB_NORETURN void seed_main(int sock, bool death_signal)
{
	struct order order;
	int none = -1;

	(void)prctl(PR_SET_NAME, "cbuild-seed");
	if (death_signal)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Nobody waits for those who make devices. */
	(void)signal(SIGCHLD, SIG_IGN);
	if (cb_zygote_tidy_fds(sock, &none) < 0)
		_exit(1);
	for (;;) {
		int fds[3];
		size_t n_fds = ARRAY_SIZE(fds);
		ssize_t n = cb_channel_recv(3, &order, sizeof(order), fds, &n_fds);
		if (n != (ssize_t)sizeof(order) || n_fds != (order.devices ? 3 : 1))
			_exit(0);
		if (!order.devices)
			seed_child(&order, fds[0], death_signal);
		else if (fork() == 0)
			cb_devices_main(fds[0], fds[1], fds[2]);
		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
	}
}

int cb_zygote_seed_start(struct cb_zygote_seed *ret, struct cb_err **err)
{
	bool death_signal = gettid() == getpid();
	int pair[2];

	if (cb_channel_pair(pair) < 0)
		return cb_err_errno(err, errno, "make channel");
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		seed_main(pair[1], death_signal);
	}
	close(pair[1]);
	if (pid < 0) {
		cb_closep(&pair[0]);
		return cb_err_errno(err, errno, "fork");
	}
	*ret = (struct cb_zygote_seed){ pid, pair[0] };
	return 0;
}

void cb_zygote_seed_stop(struct cb_zygote_seed *seed)
{
	if (seed->pid <= 0)
		return;
	cb_closep(&seed->sock);
	(void)kill(seed->pid, SIGKILL);
	while (waitpid(seed->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*seed = (struct cb_zygote_seed){ .sock = -EBADF };
}

static pid_t ask_seed(const struct cb_zygote_seed *seed, bool heir, enum cb_zygote_mode mode, int sock)
{
	struct order order;
	pid_t pid = -1;

	memset(&order, 0, sizeof(order));
	order.heir = heir;
	order.mode = mode;
	if (cb_channel_send(seed->sock, &order, sizeof(order), &sock, 1) < 0)
		return -1;
	ssize_t n = cb_channel_recv(seed->sock, &pid, sizeof(pid), NULL, NULL);
	if (n != (ssize_t)sizeof(pid)) {
		errno = n < 0 ? errno : ECHILD;
		return -1;
	}
	if (pid < 0) {
		errno = -pid;
		return -1;
	}
	return pid;
}

pid_t cb_zygote_seed_ask(const struct cb_zygote_seed *seed, enum cb_zygote_mode mode, int sock)
{
	return ask_seed(seed, false, mode, sock);
}

int cb_zygote_heir(const struct cb_zygote_seed *seed, pid_t *ret, int *ret_sock, struct cb_err **err)
{
	int pair[2];

	if (cb_channel_pair(pair) < 0)
		return cb_err_errno(err, errno, "make channel");
	pid_t pid = seed ? ask_seed(seed, true, CB_ZYGOTE_OWN, pair[1]) : clone_heir(pair[1], pair[0], 0);
	int saved = errno;
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return cb_err_errno(err, saved, "fork");
	}
	*ret = pid;
	*ret_sock = pair[0];
	return 0;
}

int cb_zygote_seed_devices(const struct cb_zygote_seed *seed, int listener, int userns, int *ret)
{
	struct order order;
	int end[2];

	memset(&order, 0, sizeof(order));
	order.devices = true;
	if (pipe2(end, O_CLOEXEC) < 0)
		return -1;
	const int fds[] = { listener, userns, end[1] };
	int r = cb_channel_send(seed->sock, &order, sizeof(order), fds, ARRAY_SIZE(fds));
	close(end[1]);
	if (r < 0)
		cb_closep(&end[0]);
	else
		*ret = end[0];
	return r;
}
