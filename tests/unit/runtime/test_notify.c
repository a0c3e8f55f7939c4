/*
 * Questions about mknod: which calls the filter that does nothing else asks about, what is read out of them, and that
 * the default filter asks nobody where nobody listens.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <seccomp.h>

#include "base/mem.h"
#include "runtime/machine.h"
#include "runtime/notify.h"
#include "runtime/sandbox.h"
#include "unit/runtime/bpf.h"

struct machine {
	uint32_t audit, numbers;
};

static size_t machines(struct machine out[static 2])
{
	size_t n = 0;

	out[n++] = (struct machine){ CB_MACHINE_NATIVE, seccomp_arch_native() };
#if defined(__x86_64__)
	out[n++] = (struct machine){ CB_MACHINE_COMPAT, SCMP_ARCH_X86 };
#elif defined(__aarch64__)
	out[n++] = (struct machine){ CB_MACHINE_COMPAT, SCMP_ARCH_ARM };
#elif defined(__s390x__)
	out[n++] = (struct machine){ CB_MACHINE_COMPAT, SCMP_ARCH_S390 };
#endif
	return n;
}

static int64_t filtered(const struct seccomp_data *data)
{
	struct sock_filter code[CB_NOTIFY_PROGRAM_MAX];
	size_t n = cb_notify_program(code);

	assert_in_range(n, 1, CB_NOTIFY_PROGRAM_MAX);
	return bpf_run(code, n, data, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* Filter and reader agree, and both with the numbers of libseccomp. */
static void every_call(void **state)
{
	static const mode_t modes[] = { 0, S_IFREG | 0644, S_IFIFO | 0666, S_IFSOCK, S_IFCHR | 0600, S_IFBLK | 07777 };
	struct machine all[2];
	const size_t n = machines(all);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		int one = seccomp_syscall_resolve_name_arch(all[i].numbers, "mknod");
		int at = seccomp_syscall_resolve_name_arch(all[i].numbers, "mknodat");
		for (int nr = 0; nr < 500; nr++)
			for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
				const bool is_at = nr == at,
					   want = (nr == one || is_at) && (S_ISCHR(modes[m]) || S_ISBLK(modes[m]));
				struct seccomp_data data = { .nr = nr, .arch = all[i].audit };
				struct cb_notify_mknod call = { 0 };
				data.args[0] = is_at ? 7 : 0x1234;
				data.args[is_at] = 0x1234;
				data.args[1 + is_at] = modes[m];
				data.args[2 + is_at] = 0xfff00103;
				assert_int_equal(cb_notify_mknod(&data, &call), want);
				assert_int_equal(
					filtered(&data), want ? SECCOMP_RET_USER_NOTIF : (int64_t)SECCOMP_RET_ALLOW);
				if (!want)
					continue;
				assert_int_equal(call.dirfd, is_at ? 7 : AT_FDCWD);
				assert_int_equal(call.path, 0x1234);
				assert_int_equal(call.mode, modes[m]);
				assert_int_equal(call.dev, 0xfff00103);
			}
	}
}

static void other_machines(void **state)
{
	const struct seccomp_data data = { .nr = SYS_mknodat, .arch = AUDIT_ARCH_MIPS64, .args = { 0, 0, S_IFCHR } };
	struct cb_notify_mknod call;

	(void)state;
	assert_false(cb_notify_mknod(&data, &call));
	assert_int_equal(filtered(&data), SECCOMP_RET_ALLOW);
}

/* A child that loaded a filter, and makes a device where there is no directory: what it got. */
static int in_child(int (*load)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || load() < 0)
			_exit(200);
		_exit(syscall(SYS_mknodat, AT_FDCWD, "/nowhere/x", S_IFCHR | 0600, 0x103) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int load_unheard(void)
{
	int listener = cb_seccomp_load_asking();

	if (listener >= 0)
		close(listener);
	return listener;
}

static int load_default(void)
{
	return cb_seccomp_load(NULL, 0);
}

static void nobody_listens(void **state)
{
	(void)state;
	assert_int_equal(in_child(load_default), ENOENT);
	/* So it would be if it asked all the same. Where there are no listeners (or another one) there is no
	 * difference. */
	int got = in_child(load_unheard);
	if (got != 200)
		assert_int_equal(got, ENOSYS);
}

static void strings(void **state)
{
	static const char text[] = "/a/name";
	char out[64];

	(void)state;
	assert_int_equal(cb_notify_string(getpid(), (uintptr_t)text, out, sizeof(out)), 7);
	assert_string_equal(out, text);
	assert_int_equal(cb_notify_string(getpid(), (uintptr_t)text, out, 7), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(cb_notify_string(getpid(), 8, out, sizeof(out)), -1);
	assert_int_equal(errno, EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call),
		cmocka_unit_test(other_machines),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(strings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
