/* Which system calls the recorder is asked about: a table, and the filter made from it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/machine.h"
#include "runtime/recorder_request.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* O_TMPFILE without the directory bit that it contains. */
#define MAKES_FILES (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))

struct call {
	cb_recorder_fn fn;
	int nr;
	int flags_arg; /* asked about only when this argument (counted from 1) has MAKES_FILES */
};

static const struct call calls[] = {
#ifdef SYS_chown
	{ cb_record_chown, SYS_chown, 0 },
	{ cb_record_lchown, SYS_lchown, 0 },
	{ cb_record_stat, SYS_stat, 0 },
	{ cb_record_lstat, SYS_lstat, 0 },
	{ cb_record_open, SYS_open, 2 },
	{ cb_record_creat, SYS_creat, 0 },
	{ cb_record_mkdir, SYS_mkdir, 0 },
	{ cb_record_symlink, SYS_symlink, 0 },
	{ cb_record_mknod, SYS_mknod, 0 },
#endif
	{ cb_record_newfstatat, SYS_newfstatat, 0 },
	{ cb_record_fstat, SYS_fstat, 0 },
	{ cb_record_statx, SYS_statx, 0 },
	{ cb_record_openat, SYS_openat, 3 },
	{ cb_record_openat2, SYS_openat2, 0 },
	{ cb_record_fchown, SYS_fchown, 0 },
	{ cb_record_fchownat, SYS_fchownat, 0 },
	{ cb_record_mkdirat, SYS_mkdirat, 0 },
	{ cb_record_symlinkat, SYS_symlinkat, 0 },
	{ cb_record_mknodat, SYS_mknodat, 0 },
	{ cb_record_listxattr, SYS_listxattr, 0 },
	{ cb_record_llistxattr, SYS_llistxattr, 0 },
	{ cb_record_flistxattr, SYS_flistxattr, 0 },
	{ cb_record_getuid, SYS_getuid, 0 },
	{ cb_record_geteuid, SYS_geteuid, 0 },
	{ cb_record_getgid, SYS_getgid, 0 },
	{ cb_record_getegid, SYS_getegid, 0 },
	{ cb_record_getresuid, SYS_getresuid, 0 },
	{ cb_record_getresgid, SYS_getresgid, 0 },
	{ cb_record_getgroups, SYS_getgroups, 0 },
	{ cb_record_setuid, SYS_setuid, 0 },
	{ cb_record_setgid, SYS_setgid, 0 },
	{ cb_record_setreuid, SYS_setreuid, 0 },
	{ cb_record_setregid, SYS_setregid, 0 },
	{ cb_record_setresuid, SYS_setresuid, 0 },
	{ cb_record_setresgid, SYS_setresgid, 0 },
	{ cb_record_setfsuid, SYS_setfsuid, 0 },
	{ cb_record_setfsgid, SYS_setfsgid, 0 },
	{ cb_record_setgroups, SYS_setgroups, 0 },
	{ cb_record_execve, SYS_execve, 0 },
	{ cb_record_execveat, SYS_execveat, 0 },
	{ cb_record_chroot, SYS_chroot, 0 },
};

cb_recorder_fn cb_recorder_handler(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].nr == nr)
			return calls[i].fn;
	return NULL;
}

struct program {
	struct sock_filter code[6 + 5 * ARRAY_SIZE(calls)];
	unsigned short n;
};

static void emit(struct program *p, struct sock_filter insn)
{
	p->code[p->n++] = insn;
}

/*
 * Calls of another architecture pass: their stat says what the kernel says, and their chown fails. The kernel remembers
 * for each number that its answer never depends on arguments, so what is not in the table costs nothing.
 */
static void make_program(struct program *p)
{
	const struct sock_filter notify = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
	emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CB_MACHINE_NATIVE, 1, 0));
	emit(p, allow);
	emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct call *c = &calls[i];
		uint32_t low = (uint32_t)offsetof(struct seccomp_data, args) + 8U * (uint32_t)(c->flags_arg - 1) +
			       (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4U : 0U);
		emit(p, (struct sock_filter)BPF_JUMP(
				BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->nr, 0, c->flags_arg ? 4 : 1));
		if (c->flags_arg) {
			emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low));
			emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAKES_FILES, 1, 0));
			emit(p, allow);
		}
		emit(p, notify);
	}
	emit(p, allow);
}

int cb_recorder_filter(void)
{
	struct program p = { .n = 0 };

	make_program(&p);
	struct sock_fprog prog = { .len = p.n, .filter = p.code };
	/* Linux 5.19: once we have seen a call, only death ends the wait for its answer, so none is done twice. */
	int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
	if (fd < 0 && errno == EINVAL)
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	return fd;
}
