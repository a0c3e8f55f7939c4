/*
 * RUN --mount where nothing can be mounted (isolation chroot): sources stand at their targets in the copy of the layers
 * that is the step's root, and go back when it is over.
 *
 * Binds are copies, which are forgotten. A cache mount is a tree of hard links to its files, so that what is written in
 * place is kept even if cbuild is killed; at the end it takes the place of the old one. A tmpfs is an empty directory,
 * a socket a link. A mount cannot be moved or removed by the step; something lent can, which is then an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "builder/step_mounts.h"
#include "layers/cachemount.h"
#include "layers/linktree.h"

bool cb_build_lends(const struct cb_build *build)
{
	return cb_runtime_info(build->runtime)->isolation == CB_ISOLATION_CHROOT;
}

/* ---- there ---------------------------------------------------------------------------------------------------- */

static int new_tmpfs(const struct cb_run_mount *m, int aside, struct cb_err **err)
{
	cleanup_close int dir = mkdirat(aside, CB_COVER_LENT, 0700) < 0
					? -1
					: openat(aside, CB_COVER_LENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || cb_owner_fchown(dir, m->uid, m->gid) < 0 || fchmod(dir, m->mode ? m->mode : 01777) < 0)
		return cb_err_errno(err, errno, "make a directory for %s", m->target);
	return 0;
}

static int link_socket(const struct cb_run_mount *m, int aside, struct cb_err **err)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", m->fd);
	if (linkat(AT_FDCWD, name, aside, CB_COVER_LENT, AT_SYMLINK_FOLLOW) < 0)
		return cb_err_errno(err, errno, "link the socket for %s", m->target);
	return 0;
}

/* What is to be lent, beside nothing else, in a directory of its own. */
static int make_lent(struct cb_build *build, struct cb_mount_hold *hold, struct cb_err **err)
{
	const struct cb_run_mount *m = &hold->mount;

	/* The copy of a bind's source is that. */
	if (hold->throwaway)
		return 0;
	int r = cb_snapshot_new(build->store, &hold->throwaway, err);
	if (r < 0)
		return r;
	const int aside = cb_snapshot_fs(hold->throwaway);
	if (hold->cache)
		return cb_linktree_make(hold->fd, aside, CB_COVER_LENT, m->readonly, build->scheduler.cancel, err);
	return hold->agent ? link_socket(m, aside, err) : new_tmpfs(m, aside, err);
}

static void note_size(struct cb_build *build, const struct cb_vertex *vertex, const struct cb_run_mount *m)
{
	cleanup_free char *text = NULL;

	if (m->kind != CB_RUN_MOUNT_TMPFS || !m->size)
		return;
	text = cb_xasprintf("isolation chroot cannot limit the size of the tmpfs %s, which is on a disk", m->target);
	cb_build_note(build, vertex, text);
}

static int by_target(const void *a, const void *b)
{
	const struct cb_mount_hold *const *x = a, *const *y = b;
	int order = strcmp((*x)->mount.target, (*y)->mount.target);

	return order ? order : ((*x)->order > (*y)->order) - ((*x)->order < (*y)->order);
}

/* Those that are lent, parents first, of several with one target the last. The caller frees *ret. */
static size_t in_order(struct cb_run_mounts *mounts, struct cb_mount_hold ***ret)
{
	struct cb_mount_hold **v = cb_xcalloc(mounts->n_holds + 1, sizeof(*v));
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < mounts->n_holds; i++)
		if (mounts->holds[i].mount.target && mounts->holds[i].mount.kind != CB_RUN_MOUNT_FILE)
			v[n++] = &mounts->holds[i];
	qsort(v, n, sizeof(*v), by_target);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || strcmp(v[i]->mount.target, v[i + 1]->mount.target) != 0)
			v[kept++] = v[i];
	*ret = v;
	return kept;
}

int cb_run_mounts_lend(struct cb_build *build, const struct cb_vertex *vertex, struct cb_run_mounts *mounts, int rootfd,
	struct cb_err **err)
{
	cleanup_free struct cb_mount_hold **v = NULL;
	size_t n = in_order(mounts, &v), kept = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		note_size(build, vertex, &v[i]->mount);
		r = make_lent(build, v[i], err);
		if (r == 0)
			r = cb_cover_put(
				rootfd, v[i]->mount.target, cb_snapshot_fs(v[i]->throwaway), &v[i]->cover, err);
	}
	for (size_t i = 0; i < mounts->n; i++)
		if (mounts->v[i].kind == CB_RUN_MOUNT_FILE)
			mounts->v[kept++] = mounts->v[i];
	mounts->n = kept;
	return r;
}

/* ---- and back ------------------------------------------------------------------------------------------------- */

/* What came back is the cache mount from now on. Its files may have got names in the layer, which must not change. */
static int keep_cache(struct cb_build *build, struct cb_mount_hold *hold, struct cb_err **err)
{
	const int aside = cb_snapshot_fs(hold->throwaway);
	cleanup_close int fd = openat(aside, CB_COVER_LENT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return cb_err_errno(err, errno, "open what was at %s", hold->mount.target);
	r = cb_cachemount_replace(build->store, hold->cache, aside, CB_COVER_LENT, err);
	if (r == 0)
		r = cb_path_remove_tree(aside, CB_COVER_LENT, err);
	/* A canceled build has to come to an end, but its layer is thrown away. */
	return r < 0 ? r : cb_linktree_part(fd, build->scheduler.cancel, err);
}

static int take_back(
	struct cb_build *build, struct cb_mount_hold *hold, struct cb_plainroot *plain, struct cb_err **err)
{
	int r = cb_cover_take(hold->cover, err);

	if (r > 0) {
		r = cb_err_set(err, CB_ERR_STEP, "the step has moved or removed the mount %s", hold->mount.target);
		return cb_err_hint(err, r, "a real mount would have refused it; isolation chroot has none");
	}
	if (r == 0 && cb_cover_kept(hold->cover))
		r = cb_plainroot_excuse(plain, cb_cover_kept(hold->cover), err);
	if (r == 0 && hold->cache && !hold->mount.readonly)
		r = keep_cache(build, hold, err);
	return r < 0 ? cb_err_wrap(err, r, "mount %s", hold->mount.target) : 0;
}

int cb_run_mounts_return(
	struct cb_build *build, struct cb_run_mounts *mounts, struct cb_plainroot *plain, struct cb_err **err)
{
	cleanup_free struct cb_mount_hold **v = NULL;
	size_t n = in_order(mounts, &v);
	int result = 0;

	while (n-- > 0) {
		cleanup_err struct cb_err *why = NULL;
		int r = v[n]->cover ? take_back(build, v[n], plain, &why) : 0;

		if (r < 0 && result == 0)
			result = cb_err_move(err, CB_TAKE_PTR(why));
	}
	return result;
}
