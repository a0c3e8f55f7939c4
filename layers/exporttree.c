/* Merged file systems as they are: to a tar stream and to a directory of this machine. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "layers/diff.h"
#include "layers/tarput.h"
#include "layers/tree.h"

#define BUF_SIZE ((size_t)256 << 10)

/** What both exports carry along. */
struct export
{
	struct cb_tree *tree;
	const int64_t *epoch; /* time of everything, or NULL */
	const struct cb_cancel *cancel;
	struct cb_map *inodes; /* "DEV:INO" -> first path, for those with several names */
	char *buf;

	struct cb_tarwriter *tar; /* borrowed */
	const char *below;        /* directory in the tar, or NULL */

	int rootfd; /* of the target directory */
	char *dir;  /* path of dirfd, NULL: none is open */
	int dirfd;
	struct dir_meta {
		char *path;
		mode_t mode;
		struct timespec mtime;
	} * dirs;
	size_t n_dirs, cap_dirs;
};

static void export_init(struct export *x, struct cb_tree *tree, const int64_t *epoch, const struct cb_cancel *cancel)
{
	*x = (struct export){ .tree = tree, .epoch = epoch, .cancel = cancel, .rootfd = -EBADF, .dirfd = -EBADF };
	x->inodes = cb_map_new(free);
	x->buf = cb_xmalloc(BUF_SIZE);
}

static void export_done(struct export *x)
{
	cb_map_free(x->inodes);
	free(x->buf);
	free(x->dir);
	cb_closep(&x->dirfd);
	for (size_t i = 0; i < x->n_dirs; i++)
		free(x->dirs[i].path);
	free(x->dirs);
}
#define cleanup_export __attribute__((cleanup(export_done)))

/** The path that this inode was written under before, or NULL; then it is @path from now on. */
static const char *earlier_name(struct export *x, const struct stat *st, const char *path)
{
	const char *first;
	char key[48];

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return NULL;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	first = cb_map_get(x->inodes, key);
	if (!first)
		cb_map_set(x->inodes, key, cb_xstrdup(path));
	return first;
}

static struct timespec time_of(const struct export *x, const struct stat *st)
{
	return x->epoch ? (struct timespec){ *x->epoch, 0 } : st->st_mtim;
}

static int vanished(struct cb_err **err, const char *path)
{
	return cb_err_set(err, CB_ERR_IO, "\"%s\" vanished while it was exported", path);
}

/* What both forms begin with. */
static int stat_entry(const struct export *x, const char *path, struct cb_tree_dir *dir, const struct cb_tree_ent *ent,
	struct stat *ret, struct cb_err **err)
{
	int r = cb_cancel_check(x->cancel, err);

	if (r == 0)
		r = cb_tree_at_stat(dir, ent, ret, err);
	return r > 0 ? vanished(err, path) : r;
}

/* --- tar --- */

static int tar_file(struct export *x, const struct cb_tar_entry *entry, struct cb_tree_dir *dir,
	const struct cb_tree_ent *ent, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	struct cb_tar_entry full = *entry;
	struct cb_tarput_cap cap;
	int r = cb_tree_at_open(dir, ent, &fd, NULL, err);

	if (r != 0)
		return r < 0 ? r : vanished(err, entry->path);
	r = cb_tarput_cap_get(fd, &cap, err);
	if (r < 0)
		return r;
	full.capability = cap.value;
	full.capability_len = cap.len;
	r = cb_tarwriter_entry(x->tar, &full, err);
	return r < 0 ? r : cb_tarput_content(x->tar, fd, entry->size, entry->path, x->buf, BUF_SIZE, x->cancel, err);
}

static int tar_entry(
	void *userdata, const char *inner, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct cb_err **err)
{
	struct export *x = userdata;
	cleanup_free char *outer = x->below ? cb_xasprintf("%s/%s", x->below, inner) : NULL, *target = NULL;
	const char *path = outer ? outer : inner;
	struct cb_tar_entry entry = { .path = path };
	const char *first;
	struct stat st;
	int r = stat_entry(x, path, dir, ent, &st, err);

	if (r < 0)
		return r;
	if (S_ISSOCK(st.st_mode))
		return 0;
	cb_tarput_fill(&entry, &st);
	entry.mtime = time_of(x, &st).tv_sec;
	first = earlier_name(x, &st, path);
	if (first) {
		entry.type = CB_TAR_HARDLINK;
		entry.size = 0;
		entry.link = first;
		return cb_tarwriter_entry(x->tar, &entry, err);
	}
	if (entry.type == CB_TAR_FILE)
		return tar_file(x, &entry, dir, ent, err);
	if (entry.type == CB_TAR_SYMLINK) {
		r = cb_tree_at_readlink(dir, ent, &target, err);
		if (r != 0)
			return r < 0 ? r : vanished(err, path);
		entry.link = target;
	}
	return cb_tarwriter_entry(x->tar, &entry, err);
}

int cb_export_tar_below(struct cb_tree *tree, const char *below, const int64_t *epoch, struct cb_tarwriter *tar,
	const struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_export struct export x;
	int r = 0;

	assert(tree);
	assert(tar);

	export_init(&x, tree, epoch, cancel);
	x.tar = tar;
	x.below = below;
	if (below)
		r = cb_tarwriter_dir(tar, below, epoch ? *epoch : 0, err);
	return r < 0 ? r : cb_tree_walk(tree, "", tar_entry, &x, err);
}

int cb_export_tar(struct cb_tree *tree, const int64_t *epoch, struct cb_sink out, const struct cb_cancel *cancel,
	struct cb_err **err)
{
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *tar = NULL;
	int r;

	assert(out.write);
	tar = cb_tarwriter_new(out);
	r = cb_export_tar_below(tree, NULL, epoch, tar, cancel, err);
	return r < 0 ? r : cb_tarwriter_finish(tar, err);
}

/* --- directory --- */

static int local_failed(struct cb_err **err, const char *path, const char *what)
{
	return cb_err_errno(err, errno, "export \"%s\": %s", path, what);
}

/** The target directory that holds @path, in x->dirfd; *ret_name is its last component. */
static int local_dir(struct export *x, const char *path, const char **ret_name, struct cb_err **err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	*ret_name = slash ? slash + 1 : path;
	if (x->dir && strlen(x->dir) == len && memcmp(x->dir, path, len) == 0)
		return 0;
	cb_closep(&x->dirfd);
	free(x->dir);
	x->dir = cb_xstrndup(path, len);
	/* Whatever was there as a symlink has been replaced by a directory on the way down. */
	x->dirfd = cb_path_open_beneath(x->rootfd, len > 0 ? x->dir : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (x->dirfd < 0) {
		int code = local_failed(err, path, "open its directory");

		free(CB_TAKE_PTR(x->dir));
		return code;
	}
	return 0;
}

static int local_remove(struct export *x, const char *name, const char *path, struct cb_err **err)
{
	int r;

	if (unlinkat(x->dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return local_failed(err, path, "replace");
	r = cb_path_remove_tree(x->dirfd, name, err);
	return r < 0 ? cb_err_wrap(err, r, "export \"%s\"", path) : 0;
}

static int local_mkdir(struct export *x, const char *name, const char *path, const struct stat *st, struct cb_err **err)
{
	struct stat have;
	int r;

	if (fstatat(x->dirfd, name, &have, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(have.st_mode)) {
		r = local_remove(x, name, path, err);
		if (r < 0)
			return r;
		if (mkdirat(x->dirfd, name, 0700) < 0)
			return local_failed(err, path, "make directory");
	}
	/* The image's mode may keep even us out: at the end. */
	CB_GROW(x->dirs, x->cap_dirs, x->n_dirs + 1);
	x->dirs[x->n_dirs++] = (struct dir_meta){ cb_xstrdup(path), st->st_mode & 07777, time_of(x, st) };
	return 0;
}

static int local_link(struct export *x, const char *name, const char *path, const char *first, struct cb_err **err)
{
	int r = local_remove(x, name, path, err);

	if (r < 0)
		return r;
	if (linkat(x->rootfd, first, x->dirfd, name, 0) < 0)
		return local_failed(err, path, "make hard link");
	return 0;
}

static int local_symlink(struct export *x, const char *name, const char *path, struct cb_tree_dir *dir,
	const struct cb_tree_ent *ent, const struct timespec times[2], struct cb_err **err)
{
	cleanup_free char *target = NULL;
	int r = cb_tree_at_readlink(dir, ent, &target, err);

	if (r != 0)
		return r < 0 ? r : vanished(err, path);
	r = local_remove(x, name, path, err);
	if (r < 0)
		return r;
	if (symlinkat(target, x->dirfd, name) < 0)
		return local_failed(err, path, "make symbolic link");
	if (utimensat(x->dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return local_failed(err, path, "set time");
	return 0;
}

static int local_file(struct export *x, const char *name, const char *path, struct cb_tree_dir *dir,
	const struct cb_tree_ent *ent, const struct timespec times[2], struct cb_err **err)
{
	cleanup_close int src = -EBADF, fd = -EBADF;
	struct stat st;
	int r = cb_tree_at_open(dir, ent, &src, &st, err);

	if (r != 0)
		return r < 0 ? r : vanished(err, path);
	r = local_remove(x, name, path, err);
	if (r < 0)
		return r;
	fd = openat(x->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return local_failed(err, path, "create");
	r = cb_fd_copy(src, fd, NULL, err);
	if (r < 0)
		return cb_err_wrap(err, r, "export \"%s\"", path);
	if (fchmod(fd, st.st_mode & 07777) < 0)
		return local_failed(err, path, "set mode");
	if (futimens(fd, times) < 0)
		return local_failed(err, path, "set time");
	return 0;
}

static int local_entry(
	void *userdata, const char *path, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct cb_err **err)
{
	struct export *x = userdata;
	struct timespec times[2];
	const char *name, *first;
	struct stat st;
	int r = stat_entry(x, path, dir, ent, &st, err);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		return 0;
	r = local_dir(x, path, &name, err);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return local_mkdir(x, name, path, &st, err);
	first = earlier_name(x, &st, path);
	if (first)
		return local_link(x, name, path, first, err);
	times[0] = times[1] = time_of(x, &st);
	if (S_ISLNK(st.st_mode))
		return local_symlink(x, name, path, dir, ent, times, err);
	return local_file(x, name, path, dir, ent, times, err);
}

/** Modes and times of directories, the deepest first: a parent's mode may close the way. */
static int local_finish(struct export *x, struct cb_err **err)
{
	for (size_t i = x->n_dirs; i > 0; i--) {
		const struct dir_meta *dir = &x->dirs[i - 1];
		const struct timespec times[2] = { dir->mtime, dir->mtime };
		cleanup_close int fd =
			cb_path_open_beneath(x->rootfd, dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

		if (fd < 0)
			return local_failed(err, dir->path, "open");
		if (futimens(fd, times) < 0)
			return local_failed(err, dir->path, "set time");
		if (fchmod(fd, dir->mode) < 0)
			return local_failed(err, dir->path, "set mode");
	}
	return 0;
}

int cb_export_local(
	struct cb_tree *tree, const int64_t *epoch, int dirfd, const struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_export struct export x;
	int r;

	assert(tree);

	export_init(&x, tree, epoch, cancel);
	x.rootfd = dirfd;
	r = cb_tree_walk(tree, "", local_entry, &x, err);
	return r < 0 ? r : local_finish(&x, err);
}
