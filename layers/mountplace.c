#include "layers/mountplace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "layers/flavour.h"
#include "layers/whiteout.h"

/* A directory that is being filled; its metadata comes last. */
struct open_dir {
	int fd;
	char *path; /* below the target, "" for itself */
	struct cb_mount_entry meta;
	char *xattrs; /* what meta's point into */
};

/* A file that may get more names. */
struct named {
	uint64_t number;
	char *path;
};

struct placing {
	const struct cb_mountplace_spec *spec;
	struct cb_mountplace_stats stats;
	struct open_dir dirs[CB_MOUNT_DEPTH_MAX];
	size_t depth;
	struct named *named;
	size_t n_named, cap_named;
};

static void dir_done(struct open_dir *dir)
{
	cb_closep(&dir->fd);
	free(dir->path);
	free(dir->xattrs);
}

static void placing_free(struct placing *p)
{
	while (p->depth)
		dir_done(&p->dirs[--p->depth]);
	for (size_t i = 0; i < p->n_named; i++)
		free(p->named[i].path);
	free(p->named);
	free(p);
}
CB_DEFINE_CLEANUP(struct placing *, placing_free)

static char *path_of(const struct placing *p, const char *name)
{
	const char *dir = p->dirs[p->depth - 1].path;

	return *dir ? cb_xasprintf("%s/%s", dir, name) : cb_xstrdup(name);
}

static int failed(const char *what, const char *name, struct cb_err **err)
{
	int errnum = errno, r = cb_err_errno(err, errnum, "cache mount: %s of \"%s\"", what, name);

	return errnum == EINVAL && !strcmp(what, "owner")
		       ? cb_err_hint(err, r, "the id is not mapped here; give this user more subordinate ids")
		       : r;
}

/* ---- metadata ------------------------------------------------------------------------------------------------- */

static bool allowed(const struct cb_mount_xattr *x)
{
	cleanup_free char *name = cb_xstrndup(x->name, x->name_len);

	/* Owners are recorded by us, and marks of overlay mean nothing here. */
	return strcmp(name, CB_OWNER_XATTR) != 0 && !cb_overlay_xattr(name, CB_FLAVOUR_USER);
}

static int set_xattrs(const struct cb_mount_entry *e, int fd, struct cb_err **err)
{
	for (size_t i = 0; i < e->n_xattrs; i++) {
		cleanup_free char *name = cb_xstrndup(e->xattrs[i].name, e->xattrs[i].name_len);

		/* A file system without them, or without room for them, is no reason to do without the cache. */
		if (allowed(&e->xattrs[i]) && fsetxattr(fd, name, e->xattrs[i].value, e->xattrs[i].len, 0) < 0 &&
			errno != ENOTSUP && errno != ENOSPC && errno != E2BIG && errno != ERANGE)
			return failed("attribute", e->name, err);
	}
	return 0;
}

static void times_of(const struct cb_mount_entry *e, struct timespec ret[static 2])
{
	ret[0] = (struct timespec){ .tv_sec = e->used, .tv_nsec = e->used == e->mtime ? (long)e->mtime_ns : 0 };
	ret[1] = (struct timespec){ .tv_sec = e->mtime, .tv_nsec = (long)e->mtime_ns };
}

/* Of an open file or directory. In this order: a change of owner takes bits of the mode away. */
static int set_meta(const struct cb_mount_entry *e, int fd, mode_t modes, struct cb_err **err)
{
	struct timespec times[2];
	int r;

	times_of(e, times);
	if (cb_owner_fchown(fd, e->uid, e->gid) < 0)
		return failed("owner", e->name, err);
	r = set_xattrs(e, fd, err);
	if (r < 0)
		return r;
	if (fchmod(fd, e->mode & modes) < 0)
		return failed("mode", e->name, err);
	return futimens(fd, times) < 0 ? failed("time", e->name, err) : 0;
}

/* ---- entries -------------------------------------------------------------------------------------------------- */

static int enter(struct placing *p, const struct cb_mount_entry *e, struct cb_err **err)
{
	struct open_dir *dir = &p->dirs[p->depth];
	size_t len = 0, at = 0;

	*dir = (struct open_dir){ .fd = -EBADF, .meta = *e };
	if (!p->depth) {
		dir->fd = cb_fd_dup(p->spec->dirfd);
	} else {
		int parent = p->dirs[p->depth - 1].fd;

		if (mkdirat(parent, e->name, 0700) == 0)
			dir->fd = openat(parent, e->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (dir->fd < 0)
		return failed("make the directory", e->name, err);
	dir->path = p->depth ? path_of(p, e->name) : cb_xstrdup("");
	p->depth++;
	/* The entry is gone when the directory is left. */
	dir->meta.name = dir->path;
	for (size_t i = 0; i < e->n_xattrs; i++)
		len += e->xattrs[i].name_len + e->xattrs[i].len;
	dir->xattrs = cb_xmalloc(len + 1);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		memcpy(dir->xattrs + at, e->xattrs[i].name, e->xattrs[i].name_len);
		dir->meta.xattrs[i].name = dir->xattrs + at;
		at += e->xattrs[i].name_len;
		if (e->xattrs[i].len)
			memcpy(dir->xattrs + at, e->xattrs[i].value, e->xattrs[i].len);
		dir->meta.xattrs[i].value = dir->xattrs + at;
		at += e->xattrs[i].len;
	}
	return 0;
}

static int leave(struct placing *p, struct cb_err **err)
{
	struct open_dir *dir = &p->dirs[--p->depth];
	int r = set_meta(&dir->meta, dir->fd, 03777, err);

	dir_done(dir);
	return r;
}

static bool all_zero(const unsigned char *data, size_t len)
{
	return !data[0] && !memcmp(data, data + 1, len - 1);
}

static int write_content(struct placing *p, const struct cb_mount_entry *e, int fd, struct cb_err **err)
{
	uint64_t at = 0;

	for (size_t i = 0; i < e->n_chunks; i++) {
		const void *data = NULL;
		size_t len = 0;
		int r = cb_cancel_check(p->spec->cancel, err);

		if (r == 0)
			r = cb_packread_chunk(p->spec->packs, e->chunks + i * CB_DIGEST_SIZE, &data, &len, err);
		if (r < 0)
			return r;
		assert(data);
		if (len > e->size - at)
			return cb_err_set(
				err, CB_ERR_CORRUPT, "cache mount: \"%s\" is longer than it should be", e->name);
		/* Holes stay holes. */
		if (!all_zero(data, len) && (lseek(fd, (off_t)at, SEEK_SET) < 0 || cb_fd_write_all(fd, data, len) < 0))
			return failed("content", e->name, err);
		at += len;
	}
	if (e->kind == CB_MOUNT_SMALL) {
		if (cb_fd_write_all(fd, e->content, (size_t)e->size) < 0)
			return failed("content", e->name, err);
		return 0;
	}
	if (at != e->size)
		return cb_err_set(err, CB_ERR_CORRUPT, "cache mount: \"%s\" is shorter than it should be", e->name);
	return ftruncate(fd, (off_t)at) < 0 ? failed("length", e->name, err) : 0;
}

static int place_file(struct placing *p, const struct cb_mount_entry *e, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	int r;

	if (e->size > p->spec->max_bytes - p->stats.bytes) {
		cb_err_set(err, CB_ERR_LIMIT, "cache mount: it has more than %llu bytes",
			(unsigned long long)p->spec->max_bytes);
		return cb_err_hint(err, CB_ERR_LIMIT, "allow more with max-size=");
	}
	p->stats.bytes += e->size;
	p->stats.files++;
	fd = openat(p->dirs[p->depth - 1].fd, e->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed("make the file", e->name, err);
	r = write_content(p, e, fd, err);
	/* Whoever can write to a cache must not be able to leave programs behind that run as somebody else. */
	if (r == 0)
		r = set_meta(e, fd, 01777, err);
	if (r == 0 && e->linked) {
		CB_GROW(p->named, p->cap_named, p->n_named + 1);
		p->named[p->n_named++] = (struct named){ e->number, path_of(p, e->name) };
	}
	return r;
}

static int by_number(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int place_link(struct placing *p, const struct cb_mount_entry *e, struct cb_err **err)
{
	const struct named key = { .number = e->number };
	const struct named *file = p->n_named ? bsearch(&key, p->named, p->n_named, sizeof(key), by_number) : NULL;
	cleanup_free char *dir = file ? cb_path_dir(file->path) : NULL;
	cleanup_close int fd = -EBADF;

	if (!file)
		return cb_err_set(err, CB_ERR_CORRUPT, "cache mount: \"%s\" is a link to no file", e->name);
	fd = cb_path_open_beneath(p->spec->dirfd, dir, O_PATH | O_DIRECTORY, 0);
	if (fd < 0 || linkat(fd, cb_path_base(file->path), p->dirs[p->depth - 1].fd, e->name, 0) < 0)
		return failed("link", e->name, err);
	return 0;
}

/* What cannot be opened. The name was made a moment ago in a directory that nobody else writes. */
static int place_other(struct placing *p, const struct cb_mount_entry *e, struct cb_err **err)
{
	int parent = p->dirs[p->depth - 1].fd;
	bool link = e->kind == CB_MOUNT_SYMLINK;
	struct timespec times[2];

	times_of(e, times);
	if (link ? symlinkat(e->target, parent, e->name) < 0 : mkfifoat(parent, e->name, 0600) < 0)
		return failed(link ? "make the symbolic link" : "make the fifo", e->name, err);
	if (cb_owner_fchownat(parent, e->name, e->uid, e->gid) < 0)
		return failed("owner", e->name, err);
	if (!link && fchmodat(parent, e->name, e->mode & 0777, 0) < 0)
		return failed("mode", e->name, err);
	return utimensat(parent, e->name, times, AT_SYMLINK_NOFOLLOW) < 0 ? failed("time", e->name, err) : 0;
}

static int place(struct placing *p, const struct cb_mount_entry *e, struct cb_err **err)
{
	switch (e->kind) {
	case CB_MOUNT_DIR:
		return enter(p, e, err);
	case CB_MOUNT_UP:
		return leave(p, err);
	case CB_MOUNT_FILE:
	case CB_MOUNT_SMALL:
		return place_file(p, e, err);
	case CB_MOUNT_LINK:
		return place_link(p, e, err);
	default:
		return place_other(p, e, err);
	}
}

int cb_mountplace(const struct cb_mountplace_spec *spec, struct cb_mountlist *list, struct cb_mountplace_stats *ret,
	struct cb_err **err)
{
	CB_CLEANUP(placing_free) struct placing *p = cb_new0(struct placing);
	const struct cb_mount_entry *entry = NULL;
	int r;

	p->spec = spec;
	while ((r = cb_mountlist_next(list, &entry, err)) == 0) {
		r = cb_cancel_check(spec->cancel, err);
		if (r == 0)
			r = place(p, entry, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret = p->stats;
	return 0;
}
