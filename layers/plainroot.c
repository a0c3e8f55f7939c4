#include "layers/plainroot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/owner.h"
#include "base/path.h"
#include "layers/copytree.h"
#include "layers/dest.h"
#include "layers/dirnames.h"
#include "layers/whiteout.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* What tells whether an entry is still the same. */
struct mark {
	ino_t ino;
	off_t size;
	struct timespec ctime;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct cb_plainroot {
	struct cb_tree *tree;
	int dirfd;
	const struct cb_cancel *cancel;
	struct cb_map *marks;   /* path, "" for the root -> struct mark */
	struct cb_map *targets; /* mount targets that were made here */
};

/* A directory on the way down. */
struct level {
	struct level *up;
	const char *name, *path;
	int from, to; /* to: the same in the snapshot, -1 until something in it has changed */
	struct stat st;
	unsigned int depth;
};

static int fail(struct cb_err **err, const char *what, const char *path)
{
	return cb_err_errno(err, errno, "%s /%s", what, path);
}

static char *join(const char *dir, const char *name)
{
	return *dir ? cb_xasprintf("%s/%s", dir, name) : cb_xstrdup(name);
}

struct cb_plainroot *cb_plainroot_free(struct cb_plainroot *root)
{
	if (!root)
		return NULL;
	cb_map_free(root->marks);
	cb_map_free(root->targets);
	free(root);
	return NULL;
}

/* ---- copying -------------------------------------------------------------------------------------------------- */

static int copy_tree(
	struct cb_tree *tree, int dirfd, struct cb_pool *pool, const struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_sources struct cb_sources sources = { 0 };
	const struct cb_match_spec all = { .tree = tree, .literal = true };
	const struct cb_copy_spec spec = {
		.src = tree,
		.sources = &sources,
		.dest = "/",
		.upper = dirfd,
		/* In an overlay, what is written to one name of a file of a lower layer does not show in the others. */
		.unlink = true,
		.pool = pool,
		.cancel = cancel,
	};
	int r = cb_dest_init_root(tree, dirfd, err);

	if (r == 0)
		r = cb_sources_add(&sources, &all, "/", err);
	return r == 0 ? cb_copy_run(&spec, err) : r;
}

/* An empty directory or file where nothing is, without a trace in the times of its parent. */
static int add_target(int dirfd, const char *path, bool dir, struct cb_map *made, struct cb_err **err)
{
	cleanup_free char *parent = cb_path_dir(path);
	cleanup_close int there = cb_path_open_in_root(dirfd, path, O_PATH, 0);
	struct stat st;

	if (there >= 0 || errno != ENOENT)
		return 0;
	cleanup_close int up = cb_path_open_in_root(dirfd, parent, O_RDONLY | O_DIRECTORY, 0);
	if (up < 0 && errno == ENOENT) {
		int r = add_target(dirfd, parent, true, made, err);
		if (r < 0)
			return r;
		up = cb_path_open_in_root(dirfd, parent, O_RDONLY | O_DIRECTORY, 0);
	}
	if (up < 0 || fstat(up, &st) < 0)
		return fail(err, "open", parent);
	const char *name = cb_path_base(path);
	cleanup_close int file = dir ? -1 : openat(up, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	/* A dangling link is left to the container. */
	if ((dir ? mkdirat(up, name, 0755) : file) < 0 && errno != EEXIST)
		return fail(err, "create mount target", path);
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	cb_map_set(made, path + 1, NULL);
	return futimens(up, times) < 0 ? fail(err, "set times of", parent) : 0;
}

static int add_targets(int dirfd, struct cb_map *made, struct cb_err **err)
{
	static const struct {
		const char *path;
		bool dir;
	} targets[] = {
		{ "/proc", true },
		{ "/sys", true },
		{ "/dev", true },
		{ "/etc/hosts", false },
		{ "/etc/resolv.conf", false },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(targets); i++)
		r = add_target(dirfd, targets[i].path, targets[i].dir, made, err);
	return r;
}

int cb_plainroot_new(struct cb_tree *tree, int dirfd, bool targets, struct cb_pool *pool,
	const struct cb_cancel *cancel, struct cb_plainroot **ret, struct cb_err **err)
{
	int r = cb_tree_layers(tree) ? copy_tree(tree, dirfd, pool, cancel, err) : cb_dest_init_root(NULL, dirfd, err);

	CB_CLEANUP(cb_map_free) struct cb_map *made = cb_map_new(NULL);

	if (r == 0 && targets)
		r = add_targets(dirfd, made, err);
	if (r < 0)
		return cb_err_wrap(err, r, "copy the layers");
	*ret = cb_new0(struct cb_plainroot);
	**ret = (struct cb_plainroot){ .tree = tree, .dirfd = dirfd, .cancel = cancel, .targets = CB_TAKE_PTR(made) };
	return 0;
}

/* ---- marks ---------------------------------------------------------------------------------------------------- */

static struct mark mark_of(const struct stat *st)
{
	return (struct mark){ st->st_ino, st->st_size, st->st_ctim, st->st_mode, st->st_uid, st->st_gid };
}

static bool same_owner(const struct mark *mark, const struct stat *st)
{
	return mark->mode == st->st_mode && mark->uid == st->st_uid && mark->gid == st->st_gid;
}

static bool same_time(const struct mark *mark, const struct stat *st)
{
	return mark->ino == st->st_ino && mark->ctime.tv_sec == st->st_ctim.tv_sec &&
	       mark->ctime.tv_nsec == st->st_ctim.tv_nsec;
}

static void set_mark(struct cb_plainroot *root, const char *path, const struct stat *st)
{
	const struct mark mark = mark_of(st);

	cb_map_set(root->marks, path, cb_xmemdup(&mark, sizeof(mark)));
}

static int mark_dir(struct cb_plainroot *root, int fd, const char *path, unsigned int depth, struct cb_err **err)
{
	cleanup_dirnames struct cb_dirnames names = { 0 };
	int r = cb_dirnames_read(fd, path, &names, err);

	if (r == 0 && depth > CB_TREE_DEPTH_MAX)
		r = cb_err_set(err, CB_ERR_LIMIT, "more than %d directories below each other", CB_TREE_DEPTH_MAX);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		cleanup_free char *below = join(path, names.v[i]);
		struct stat st;

		if (cb_owner_fstatat(fd, names.v[i], &st) < 0)
			return fail(err, "stat", below);
		set_mark(root, below, &st);
		if (!S_ISDIR(st.st_mode))
			continue;
		cleanup_close int child = openat(fd, names.v[i], DIR_FLAGS);
		r = child < 0 ? fail(err, "open", below) : mark_dir(root, child, below, depth + 1, err);
	}
	return r;
}

int cb_plainroot_mark(struct cb_plainroot *root, struct cb_err **err)
{
	cleanup_close int fd = openat(root->dirfd, ".", DIR_FLAGS);
	struct stat st;

	cb_map_free(root->marks);
	root->marks = cb_map_new(free);
	if (fd < 0 || cb_owner_fstat(fd, &st) < 0)
		return fail(err, "open", "");
	set_mark(root, "", &st);
	return mark_dir(root, fd, "", 0, err);
}

int cb_plainroot_excuse(struct cb_plainroot *root, const char *path, struct cb_err **err)
{
	cleanup_free char *parent = cb_path_dir(path);
	cleanup_close int up = cb_path_open_beneath(root->dirfd, parent, DIR_FLAGS, 0);
	const struct mark *mark = cb_map_get(root->marks, path);
	struct stat st;

	/* What a step had made there before is a change, moved or not. */
	if (!mark)
		return 0;
	if (up < 0 || cb_owner_fstatat(up, cb_path_base(path), &st) < 0)
		return fail(err, "stat", path);
	if (st.st_ino == mark->ino)
		set_mark(root, path, &st);
	return 0;
}

/* ---- changes -------------------------------------------------------------------------------------------------- */

/* The directory in the snapshot, with those above it. */
static int open_upper(struct level *level, struct cb_err **err)
{
	int r;

	if (level->to >= 0)
		return 0;
	r = open_upper(level->up, err);
	if (r < 0)
		return r;
	if (mkdirat(level->up->to, level->name, 0700) < 0)
		return fail(err, "create", level->path);
	level->to = openat(level->up->to, level->name, DIR_FLAGS);
	if (level->to < 0)
		return fail(err, "open", level->path);
	return 0;
}

/* Owner, mode and time as they were found, before entries were moved away. */
static int finish_upper(const struct level *level, struct cb_err **err)
{
	const struct timespec times[2] = { level->st.st_atim, level->st.st_mtim };

	if (cb_owner_fchown(level->to, level->st.st_uid, level->st.st_gid) < 0 ||
		fchmod(level->to, level->st.st_mode & 07777) < 0 || futimens(level->to, times) < 0)
		return fail(err, "set owner, mode and time of", level->path);
	return 0;
}

static int by_string(const void *key, const void *item)
{
	return strcmp(key, *(const char *const *)item);
}

/* A whiteout for each name that the layers have and the directory has not any more. */
static int take_deletions(
	struct cb_plainroot *root, struct level *level, const struct cb_dirnames *names, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	cleanup_tree_list struct cb_tree_list list = { 0 };
	int r = cb_tree_dir_open(root->tree, level->path, &dir, err);

	if (r == 0)
		r = cb_tree_dir_list(dir, &list, err);
	for (size_t i = 0; r == 0 && i < list.n; i++) {
		if (names->n && bsearch(list.ents[i].name, names->v, names->n, sizeof(*names->v), by_string))
			continue;
		r = open_upper(level, err);
		if (r == 0)
			r = cb_whiteout_make(level->to, list.ents[i].name, err);
	}
	return CB_MIN(r, 0);
}

static int take_dir(struct cb_plainroot *root, struct level *level, const struct mark *mark, struct cb_err **err);

static int move_entry(struct level *level, const char *name, const char *path, struct cb_err **err)
{
	int r = open_upper(level, err);

	if (r == 0 && renameat(level->from, name, level->to, name) < 0)
		r = fail(err, "move", path);
	return r;
}

static int take_entry(struct cb_plainroot *root, struct level *level, const char *name, struct cb_err **err)
{
	cleanup_free char *path = join(level->path, name);
	struct level child = {
		.up = level, .name = name, .path = path, .from = -1, .to = -1, .depth = level->depth + 1
	};
	const struct mark *mark = cb_map_get(root->marks, path);
	int r;

	if (cb_owner_fstatat(level->from, name, &child.st) < 0)
		return fail(err, "stat", path);
	if (!S_ISDIR(child.st.st_mode)) {
		if (mark && same_time(mark, &child.st) && same_owner(mark, &child.st) && mark->size == child.st.st_size)
			return 0;
		/* A container may have written to it and put it back. */
		if (S_ISREG(child.st.st_mode) && !child.st.st_size && cb_map_has(root->targets, path))
			return 0;
		return move_entry(level, name, path, err);
	}
	if (!mark || !S_ISDIR(mark->mode))
		return move_entry(level, name, path, err);
	child.from = openat(level->from, name, DIR_FLAGS);
	if (child.from < 0)
		return fail(err, "open", path);
	r = take_dir(root, &child, mark, err);
	cb_closep(&child.from);
	cb_closep(&child.to);
	return r;
}

static int take_dir(struct cb_plainroot *root, struct level *level, const struct mark *mark, struct cb_err **err)
{
	cleanup_dirnames struct cb_dirnames names = { 0 };
	int r = cb_cancel_check(root->cancel, err);

	if (r == 0 && level->depth > CB_TREE_DEPTH_MAX)
		r = cb_err_set(err, CB_ERR_LIMIT, "more than %d directories below each other", CB_TREE_DEPTH_MAX);
	if (r == 0)
		r = cb_dirnames_read(level->from, level->path, &names, err);
	/* An unlink changes the directory's time. */
	if (r == 0 && !same_time(mark, &level->st))
		r = take_deletions(root, level, &names, err);
	if (r == 0 && !same_owner(mark, &level->st))
		r = open_upper(level, err);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = take_entry(root, level, names.v[i], err);
	return r == 0 && level->to >= 0 ? finish_upper(level, err) : r;
}

int cb_plainroot_take(struct cb_plainroot *root, int upper, struct cb_err **err)
{
	struct level top = { .name = ".", .path = "", .from = openat(root->dirfd, ".", DIR_FLAGS), .to = upper };
	const struct mark *mark = root->marks ? cb_map_get(root->marks, "") : NULL;
	int r;

	if (!mark)
		return cb_err_set(err, CB_ERR_INTERNAL, "the copy of the layers was not marked");
	if (top.from < 0 || cb_owner_fstat(top.from, &top.st) < 0)
		r = fail(err, "open", "");
	else
		r = take_dir(root, &top, mark, err);
	cb_closep(&top.from);
	return r < 0 ? cb_err_wrap(err, r, "take the changes of a step") : 0;
}
