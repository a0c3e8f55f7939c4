/* The default filter, tried out: each call is made in a child that has loaded it. */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/sandbox.h"

#define OK 0

static const struct {
	const char *name;
	long nr, arg[3];
	int want; /* errno, OK, or -1: anything but the filter's EPERM */
} calls[] = {
	{ "getpid", SYS_getpid, { 0 }, OK },
	{ "unshare", SYS_unshare, { CLONE_NEWNS }, EPERM },
	{ "setns", SYS_setns, { -1, 0 }, EPERM },
	{ "mount", SYS_mount, { 0 }, EPERM },
	{ "fsopen", SYS_fsopen, { 0 }, EPERM },
	{ "open_tree", SYS_open_tree, { -1, 0, 0 }, EPERM },
	{ "keyctl", SYS_keyctl, { 0 }, EPERM },
	{ "add_key", SYS_add_key, { 0 }, EPERM },
	{ "bpf", SYS_bpf, { 0 }, EPERM },
	{ "io_uring_setup", 425, { 0 }, EPERM },
	{ "userfaultfd", SYS_userfaultfd, { 0 }, EPERM },
	{ "perf_event_open", SYS_perf_event_open, { 0 }, EPERM },
	{ "kexec_load", SYS_kexec_load, { 0 }, EPERM },
	{ "init_module", SYS_init_module, { 0 }, EPERM },
	{ "clone3 sends back to clone", 435, { 0, 0 }, ENOSYS },
	{ "clone with a new user namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD }, EPERM },
	{ "personality: query", SYS_personality, { 0xffffffff }, OK },
	{ "personality: no randomisation", SYS_personality, { ADDR_NO_RANDOMIZE }, EPERM },
	{ "socket: unix", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, OK },
	{ "socket: netlink", SYS_socket, { AF_NETLINK, SOCK_RAW, 0 }, OK },
	{ "socket: kernel crypto", SYS_socket, { 38, SOCK_SEQPACKET, 0 }, EPERM },
	{ "socket: vsock", SYS_socket, { 40, SOCK_STREAM, 0 }, EPERM },
	{ "socket: family above all", SYS_socket, { 46, SOCK_STREAM, 0 }, EPERM },
	{ "socket: smc, allowed", SYS_socket, { 43, -1, 0 }, -1 },
	{ "chroot", SYS_chroot, { 0 }, EFAULT },
	{ "openat2", 437, { -1, 0, 0 }, EINVAL },
	{ "faccessat2", 439, { -1, 0, 0 }, EFAULT },
	{ "fchmodat2", 452, { -1, 0, 0 }, -1 },
	{ "quotactl_fd", 443, { -1, 0, 0 }, EPERM },
	{ "a number that is too new", 600, { 0 }, ENOSYS },
	{ "x32", 0x40000000 | 39, { 0 }, ENOSYS },
};

static void call_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int status;
		print_message("# %s\n", calls[i].name);
		pid_t pid = fork();
		if (pid == 0) {
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || cb_seccomp_load(NULL, 0) < 0)
				_exit(200);
			long r = syscall(calls[i].nr, calls[i].arg[0], calls[i].arg[1], calls[i].arg[2], 0, 0, 0);
			_exit(r < 0 ? errno : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (calls[i].want >= 0)
			assert_int_equal(WEXITSTATUS(status), calls[i].want);
		else
			assert_int_not_equal(WEXITSTATUS(status), EPERM);
	}
}

#ifdef __x86_64__
/* The 32-bit entry has numbers of its own, and rules of its own. */
static int call_i386(int nr, int a, int b)
{
	int r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(nr), "b"(a), "c"(b), "d"(0), "S"(0), "D"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return r;
}

static void i386_table(void **state)
{
	static const struct {
		const char *name;
		int nr, a, b, want;
	} rows[] = {
		{ "getpid", 20, 0, 0, OK },
		{ "mount", 21, 0, 0, EPERM },
		{ "socket unix", 359, 1, 1, OK },
		{ "socket vsock", 359, 40, 1, EPERM },
		{ "unshare", 310, CLONE_NEWNS, 0, EPERM },
		{ "clone3", 435, 0, 0, ENOSYS },
		{ "umount", 22, 0, 0, EPERM },
		{ "too new", 600, 0, 0, ENOSYS },
	};

	(void)state;
	if (call_i386(20, 0, 0) <= 0) {
		print_message("SKIPPED: this kernel has no 32-bit calls\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int status;
		print_message("# %s\n", rows[i].name);
		pid_t pid = fork();
		if (pid == 0) {
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || cb_seccomp_load(NULL, 0) < 0)
				_exit(200);
			int r = call_i386(rows[i].nr, rows[i].a, rows[i].b);
			_exit(r < 0 ? -r : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), rows[i].want);
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_table),
#ifdef __x86_64__
		cmocka_unit_test(i386_table),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
