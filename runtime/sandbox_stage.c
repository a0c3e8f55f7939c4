/*
 * What every container gets, whatever its command: /proc, /sys and /dev, made and masked on the stage, where the
 * image cannot interfere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "runtime/kernel.h"
#include "runtime/sandbox.h"
#include "runtime/zygote.h"
#include "runtime/zygote_mounts.h"

#define ATTR_SYSTEM (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* Docker's lists; a path that this kernel does not have is skipped. */
static const char *const masked[] = {
	CB_STAGE_PROC "/acpi",
	CB_STAGE_PROC "/asound",
	CB_STAGE_PROC "/interrupts",
	CB_STAGE_PROC "/kcore",
	CB_STAGE_PROC "/keys",
	CB_STAGE_PROC "/latency_stats",
	CB_STAGE_PROC "/sched_debug",
	CB_STAGE_PROC "/scsi",
	CB_STAGE_PROC "/timer_list",
	CB_STAGE_PROC "/timer_stats",
	CB_STAGE_SYS "/devices/virtual/powercap",
	CB_STAGE_SYS "/firmware",
};

static const char *const readonly[] = {
	CB_STAGE_PROC "/bus",
	CB_STAGE_PROC "/fs",
	CB_STAGE_PROC "/irq",
	CB_STAGE_PROC "/sys",
	CB_STAGE_PROC "/sysrq-trigger",
};

const struct cb_device_link cb_device_links[CB_DEVICE_LINKS] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
	{ "core", "/proc/kcore" },
	{ "ptmx", "pts/ptmx" },
};

struct option {
	const char *key, *value;
};

static int try_mount(const char *type, const struct option *options, size_t n, unsigned int attr, const char *target)
{
	cleanup_close int fs = cb_sys_fsopen(type);

	if (fs < 0 || cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", type, 0) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (cb_sys_fsconfig(fs, options[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, options[i].key,
			    options[i].value, 0) < 0)
			return -1;
	if (cb_sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	cleanup_close int mnt = cb_sys_fsmount(fs, attr);
	if (mnt < 0)
		return -1;
	return cb_sys_move_mount(mnt, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

/* A copy of @from on top of @to, with @attr; submounts come along when @from is @to. */
static int bind_over(const char *from, const char *to, unsigned int attr)
{
	struct mount_attr set = { .attr_set = attr, .propagation = MS_PRIVATE };
	cleanup_close int clone = cb_sys_open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | AT_RECURSIVE);

	if (clone < 0 || cb_sys_mount_setattr(clone, "", AT_EMPTY_PATH | AT_RECURSIVE, &set) < 0)
		return -1;
	return cb_sys_move_mount(clone, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH);
}

static void mask(const struct cb_sandbox *sb, const char *path)
{
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return;
	if (S_ISDIR(st.st_mode))
		r = bind_over(CB_STAGE_EMPTY, path, MOUNT_ATTR_RDONLY | ATTR_SYSTEM);
	else
		/* Read-only, so that its mode and owner, which other sandboxes see, cannot be changed by this name. */
		r = bind_over("/dev/null", path, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (r < 0)
		cb_sandbox_fail(sb, errno, "mask %s", path + strlen("/s"));
}

static void mask_all(const struct cb_sandbox *sb)
{
	for (size_t i = 0; i < ARRAY_SIZE(masked); i++)
		mask(sb, masked[i]);
	for (size_t i = 0; i < ARRAY_SIZE(readonly); i++)
		if (bind_over(readonly[i], readonly[i], MOUNT_ATTR_RDONLY | ATTR_SYSTEM) < 0 && errno != ENOENT)
			cb_sandbox_fail(sb, errno, "make %s read-only", readonly[i] + strlen("/s"));
	/* One file per processor. */
	for (unsigned int cpu = 0;; cpu++) {
		char path[96];
		snprintf(path, sizeof(path), CB_STAGE_SYS "/devices/system/cpu/cpu%u/thermal_throttle", cpu);
		char *end = strrchr(path, '/');
		*end = '\0';
		if (access(path, F_OK) < 0)
			break;
		*end = '/';
		mask(sb, path);
	}
}

static void stage_sys(const struct cb_sandbox *sb, unsigned int rdonly)
{
	/* The network namespace decides whether a new one is allowed; else it is the host's, as the network is. */
	if (try_mount("sysfs", NULL, 0, ATTR_SYSTEM | rdonly, CB_STAGE_SYS) < 0 &&
		bind_over("/sys", CB_STAGE_SYS, ATTR_SYSTEM | rdonly) < 0 &&
		bind_over(CB_STAGE_EMPTY, CB_STAGE_SYS, ATTR_SYSTEM | MOUNT_ATTR_RDONLY) < 0)
		cb_sandbox_fail(sb, errno, "mount /sys");

	const char *cgroup = CB_STAGE_SYS "/fs/cgroup";
	if (access(cgroup, F_OK) < 0)
		return;
	/*
	 * A sandbox without a group of its own would see that of cbuild, or the root of the hierarchy with the groups
	 * of the whole host in it.
	 */
	bool mounted = (sb->own_group || !rdonly) && try_mount("cgroup2", NULL, 0, ATTR_SYSTEM | rdonly, cgroup) == 0;
	if (!mounted && bind_over(CB_STAGE_EMPTY, cgroup, ATTR_SYSTEM | MOUNT_ATTR_RDONLY) < 0)
		cb_sandbox_fail(sb, errno, "mount /sys/fs/cgroup");
}

/*
 * A node of the sandbox's own, so that one step cannot change the mode of another's; where none can be made, a copy of
 * the zygote's, which has looked at what it is, and is the host's on a read-only mount.
 */
static int device_source(int dev, const struct cb_device *device, const char *path)
{
	if (mknodat(dev, device->name, S_IFCHR | 0666, makedev(device->major, device->minor)) == 0)
		return cb_sys_open_tree(dev, device->name, OPEN_TREE_CLONE);
	cleanup_close int target = openat(dev, device->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return target < 0 ? -1 : cb_sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);
}

/* As a mount of its own, which stays open when @dev is closed to devices. */
static void stage_device(const struct cb_sandbox *sb, int dev, const struct cb_device *device)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", device->name);
	cleanup_close int node = device_source(dev, device, path);
	if (node < 0 || cb_sys_move_mount(node, "", dev, device->name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		cb_sandbox_fail(sb, errno, "make device %s", path);
	if (fstatat(dev, device->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(st.st_mode) ||
		st.st_rdev != makedev(device->major, device->minor))
		cb_sandbox_fail(sb, ENXIO, "check device %s", path);
}

static void stage_dev(const struct cb_sandbox *sb)
{
	static const struct option dev_options[] = { { "mode", "0755" }, { "size", "64m" } };
	static const struct option pts_options[] = { { "newinstance", NULL }, { "ptmxmode", "0666" },
		{ "mode", "0620" }, { "gid", "5" } };
	static const struct option shm_options[] = { { "mode", "1777" }, { "size", "64m" } };
	static const char *const dirs[] = { "pts", "shm", "mqueue" };

	/*
	 * Each device is a mount of its own; one that the command makes beside them (CAP_MKNOD is among the default
	 * capabilities) cannot be opened, as nowhere else: this is the allow-list of devices.
	 */
	struct mount_attr closed = { .attr_set = MOUNT_ATTR_NODEV };
	if (try_mount("tmpfs", dev_options, ARRAY_SIZE(dev_options), MOUNT_ATTR_NOSUID, CB_STAGE_DEV) < 0)
		cb_sandbox_fail(sb, errno, "mount /dev");
	cleanup_close int dev = open(CB_STAGE_DEV, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dev < 0)
		cb_sandbox_fail(sb, errno, "open /dev");
	for (size_t i = 0; i < cb_n_devices; i++)
		stage_device(sb, dev, &cb_devices[i]);
	if (!(sb->kind & CB_SANDBOX_INSECURE) && cb_sys_mount_setattr(dev, "", AT_EMPTY_PATH, &closed) < 0)
		cb_sandbox_fail(sb, errno, "close /dev to devices");
	for (size_t i = 0; i < CB_DEVICE_LINKS; i++)
		/* As runc: not every kernel has /proc/kcore. */
		if ((strcmp(cb_device_links[i].name, "core") != 0 || access(CB_STAGE_PROC "/kcore", F_OK) == 0) &&
			symlinkat(cb_device_links[i].target, dev, cb_device_links[i].name) < 0)
			cb_sandbox_fail(sb, errno, "link /dev/%s", cb_device_links[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(dev, dirs[i], 0755) < 0)
			cb_sandbox_fail(sb, errno, "create /dev/%s", dirs[i]);

	unsigned int noexec = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	/* Without id ranges there is no group 5 (tty). */
	if (try_mount("devpts", pts_options, ARRAY_SIZE(pts_options), noexec, CB_STAGE_DEV "/pts") < 0 &&
		try_mount("devpts", pts_options, ARRAY_SIZE(pts_options) - 1, noexec, CB_STAGE_DEV "/pts") < 0)
		cb_sandbox_fail(sb, errno, "mount /dev/pts");
	if (try_mount("tmpfs", shm_options, ARRAY_SIZE(shm_options), ATTR_SYSTEM, CB_STAGE_DEV "/shm") < 0)
		cb_sandbox_fail(sb, errno, "mount /dev/shm");
	/* Kernels without POSIX queues exist. */
	(void)try_mount("mqueue", NULL, 0, ATTR_SYSTEM, CB_STAGE_DEV "/mqueue");
}

void cb_sandbox_stage(const struct cb_sandbox *sb)
{
	bool insecure = sb->kind & CB_SANDBOX_INSECURE;

	if (sb->kind & CB_SANDBOX_SHARED ? bind_over("/proc", CB_STAGE_PROC, ATTR_SYSTEM) < 0
					 : try_mount("proc", NULL, 0, ATTR_SYSTEM, CB_STAGE_PROC) < 0)
		cb_sandbox_fail(sb, errno, "mount /proc");
	stage_sys(sb, insecure ? 0 : MOUNT_ATTR_RDONLY);
	if (!insecure)
		mask_all(sb);
	stage_dev(sb);
	cb_sandbox_stage_files(sb);
}
