/*
 * The default filter of every machine that there is a table for, run by an interpreter: which system calls are allowed,
 * by the names that libseccomp knows them by, and how arguments decide. The lists are those of docker's default
 * profile.
 */
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <seccomp.h>

#include "base/mem.h"
#include "unit/runtime/bpf.h"

#define REFUSED (SECCOMP_RET_ERRNO | EPERM)
#define NOT_THERE (SECCOMP_RET_ERRNO | ENOSYS)

#ifndef AUDIT_ARCH_LOONGARCH64
#define AUDIT_ARCH_LOONGARCH64 (258 | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif
#ifdef SCMP_ARCH_LOONGARCH64
#define LOONGARCH64 SCMP_ARCH_LOONGARCH64
#else
#define LOONGARCH64 SCMP_ARCH_RISCV64
#endif

static const struct sock_filter x86_64[] = {
#include "runtime/seccomp_x86_64.inc"
};
static const struct sock_filter aarch64[] = {
#include "runtime/seccomp_aarch64.inc"
};
static const struct sock_filter riscv64[] = {
#include "runtime/seccomp_riscv64.inc"
};
static const struct sock_filter ppc64le[] = {
#include "runtime/seccomp_ppc64le.inc"
};
static const struct sock_filter s390x[] = {
#include "runtime/seccomp_s390x.inc"
};
static const struct sock_filter loongarch64[] = {
#include "runtime/seccomp_loongarch64.inc"
};

static const struct machine {
	const char *name;
	const struct sock_filter *code;
	size_t n;
	uint32_t audit, numbers; /* of the kernel, of libseccomp */
	bool big, s390;
} machines[] = {
	{ "x86_64", x86_64, ARRAY_SIZE(x86_64), AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, false, false },
	{ "i386 on x86_64", x86_64, ARRAY_SIZE(x86_64), AUDIT_ARCH_I386, SCMP_ARCH_X86, false, false },
	{ "aarch64", aarch64, ARRAY_SIZE(aarch64), AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, false, false },
	{ "arm on aarch64", aarch64, ARRAY_SIZE(aarch64), AUDIT_ARCH_ARM, SCMP_ARCH_ARM, false, false },
	{ "riscv64", riscv64, ARRAY_SIZE(riscv64), AUDIT_ARCH_RISCV64, SCMP_ARCH_RISCV64, false, false },
	{ "ppc64le", ppc64le, ARRAY_SIZE(ppc64le), AUDIT_ARCH_PPC64LE, SCMP_ARCH_PPC64LE, false, false },
	{ "s390x", s390x, ARRAY_SIZE(s390x), AUDIT_ARCH_S390X, SCMP_ARCH_S390X, true, true },
	{ "s390 on s390x", s390x, ARRAY_SIZE(s390x), AUDIT_ARCH_S390, SCMP_ARCH_S390, true, true },
	{ "loongarch64", loongarch64, ARRAY_SIZE(loongarch64), AUDIT_ARCH_LOONGARCH64, LOONGARCH64, false, false },
};

/* Whatever its arguments are. */
static const char *const allowed[] = { "read", "write", "open", "openat", "close", "stat", "fstat", "statx", "mmap",
	"mmap2", "brk", "execve", "execveat", "fork", "vfork", "wait4", "exit_group", "kill", "futex", "futex_time64",
	"futex_waitv", "mkdir", "mkdirat", "mknod", "mknodat", "chown", "fchownat", "setuid", "setgroups",
	"setresuid32", "chroot", "capset", "capget", "prctl", "seccomp", "ptrace", "process_vm_readv", "getrandom",
	"memfd_create", "copy_file_range", "renameat2", "name_to_handle_at", "pkey_alloc", "io_setup", "io_submit",
	"epoll_pwait2", "rseq", "openat2", "faccessat2", "close_range", "pidfd_open", "pidfd_send_signal",
	"landlock_restrict_self", "memfd_secret", "process_mrelease", "fanotify_mark", "inotify_init1", "signalfd4",
	"timerfd_create", "clock_nanosleep_time64", "ipc", "socketcall", "sigreturn", "set_tls", "cacheflush",
	"arch_prctl", "modify_ldt", "swapcontext", "s390_runtime_instr", "riscv_flush_icache", "arm_fadvise64_64",
	"sync_file_range2", "ugetrlimit", "_llseek", "get_thread_area" };

/* Left out of docker's list, or given with a capability that steps do not have. */
static const char *const refused[] = { "mount", "umount", "umount2", "pivot_root", "unshare", "setns", "fsopen",
	"fsconfig", "fsmount", "fspick", "open_tree", "move_mount", "mount_setattr", "bpf", "perf_event_open",
	"fanotify_init", "lookup_dcookie", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "syslog",
	"reboot", "delete_module", "init_module", "finit_module", "create_module", "query_module", "acct", "kcmp",
	"pidfd_getfd", "process_madvise", "iopl", "ioperm", "settimeofday", "stime", "clock_settime", "clock_settime64",
	"vhangup", "get_mempolicy", "mbind", "set_mempolicy", "migrate_pages", "move_pages", "open_by_handle_at",
	"keyctl", "add_key", "request_key", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
	"kexec_load", "kexec_file_load", "swapon", "swapoff", "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl",
	"vm86", "vm86old", "vserver", "bdflush" };

static int64_t answer(const struct machine *m, uint32_t nr, uint64_t a, uint64_t b)
{
	const struct seccomp_data data = { .nr = (int)nr, .arch = m->audit, .args = { a, b } };

	return bpf_run(m->code, m->n, &data, m->big);
}

static void check_names(const char *const *names, size_t n, int64_t want, size_t least)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		size_t there = 0;
		for (size_t j = 0; j < n; j++) {
			int nr = seccomp_syscall_resolve_name_arch(machines[i].numbers, names[j]);
			/* Borrowed numbers have calls of their machine only. */
			if (nr < 0 ||
				(machines[i].audit == AUDIT_ARCH_LOONGARCH64 && strncmp(names[j], "riscv_", 6) == 0))
				continue;
			there++;
			if (answer(&machines[i], (uint32_t)nr, 0, 0) != want)
				fail_msg("%s: %s (%d): 0x%llx", machines[i].name, names[j], nr,
					(unsigned long long)answer(&machines[i], (uint32_t)nr, 0, 0));
		}
		print_message("# %s: %zu of %zu\n", machines[i].name, there, n);
		assert_true(there >= least);
	}
}

static void allowed_names(void **state)
{
	(void)state;
	check_names(allowed, ARRAY_SIZE(allowed), SECCOMP_RET_ALLOW, 40);
}

static void refused_names(void **state)
{
	(void)state;
	check_names(refused, ARRAY_SIZE(refused), REFUSED, 35);
}

/* Numbers that libseccomp may not know: the same on all machines since 5.0, and some that are not. */
static void numbers(void **state)
{
	static const struct {
		const char *machine;
		uint32_t nr;
		int64_t want;
	} rows[] = {
		{ NULL, 425, REFUSED },           /* io_uring_setup */
		{ NULL, 435, NOT_THERE },         /* clone3: programs go back to clone */
		{ NULL, 437, SECCOMP_RET_ALLOW }, /* openat2 */
		{ NULL, 442, REFUSED },           /* mount_setattr */
		{ NULL, 451, SECCOMP_RET_ALLOW }, /* cachestat */
		{ NULL, 452, SECCOMP_RET_ALLOW }, /* fchmodat2 */
		{ NULL, 457, SECCOMP_RET_ALLOW }, /* statmount */
		{ NULL, 459, REFUSED },           /* lsm_get_self_attr */
		{ NULL, 462, SECCOMP_RET_ALLOW }, /* mseal */
		{ NULL, 463, SECCOMP_RET_ALLOW }, /* setxattrat */
		{ NULL, 467, REFUSED },           /* open_tree_attr */
		{ NULL, 470, NOT_THERE },         /* younger than the list */
		{ NULL, 600, NOT_THERE },
		{ "x86_64", 335, SECCOMP_RET_ALLOW }, /* uretprobe */
		{ "aarch64", 335, REFUSED },
		{ "riscv64", 258, SECCOMP_RET_ALLOW }, /* riscv_hwprobe */
		{ "loongarch64", 258, REFUSED },
		{ "x86_64", 0x40000000 | 39, NOT_THERE },         /* getpid of x32 */
		{ "i386 on x86_64", 393, SECCOMP_RET_ALLOW },     /* semget, without its multiplexer */
		{ "s390x", 392, SECCOMP_RET_ALLOW },              /* semtimedop */
		{ "ppc64le", 330, SECCOMP_RET_ALLOW },            /* accept */
		{ "arm on aarch64", 0xf0002, SECCOMP_RET_ALLOW }, /* cacheflush */
		{ "arm on aarch64", 0xf0006, NOT_THERE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		for (size_t j = 0; j < ARRAY_SIZE(rows); j++)
			if ((!rows[j].machine || strcmp(rows[j].machine, machines[i].name) == 0) &&
				answer(&machines[i], rows[j].nr, 0, 0) != rows[j].want)
				fail_msg("%s: %u", machines[i].name, rows[j].nr);
}

static uint32_t number_of(const struct machine *m, const char *name)
{
	static const struct {
		const char *name;
		uint32_t numbers, nr;
	} direct[] = { { "socket", SCMP_ARCH_X86, 359 }, { "socket", SCMP_ARCH_S390X, 359 },
		{ "socket", SCMP_ARCH_S390, 359 }, { "socket", SCMP_ARCH_PPC64LE, 326 } };

	for (size_t i = 0; i < ARRAY_SIZE(direct); i++)
		if (direct[i].numbers == m->numbers && strcmp(direct[i].name, name) == 0)
			return direct[i].nr;
	return (uint32_t)seccomp_syscall_resolve_name_arch(m->numbers, name);
}

static void socket_families(void **state)
{
	/* Docker's: dead protocols, the kernel's cryptography (38) and host communication (40) are left out. */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		for (uint64_t family = 0; family < 60; family++) {
			bool want = family <= 11 || (family >= 13 && family <= 18) || family == 21 || family == 22 ||
				    family == 24 || (family >= 26 && family <= 33) || family == 35 || family == 36 ||
				    family == 39 || (family >= 41 && family <= 45);
			int64_t got = answer(&machines[i], number_of(&machines[i], "socket"), family, 0);
			if (got != (want ? (int64_t)SECCOMP_RET_ALLOW : REFUSED))
				fail_msg("%s: family %d", machines[i].name, (int)family);
		}
}

static void personalities(void **state)
{
	static const struct {
		uint64_t value;
		int64_t want;
	} rows[] = { { 0, SECCOMP_RET_ALLOW }, { 8, SECCOMP_RET_ALLOW }, { 0x20000, SECCOMP_RET_ALLOW },
		{ 0x20008, SECCOMP_RET_ALLOW }, { 0xffffffff, SECCOMP_RET_ALLOW }, { 0x40000, REFUSED },
		{ 0x400000, REFUSED }, { 1, REFUSED }, { 0x20001, REFUSED } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		for (size_t j = 0; j < ARRAY_SIZE(rows); j++)
			if (answer(&machines[i], number_of(&machines[i], "personality"), rows[j].value, 0) !=
				rows[j].want)
				fail_msg("%s: personality %llx", machines[i].name, (unsigned long long)rows[j].value);
}

static void clone_flags(void **state)
{
	static const uint64_t namespaces[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
		CLONE_NEWPID, CLONE_NEWNET };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		const struct machine *m = &machines[i];
		uint32_t nr = number_of(m, "clone");
		/* s390 has the flags second, and a stack with such bits first. */
		const uint64_t stack = 0x7e020000;

		assert_int_equal(m->s390 ? answer(m, nr, stack, CLONE_VM | CLONE_FILES | 17)
					 : answer(m, nr, CLONE_VM | CLONE_FILES | 17, stack),
			SECCOMP_RET_ALLOW);
		for (size_t j = 0; j < ARRAY_SIZE(namespaces); j++)
			if ((m->s390 ? answer(m, nr, 0, namespaces[j] | 17) : answer(m, nr, namespaces[j] | 17, 0)) !=
				REFUSED)
				fail_msg("%s: clone %llx", m->name, (unsigned long long)namespaces[j]);
	}
}

/* Of devices only: by the type in the mode, of which the kernel takes 16 bits. */
static void asked_about(void **state)
{
	static const struct {
		uint64_t mode;
		int64_t want;
	} rows[] = { { 0020666, SECCOMP_RET_USER_NOTIF }, { 0060000, SECCOMP_RET_USER_NOTIF },
		{ 0xffff0000 | 0027777, SECCOMP_RET_USER_NOTIF }, { 1ULL << 32 | 0020000, SECCOMP_RET_USER_NOTIF },
		{ 0, SECCOMP_RET_ALLOW }, { 0100644, SECCOMP_RET_ALLOW }, { 0010666, SECCOMP_RET_ALLOW },
		{ 0140666, SECCOMP_RET_ALLOW }, { 0040000, SECCOMP_RET_ALLOW }, { 0120000, SECCOMP_RET_ALLOW },
		{ 0170000, SECCOMP_RET_ALLOW } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		for (size_t j = 0; j < ARRAY_SIZE(rows); j++)
			for (unsigned int at = 0; at < 2; at++) {
				int nr = seccomp_syscall_resolve_name_arch(
					machines[i].numbers, at ? "mknodat" : "mknod");
				struct seccomp_data data = { .nr = nr, .arch = machines[i].audit };
				data.args[1 + at] = rows[j].mode;
				/* The newer tables have only one of the two. */
				assert_true(nr >= 0 || !at);
				if (nr >= 0 && bpf_run(machines[i].code, machines[i].n, &data, machines[i].big) !=
						       rows[j].want)
					fail_msg("%s: %d, mode %llo", machines[i].name, nr,
						(unsigned long long)rows[j].mode);
			}
}

/* Programs of an architecture that has no table are ended. */
static void other_machines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		struct machine m = machines[i];
		m.audit = AUDIT_ARCH_MIPS64;
		assert_int_equal(answer(&m, 1, 0, 0), SECCOMP_RET_KILL_PROCESS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allowed_names),
		cmocka_unit_test(refused_names),
		cmocka_unit_test(numbers),
		cmocka_unit_test(socket_families),
		cmocka_unit_test(personalities),
		cmocka_unit_test(clone_flags),
		cmocka_unit_test(asked_about),
		cmocka_unit_test(other_machines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
