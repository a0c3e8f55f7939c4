/* ADD of local archives: sources that are tars are unpacked, the others are copied. */
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "builder/build.h"
#include "builder/step_add.h"
#include "layers/archive.h"
#include "layers/chown.h"
#include "layers/dest.h"

/* Where the entries of an archive go. */
struct target {
	struct cb_dest *dest;
	const char *root;                  /* of the copy, as written */
	struct cb_dest_attr missing;       /* of the destination and what leads to it */
	struct cb_dest_attr missing_below; /* of parents without an entry: nobody's, whatever --chown says */
};

static int open_dir(void *arg, const char *path, int *ret_fd, struct cb_err **err)
{
	struct target *target = arg;
	const struct cb_dest_attr *missing = *path ? &target->missing_below : &target->missing;
	cleanup_free char *full = cb_xasprintf("%s/%s", target->root, path);
	cleanup_free char *canonical = NULL;
	int r = cb_dest_resolve(target->dest, full, CB_TREE_FOLLOW, &canonical, err);

	if (r < 0)
		return r;
	r = cb_dest_mkdirs(target->dest, canonical, missing, ret_fd, err);
	return r < 0 ? r : 0;
}

static int dir_changed(void *arg, const char *path, struct cb_err **err)
{
	struct target *target = arg;
	cleanup_free char *full = cb_xasprintf("%s/%s", target->root, path);
	cleanup_free char *canonical = NULL;
	int r = cb_dest_resolve(target->dest, full, CB_TREE_FOLLOW, &canonical, err);

	if (r >= 0)
		cb_dest_changed(target->dest, canonical, false);
	return CB_MIN(r, 0);
}

static int dir_timed(void *arg, const char *path, const struct timespec times[2], struct cb_err **err)
{
	struct target *target = arg;
	cleanup_free char *full = cb_xasprintf("%s/%s", target->root, path);
	cleanup_free char *canonical = NULL;
	int r = cb_dest_resolve(target->dest, full, CB_TREE_FOLLOW, &canonical, err);

	if (r >= 0)
		cb_dest_touch(target->dest, canonical, times);
	return CB_MIN(r, 0);
}

static int extract(
	const struct cb_copy_spec *spec, enum cb_flavour flavour, int fd, const char *root, struct cb_err **err)
{
	CB_CLEANUP(cb_dest_free) struct cb_dest *dest = NULL;
	struct target target = { .root = root, .missing = { .mode = 0755, .time = spec->created } };
	struct cb_archive_spec archive = { .fd = fd, .flavour = flavour, .cancel = spec->cancel };
	int r = cb_dest_new(spec->parents, spec->upper, &dest, err);

	if (r < 0)
		return r;
	target.dest = dest;
	target.missing_below = target.missing;
	if (spec->chown) {
		target.missing.owner = *spec->chown;
		archive.chown = true;
		archive.uid = spec->chown->uid;
		archive.gid = spec->chown->gid;
	}
	archive.dest = (struct cb_archive_dest){
		.open_dir = open_dir, .dir_timed = dir_timed, .dir_changed = dir_changed, .arg = &target
	};
	r = cb_archive_extract(&archive, NULL, err);
	return r < 0 ? r : cb_dest_finish(dest, err);
}

/* 1 with *ret_fd when @source is an archive. */
static int open_archive(
	const struct cb_copy_spec *spec, const struct cb_copy_source *source, int *ret_fd, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	struct stat st;
	int r;

	if (source->is_dir)
		return 0;
	r = cb_tree_stat(spec->src, source->path, &st, err);
	if (r != 0 || !S_ISREG(st.st_mode))
		return r < 0 ? r : 0;
	r = cb_tree_open(spec->src, source->path, &fd, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = cb_archive_is_tar(fd, err);
	if (r > 0)
		*ret_fd = CB_TAKE_FD(fd);
	return r;
}

/* The destination directory, absolute. */
static char *root_of(const struct cb_copy_spec *spec)
{
	if (*spec->dest == '/')
		return cb_path_abs(spec->dest);
	return cb_path_join(spec->workdir ? spec->workdir : "/", spec->dest);
}

/* The sources from @first to before @end; with the last ones the here-documents. */
static int copy_some(const struct cb_copy_spec *spec, size_t first, size_t end, bool last, struct cb_err **err)
{
	struct cb_copy_spec part = *spec;
	struct cb_sources some = *spec->sources;

	if (first == end && !last)
		return 0;
	some.v += first;
	some.n = end - first;
	part.sources = &some;
	if (!last)
		part.n_files = 0;
	return cb_copy_run(&part, err);
}

int cb_step_add(const struct cb_copy_spec *spec, enum cb_flavour flavour, struct cb_err **err)
{
	const struct cb_sources *all = spec->sources;
	cleanup_free char *root = root_of(spec);
	size_t done = 0;
	int r = 0;

	if (!all)
		return cb_copy_run(spec, err);
	/* Archives are rare: what lies between two of them goes in one copy, all in the order of the sources. */
	for (size_t i = 0; i < all->n && r == 0; i++) {
		cleanup_close int fd = -EBADF;

		r = open_archive(spec, &all->v[i], &fd, err);
		if (r > 0) {
			r = copy_some(spec, done, i, false, err);
			if (r < 0)
				return r;
			r = extract(spec, flavour, fd, root, err);
			done = i + 1;
		}
		if (r < 0)
			return cb_err_wrap(err, r, "ADD %s", all->v[i].shown);
	}
	if (r < 0 || (done == all->n && all->n && !spec->n_files))
		return r;
	return copy_some(spec, done, all->n, true, err);
}
