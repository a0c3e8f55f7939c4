#include "layers/diff.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "layers/diffwalk.h"

/** Directories of the way down that stay open; those above are opened again on the way back. */
#define OPEN_MAX_DIRS 64

struct cb_diff_dir *cb_diff_top(struct cb_diff *d)
{
	return &d->dirs[d->n_dirs - 1];
}

static void park(struct cb_diff_dir *dir)
{
	cb_closep(&dir->fd);
	dir->fd = -EBADF;
	dir->base = cb_tree_dir_free(dir->base);
}

static void pop(struct cb_diff *d)
{
	struct cb_diff_dir *dir = cb_diff_top(d);

	park(dir);
	free(dir->path);
	cb_dirnames_done(&dir->names);
	cb_tree_list_done(&dir->base_names);
	d->n_dirs--;
}

/** Opens a parked directory again. */
static int unpark(struct cb_diff *d, struct cb_err **err)
{
	struct cb_diff_dir *dir = cb_diff_top(d);
	int r;

	if (dir->fd >= 0)
		return 0;
	dir->fd = cb_path_open_beneath(d->rootfd, dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (dir->fd < 0)
		return cb_err_errno(err, errno, "open directory \"%s\"", dir->path);
	if (!dir->has_base)
		return 0;
	r = cb_tree_dir_open(d->spec->parents, dir->path, &dir->base, err);
	return r == 1 ? cb_err_set(err, CB_ERR_IO, "\"%s\" vanished while it was read", dir->path) : r;
}

/** Goes down into the directory @fd, taking it and @base. */
static int push(
	struct cb_diff *d, const char *path, int fd, struct cb_tree_dir *base, bool cut_off, struct cb_err **err)
{
	struct cb_diff_dir *dir;
	int r;

	CB_GROW(d->dirs, d->cap_dirs, d->n_dirs + 1);
	if (d->n_dirs >= OPEN_MAX_DIRS)
		park(&d->dirs[d->n_dirs - OPEN_MAX_DIRS]);
	dir = &d->dirs[d->n_dirs++];
	*dir = (struct cb_diff_dir){
		.path = cb_xstrdup(path),
		.fd = fd,
		.has_base = base != NULL,
		.base = base,
		.cut_off = cut_off && base,
	};
	if (d->n_dirs > CB_TREE_DEPTH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "more than %d directories below each other", CB_TREE_DEPTH_MAX);
	r = cb_dirnames_read(fd, path, &dir->names, err);
	if (r == 0 && dir->cut_off)
		r = cb_tree_dir_list(base, &dir->base_names, err);
	return r;
}

/** What the parents have under that name: 0 with *ret and *ret_st, or 1. */
static int find_base(
	struct cb_diff *d, const char *name, struct cb_tree_ent *ret, struct stat *ret_st, struct cb_err **err)
{
	struct cb_tree_dir *base = cb_diff_top(d)->base;
	int r;

	if (!base)
		return 1;
	r = cb_tree_dir_find(base, name, ret, err);
	return r == 0 ? cb_tree_at_stat(base, ret, ret_st, err) : r;
}

static char *path_of(struct cb_diff *d, const char *name)
{
	const char *dir = cb_diff_top(d)->path;

	return *dir ? cb_xasprintf("%s/%s", dir, name) : cb_xstrdup(name);
}

/**
 * A directory of the snapshot. Its own entry is written now when it is new or changed, else only before the first
 * change in it.
 */
static int visit_dir(struct cb_diff *d, const char *name, const char *path, const struct stat *st,
	const struct cb_tree_ent *base_ent, const struct stat *base_st, struct cb_err **err)
{
	struct cb_diff_dir *top = cb_diff_top(d);
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *base = NULL;
	cleanup_close int fd = -EBADF;
	bool same = false, opaque;
	int r;

	fd = openat(top->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cb_err_errno(err, errno, "open directory \"%s\"", path);
	r = cb_opaque_get(fd, d->spec->flavour, err);
	if (r < 0)
		return r;
	opaque = r > 0 || top->cut_off;
	if (base_ent) {
		r = cb_diff_same(d, name, st, base_ent, base_st, err);
		if (r < 0)
			return r;
		same = r > 0;
		r = cb_tree_at_dir(top->base, base_ent, &base, err);
		if (r < 0)
			return r;
	}
	r = push(d, path, CB_TAKE_FD(fd), CB_TAKE_PTR(base), opaque, err);
	return r < 0 || same ? r : cb_diff_put_dirs(d, err);
}

static int visit(struct cb_diff *d, const char *name, struct cb_err **err)
{
	struct cb_diff_dir *top = cb_diff_top(d);
	cleanup_free char *path = path_of(d, name);
	struct cb_tree_ent base_ent = { 0 };
	struct stat st, base_st;
	bool has_base;
	int r;

	if (cb_map_has(d->stubs, path))
		return 0;
	if (cb_owner_fstatat(top->fd, name, &st) < 0)
		return cb_err_errno(err, errno, "stat \"%s\"", path);
	r = find_base(d, name, &base_ent, &base_st, err);
	if (r < 0)
		return r;
	has_base = r == 0;

	if (cb_whiteout_is(&st))
		return has_base ? cb_diff_put_whiteout(d, name, err) : 0;
	if (S_ISSOCK(st.st_mode)) {
		d->stats.sockets++;
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return visit_dir(d, name, path, &st, has_base ? &base_ent : NULL, &base_st, err);

	r = has_base ? cb_diff_same(d, name, &st, &base_ent, &base_st, err) : 0;
	if (r < 0)
		return r;
	if (r == 0)
		return cb_diff_put(d, name, path, &st, err);
	return st.st_nlink > 1 ? cb_diff_put_later(d, path, &st, err) : 0;
}

/** The next name of the top directory, or a name that only its cut-off parents have; then up. */
static int step(struct cb_diff *d, struct cb_err **err)
{
	struct cb_diff_dir *top;
	const char *ours, *theirs;
	int r = unpark(d, err);

	if (r < 0)
		return r;
	top = cb_diff_top(d);
	ours = top->next < top->names.n ? top->names.v[top->next] : NULL;
	theirs = top->base_next < top->base_names.n ? top->base_names.ents[top->base_next].name : NULL;
	if (!ours && !theirs) {
		pop(d);
		return 0;
	}
	r = !theirs ? -1 : !ours ? 1 : strcmp(ours, theirs);
	if (r >= 0)
		top->base_next++;
	if (r > 0)
		return cb_diff_put_whiteout(d, theirs, err);
	top->next++;
	return visit(d, ours, err);
}

static int walk(struct cb_diff *d, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *base = NULL;
	cleanup_close int fd = openat(d->rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return cb_err_errno(err, errno, "open the snapshot");
	if (d->spec->parents)
		r = cb_tree_dir_open(d->spec->parents, "", &base, err);
	if (r < 0)
		return r;
	r = push(d, "", CB_TAKE_FD(fd), CB_TAKE_PTR(base), false, err);
	while (r == 0 && d->n_dirs > 0) {
		r = cb_cancel_check(d->spec->cancel, err);
		if (r == 0)
			r = step(d, err);
	}
	return r;
}

int cb_diff_tar(const struct cb_diff_spec *spec, struct cb_sink out, struct cb_diff_stats *stats, struct cb_err **err)
{
	struct cb_diff d = { .spec = spec };
	int r;

	assert(spec);
	assert(out.write);

	d.rootfd = spec->fs_fd;
	d.tar = cb_tarwriter_new(out);
	cb_tarwriter_watch(d.tar, spec->watch);
	d.buf = cb_xmalloc(CB_DIFF_BUF);
	d.stubs = cb_map_new(NULL);
	d.inodes = cb_map_new(cb_diff_inode_free);
	d.late_dirs = cb_map_new(NULL);
	for (size_t i = 0; i < spec->n_stubs; i++)
		cb_map_set(d.stubs, spec->stubs[i], NULL);

	r = walk(&d, err);
	if (r == 0)
		r = cb_tarwriter_finish(d.tar, err);
	d.stats.bytes = cb_tarwriter_bytes(d.tar);
	if (r == 0 && stats)
		*stats = d.stats;

	while (d.n_dirs > 0)
		pop(&d);
	free(d.dirs);
	free(d.buf);
	cb_map_free(d.stubs);
	cb_map_free(d.inodes);
	cb_map_free(d.late_dirs);
	cb_tarwriter_free(d.tar);
	return r;
}
