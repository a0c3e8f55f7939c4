#include "runtime/network.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "base/timefmt.h"
#include "runtime/channel.h"
#include "runtime/idmap.h"
#include "runtime/kernel.h"
#include "runtime/resolv.h"
#include "runtime/runtime.h"

#define PROGRAM "pasta"
#define OUTPUT_MAX (64U << 10)
/* A busy host makes it fail now and then. The last failure is told. */
#define TRIES 3
#define PAUSE_NS 100000000
#define NOT_EXECUTED 127

struct cb_network {
	pid_t pid; /* the supervisor */
	int sock, netns, output;
	uint64_t deadline;
	bool connected;
};

/* Supervisor to cbuild: the namespace (a descriptor comes along), then how pasta ended. */
enum stage { STAGE_NAMESPACE, STAGE_CONNECTED };
struct message {
	enum stage stage;
	int errnum;      /* of what failed, or 0 */
	int wait_status; /* of pasta, when it is CONNECTED */
};

/* ---- in forked children of a process with threads: system calls only ------------------------------------------ */

/* Descriptors that the supervisor keeps. */
enum { SOCK_FD = 3, USERNS_FD = 4, OUTPUT_FD = 5, NETNS_FD = 6, FIRST_FREE_FD = 7 };

static void tell(enum stage stage, int errnum, int wait_status, int fd)
{
	struct message msg;

	memset(&msg, 0, sizeof(msg));
	msg.stage = stage;
	msg.errnum = errnum;
	msg.wait_status = wait_status;
	(void)cb_channel_send(SOCK_FD, &msg, sizeof(msg), &fd, fd >= 0);
}

static int raise_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -1 : 0;
}

/* A process of its own enters the user namespace, so that the supervisor need not: pasta has to open host sockets. */
static CB_NORETURN void make_namespace(int sock, bool userns)
{
	int fd = -1, errnum = 0;

	if ((userns && setns(USERNS_FD, CLONE_NEWUSER) < 0) || unshare(CLONE_NEWNET) < 0 || raise_loopback() < 0)
		errnum = errno;
	if (!errnum)
		fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (!errnum && fd < 0)
		errnum = errno;
	_exit(cb_channel_send(sock, &errnum, sizeof(errnum), &fd, fd >= 0) < 0);
}

/* The namespace at NETNS_FD, or -1 with errno. */
static int get_namespace(bool userns)
{
	int pair[2], fd = -1, errnum = 0;
	size_t n = 1;

	if (cb_channel_pair(pair) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		make_namespace(pair[1], userns);
	close(pair[1]);
	if (pid < 0 || cb_channel_recv(pair[0], &errnum, sizeof(errnum), &fd, &n) != (ssize_t)sizeof(errnum))
		errnum = pid < 0 ? errno : EPIPE;
	close(pair[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	if (errnum || n != 1) {
		errno = errnum ? errnum : EPIPE;
		return -1;
	}
	if (fd == NETNS_FD)
		return fd;
	int r = dup3(fd, NETNS_FD, O_CLOEXEC);
	close(fd);
	return r;
}

static CB_NORETURN void become_pasta(char *const *argv)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* It insists on finding SIGPIPE as it is by default. */
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* It opens the namespace by this number. */
	if (null < 0 || dup2(null, 0) < 0 || dup2(OUTPUT_FD, 1) < 0 || dup2(OUTPUT_FD, 2) < 0 ||
		fcntl(NETNS_FD, F_SETFD, 0) < 0)
		_exit(NOT_EXECUTED);
	(void)execvp(argv[0], argv);
	_exit(NOT_EXECUTED);
}

static pid_t start_pasta(char *const *argv)
{
	pid_t pid = fork();

	if (pid == 0)
		become_pasta(argv);
	if (pid < 0)
		tell(STAGE_CONNECTED, errno, 0, -1);
	return pid;
}

/* How pasta ended, before it went to the background; the one that runs now. Its device ended with it. */
static pid_t pasta_ended(char *const *argv, int status, unsigned int *tries)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	if (!WIFEXITED(status) || !WEXITSTATUS(status) || WEXITSTATUS(status) == NOT_EXECUTED || --*tries == 0) {
		tell(STAGE_CONNECTED, 0, status, -1);
		return -1;
	}
	(void)nanosleep(&pause, NULL);
	return start_pasta(argv);
}

/* Until cbuild is gone; then the kernel ends every process of this pid namespace. */
static CB_NORETURN void supervise(char *const *argv, int signals)
{
	struct pollfd fds[] = { { .fd = SOCK_FD, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;
	unsigned int tries = TRIES;
	pid_t pasta = start_pasta(argv);
	int status;

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			_exit(1);
		if (fds[0].revents)
			_exit(0);
		if (!fds[1].revents)
			continue;
		(void)!read(signals, &info, sizeof(info));
		for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
			if (pid == pasta)
				pasta = pasta_ended(argv, status, &tries);
	}
}

static int place(int fd, int number)
{
	return fd < 0 ? 0 : dup3(fd, number, O_CLOEXEC);
}

static CB_NORETURN void supervisor_main(int sock, int userns, int output, char *const *argv)
{
	sigset_t mask;

	(void)prctl(PR_SET_NAME, "cbuild-network");
	(void)setsid();
	/* First out of the way of the numbers that they are to get. */
	sock = fcntl(sock, F_DUPFD_CLOEXEC, 64);
	output = fcntl(output, F_DUPFD_CLOEXEC, 64);
	if (userns >= 0)
		userns = fcntl(userns, F_DUPFD_CLOEXEC, 64);
	if (place(sock, SOCK_FD) < 0 || place(output, OUTPUT_FD) < 0 || place(userns, USERNS_FD) < 0 ||
		cb_sys_close_range(FIRST_FREE_FD, ~0U, 0) < 0)
		_exit(1);
	sigfillset(&mask);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	if (get_namespace(userns >= 0) < 0) {
		tell(STAGE_NAMESPACE, errno, 0, -1);
		_exit(1);
	}
	int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		_exit(1);
	tell(STAGE_NAMESPACE, 0, 0, NETNS_FD);
	supervise(argv, signals);
}

/* ---- cbuild --------------------------------------------------------------------------------------------------- */

static int refuse(struct cb_err **err, const char *reason)
{
	return cb_err_set(err, CB_ERR_UNSUPPORTED, "%s", reason);
}

/* What can be known before: that it would fail, or hang. */
static int check_host(struct cb_err **err)
{
	cleanup_close int tun = -EBADF;

	if (!cb_spawn_have(PROGRAM))
		return refuse(err, "pasta is not installed (package passt)");
	tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun < 0)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "/dev/net/tun cannot be opened: %s", strerror(errno));
	return 0;
}

static int receive(struct cb_network *network, enum stage want, int *fd, struct message *msg, struct cb_err **err)
{
	struct pollfd pfd = { .fd = network->sock, .events = POLLIN };
	size_t n = 1;
	int r;

	do
		r = poll(&pfd, 1, cb_time_left_ms(network->deadline));
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "pasta did not connect within %d seconds",
			CB_NETWORK_TIMEOUT_MS / 1000);
	if (cb_channel_recv(network->sock, msg, sizeof(*msg), fd, fd ? &n : NULL) != (ssize_t)sizeof(*msg) ||
		msg->stage != want)
		return refuse(err, "the helper process of the network ended");
	if (msg->errnum)
		return cb_err_set(
			err, CB_ERR_UNSUPPORTED, "a network namespace cannot be made: %s", strerror(msg->errnum));
	return fd && n != 1 ? refuse(err, "the network namespace did not arrive") : 0;
}

/* The last line of pasta that is about its task, which a host without syslog interrupts. */
static void last_words(const struct cb_network *network, struct cb_buf *ret)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_strv struct cb_strv lines = { 0 };

	if (lseek(network->output, 0, SEEK_SET) == 0)
		(void)cb_fd_read_all(network->output, OUTPUT_MAX, "output", &text, NULL);
	cb_strv_split(&lines, cb_buf_str(&text), '\n');
	for (size_t i = lines.n; i-- > 0;) {
		if (!*lines.v[i] || strstr(lines.v[i], "syslog"))
			continue;
		cb_buf_adds(ret, lines.v[i]);
		return;
	}
}

/*
 * Only for a name server on the host's loopback: old versions rewrite every answer of a forwarded server, also when it
 * was asked by its own address.
 */
static void forward_dns(struct cb_strv *argv)
{
	cleanup_buf struct cb_buf host = { 0 };

	(void)cb_file_read_at(AT_FDCWD, "/etc/resolv.conf", CB_RESOLV_MAX, &host, NULL);
	if (!cb_resolv_needs_forwarder(cb_buf_str(&host), host.len))
		return;
	cb_strv_add(argv, "--dns-forward");
	cb_strv_add(argv, CB_NETWORK_DNS);
}

static void arguments(struct cb_strv *argv)
{
	static const char *const words[] = { PROGRAM, "--quiet", "--config-net",
		/* No port of either side reaches the other, and the gateway is not the host's loopback. */
		"-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-map-gw", "-a", CB_NETWORK_ADDRESS, "-n",
		CB_NETWORK_BITS, "-g", CB_NETWORK_GATEWAY, "--netns-only", "--netns" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		cb_strv_add(argv, words[i]);
	cb_strv_addf(argv, "/proc/self/fd/%d", NETNS_FD);
	forward_dns(argv);
	/*
	 * Where all ids are mapped to themselves, also for root of a container that has done it, pasta takes us for the
	 * host's root and would become nobody, who may not enter the namespace. It drops all capabilities and its file
	 * system by itself.
	 */
	if (geteuid() == 0 && cb_idmap_is_identity()) {
		cb_strv_add(argv, "--runas");
		cb_strv_add(argv, "0");
	}
}

int cb_network_start(int userns_fd, struct cb_network **ret, struct cb_err **err)
{
	struct cb_clone_args args = { .flags = CLONE_CLEAR_SIGHAND | CLONE_NEWPID, .exit_signal = SIGCHLD };
	CB_CLEANUP(cb_network_stop) struct cb_network *network = NULL;
	cleanup_strv struct cb_strv argv = { 0 };
	struct message msg;
	int pair[2], r = check_host(err);

	if (r < 0)
		return r;
	arguments(&argv);
	network = cb_new0(struct cb_network);
	network->netns = -EBADF;
	network->deadline = cb_time_mono() + CB_NETWORK_TIMEOUT_MS * 1000000ULL;
	network->output = memfd_create("cbuild-network", MFD_CLOEXEC);
	network->sock = -EBADF;
	if (network->output < 0 || cb_channel_pair(pair) < 0)
		return cb_err_errno(err, errno, "make channel");
	network->sock = pair[0];
	network->pid = cb_sys_clone3(&args);
	if (network->pid == 0)
		supervisor_main(pair[1], userns_fd, network->output, argv.v);
	close(pair[1]);
	if (network->pid < 0)
		return cb_err_errno(err, errno, "start the helper process of the network");
	r = receive(network, STAGE_NAMESPACE, &network->netns, &msg, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(network);
	return 0;
}

int cb_network_wait(struct cb_network *network, struct cb_err **err)
{
	cleanup_buf struct cb_buf words = { 0 };
	struct message msg;
	int r;

	if (network->connected)
		return 0;
	r = receive(network, STAGE_CONNECTED, NULL, &msg, err);
	if (r < 0)
		return r;
	network->connected = WIFEXITED(msg.wait_status) && WEXITSTATUS(msg.wait_status) == 0;
	if (network->connected)
		return 0;
	last_words(network, &words);
	return cb_err_set(
		err, CB_ERR_UNSUPPORTED, "pasta failed: %s", words.len ? cb_buf_str(&words) : "no reason given");
}

int cb_network_fd(const struct cb_network *network)
{
	return network->netns;
}

struct cb_network *cb_network_stop(struct cb_network *network)
{
	if (!network)
		return NULL;
	if (network->pid > 0) {
		(void)kill(network->pid, SIGKILL);
		while (waitpid(network->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	cb_closep(&network->sock);
	cb_closep(&network->netns);
	cb_closep(&network->output);
	free(network);
	return NULL;
}
