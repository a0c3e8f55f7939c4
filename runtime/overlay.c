#include "runtime/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "base/path.h"
#include "runtime/kernel.h"
#include "runtime/mapped.h"
#include "runtime/overlay_mount.h"

/* All layers, upper and work as the overlay is to see them. */
struct parts {
	int *lower; /* top first, the stub last; borrowed */
	size_t n_lower;
	int upper, work;
	bool owned; /* upper and work are ours to close */
};

static void parts_done(struct parts *parts)
{
	if (parts->owned) {
		cb_closep(&parts->upper);
		cb_closep(&parts->work);
	}
	free(parts->lower);
}

int cb_overlay_clone(const struct cb_overlay_env *env, int fd, unsigned int attr, struct cb_err **err)
{
	cleanup_close int clone = cb_sys_open_tree(fd, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
	struct mount_attr set = { .attr_set = attr, .propagation = MS_PRIVATE };

	/* In a user namespace mounts below it may be locked to it: then they have to come along. */
	if (clone < 0 && errno == EINVAL)
		clone = cb_sys_open_tree(fd, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE);
	if (clone < 0)
		return cb_err_errno(err, errno, "clone mount");
	if (env->userns_fd >= 0) {
		set.attr_set |= MOUNT_ATTR_IDMAP;
		set.userns_fd = (uint64_t)env->userns_fd;
	}
	if (cb_sys_mount_setattr(clone, "", AT_EMPTY_PATH | AT_RECURSIVE, &set) < 0)
		return cb_err_errno(err, errno, env->userns_fd >= 0 ? "map owners of mount" : "set mount attributes");
	return CB_TAKE_FD(clone);
}

int cb_overlay_attach(const struct cb_overlay_env *env, int fd, char name[static 32], struct cb_err **err)
{
	static atomic_uint counter;

	snprintf(name, 32, "at-%d-%u", (int)getpid(), atomic_fetch_add(&counter, 1));
	if (mkdirat(env->scratch_fd, name, 0700) < 0)
		return cb_err_errno(err, errno, "create mount point");
	if (cb_sys_move_mount(fd, "", env->scratch_fd, name, MOVE_MOUNT_F_EMPTY_PATH) == 0)
		return 0;
	int r = cb_err_errno(err, errno, "attach part of overlay");
	(void)unlinkat(env->scratch_fd, name, AT_REMOVEDIR);
	return r;
}

void cb_overlay_detach(const struct cb_overlay_env *env, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", env->scratch_fd, name);
	(void)umount2(path, MNT_DETACH);
	(void)unlinkat(env->scratch_fd, name, AT_REMOVEDIR);
}

static int parts_make(const struct cb_overlay_env *env, int stub, const int *layers, size_t n, int upper, int work,
	struct parts *parts, struct cb_err **err)
{
	int r = 0;

	parts->n_lower = n + 1;
	parts->lower = cb_newa0(int, n + 1);
	parts->lower[n] = stub;
	for (size_t i = 0; i < n; i++)
		parts->lower[i] = layers[n - 1 - i];
	parts->upper = upper;
	parts->work = work;
	if (env->userns_fd < 0)
		return 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = cb_mapped_lower(env->mapped, env, parts->lower[i], &parts->lower[i], err);
		if (r < 0)
			return cb_err_wrap(err, r, "layer %zu", n - 1 - i);
	}
	if (upper < 0)
		return 0;
	r = cb_mapped_upper(env->mapped, env, upper, work, &parts->upper, &parts->work, err);
	parts->owned = r == 0;
	return r;
}

/*
 * Overlay does its own writes with the ids of the thread that mounts. Inside idmapped layers the real root has no
 * name, so this thread becomes the file system user that is root there, and keeps its capabilities.
 */
static int become_mapped_root(uid_t id, struct cb_err **err)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &head, caps) < 0)
		return cb_err_errno(err, errno, "read capabilities");
	syscall(SYS_setfsgid, id);
	syscall(SYS_setfsuid, id);
	/* Leaving fsuid 0 took the file capabilities from the effective set. */
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		caps[i].effective = caps[i].permitted;
	if (syscall(SYS_capset, &head, caps) < 0)
		return cb_err_errno(err, errno, "set capabilities");
	return 0;
}

static void become_real_root(void)
{
	syscall(SYS_setfsuid, 0);
	syscall(SYS_setfsgid, 0);
}

/* Where it cannot write to upper or work, the kernel mounts read-only and only says so in its log. */
static int check_writable(int mnt, struct cb_err **err)
{
	struct statvfs st;

	if (fstatvfs(mnt, &st) == 0 && !(st.f_flag & ST_RDONLY))
		return mnt;
	close(mnt);
	return cb_err_set(err, CB_ERR_UNSUPPORTED, "the kernel mounted the overlay read-only");
}

/*
 * The layers without those that come again further up: the kernel takes no directory twice, and all that the lower one
 * of two says, the upper one says again.
 */
static int distinct_layers(const int *layers, size_t n, int **ret, size_t *ret_n, struct cb_err **err)
{
	cleanup_free struct stat *st = cb_newa0(struct stat, n + 1);
	cleanup_free int *list = cb_newa0(int, n + 1);
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (fstat(layers[i], &st[i]) < 0)
			return cb_err_errno(err, errno, "look at layer %zu", i);
	for (size_t i = 0; i < n; i++) {
		size_t k = i + 1;

		while (k < n && (st[k].st_ino != st[i].st_ino || st[k].st_dev != st[i].st_dev))
			k++;
		if (k == n)
			list[count++] = layers[i];
	}
	*ret = CB_TAKE_PTR(list);
	*ret_n = count;
	return 0;
}

int cb_overlay_mount(const struct cb_overlay_env *env, int stub, const int *layers, size_t n_layers, int upper,
	int work, unsigned int attr, struct cb_err **err)
{
	__attribute__((cleanup(parts_done))) struct parts parts = { .upper = -1, .work = -1 };
	cleanup_free int *own = NULL;
	size_t n = 0;
	int r = distinct_layers(layers, n_layers, &own, &n, err);

	if (r < 0)
		return r;
	if (n > CB_RUN_LAYERS_MAX)
		return cb_err_set(
			err, CB_ERR_LIMIT, "%zu layers: the kernel's overlay takes at most %d", n, CB_RUN_LAYERS_MAX);
	/* An overlay needs two directories; the stub alone is as good as its merged view. */
	if (!n && upper < 0)
		return cb_overlay_clone(
			&(struct cb_overlay_env){ .userns_fd = -1 }, stub, attr | MOUNT_ATTR_RDONLY, err);

	r = parts_make(env, stub, own, n, upper, work, &parts, err);
	if (r < 0)
		return r;
	if (env->userns_fd >= 0) {
		r = become_mapped_root(env->root_id, err);
		if (r < 0) {
			become_real_root();
			return r;
		}
	}
	const struct cb_overlay_parts view = { parts.lower, parts.n_lower, parts.upper, parts.work };
	if (env->api == CB_OVERLAY_MOUNT)
		r = cb_overlay_mount_legacy(env, &view, attr, err);
	else
		r = cb_overlay_mount_new(env, &view, attr, err);
	if (env->userns_fd >= 0)
		become_real_root();
	return r < 0 || upper < 0 ? r : check_writable(r, err);
}

int cb_overlay_clean_work(int work, struct cb_err **err)
{
	cleanup_close int dir = openat(work, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return cb_err_errno(err, errno, "open work directory");
	/* As an ordinary user of one id, mode 000 would stop us; nobody else looks at it now. */
	(void)!fchmodat(dir, "work", 0700, 0);
	static const char *const names[] = { "work", "index" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct stat st;
		if (fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		int r = cb_path_remove_tree(dir, names[i], err);
		if (r < 0)
			return cb_err_wrap(err, r, "empty work directory");
	}
	return 0;
}
