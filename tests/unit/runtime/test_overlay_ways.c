/* Which ways to an overlay a kernel knows: a filter makes the one that runs here an older one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "runtime/kernel.h"
#include "runtime/overlay_mount.h"

#define CANNOT 99

/* The system call @nr fails with @errnum when the low half of its second argument is @second; of others all work. */
static int refuse(int nr, unsigned int second, bool any, unsigned int errnum)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, any ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | errnum),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static const struct {
	const char *name;
	int nr;
	unsigned int second;
	bool any;
	unsigned int errnum;
	int want; /* bits: descriptors 1, names 2, mount(2) 4; -1: whatever this kernel has */
} kernels[] = {
	{ "this one", -1, 0, false, 0, -1 },
	{ "before 6.13: no layers by descriptor", SYS_fsconfig, FSCONFIG_SET_FD, false, EINVAL, 2 | 4 },
	{ "before 6.7: no layers one by one", SYS_fsconfig, 0, true, EINVAL, 4 },
	{ "before 5.2: no file system contexts", SYS_fsopen, 0, true, ENOSYS, 4 },
};

static int known(size_t i)
{
	cleanup_close int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int set = 0;

	if (geteuid() != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return CANNOT;
	cleanup_close int fs = cb_sys_fsopen("overlay");
	if (dir < 0 || fs < 0)
		return CANNOT;
	/* What one of them does not need, this kernel may lack itself. */
	if (cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) < 0 && kernels[i].want > 0 &&
		kernels[i].want & 2)
		return CANNOT;
	if (kernels[i].nr >= 0 && refuse(kernels[i].nr, kernels[i].second, kernels[i].any, kernels[i].errnum) < 0)
		return CANNOT;
	set |= cb_overlay_kernel_takes(CB_OVERLAY_FDS, dir) ? 1 : 0;
	set |= cb_overlay_kernel_takes(CB_OVERLAY_STRINGS, dir) ? 2 : 0;
	set |= cb_overlay_kernel_takes(CB_OVERLAY_MOUNT, dir) ? 4 : 0;
	return set;
}

static void kernel_table(void **state)
{
	size_t tried = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0)
			_exit(known(i));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		print_message("# %s: %d\n", kernels[i].name, WEXITSTATUS(status));
		if (WEXITSTATUS(status) == CANNOT)
			continue;
		tried++;
		if (kernels[i].want >= 0)
			assert_int_equal(WEXITSTATUS(status), kernels[i].want);
		else
			/* Who takes descriptors takes names, and all take mount(2). */
			assert_true(WEXITSTATUS(status) == 7 || WEXITSTATUS(status) == 6 || WEXITSTATUS(status) == 4);
	}
	if (!tried)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kernel_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
