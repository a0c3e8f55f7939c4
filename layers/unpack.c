#include "layers/unpack.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "base/strv.h"

void cb_unpack_init(struct cb_unpack *u)
{
	if (u->limits.max_entries == 0)
		u->limits.max_entries = CB_APPLY_ENTRIES_MAX;
	if (u->limits.max_bytes == 0)
		u->limits.max_bytes = CB_APPLY_BYTES_MAX;
	if (u->limits.max_file == 0)
		u->limits.max_file = CB_APPLY_BYTES_MAX;
	u->implied = cb_map_new(NULL);
}

void cb_unpack_done(struct cb_unpack *u)
{
	for (size_t i = 0; i < u->n_dir_times; i++)
		free(u->dir_times[i].path);
	free(u->dir_times);
	cb_map_free(u->implied);
}

void cb_unpack_implied(struct cb_unpack *u, const char *path)
{
	cb_map_set(u->implied, path, u);
}

static int refuse(struct cb_err **err, const struct cb_unpack_entry *e, const char *why)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "archive entry \"%s\": %s", e->path, why);
}

/* Names, numbers and links that cannot be are the archive's fault, not this machine's. */
static int failed(struct cb_err **err, const struct cb_unpack_entry *e, const char *what)
{
	bool theirs = errno == ENAMETOOLONG || errno == EINVAL || errno == ENOTDIR || errno == ELOOP;
	int r = cb_err_errno(err, errno, "unpack \"%s\": %s", e->path, what);

	return theirs ? cb_err_recode(err, CB_ERR_CORRUPT) : r;
}

/** Removes what is at the entry's name. 1 when something was there. */
static int clear(struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_err **err)
{
	int r;

	if (unlinkat(e->parent_fd, e->name, 0) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return failed(err, e, "replace");
	r = cb_path_remove_tree(e->parent_fd, e->name, err);
	u->dirs.forget(u->dirs.arg, e->path);
	return r < 0 ? cb_err_wrap(err, r, "unpack \"%s\"", e->path) : 1;
}

static int write_at(int fd, const char *data, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_content(
	struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_tarreader *reader, int fd, struct cb_err **err)
{
	uint64_t at = 0, end = 0;

	for (;;) {
		const void *data;
		ssize_t n = cb_tarreader_data(reader, &data, &at, err);
		int r;

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		if (write_at(fd, data, (size_t)n, at) < 0)
			return failed(err, e, "write");
		end = at + (uint64_t)n;
		r = cb_cancel_check(u->cancel, err);
		if (r < 0)
			return r;
	}
	/* A hole at the end. */
	if (end < e->item->size && ftruncate(fd, (off_t)e->item->size) < 0)
		return failed(err, e, "set size");
	return 0;
}

static int place_file(
	struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_tarreader *reader, struct cb_err **err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	cleanup_close int fd = -EBADF;
	int r;

	if (e->item->size > u->limits.max_file)
		return cb_err_set(err, CB_ERR_LIMIT, "archive entry \"%s\": %llu bytes exceed the limit", e->path,
			(unsigned long long)e->item->size);
	u->stats.bytes += e->item->size;
	if (u->stats.bytes > u->limits.max_bytes)
		return cb_err_set(err, CB_ERR_LIMIT, "archive: more than %llu bytes of files",
			(unsigned long long)u->limits.max_bytes);

	fd = openat(e->parent_fd, e->name, flags, 0600);
	if (fd < 0 && errno == EEXIST) {
		r = clear(u, e, err);
		if (r < 0)
			return r;
		fd = openat(e->parent_fd, e->name, flags, 0600);
	}
	if (fd < 0)
		return failed(err, e, "create");
	r = write_content(u, e, reader, fd, err);
	return r < 0 ? r : cb_unpack_set_meta(u, e, fd, false, err);
}

static void defer_time(struct cb_unpack *u, const char *path, struct timespec mtime)
{
	CB_GROW(u->dir_times, u->cap_dir_times, u->n_dir_times + 1);
	u->dir_times[u->n_dir_times++] = (struct cb_unpack_dir_time){ cb_xstrdup(path), mtime };
}

/** A directory entry merges with a directory that is there and replaces anything else. */
static int place_dir(struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_err **err)
{
	bool replaced = false, is_new = true;
	struct stat st;
	int fd = -1, r;

	if (mkdirat(e->parent_fd, e->name, 0700) < 0) {
		if (errno != EEXIST)
			return failed(err, e, "make directory");
		if (fstatat(e->parent_fd, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return failed(err, e, "stat");
		if (!S_ISDIR(st.st_mode)) {
			r = clear(u, e, err);
			if (r < 0)
				return r;
			if (mkdirat(e->parent_fd, e->name, 0700) < 0)
				return failed(err, e, "make directory");
			replaced = true;
		}
		is_new = replaced;
	}
	if (!u->layer && is_new)
		u->dirs.forget(u->dirs.arg, e->path);
	r = u->dirs.open(u->dirs.arg, e->path, false, &fd, err);
	if (r != 0)
		return r < 0 ? r : refuse(err, e, "directory vanished");
	/* What was replaced, a whiteout or a file, also hid what the layers below have there: it stays hidden. */
	if (replaced) {
		r = cb_opaque_set(fd, u->flavour, err);
		if (r < 0)
			return cb_err_wrap(err, r, "unpack \"%s\"", e->path);
	}
	cb_map_del(u->implied, e->path);
	defer_time(u, e->path, e->item->mtime);
	return cb_unpack_set_meta(u, e, fd, true, err);
}

static int place_symlink(struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_err **err)
{
	int r;

	if (e->item->link[0] == '\0')
		return refuse(err, e, "symbolic link without a target");
	if (symlinkat(e->item->link, e->parent_fd, e->name) < 0) {
		if (errno != EEXIST)
			return failed(err, e, "make symbolic link");
		r = clear(u, e, err);
		if (r < 0)
			return r;
		if (symlinkat(e->item->link, e->parent_fd, e->name) < 0)
			return failed(err, e, "make symbolic link");
	}
	return cb_unpack_set_meta_at(u, e, err);
}

/** The directory of path @clean as its own descriptor. */
static int open_link_dir(struct cb_unpack *u, const struct cb_unpack_entry *e, const char *clean, int *ret_fd,
	const char **ret_name, struct cb_err **err)
{
	const char *slash = strrchr(clean, '/');
	cleanup_free char *parent = cb_xstrndup(clean, slash ? (size_t)(slash - clean) : 0);
	int fd = -1, r;

	r = u->dirs.open(u->dirs.arg, parent, false, &fd, err);
	if (r < 0)
		return r;
	if (r == 1)
		return refuse(err, e, "hard link to something that is not in the archive");
	*ret_fd = cb_fd_dup(fd);
	if (*ret_fd < 0)
		return failed(err, e, "duplicate descriptor");
	*ret_name = slash ? slash + 1 : clean;
	return 0;
}

static int place_hardlink(struct cb_unpack *u, struct cb_unpack_entry *e, struct cb_err **err)
{
	const char *link = e->item->link + strspn(e->item->link, "/");
	cleanup_free char *target = NULL;
	cleanup_close int fd = -EBADF;
	const char *name = "";
	struct stat st;
	int r;

	r = cb_unpack_clean(link, &target, err);
	if (r < 0)
		return r;
	if (target[0] == '\0' || strcmp(target, e->path) == 0)
		return refuse(err, e, "hard link to itself or to the root");
	r = open_link_dir(u, e, target, &fd, &name, err);
	if (r < 0)
		return r;
	/* Opening another directory may have closed the one of the entry. */
	r = u->dirs.open(u->dirs.arg, e->parent, true, &e->parent_fd, err);
	if (r < 0)
		return r;

	if (cb_owner_fstatat(fd, name, &st) < 0)
		return errno == ENOENT ? refuse(err, e, "hard link to something that is not in the archive")
				       : failed(err, e, "stat hard link's target");
	if (S_ISDIR(st.st_mode) || cb_whiteout_is(&st))
		return refuse(err, e, "hard link to a directory or a deleted file");

	if (linkat(fd, name, e->parent_fd, e->name, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return failed(err, e, "make hard link");
	r = clear(u, e, err);
	if (r < 0)
		return r;
	if (linkat(fd, name, e->parent_fd, e->name, 0) < 0)
		return errno == ENOENT ? refuse(err, e, "hard link into what it replaces")
				       : failed(err, e, "make hard link");
	return 0;
}

static int place_node(struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_err **err)
{
	const struct cb_tar_item *item = e->item;
	bool device = item->type != CB_TAR_FIFO;
	mode_t kind = item->type == CB_TAR_CHAR ? S_IFCHR : item->type == CB_TAR_FIFO ? S_IFIFO : S_IFBLK;
	dev_t dev = device ? makedev(item->major, item->minor) : 0;
	int r;

	if (kind == S_IFCHR && dev == 0)
		return refuse(err, e, "character device 0:0, which is a whiteout on disk");
	r = clear(u, e, err);
	if (r < 0)
		return r;
	if (device && u->no_devices) {
		u->stats.skipped++;
		return 0;
	}
	if (cb_owner_mknodat(e->parent_fd, e->name, kind | 0600, dev) < 0) {
		/* No user namespace may make devices. */
		if (device && errno == EPERM) {
			u->stats.skipped++;
			return 0;
		}
		return failed(err, e, "make node");
	}
	return cb_unpack_set_meta_at(u, e, err);
}

static int place_root(struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_err **err)
{
	int fd = -1, r;

	if (e->item->type != CB_TAR_DIR)
		return refuse(err, e, "the root is no directory");
	/* An added archive goes into a directory that keeps its own mode. */
	if (!u->layer)
		return 0;
	r = u->dirs.open(u->dirs.arg, "", false, &fd, err);
	if (r < 0)
		return r;
	defer_time(u, "", e->item->mtime);
	return cb_unpack_set_meta(u, e, fd, true, err);
}

/** `.wh.NAME` and `.wh..wh..opq`; e->name begins with the prefix. */
static int place_whiteout(struct cb_unpack *u, struct cb_unpack_entry *e, struct cb_err **err)
{
	const char *hidden = e->name + strlen(CB_WHITEOUT_PREFIX);
	struct stat st;
	int fd = -1, r;

	if (strcmp(e->name, CB_WHITEOUT_OPAQUE) == 0) {
		if (e->parent[0] == '\0')
			return cb_err_set(err, CB_ERR_UNSUPPORTED, "layer hides everything below it (%s in the root)",
				CB_WHITEOUT_OPAQUE);
		r = cb_opaque_set(e->parent_fd, u->flavour, err);
		return r < 0 ? cb_err_wrap(err, r, "unpack \"%s\"", e->path) : 0;
	}
	if (hidden[0] == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return refuse(err, e, "whiteout of no file");

	/* It speaks of the layers below: what this layer has under that name stays, cut off from them. */
	if (fstatat(e->parent_fd, hidden, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return failed(err, e, "stat");
		r = cb_whiteout_make(e->parent_fd, hidden, err);
		return r < 0 ? cb_err_wrap(err, r, "unpack \"%s\"", e->path) : 0;
	}
	if (S_ISDIR(st.st_mode)) {
		cleanup_free char *path = cb_path_join(e->parent, hidden);

		r = u->dirs.open(u->dirs.arg, path, false, &fd, err);
		if (r == 0)
			r = cb_opaque_set(fd, u->flavour, err);
		return r;
	}
	return 0;
}

/** 1 for an entry that is no file of the image: metadata of aufs. */
static int check_whiteout_names(const struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_err **err)
{
	const size_t len = strlen(CB_WHITEOUT_PREFIX);

	for (const char *p = e->path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		bool opaque = strcspn(p, "/") == strlen(CB_WHITEOUT_OPAQUE) &&
			      strncmp(p, CB_WHITEOUT_OPAQUE, strlen(CB_WHITEOUT_OPAQUE)) == 0;

		if (strncmp(p, CB_WHITEOUT_PREFIX, len) != 0)
			continue;
		if (!u->layer)
			return refuse(err, e, "the name is reserved for deletions in layers");
		if (strncmp(p + len, CB_WHITEOUT_PREFIX, len) == 0 && !opaque)
			return 1;
		if (p != e->name)
			return refuse(err, e, "file below a whiteout");
	}
	return 0;
}

static int place(struct cb_unpack *u, struct cb_unpack_entry *e, struct cb_tarreader *reader, struct cb_err **err)
{
	int r;

	if (e->path[0] == '\0')
		return place_root(u, e, err);
	r = check_whiteout_names(u, e, err);
	if (r != 0)
		return CB_MIN(r, 0);
	r = u->dirs.open(u->dirs.arg, e->parent, true, &e->parent_fd, err);
	if (r < 0)
		return r;
	if (u->layer && cb_str_starts(e->name, CB_WHITEOUT_PREFIX))
		return place_whiteout(u, e, err);

	/*
	 * Below a layer's root only directories are opened, so only clear() can make them stale; elsewhere any new
	 * entry can hide what was reached through its name.
	 */
	if (!u->layer && e->item->type != CB_TAR_DIR)
		u->dirs.forget(u->dirs.arg, e->path);

	switch (e->item->type) {
	case CB_TAR_FILE:
		return place_file(u, e, reader, err);
	case CB_TAR_DIR:
		return place_dir(u, e, err);
	case CB_TAR_SYMLINK:
		return place_symlink(u, e, err);
	case CB_TAR_HARDLINK:
		return place_hardlink(u, e, err);
	case CB_TAR_CHAR:
	case CB_TAR_BLOCK_DEV:
	case CB_TAR_FIFO:
		return place_node(u, e, err);
	}
	return refuse(err, e, "unknown type");
}

static int place_item(
	struct cb_unpack *u, const struct cb_tar_item *item, struct cb_tarreader *reader, struct cb_err **err)
{
	cleanup_free char *path = NULL, *parent = NULL;
	struct cb_unpack_entry e = { .item = item, .parent_fd = -EBADF };
	const char *slash;
	int r;

	r = cb_unpack_clean(item->path, &path, err);
	if (r < 0)
		return r;
	slash = strrchr(path, '/');
	parent = cb_xstrndup(path, slash ? (size_t)(slash - path) : 0);
	e.path = path;
	e.parent = parent;
	e.name = slash ? slash + 1 : path;
	return place(u, &e, reader, err);
}

static int set_dir_time(struct cb_unpack *u, const char *path, struct timespec mtime, struct cb_err **err)
{
	const struct timespec times[2] = { mtime, mtime };
	const char *slash = strrchr(path, '/');
	cleanup_free char *parent = cb_xstrndup(path, slash ? (size_t)(slash - path) : 0);
	const char *name = slash ? slash + 1 : path;
	struct stat st;
	int fd = -1, r;

	r = u->dirs.open(u->dirs.arg, parent, false, &fd, err);
	if (r < 0)
		return r;
	if (r == 0 && path[0] == '\0')
		r = futimens(fd, times);
	/* It may have been replaced since, by an entry or a parent's entry. */
	else if (r == 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		r = utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW);
	else
		return 0;
	if (r < 0)
		return cb_err_errno(err, errno, "unpack \"%s\": set time", path);
	return u->dirs.timed ? u->dirs.timed(u->dirs.arg, path, times, err) : 0;
}

static int set_dir_times(struct cb_unpack *u, struct cb_err **err)
{
	const char *path;
	void *value;

	for (size_t i = 0; i < u->n_dir_times; i++) {
		int r = set_dir_time(u, u->dir_times[i].path, u->dir_times[i].mtime, err);

		if (r < 0)
			return r;
	}
	/* Nobody said when: the same time in each run. */
	for (size_t at = 0; u->layer && cb_map_next(u->implied, &at, &path, &value);) {
		int r = set_dir_time(u, path, (struct timespec){ 0 }, err);

		if (r < 0)
			return r;
	}
	u->stats.implied = cb_map_len(u->implied);
	return 0;
}

int cb_unpack_all(struct cb_unpack *u, struct cb_tarreader *reader, struct cb_err **err)
{
	const struct cb_tar_item *item;
	int r;

	for (;;) {
		r = cb_cancel_check(u->cancel, err);
		if (r >= 0)
			r = cb_tarreader_next(reader, &item, err);
		if (r < 0)
			return r;
		if (r == 1)
			break;
		if (++u->stats.entries > u->limits.max_entries)
			return cb_err_set(err, CB_ERR_LIMIT, "archive: more than %llu entries",
				(unsigned long long)u->limits.max_entries);
		r = place_item(u, item, reader, err);
		if (r < 0)
			return r;
	}
	return set_dir_times(u, err);
}
