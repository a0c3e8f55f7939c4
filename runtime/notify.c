#include "runtime/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/machine.h"

#define PAGE 4096U

/* ---- the calls ------------------------------------------------------------------------------------------------ */

static const struct call {
	uint32_t arch;
	int nr;
	unsigned int path; /* which argument is the path; the mode comes behind it, and the device */
} calls[] = {
#ifdef SYS_mknod
	{ CB_MACHINE_NATIVE, SYS_mknod, 0 },
#endif
	{ CB_MACHINE_NATIVE, SYS_mknodat, 1 },
#ifdef CB_MACHINE_COMPAT
	{ CB_MACHINE_COMPAT, CB_COMPAT_MKNOD, 0 },
	{ CB_MACHINE_COMPAT, CB_COMPAT_MKNODAT, 1 },
#endif
};

bool cb_notify_mknod(const struct seccomp_data *data, struct cb_notify_mknod *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const __u64 *args = data->args + calls[i].path;
		if (calls[i].arch != data->arch || calls[i].nr != data->nr)
			continue;
		/* The kernel takes them as wide as this, too. */
		*ret = (struct cb_notify_mknod){
			.dirfd = calls[i].path ? (int)data->args[0] : AT_FDCWD,
			.path = args[0],
			.mode = (mode_t)(uint16_t)args[1],
			.dev = (uint32_t)args[2],
		};
		return S_ISCHR(ret->mode) || S_ISBLK(ret->mode);
	}
	return false;
}

/* Everything is allowed, and of each call asked about when its mode says that it makes a device. */
size_t cb_notify_program(struct sock_filter code[static CB_NOTIFY_PROGRAM_MAX])
{
	const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		uint32_t mode = (uint32_t)offsetof(struct seccomp_data, args) + 8U * (calls[i].path + 1U) +
				(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4U : 0U);
		const struct sock_filter one[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].arch, 0, 8),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].nr, 0, 6),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, mode),
			BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_IFMT),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFCHR, 2, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFBLK, 1, 0),
		};
		memcpy(code + n, one, sizeof(one));
		n += ARRAY_SIZE(one);
		code[n++] = allow;
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	code[n++] = allow;
	return n;
}

int cb_notify_load(const struct sock_filter *code, size_t n)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = (struct sock_filter *)code };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
}

/* ---- questions and answers ------------------------------------------------------------------------------------ */

int cb_notify_receive(int listener, union cb_notify *ret)
{
	/* The kernel wants it empty. */
	memset(ret, 0, sizeof(*ret));
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, ret);
}

bool cb_notify_valid(int listener, const union cb_notify *asked)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->notif.id) == 0;
}

static void send_answer(int listener, const struct seccomp_notif_resp *resp)
{
	/* ENOENT: it was killed meanwhile. */
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
}

void cb_notify_answer(int listener, const union cb_notify *asked, int error)
{
	send_answer(listener, &(struct seccomp_notif_resp){ .id = asked->notif.id, .error = -error });
}

void cb_notify_go_on(int listener, const union cb_notify *asked)
{
	send_answer(listener,
		&(struct seccomp_notif_resp){ .id = asked->notif.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE });
}

/* ---- memory of others ----------------------------------------------------------------------------------------- */

/* An address of the other process is a pointer only to the kernel. */
static struct iovec there(uint64_t addr, size_t len)
{
	struct iovec v = { .iov_len = len };

	memcpy(&v.iov_base, &(uintptr_t){ (uintptr_t)addr }, sizeof(v.iov_base));
	return v;
}

int cb_notify_read(pid_t pid, uint64_t addr, void *data, size_t len)
{
	struct iovec local = { data, len }, remote = there(addr, len);

	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)len)
		return 0;
	errno = EFAULT;
	return -1;
}

int cb_notify_write(pid_t pid, uint64_t addr, const void *data, size_t len)
{
	struct iovec local = { (void *)data, len }, remote = there(addr, len);

	if (process_vm_writev(pid, &local, 1, &remote, 1, 0) == (ssize_t)len)
		return 0;
	errno = EFAULT;
	return -1;
}

ssize_t cb_notify_string(pid_t pid, uint64_t addr, char *out, size_t size)
{
	size_t have = 0;

	/* To the end of a page at a time: the next one may not be there. */
	while (have < size) {
		size_t want = CB_MIN(size - have, PAGE - (size_t)((addr + have) % PAGE));
		if (cb_notify_read(pid, addr + have, out + have, want) < 0)
			return -1;
		const char *end = memchr(out + have, '\0', want);
		if (end)
			return end - out;
		have += want;
	}
	errno = ENAMETOOLONG;
	return -1;
}
