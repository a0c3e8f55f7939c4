/*
 * What a RUN step can do, tried from inside. Static, so that it runs in any image.
 *
 *   probe deny NAME...   makes each call; 0 when the kernel refuses all of them
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

/* ---- calls that must be refused: each returns < 0 when it was ------------------------------------------------- */

static long writes(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	long r = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return r;
}

static long opens_device(mode_t kind, unsigned int major, unsigned int minor)
{
	char byte;
	int fd;
	long r;

	unlink("/tmp/device");
	if (mknod("/tmp/device", kind | 0666, makedev(major, minor)) < 0)
		return -1;
	fd = open("/tmp/device", O_RDONLY | O_NONBLOCK);
	r = fd < 0 ? -1 : read(fd, &byte, 1);
	unlink("/tmp/device");
	return r;
}

/* One thread asks for nodes by a name that another one changes all the time, in memory and on disk. */
static char shifting[64];

static void *shift(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		strcpy(shifting, i & 1 ? "/tmp/shift/in/n" : "/tmp/shift/by/n");
		unlink("/tmp/shift/by");
		if (symlink(i & 2 ? "/tmp/shift/in" : (const char *)arg, "/tmp/shift/by") < 0)
			break;
	}
	return NULL;
}

/* That nothing came to be outside is for who runs this to see; that what came to be is within, is seen here. */
static long shifts_mknod(const char *outside)
{
	pthread_t thread;

	mkdir("/tmp/shift", 0755);
	mkdir("/tmp/shift/in", 0755);
	if (pthread_create(&thread, NULL, shift, (void *)outside))
		return 0;
	for (int i = 0; i < 600; i++) {
		(void)!mknod(shifting, S_IFCHR | 0666, makedev(1, 3));
		unlink("/tmp/shift/in/n");
	}
	pthread_join(thread, NULL);
	return -1;
}

/* Without the capability: nodes are refused, though who answers has it. */
static long mknod_without(int as_user)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (as_user && (setgid(65534) < 0 || setuid(65534) < 0))
		return 0;
	if (syscall(SYS_capget, &head, data) < 0)
		return 0;
	data[0].effective &= ~(1U << CAP_MKNOD);
	if (syscall(SYS_capset, &head, data) < 0)
		return 0;
	return mknod("/tmp/without", S_IFCHR | 0666, makedev(1, 3));
}

/* On everything that can be written to, and through each other way to the same node. */
static long opens_anywhere(void)
{
	static const char *const places[] = { "/tmp/n", "/dev/n", "/dev/shm/n", "/c/n", "/t/n" };
	long worst = -1;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char path[64];
		int fd;

		if (mknod(places[i], S_IFCHR | 0666, makedev(1, 3)) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", open(places[i], O_PATH));
		fd = open(places[i], O_WRONLY);
		if (fd < 0)
			fd = open(path, O_WRONLY);
		snprintf(path, sizeof(path), "/proc/self/root%s", places[i]);
		if (fd < 0)
			fd = open(path, O_RDONLY);
		if (fd >= 0)
			worst = 0;
		unlink(places[i]);
	}
	return worst;
}

static long handle(void)
{
	struct {
		struct file_handle h;
		unsigned char f[128];
	} fh = { { .handle_bytes = 8, .handle_type = 1 }, { 2 } };
	int fd = open("/etc", O_RDONLY | O_DIRECTORY);

	/* The inode of the root of most file systems: CVE-2014-3519 class, "shocker". */
	return open_by_handle_at(fd, &fh.h, O_RDONLY);
}

static long other_side_of_chroot(void)
{
	struct stat before, after;
	int top = open("/", O_RDONLY | O_DIRECTORY);

	if (top < 0 || fstat(top, &before) < 0 || mkdir("/tmp/jail", 0700) < 0 || chroot("/tmp/jail") < 0)
		return -1;
	if (fchdir(top) < 0)
		return -1;
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			return -1;
	/* Out of its own jail, yes; but only as far as the step's root. */
	return stat(".", &after) < 0 || (before.st_ino == after.st_ino && before.st_dev == after.st_dev) ? -1 : 0;
}

static long setns_of_init(void)
{
	static const char *const names[] = { "mnt", "net", "pid", "user", "cgroup", "ipc", "uts" };
	long worst = -1;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/1/ns/%s", names[i]);
		fd = open(path, O_RDONLY);
		if (fd >= 0 && setns(fd, 0) == 0)
			worst = 0;
	}
	return worst;
}

static long raw_clone(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return pid;
}

static long keeps_device_of(const char *path, int kind)
{
	struct stat st;

	/* What is called so must be what it is called: CVE-2025-31133 and CVE-2025-52565 put something else there. */
	return stat(path, &st) < 0 || (st.st_mode & S_IFMT) != (mode_t)kind ? 0 : -1;
}

static long ring(void)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 8, &params);
}

static long above_root(void)
{
	char path[4096];

	/* CVE-2024-21626: a working directory that is not below the root. */
	if (!getcwd(path, sizeof(path)) || path[0] != '/')
		return 0;
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 0;
	return -1;
}

static long peer(int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	if (fd >= 0)
		close(fd);
	return fd;
}

static long call(const char *name)
{
	static char buf[256];
	const struct {
		const char *name;
		long (*call)(void);
	} table[] = {
		{ "open_by_handle_at", handle },
		{ "chroot-escape", other_side_of_chroot },
		{ "setns", setns_of_init },
		{ "io_uring", ring },
		{ "descriptors", above_root },
		{ "devices-anywhere", opens_anywhere },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(name, table[i].name))
			return table[i].call();
#define IS(text, expression)                                                                                           \
	if (!strcmp(name, text))                                                                                       \
	return (long)(expression)
	IS("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	IS("mount-proc", mount("proc", "/tmp", "proc", 0, NULL));
	IS("mount-bind", mount("/proc", "/tmp", NULL, MS_BIND, NULL));
	IS("remount", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
	IS("umount-masked", umount2("/proc/kcore", MNT_DETACH));
	IS("umount-sys", umount2("/sys", MNT_DETACH));
	IS("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	IS("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/proc", 1));
	IS("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, "/tmp", 0));
	IS("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/sys", 0x8000, (uint64_t[4]){ 0, 1, 0, 0 }, 32));
	IS("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
	IS("unshare-mount", unshare(CLONE_NEWNS));
	IS("unshare-user", unshare(CLONE_NEWUSER));
	IS("unshare-net", unshare(CLONE_NEWNET));
	IS("unshare-cgroup", unshare(CLONE_NEWCGROUP));
	IS("clone-user", raw_clone(CLONE_NEWUSER));
	IS("clone-pid", raw_clone(CLONE_NEWPID));
	IS("clone3", syscall(SYS_clone3, (uint64_t[8]){ CLONE_NEWUSER }, 64));
	IS("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1));
	IS("add_key", syscall(SYS_add_key, "user", "k", "v", 1, KEY_SPEC_SESSION_KEYRING));
	IS("request_key", syscall(SYS_request_key, "user", "k", NULL, 0));
	IS("bpf", syscall(SYS_bpf, 0, buf, 64));
	IS("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
	IS("perf_event_open", syscall(SYS_perf_event_open, buf, 0, -1, -1, 0));
	IS("fanotify_init", syscall(SYS_fanotify_init, 0, O_RDONLY));
	IS("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	IS("init_module", syscall(SYS_init_module, buf, 64, ""));
	IS("finit_module", syscall(SYS_finit_module, 0, "", 0));
	IS("delete_module", syscall(SYS_delete_module, "none", 0));
	IS("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
	IS("swapon", syscall(SYS_swapon, "/tmp/x", 0));
	IS("acct", syscall(SYS_acct, "/tmp/x"));
	IS("syslog", syscall(SYS_syslog, 3, buf, sizeof(buf)));
	IS("quotactl", syscall(SYS_quotactl, 0x800003 << 8, NULL, 0, NULL));
	IS("sethostname", sethostname("pwned", 5));
	IS("settimeofday", settimeofday(&(struct timeval){ 1, 1 }, NULL));
	IS("clock_settime", clock_settime(CLOCK_REALTIME, &(struct timespec){ 1, 1 }));
	IS("iopl", syscall(SYS_iopl, 3));
	IS("ioperm", syscall(SYS_ioperm, 0x70, 1, 1));
	IS("personality", syscall(SYS_personality, 0x0040000));
	IS("process_vm_readv",
		syscall(SYS_process_vm_readv, 1, &(struct iovec){ buf, 1 }, 1, &(struct iovec){ (void *)1, 1 }, 1, 0));
	IS("vsock", peer(40, SOCK_STREAM, 0));
	IS("raw-netlink-audit", peer(AF_NETLINK, SOCK_RAW, 9) < 0 ? -1 : writes("/proc/self/loginuid", "4711"));
	IS("disk", opens_device(S_IFBLK, 8, 0));
	IS("disk-virtio", opens_device(S_IFBLK, 254, 0));
	IS("dev-mem", opens_device(S_IFCHR, 1, 1));
	IS("dev-kmsg", opens_device(S_IFCHR, 1, 11));
	IS("dev-fuse", opens_device(S_IFCHR, 10, 229));
	IS("dev-kvm", opens_device(S_IFCHR, 10, 232));
	IS("mknod-without-cap", mknod_without(0));
	IS("mknod-as-user", mknod_without(1));
	IS("mknod-shifting", shifts_mknod(getenv("OUTSIDE") ? getenv("OUTSIDE") : "/"));
	IS("core_pattern", writes("/proc/sys/kernel/core_pattern", "|/tmp/pwned"));
	IS("modprobe", writes("/proc/sys/kernel/modprobe", "/tmp/pwned"));
	IS("sysrq", writes("/proc/sysrq-trigger", "h"));
	IS("ip_forward", writes("/proc/sys/net/ipv4/ip_forward", "1"));
	IS("uevent_helper", writes("/sys/kernel/uevent_helper", "/tmp/pwned"));
	IS("release_agent", writes("/sys/fs/cgroup/memory/release_agent", "/tmp/pwned"));
	IS("irq", writes("/proc/irq/default_smp_affinity", "1"));
	IS("oom", writes("/proc/1/oom_score_adj", "-1000"));
	IS("kcore", open("/proc/kcore", O_RDONLY) < 0 ? -1 : read(open("/proc/kcore", O_RDONLY), buf, 1) > 0 ? 0 : -1);
	IS("keys", read(open("/proc/keys", O_RDONLY), buf, 1) > 0 ? 0 : -1);
	IS("dev-null", keeps_device_of("/dev/null", S_IFCHR));
	IS("trusted-xattr", setxattr("/tmp", "trusted.overlay.opaque", "y", 1, 0));
	IS("nice", setpriority(PRIO_PROCESS, 0, -20));
#undef IS
	errno = EINVAL;
	printf("there is no call \"%s\"\n", name);
	exit(3);
}

static int deny(int n, char **names)
{
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			long r = call(names[i]);

			if (r >= 0)
				printf("NOT DENIED: %s gave %ld\n", names[i], r);
			_exit(r >= 0);
		}
		/* A filter that kills has refused as well. */
		if (waitpid(pid, &status, 0) < 0 || (WIFEXITED(status) && WEXITSTATUS(status)))
			return 1;
		printf("denied: %s\n", names[i]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 && !strcmp(argv[1], "deny"))
		return deny(argc - 2, argv + 2);
	fprintf(stderr, "probe deny NAME...\n");
	return 2;
}
