/*
 * The root of one run: overlay, staged file systems, generated files and --mounts put together, then pivoted into.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "runtime/keeper.h"
#include "runtime/kernel.h"
#include "runtime/sandbox.h"
#include "runtime/zygote.h"

/* Links of an image that lead on to links, one behind the other. */
#define LINK_DEPTH_MAX 20

/* By its real name, which links of the image may have made another one. */
static void report_created(const struct cb_sandbox *sb, int dir, const char *name)
{
	char link[32], path[PATH_MAX];
	const size_t root = strlen(sb->root);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < (ssize_t)root)
		return;
	path[n] = '\0';
	if (strncmp(path, sb->root, root) == 0)
		cb_sandbox_report(sb, CB_REPORT_CREATED, 0, "%s/%s", path + root, name);
}

static int create_target(const struct cb_sandbox *sb, int root, const char *path, bool dir, unsigned int depth);

/* A link of the image that leads to nothing, @name in @dir: what it names is created, as BuildKit does. */
static int create_behind_link(
	const struct cb_sandbox *sb, int root, int dir, const char *name, bool want_dir, unsigned int depth)
{
	char link[32], from[PATH_MAX], to[PATH_MAX];
	const size_t skip = strlen(sb->root);
	ssize_t n = readlinkat(dir, name, to, sizeof(to) - 1), m;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	m = readlink(link, from, sizeof(from) - 1);
	if (n < 0 || m < (ssize_t)skip)
		return -1;
	to[n] = from[m] = '\0';
	cleanup_free char *joined = to[0] == '/' ? cb_xstrdup(to) : cb_xasprintf("%s/%s", from + skip, to);
	cleanup_free char *path = cb_path_abs(joined);
	return create_target(sb, root, path, want_dir, depth + 1);
}

/* Makes one missing entry, or what a link that is there leads to. 0, or -1 with errno. */
static int create_entry(const struct cb_sandbox *sb, int root, const char *path, bool dir, unsigned int depth)
{
	cleanup_free char *parent = cb_path_dir(path);
	cleanup_close int up = cb_path_open_in_root(root, parent, O_PATH | O_DIRECTORY, 0);
	const char *name = cb_path_base(path);
	struct stat st, before;

	if (up < 0 || fstat(up, &before) < 0)
		return -1;
	if (fstatat(up, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
		cleanup_close int behind = create_behind_link(sb, root, up, name, dir, depth);
		return behind < 0 ? -1 : 0;
	}
	if (dir) {
		if (mkdirat(up, name, 0755) < 0)
			return -1;
	} else {
		cleanup_close int fd = openat(up, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			return -1;
	}
	report_created(sb, up, name);
	/* The command and the layer see the directory as it was. */
	const struct timespec times[2] = { before.st_atim, before.st_mtim };
	(void)utimensat(up, "", times, AT_EMPTY_PATH);
	return 0;
}

/* mkdir -p (and an empty file) inside the image, said to the owner so that it is taken away again. */
static int create_target(const struct cb_sandbox *sb, int root, const char *path, bool dir, unsigned int depth)
{
	char prefix[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(prefix) || depth > LINK_DEPTH_MAX) {
		errno = len >= sizeof(prefix) ? ENAMETOOLONG : ELOOP;
		return -1;
	}
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(prefix, path, i);
		prefix[i] = '\0';
		bool last = i == len;
		cleanup_close int there = cb_path_open_in_root(root, prefix, O_PATH | (last ? 0 : O_DIRECTORY), 0);
		if (there < 0 && (errno != ENOENT || create_entry(sb, root, prefix, !last || dir, depth) < 0))
			return -1;
	}
	return cb_path_open_in_root(root, path, O_PATH, 0);
}

/* -1: what is generated for every run has no place below a read-only mount, and is left out there. */
int cb_sandbox_target(const struct cb_sandbox *sb, int root, const struct cb_sandbox_mount *mount, bool dir)
{
	int fd = cb_path_open_in_root(root, mount->target, O_PATH, 0);

	if (fd < 0 && errno == ENOENT)
		fd = create_target(sb, root, mount->target, dir, 0);
	if (fd < 0 && !(mount->generated && errno == EROFS))
		cb_sandbox_fail(sb, errno, "open mount target %s", mount->target);
	return fd;
}

/* For /proc, /sys and /dev: exactly these names, no link of the image leads elsewhere. */
static void move_system(const struct cb_sandbox *sb, int root, const char *staged, const char *name)
{
	cleanup_close int target = cb_path_open_beneath(root, name, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	if (target < 0 && errno == ENOENT) {
		char path[16];
		snprintf(path, sizeof(path), "/%s", name);
		target = create_target(sb, root, path, true, 0);
	}
	if (target < 0 || fstat(target, &st) < 0)
		cb_sandbox_fail(sb, errno, "open /%s of the image", name);
	if (!S_ISDIR(st.st_mode))
		cb_sandbox_fail(sb, ENOTDIR, "/%s of the image", name);
	if (cb_sys_move_mount(AT_FDCWD, staged, target, "", MOVE_MOUNT_T_EMPTY_PATH) < 0)
		cb_sandbox_fail(sb, errno, "mount /%s", name);
}

static int new_tmpfs(const struct cb_sandbox_mount *m, unsigned int attr)
{
	cleanup_close int fs = cb_sys_fsopen("tmpfs");
	char size[32], mode[16], uid[16], gid[16];

	snprintf(size, sizeof(size), "%llu", (unsigned long long)m->size);
	snprintf(mode, sizeof(mode), "%o", (unsigned int)m->mode);
	bool record = cb_owner_recorded();

	snprintf(uid, sizeof(uid), "%u", record ? 0 : (unsigned int)m->uid);
	snprintf(gid, sizeof(gid), "%u", record ? 0 : (unsigned int)m->gid);
	if (fs < 0 || cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", "tmpfs", 0) < 0 ||
		(m->size && cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0) ||
		cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) < 0 ||
		cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "uid", uid, 0) < 0 ||
		cb_sys_fsconfig(fs, FSCONFIG_SET_STRING, "gid", gid, 0) < 0 ||
		cb_sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return cb_sys_fsmount(fs, attr);
}

void cb_sandbox_stage_files(const struct cb_sandbox *sb)
{
	const struct cb_sandbox_mount m = { .mode = 0755 };
	cleanup_close int mnt = new_tmpfs(&m, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

	if (mnt < 0 || cb_sys_move_mount(mnt, "", AT_FDCWD, CB_STAGE_FILES, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		cb_sandbox_fail(sb, errno, "mount tmpfs for files");
}

/* A tmpfs before Linux 6.6 cannot keep a record: then the only id there is may read the file, which is who runs. */
static int give_file(int fd, uid_t uid, gid_t gid)
{
	return cb_owner_fchown(fd, uid, gid) < 0 && errno != ENOTSUP ? -1 : 0;
}

static int new_file(const struct cb_sandbox_mount *m, size_t index)
{
	char path[64];

	snprintf(path, sizeof(path), CB_STAGE_FILES "/%zu", index);
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || cb_fd_write_all(fd, m->data, m->len) < 0 || give_file(fd, m->uid, m->gid) < 0 ||
		fchmod(fd, m->mode) < 0)
		return -1;
	cleanup_close int clone = cb_sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);
	/* Only what has the mode of a program may be executed. */
	struct mount_attr set = { .attr_set = (m->readonly ? MOUNT_ATTR_RDONLY : 0),
		.attr_clr = (m->mode & 0111 ? MOUNT_ATTR_NOEXEC : 0) };
	if (clone < 0 || ((set.attr_set || set.attr_clr) && cb_sys_mount_setattr(clone, "", AT_EMPTY_PATH, &set) < 0))
		return -1;
	return CB_TAKE_FD(clone);
}

/* The part @sub of a detached tree. It is attached for a moment: older kernels cannot copy out of a detached one. */
static int part_of(const struct cb_sandbox *sb, const struct cb_sandbox_mount *m)
{
	if (cb_sys_move_mount(m->fd, "", AT_FDCWD, CB_STAGE_CHAIN, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		cb_sandbox_fail(sb, errno, "attach source of %s", m->target);
	cleanup_close int top = open(CB_STAGE_CHAIN, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int part = top < 0 ? -1 : cb_path_open_in_root(top, m->sub, O_PATH, 0);
	if (part < 0)
		cb_sandbox_fail(sb, errno, "source %s of mount %s", m->sub, m->target);
	int clone = cb_sys_open_tree(part, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
	if (clone < 0)
		cb_sandbox_fail(sb, errno, "clone source of %s", m->target);
	(void)umount2(CB_STAGE_CHAIN, MNT_DETACH);
	return clone;
}

static void add_mount(const struct cb_sandbox *sb, int root, const struct cb_sandbox_mount *m, size_t index)
{
	cleanup_close int source = -EBADF;
	struct stat st, on;

	switch (m->kind) {
	case CB_RUN_MOUNT_TMPFS:
		source = new_tmpfs(m, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (m->readonly ? MOUNT_ATTR_RDONLY : 0));
		break;
	case CB_RUN_MOUNT_FILE:
		source = new_file(m, index);
		break;
	case CB_RUN_MOUNT_CHAIN:
	case CB_RUN_MOUNT_BIND:
		source = m->sub ? part_of(sb, m) : m->fd;
		break;
	}
	if (source < 0 || fstat(source, &st) < 0)
		cb_sandbox_fail(sb, errno, "make mount %s", m->target);
	cleanup_close int target = cb_sandbox_target(sb, root, m, S_ISDIR(st.st_mode));
	if (target < 0)
		return;
	if (fstat(target, &on) < 0)
		cb_sandbox_fail(sb, errno, "mount on %s", m->target);
	if (S_ISDIR(st.st_mode) != S_ISDIR(on.st_mode))
		cb_sandbox_fail(sb, S_ISDIR(on.st_mode) ? EISDIR : ENOTDIR, "mount on %s of the image", m->target);
	if (cb_sys_move_mount(source, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		cb_sandbox_fail(sb, errno, "mount on %s", m->target);
}

static void resize_shm(const struct cb_sandbox *sb, uint64_t size)
{
	char options[64];

	snprintf(options, sizeof(options), "size=%llu,mode=1777", (unsigned long long)size);
	if (mount(NULL, CB_STAGE_DEV "/shm", NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		cb_sandbox_fail(sb, errno, "set the size of /dev/shm");
}

static void pivot(const struct cb_sandbox *sb)
{
	char cwd[8];

	if (chdir(CB_STAGE_ROOT) < 0 || cb_sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		cb_sandbox_fail(sb, errno, "pivot_root");
	/* "(unreachable)" would mean that we are still somewhere else. */
	if (chdir("/") < 0 || !getcwd(cwd, sizeof(cwd)) || strcmp(cwd, "/") != 0)
		cb_sandbox_fail(sb, errno, "enter the root");
}

void cb_sandbox_assemble(struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	if (cb_sys_move_mount(spec->root_fd, "", AT_FDCWD, CB_STAGE_ROOT, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		cb_sandbox_fail(sb, errno, "attach the root");
	close(spec->root_fd);
	cleanup_close int root = open(CB_STAGE_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		cb_sandbox_fail(sb, errno, "open the root");

	if (spec->shm_size)
		resize_shm(sb, spec->shm_size);
	move_system(sb, root, CB_STAGE_PROC, "proc");
	move_system(sb, root, CB_STAGE_SYS, "sys");
	move_system(sb, root, CB_STAGE_DEV, "dev");
	for (size_t i = 0; i < spec->n_mounts; i++)
		add_mount(sb, root, &spec->mounts[i], i);
	/* podman's default filter allows namespaces, but no names in them. */
	if (sethostname(spec->hostname, strlen(spec->hostname)) < 0 &&
		(errno != EPERM || strcmp(spec->hostname, CB_RUN_HOSTNAME) != 0))
		cb_sandbox_fail(sb, errno, "set hostname %s", spec->hostname);
	int proc = sb->kind & CB_SANDBOX_SHARED ? open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	pivot(sb);
	if (sb->kind & CB_SANDBOX_SHARED)
		cb_keeper_split(sb, proc, NULL, NULL);
}
