/* Layers into the table: from tars, and from directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "layers/digest.h"
#include "layers/filetable_inner.h"
#include "layers/tarread.h"
#include "layers/whiteout.h"

#define BLOCK ((size_t)256 << 10)
#define DEPTH_MAX 2000

/* ---- attributes ----------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct cb_filetable_attr *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void cb_filetable_xattrs(struct cb_filetable_attr *attrs, size_t n, struct cb_buf *ret)
{
	if (n)
		qsort(attrs, n, sizeof(*attrs), by_name);
	for (size_t i = 0; i < n; i++) {
		uint32_t len = (uint32_t)attrs[i].len;

		cb_buf_add(ret, attrs[i].name, strlen(attrs[i].name) + 1);
		cb_buf_add(ret, &len, sizeof(len));
		cb_buf_add(ret, attrs[i].value, len);
	}
}

bool cb_filetable_xattr(
	const struct cb_filetable_entry *entry, size_t *at, const char **ret_name, const void **ret, size_t *ret_len)
{
	const char *data = entry->xattrs;
	uint32_t len;

	if (*at >= entry->xattrs_len)
		return false;
	*ret_name = data + *at;
	*at += strlen(*ret_name) + 1;
	memcpy(&len, data + *at, sizeof(len));
	*at += sizeof(len);
	*ret = data + *at;
	*ret_len = len;
	*at += len;
	return true;
}

/* ---- tars ----------------------------------------------------------------------------------------------------- */

struct adding {
	struct cb_filetable *table;
	const struct cb_cancel *cancel;
	struct cb_filetable_sums sums;
	struct cb_buf key, target, xattrs;
};

static void adding_done(struct adding *in)
{
	cb_buf_done(&in->key);
	cb_buf_done(&in->target);
	cb_buf_done(&in->xattrs);
}

static char type_of(enum cb_tar_type type)
{
	switch (type) {
	case CB_TAR_DIR:
		return 'd';
	case CB_TAR_SYMLINK:
		return 'l';
	case CB_TAR_CHAR:
		return 'c';
	case CB_TAR_BLOCK_DEV:
		return 'b';
	case CB_TAR_FIFO:
		return 'p';
	case CB_TAR_FILE:
	case CB_TAR_HARDLINK:
		break;
	}
	return '-';
}

/* Holes are hashed as the zeros that they are. */
static void hash_zeros(struct cb_hasher *hasher, uint64_t n)
{
	static const char zeros[4096];

	for (; n > 0; n -= CB_MIN(n, sizeof(zeros)))
		cb_hasher_add(hasher, zeros, (size_t)CB_MIN(n, sizeof(zeros)));
}

/* A file's piece into the spool; holes stay holes. */
static int spool(struct cb_filetable *table, const char *data, size_t len, uint64_t at, struct cb_err **err)
{
	at += table->spooled;
	while (len) {
		ssize_t n = pwrite(table->spool, data, len, (off_t)at);

		if (n < 0 && errno != EINTR)
			return cb_err_errno(err, errno, "keep the content of files");
		data += CB_MAX(n, 0);
		len -= (size_t)CB_MAX(n, 0);
		at += (uint64_t)CB_MAX(n, 0);
	}
	return 0;
}

static int hash_tar_file(struct adding *in, struct cb_tarreader *tar, uint64_t size, uint8_t ret[static CB_DIGEST_SIZE],
	struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	const void *piece;
	uint64_t at, done = 0;
	ssize_t n;

	while ((n = cb_tarreader_data(tar, &piece, &at, err)) > 0) {
		int r = cb_cancel_check(in->cancel, err);

		if (r < 0)
			return r;
		if (in->table->spool >= 0)
			r = spool(in->table, piece, (size_t)n, at, err);
		if (r < 0)
			return r;
		hash_zeros(hasher, at - done);
		cb_hasher_add(hasher, piece, (size_t)n);
		done = at + (uint64_t)n;
	}
	if (n < 0)
		return (int)n;
	hash_zeros(hasher, size > done ? size - done : 0);
	cb_hasher_finish_bytes(hasher, ret);
	return 0;
}

/* ".wh.name" and the mark of an opaque directory; 1 when it was one. */
static int take_whiteout(struct adding *in, const char *path, struct cb_err **err)
{
	const char *base = cb_path_base(path);
	cleanup_free char *dir = NULL, *gone = NULL;
	int r;

	if (!cb_str_starts(base, CB_WHITEOUT_PREFIX))
		return 0;
	in->sums.whiteouts++;
	dir = cb_path_dir(path);
	if (!strcmp(base, CB_WHITEOUT_OPAQUE)) {
		cb_filetable_key(dir, &in->key);
		r = cb_filetable_remove(in->table, &in->key, true, true, err);
		return r < 0 ? r : 1;
	}
	gone = cb_path_join(dir, base + strlen(CB_WHITEOUT_PREFIX));
	cb_filetable_key(gone, &in->key);
	r = cb_filetable_remove(in->table, &in->key, false, true, err);
	return r < 0 ? r : 1;
}

static void take_xattrs(struct adding *in, const struct cb_tar_item *item)
{
	struct cb_filetable_attr attrs[CB_TAR_XATTRS_MAX];

	cb_buf_clear(&in->xattrs);
	for (size_t i = 0; i < item->n_xattrs; i++)
		attrs[i] =
			(struct cb_filetable_attr){ item->xattrs[i].name, item->xattrs[i].value, item->xattrs[i].len };
	cb_filetable_xattrs(attrs, item->n_xattrs, &in->xattrs);
}

static int take_item(struct adding *in, struct cb_tarreader *tar, const struct cb_tar_item *item, struct cb_err **err)
{
	cleanup_free char *path = cb_path_abs(item->path);
	uint8_t content[CB_DIGEST_SIZE];
	struct cb_filetable_row row = {
		.entry = { .type = type_of(item->type),
			.mode = item->mode,
			.uid = item->uid,
			.gid = item->gid,
			.mtime = item->mtime,
			.link = item->type == CB_TAR_SYMLINK ? item->link : "",
			.major = item->major,
			.minor = item->minor },
	};
	int r = take_whiteout(in, path, err);

	if (r != 0)
		return CB_MIN(r, 0);
	in->sums.entries++;
	if (item->type == CB_TAR_HARDLINK) {
		cleanup_free char *target = cb_path_abs(item->link);

		cb_filetable_key(path, &in->key);
		cb_filetable_key(target, &in->target);
		return cb_filetable_link(in->table, &in->key, &in->target, err);
	}
	take_xattrs(in, item);
	row.entry.xattrs = in->xattrs.data;
	row.entry.xattrs_len = in->xattrs.len;
	if (item->type == CB_TAR_FILE) {
		in->sums.files++;
		in->sums.bytes += item->size;
		row.entry.size = item->size;
		row.entry.content = content;
		row.entry.spot = in->table->spool >= 0 ? (int64_t)in->table->spooled : -1;
		r = hash_tar_file(in, tar, item->size, content, err);
		in->table->spooled += in->table->spool >= 0 ? item->size : 0;
	}
	cb_filetable_key(path, &in->key);
	return r < 0 ? r : cb_filetable_put(in->table, &in->key, &row, err);
}

int cb_filetable_add_tar(struct cb_filetable *table, struct cb_source source, const struct cb_cancel *cancel,
	struct cb_filetable_sums *ret, struct cb_err **err)
{
	__attribute__((cleanup(adding_done))) struct adding in = { .table = table, .cancel = cancel };
	CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *tar = cb_tarreader_new(source);
	const struct cb_tar_item *item;
	int r = cb_filetable_begin(table, err);

	while (r == 0) {
		r = cb_tarreader_next(tar, &item, err);
		if (r != 0)
			break;
		r = take_item(&in, tar, item, err);
		if (r < 0)
			r = cb_err_wrap(err, r, "%s", item->path);
	}
	if (r > 0)
		r = cb_tarreader_drain(tar, err);
	if (r == 0)
		r = cb_filetable_end(table, err);
	if (r == 0)
		*ret = in.sums;
	return r;
}

/* ---- directories ---------------------------------------------------------------------------------------------- */

struct walking {
	struct adding in;
	struct cb_map *seen; /* "device:inode" of files with several names -> path */
	struct cb_buf path;
	struct cb_buf names, value; /* of attributes */
	struct cb_buf link;
	char *block;
};

/* What a layer would not carry: labels of this machine, and marks of an overlay. */
static bool foreign_xattr(const char *name)
{
	return !strcmp(name, "security.selinux") || cb_str_starts(name, "system.") ||
	       cb_str_starts(name, "trusted.overlay.") || cb_str_starts(name, "user.overlay.");
}

/* Those of the file @fd. */
static int read_xattrs(struct walking *w, int fd, struct cb_err **err)
{
	struct cb_filetable_attr attrs[CB_TAR_XATTRS_MAX];
	size_t offsets[CB_TAR_XATTRS_MAX], n = 0;
	ssize_t len = flistxattr(fd, NULL, 0);

	cb_buf_clear(&w->in.xattrs);
	if (len <= 0)
		return len == 0 || errno == ENOTSUP ? 0 : cb_err_errno(err, errno, "list attributes");
	cb_buf_clear(&w->names);
	cb_buf_clear(&w->value);
	cb_buf_reserve(&w->names, (size_t)len);
	len = flistxattr(fd, w->names.data, (size_t)len);
	if (len < 0)
		return cb_err_errno(err, errno, "list attributes");
	for (const char *name = w->names.data; name < w->names.data + len; name += strlen(name) + 1) {
		ssize_t got;

		if (foreign_xattr(name))
			continue;
		if (n == CB_TAR_XATTRS_MAX)
			return cb_err_set(err, CB_ERR_LIMIT, "more than %d extended attributes", CB_TAR_XATTRS_MAX);
		cb_buf_reserve(&w->value, CB_TAR_XATTR_MAX);
		got = fgetxattr(fd, name, w->value.data + w->value.len, CB_TAR_XATTR_MAX);
		if (got < 0)
			return cb_err_errno(err, errno, "attribute %s", name);
		offsets[n] = w->value.len;
		attrs[n++] = (struct cb_filetable_attr){ name, NULL, (size_t)got };
		w->value.len += (size_t)got;
	}
	for (size_t i = 0; i < n; i++)
		attrs[i].value = w->value.data + offsets[i];
	cb_filetable_xattrs(attrs, n, &w->in.xattrs);
	return 0;
}

static int hash_file(
	struct walking *w, int fd, uint64_t *ret_size, uint8_t ret[static CB_DIGEST_SIZE], struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	uint64_t size = 0;
	ssize_t n;

	while ((n = cb_fd_read_full(fd, w->block, BLOCK)) > 0) {
		int r = cb_cancel_check(w->in.cancel, err);

		if (r < 0)
			return r;
		cb_hasher_add(hasher, w->block, (size_t)n);
		size += (uint64_t)n;
	}
	if (n < 0)
		return cb_err_errno(err, errno, "read");
	cb_hasher_finish_bytes(hasher, ret);
	*ret_size = size;
	return 0;
}

static char type_of_mode(mode_t mode)
{
	return S_ISDIR(mode)    ? 'd'
	       : S_ISLNK(mode)  ? 'l'
	       : S_ISCHR(mode)  ? 'c'
	       : S_ISBLK(mode)  ? 'b'
	       : S_ISFIFO(mode) ? 'p'
				: '-';
}

static int read_target(struct walking *w, int dirfd, const char *name, struct cb_err **err)
{
	char target[CB_TAR_PATH_MAX + 1];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0)
		return cb_err_errno(err, errno, "symbolic link");
	cb_buf_clear(&w->link);
	cb_buf_add(&w->link, target, (size_t)n);
	return 0;
}

/* 1 when it is another name of a file that was seen. */
static int take_name(struct walking *w, const struct stat *st, struct cb_err **err)
{
	cleanup_free char *id = NULL;
	const char *first;
	int r;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	id = cb_xasprintf("%ju:%ju", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
	first = cb_map_get(w->seen, id);
	if (!first) {
		cb_map_set(w->seen, id, cb_xstrdup(cb_buf_str(&w->path)));
		return 0;
	}
	cb_filetable_key(first, &w->in.target);
	r = cb_filetable_link(w->in.table, &w->in.key, &w->in.target, err);
	return r < 0 ? r : 1;
}

static int take_directory(struct walking *w, int fd, int depth, struct cb_err **err);

static int take_file(struct walking *w, int dirfd, const char *name, int depth, struct cb_err **err)
{
	struct cb_filetable_row row = { .entry = { .link = "" } };
	struct cb_filetable_entry *e = &row.entry;
	uint8_t content[CB_DIGEST_SIZE];
	cleanup_close int fd = -EBADF;
	struct stat st;
	int r = 0;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return cb_err_errno(err, errno, "stat");
	if (S_ISSOCK(st.st_mode))
		return 0;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
		fd = openat(dirfd, *name ? name : ".", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		if (fd < 0 || fstat(fd, &st) < 0)
			return cb_err_errno(err, errno, "open");
	}
	w->in.sums.entries++;
	cb_filetable_key(cb_buf_str(&w->path), &w->in.key);
	r = take_name(w, &st, err);
	if (r != 0)
		return CB_MIN(r, 0);
	*e = (struct cb_filetable_entry){ .type = type_of_mode(st.st_mode),
		.mode = st.st_mode & 07777,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.mtime = st.st_mtim,
		.link = "" };
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
		e->major = major(st.st_rdev);
		e->minor = minor(st.st_rdev);
	}
	cb_buf_clear(&w->in.xattrs);
	if (fd >= 0)
		r = read_xattrs(w, fd, err);
	if (r == 0 && e->type == 'l') {
		r = read_target(w, dirfd, name, err);
		e->link = cb_buf_str(&w->link);
	}
	if (r == 0 && e->type == '-') {
		r = hash_file(w, fd, &e->size, content, err);
		e->content = content;
		w->in.sums.files++;
		w->in.sums.bytes += e->size;
	}
	e->xattrs = w->in.xattrs.data;
	e->xattrs_len = w->in.xattrs.len;
	if (r == 0)
		r = cb_filetable_put(w->in.table, &w->in.key, &row, err);
	return r == 0 && e->type == 'd' ? take_directory(w, fd, depth, err) : r;
}

static int take_directory(struct walking *w, int fd, int depth, struct cb_err **err)
{
	size_t len = w->path.len;
	const struct dirent *entry;
	DIR *dir;
	int own = cb_fd_dup(fd), r = 0;

	if (depth > DEPTH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "directories are nested deeper than %d", DEPTH_MAX);
	dir = own < 0 ? NULL : fdopendir(own);
	if (!dir) {
		r = cb_err_errno(err, errno, "open directory");
		cb_closep(&own);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		cb_buf_addf(&w->path, "/%s", entry->d_name);
		r = take_file(w, fd, entry->d_name, depth + 1, err);
		if (r < 0 && r != CB_ERR_CANCELED && depth == 0)
			r = cb_err_wrap(err, r, "%s", cb_buf_str(&w->path));
		if (r == 0)
			cb_buf_truncate(&w->path, len);
	}
	if (r == 0 && errno)
		r = cb_err_errno(err, errno, "read directory");
	closedir(dir);
	return r;
}

int cb_filetable_add_dir(struct cb_filetable *table, int dirfd, const struct cb_cancel *cancel,
	struct cb_filetable_sums *ret, struct cb_err **err)
{
	struct walking w = { .in = { .table = table, .cancel = cancel }, .block = cb_xmalloc(BLOCK) };
	int r = cb_filetable_begin(table, err);

	w.seen = cb_map_new(free);
	if (r == 0)
		r = take_file(&w, dirfd, "", 0, err);
	if (r == 0)
		r = cb_filetable_end(table, err);
	if (r == 0)
		*ret = w.in.sums;
	cb_map_free(w.seen);
	cb_buf_done(&w.path);
	cb_buf_done(&w.names);
	cb_buf_done(&w.value);
	cb_buf_done(&w.link);
	adding_done(&w.in);
	free(w.block);
	return r;
}
