#include "runtime/zygote_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "runtime/kernel.h"

const struct cb_device cb_devices[] = {
	{ "null", 1, 3 },
	{ "zero", 1, 5 },
	{ "full", 1, 7 },
	{ "random", 1, 8 },
	{ "urandom", 1, 9 },
	{ "tty", 5, 0 },
};
const size_t cb_n_devices = ARRAY_SIZE(cb_devices);

static const char *const dirs[] = {
	"proc",
	"sys",
	"dev",
	"s",
	"s/root",
	"s/proc",
	"s/sys",
	"s/dev",
	"s/files",
	"s/chain",
	"s/empty",
};

static int new_mount(const char *type, const char *key, const char *value, unsigned int attr)
{
	cleanup_close int fs = cb_sys_fsopen(type);

	if (fs < 0 || (key && cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0) ||
		cb_sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return cb_sys_fsmount(fs, attr);
}

/* Binds a node of the host after looking at what it really is. */
static int bind_device(int dev, const struct cb_device *device)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", device->name);
	cleanup_close int node = cb_sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);
	if (node < 0 || fstat(node, &st) < 0)
		return -1;
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(device->major, device->minor)) {
		errno = ENXIO;
		return -1;
	}
	/*
	 * A device can be written to through a read-only mount, but not get another mode or owner, which would be the
	 * host's: where all ids are mapped to themselves, root of the user namespace may do that.
	 */
	struct mount_attr set = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
		.propagation = MS_PRIVATE };
	cleanup_close int target = openat(dev, device->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (target < 0 || cb_sys_mount_setattr(node, "", AT_EMPTY_PATH, &set) < 0)
		return -1;
	return cb_sys_move_mount(node, "", dev, device->name, MOVE_MOUNT_F_EMPTY_PATH);
}

static int make_device(int dev, const struct cb_device *device)
{
	if (mknodat(dev, device->name, S_IFCHR | 0666, makedev(device->major, device->minor)) < 0)
		return -1;
	/* In a user namespace mknod of a device can be refused only when it is opened; ask now. */
	cleanup_close int fd = openat(dev, device->name, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 || errno == ENXIO)
		return 0;
	int saved = errno;
	(void)unlinkat(dev, device->name, 0);
	errno = saved;
	return -1;
}

static int fill_dev(int root)
{
	cleanup_close int dev = openat(root, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dev < 0)
		return -1;
	for (size_t i = 0; i < cb_n_devices; i++)
		if (make_device(dev, &cb_devices[i]) < 0 && bind_device(dev, &cb_devices[i]) < 0)
			return -1;
	return 0;
}

/* Where a new sysfs may not be mounted (the network namespace is not ours), the host's is passed on. */
static int fill_sys(int root, int given)
{
	cleanup_close int trial = new_mount("sysfs", NULL, NULL, 0);

	if (trial >= 0)
		return cb_sys_move_mount(trial, "", root, "sys", MOVE_MOUNT_F_EMPTY_PATH);
	if (given >= 0)
		return cb_sys_move_mount(given, "", root, "sys", MOVE_MOUNT_F_EMPTY_PATH);
	cleanup_close int sys = cb_sys_open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | AT_RECURSIVE);
	return sys < 0 ? -1 : cb_sys_move_mount(sys, "", root, "sys", MOVE_MOUNT_F_EMPTY_PATH);
}

static int enter_root(int root)
{
	if (fchdir(root) < 0 || cb_sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -1;
	return 0;
}

int cb_zygote_mounts(int given_sys, bool old_proc, const char **what)
{
	*what = "make mounts private";
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;

	*what = "mount tmpfs";
	cleanup_close int root = new_mount("tmpfs", "mode", "0755", MOUNT_ATTR_NOSUID);
	if (root < 0 || cb_sys_move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(root, dirs[i], 0755) < 0)
			return -1;

	*what = "mount proc";
	cleanup_close int proc = old_proc ? cb_sys_open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | AT_RECURSIVE)
					  : new_mount("proc", NULL, NULL, 0);
	if (proc < 0 || cb_sys_move_mount(proc, "", root, "proc", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	*what = "make devices";
	if (fill_dev(root) < 0)
		return -1;
	/* A host without a usable /sys gives containers an empty one. */
	(void)fill_sys(root, given_sys);

	*what = "pivot_root";
	return enter_root(root);
}
