#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "runtime/kernel.h"
#include "runtime/overlay.h"

static const struct cb_stub_entry usual[] = {
	{ "/dev", true },
	{ "/etc/hosts", false },
	{ "/etc/resolv.conf", false },
	{ "/proc", true },
	{ "/sys", true },
};

/* mkdir -p in a tree that is ours alone; the modes are set by hand because the umask belongs to all threads. */
static int add_dirs(int root, const char *path)
{
	cleanup_close int at = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *copy = cb_xstrdup(path);
	char *save = NULL;

	for (char *name = strtok_r(copy, "/", &save); at >= 0 && name; name = strtok_r(NULL, "/", &save)) {
		int made = mkdirat(at, name, 0755);
		if (made < 0 && errno != EEXIST)
			return -1;
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next >= 0 && made == 0)
			(void)fchmod(next, 0755);
		cb_closep(&at);
		at = next;
	}
	return CB_TAKE_FD(at);
}

static int add_entry(int root, const struct cb_stub_entry *entry, struct cb_err **err)
{
	cleanup_free char *parent = cb_path_dir(entry->path);
	cleanup_close int dir = add_dirs(root, entry->dir ? entry->path : parent);

	if (dir >= 0 && !entry->dir) {
		cleanup_close int fd =
			openat(dir, cb_path_base(entry->path), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0 || fchmod(fd, 0644) < 0)
			return cb_err_errno(err, errno, "create mount target %s", entry->path);
	}
	return dir < 0 ? cb_err_errno(err, errno, "create mount target %s", entry->path) : 0;
}

static int fill(int root, const struct cb_stub_entry *entries, size_t n, struct cb_err **err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(usual); i++)
		r = add_entry(root, &usual[i], err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_entry(root, &entries[i], err);
	return r;
}

static int stub_tmpfs(const struct cb_overlay_env *env, const struct cb_stub_entry *entries, size_t n, bool empty,
	struct cb_err **err)
{
	cleanup_close int fs = cb_sys_fsopen("tmpfs");

	if (fs < 0 || cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
		cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "size", "1m", 0) < 0 ||
		cb_sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return cb_err_errno(err, errno, "make tmpfs for mount targets");
	cleanup_close int mnt = cb_sys_fsmount(fs, 0);
	if (mnt < 0)
		return cb_err_errno(err, errno, "mount tmpfs for mount targets");
	int r = empty ? 0 : fill(mnt, entries, n, err);
	if (r < 0)
		return r;
	if (env->userns_fd >= 0) {
		struct mount_attr set = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)env->userns_fd };
		if (cb_sys_mount_setattr(mnt, "", AT_EMPTY_PATH, &set) < 0)
			return cb_err_errno(err, errno, "map owners of tmpfs");
	}
	return CB_TAKE_FD(mnt);
}

int cb_stub_new(const struct cb_overlay_env *env, const struct cb_stub_entry *entries, size_t n, struct cb_err **err)
{
	return stub_tmpfs(env, entries, n, false, err);
}

int cb_stub_new_empty(const struct cb_overlay_env *env, struct cb_err **err)
{
	return stub_tmpfs(env, NULL, 0, true, err);
}

int cb_stub_new_on_disk(const struct cb_overlay_env *env, const char *name, struct cb_err **err)
{
	if (mkdirat(env->scratch_fd, name, 0755) < 0 && errno != EEXIST)
		return cb_err_errno(err, errno, "create directory of mount targets");
	cleanup_close int dir = openat(env->scratch_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return cb_err_errno(err, errno, "open directory of mount targets");
	int r = fill(dir, NULL, 0, err);
	return r < 0 ? r : CB_TAKE_FD(dir);
}
