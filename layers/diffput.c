/* Entries of a layer: parents first, hard links, deletions. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "base/strv.h"
#include "layers/diffwalk.h"

/** A file with several names. */
struct cb_diff_inode {
	char *source;        /* the name that was written first, or NULL */
	struct cb_strv late; /* unchanged names seen before it */
};

void cb_diff_inode_free(void *inode)
{
	struct cb_diff_inode *i = inode;

	free(i->source);
	cb_strv_done(&i->late);
	free(i);
}

static struct cb_diff_inode *inode_of(struct cb_diff *d, const struct stat *st)
{
	struct cb_diff_inode *inode;
	char key[48];

	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	inode = cb_map_get(d->inodes, key);
	if (!inode) {
		inode = cb_new0(struct cb_diff_inode);
		cb_map_set(d->inodes, key, inode);
	}
	return inode;
}

static int write_entry(struct cb_diff *d, struct cb_tar_entry *entry, struct cb_err **err)
{
	if (d->spec->level || (d->spec->clamp && entry->mtime > d->spec->epoch))
		entry->mtime = d->spec->epoch;
	d->stats.entries++;
	return cb_tarwriter_entry(d->tar, entry, err);
}

static int put_dir_entry(struct cb_diff *d, int fd, const char *path, struct cb_err **err)
{
	struct cb_tar_entry entry = { .path = path };
	struct cb_tarput_cap cap;
	struct stat st;
	int r;

	if (cb_owner_fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "stat \"%s\"", path);
	r = cb_tarput_cap_get(fd, &cap, err);
	if (r < 0)
		return r;
	cb_tarput_fill(&entry, &st);
	if (d->spec->clamp && st.st_mtim.tv_nsec == CB_DIFF_NSEC_CHANGED)
		entry.mtime = d->spec->epoch;
	entry.capability = cap.value;
	entry.capability_len = cap.len;
	return write_entry(d, &entry, err);
}

/** A directory's descriptor, opened for the moment when it is parked. */
static int open_dir(struct cb_diff *d, const char *path, struct cb_err **err)
{
	int fd = cb_path_open_beneath(d->rootfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd < 0)
		cb_err_errno(err, errno, "open directory \"%s\"", path);
	return fd;
}

static void *const EMITTED = (void *)1;

static void note_emitted(struct cb_diff *d, const char *path)
{
	if (cb_map_has(d->late_dirs, path))
		cb_map_set(d->late_dirs, path, EMITTED);
}

int cb_diff_put_dirs(struct cb_diff *d, struct cb_err **err)
{
	for (size_t i = 1; i < d->n_dirs; i++) {
		struct cb_diff_dir *dir = &d->dirs[i];
		cleanup_close int fd = -EBADF;
		int r;

		if (dir->emitted)
			continue;
		if (dir->fd < 0) {
			fd = open_dir(d, dir->path, err);
			if (fd < 0)
				return CB_ERR_IO;
		}
		r = put_dir_entry(d, dir->fd < 0 ? fd : dir->fd, dir->path, err);
		if (r < 0)
			return r;
		dir->emitted = true;
		note_emitted(d, dir->path);
	}
	return 0;
}

/** The directories that lead to @path, which the walk may have left. */
static int put_late_parents(struct cb_diff *d, const char *path, struct cb_err **err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		cleanup_free char *parent = cb_xstrndup(path, (size_t)(slash - path));
		cleanup_close int fd = -EBADF;
		int r;

		if (cb_map_get(d->late_dirs, parent) == EMITTED)
			continue;
		fd = open_dir(d, parent, err);
		if (fd < 0)
			return CB_ERR_IO;
		r = put_dir_entry(d, fd, parent, err);
		if (r < 0)
			return r;
		cb_map_set(d->late_dirs, parent, EMITTED);
		for (size_t i = 1; i < d->n_dirs; i++)
			if (strcmp(d->dirs[i].path, parent) == 0)
				d->dirs[i].emitted = true;
	}
	return 0;
}

int cb_diff_put_later(struct cb_diff *d, const char *path, const struct stat *st, struct cb_err **err)
{
	struct cb_diff_inode *inode = inode_of(d, st);
	struct cb_tar_entry entry = { .path = path };
	int r;

	if (inode->source) {
		r = cb_diff_put_dirs(d, err);
		if (r < 0)
			return r;
		cb_tarput_fill(&entry, st);
		entry.type = CB_TAR_HARDLINK;
		entry.size = 0;
		entry.link = inode->source;
		return write_entry(d, &entry, err);
	}
	cb_strv_add(&inode->late, path);
	for (size_t i = 1; i < d->n_dirs; i++)
		if (!cb_map_has(d->late_dirs, d->dirs[i].path))
			cb_map_set(d->late_dirs, d->dirs[i].path, d->dirs[i].emitted ? EMITTED : NULL);
	return 0;
}

/** Unchanged names of an inode that was just written. */
static int put_late_names(
	struct cb_diff *d, struct cb_diff_inode *inode, const struct cb_tar_entry *like, struct cb_err **err)
{
	for (size_t i = 0; i < inode->late.n; i++) {
		struct cb_tar_entry entry = *like;
		int r = put_late_parents(d, inode->late.v[i], err);

		if (r < 0)
			return r;
		entry.path = inode->late.v[i];
		entry.type = CB_TAR_HARDLINK;
		entry.size = 0;
		entry.link = inode->source;
		r = write_entry(d, &entry, err);
		if (r < 0)
			return r;
	}
	cb_strv_done(&inode->late);
	inode->late = (struct cb_strv){ 0 };
	return 0;
}

static int put_file(struct cb_diff *d, const char *name, const struct cb_tar_entry *entry, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	struct cb_tar_entry full = *entry;
	struct cb_tarput_cap cap;
	int r;

	fd = openat(cb_diff_top(d)->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return cb_err_errno(err, errno, "open \"%s\"", entry->path);
	r = cb_tarput_cap_get(fd, &cap, err);
	if (r < 0)
		return r;
	full.capability = cap.value;
	full.capability_len = cap.len;
	r = write_entry(d, &full, err);
	if (r == 0)
		r = cb_tarput_content(d->tar, fd, entry->size, entry->path, d->buf, CB_DIFF_BUF, d->spec->cancel, err);
	return r;
}

/** The entry itself, with its content. */
static int put_node(struct cb_diff *d, const char *name, const struct cb_tar_entry *entry, struct cb_err **err)
{
	struct cb_tar_entry full = *entry;
	cleanup_free char *target = NULL;

	if (entry->type == CB_TAR_FILE)
		return put_file(d, name, entry, err);
	if (entry->type == CB_TAR_SYMLINK) {
		target = cb_tarput_readlink(cb_diff_top(d)->fd, name, err);
		if (!target)
			return CB_ERR_IO;
		full.link = target;
	}
	return write_entry(d, &full, err);
}

int cb_diff_put(struct cb_diff *d, const char *name, const char *path, const struct stat *st, struct cb_err **err)
{
	struct cb_tar_entry entry = { .path = path };
	struct cb_diff_inode *inode = NULL;
	int r = cb_diff_put_dirs(d, err);

	if (r < 0)
		return r;
	assert(!S_ISDIR(st->st_mode));
	cb_tarput_fill(&entry, st);
	if (st->st_nlink > 1)
		inode = inode_of(d, st);
	if (inode && inode->source) {
		entry.type = CB_TAR_HARDLINK;
		entry.size = 0;
		entry.link = inode->source;
		return write_entry(d, &entry, err);
	}
	r = put_node(d, name, &entry, err);
	if (r < 0 || !inode)
		return r;
	inode->source = cb_xstrdup(path);
	return put_late_names(d, inode, &entry, err);
}

int cb_diff_put_whiteout(struct cb_diff *d, const char *name, struct cb_err **err)
{
	const char *dir = cb_diff_top(d)->path;
	cleanup_free char *path = cb_xasprintf("%s%s" CB_WHITEOUT_PREFIX "%s", dir, *dir ? "/" : "", name);
	struct cb_tar_entry entry = { .path = path, .type = CB_TAR_FILE };
	int r = cb_diff_put_dirs(d, err);

	if (r < 0)
		return r;
	d->stats.entries++;
	return cb_tarwriter_entry(d->tar, &entry, err);
}
