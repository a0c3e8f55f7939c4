/*
 * System calls that libc does not wrap, or not on every release that we support. All set errno as libc does.
 */
#ifndef CB_RUNTIME_KERNEL_H
#define CB_RUNTIME_KERNEL_H

#include <errno.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef FSCONFIG_SET_FD
#define FSCONFIG_SET_FD 5
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

/** First version of the kernel's struct clone_args. */
struct cb_clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static inline int cb_sys_fsopen(const char *name)
{
	return (int)syscall(SYS_fsopen, name, 1 /* FSOPEN_CLOEXEC */);
}
static inline int cb_sys_fsconfig(int fd, unsigned int cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}
static inline int cb_sys_fsmount(int fd, unsigned int attr)
{
	return (int)syscall(SYS_fsmount, fd, 1 /* FSMOUNT_CLOEXEC */, attr);
}
static inline int cb_sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
	return (int)syscall(SYS_open_tree, dirfd, path, flags | OPEN_TREE_CLOEXEC);
}
static inline int cb_sys_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned int flags)
{
	return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}
static inline int cb_sys_mount_setattr(int fd, const char *path, unsigned int flags, struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, fd, path, flags, attr, sizeof(*attr));
}
static inline int cb_sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}
static inline int cb_sys_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}
static inline int cb_sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}
/**
 * Without a stack of its own: returns twice, as fork. Where a container's filter hides clone3, which it cannot look
 * into, clone has to do; CLONE_CLEAR_SIGHAND is lost then.
 */
static inline pid_t cb_sys_clone3(struct cb_clone_args *args)
{
	pid_t pid = (pid_t)syscall(SYS_clone3, args, sizeof(*args));

	if (pid >= 0 || errno != ENOSYS)
		return pid;
	return (pid_t)syscall(SYS_clone, (args->flags & 0xffffffffU) | args->exit_signal, 0, args->pidfd, 0, 0);
}

#endif
