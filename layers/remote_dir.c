/* A remote cache in a directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "base/path.h"
#include "layers/remotecache.h"

#define BLOCK ((size_t)1 << 20)

struct dir {
	char *path;
};

static char *name_of(const struct dir *dir, const char *kind, const struct cb_digest *digest)
{
	return cb_xasprintf("%s/%s/%s", dir->path, kind, cb_digest_hex(digest));
}

static int get_record(
	void *self, const struct cb_digest *key, struct cb_cancel *cancel, struct cb_buf *ret, struct cb_err **err)
{
	cleanup_free char *path = name_of(self, "ac", key);
	cleanup_err struct cb_err *why = NULL;
	int r = cb_file_read_at(AT_FDCWD, path, CB_REMOTE_RECORD_MAX, ret, &why);

	(void)cancel;
	if (r == CB_ERR_NOT_FOUND)
		return 1;
	return r < 0 ? cb_err_move(err, CB_TAKE_PTR(why)) : 0;
}

/* A temporary file beside the final name. */
static int open_temporary(const struct dir *dir, const char *kind, char **ret_path, struct cb_err **err)
{
	cleanup_free char *parent = cb_xasprintf("%s/%s", dir->path, kind);
	cleanup_free char *path = cb_xasprintf("%s/.tmp-XXXXXX", parent);
	int fd;

	if (cb_path_mkdirs(parent, 0755) < 0)
		return cb_err_errno(err, errno, "make %s", parent);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return cb_err_errno(err, errno, "make a file in %s", parent);
	fchmod(fd, 0644);
	*ret_path = CB_TAKE_PTR(path);
	return fd;
}

static int publish(const char *temporary, const char *path, int code, struct cb_err **err)
{
	if (code == 0 && rename(temporary, path) < 0)
		code = cb_err_errno(err, errno, "make %s", path);
	if (code < 0)
		unlink(temporary);
	return code;
}

static int put_record(void *self, const struct cb_digest *key, const void *data, size_t len,
	const struct cb_descriptor *blobs, size_t n, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free char *path = name_of(self, "ac", key), *temporary = NULL;
	cleanup_close int fd = open_temporary(self, "ac", &temporary, err);
	int r = 0;

	(void)blobs, (void)n, (void)cancel;
	if (fd < 0)
		return fd;
	if (cb_fd_write_all(fd, data, len) < 0)
		r = cb_err_errno(err, errno, "write %s", path);
	return publish(temporary, path, r, err);
}

static int has_blob(void *self, const struct cb_descriptor *blob, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free char *path = name_of(self, "cas", &blob->digest);
	struct stat st;

	(void)cancel;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : cb_err_errno(err, errno, "look for %s", path);
	return (uint64_t)st.st_size == blob->size;
}

static int get_blob(void *self, const struct cb_descriptor *blob, cb_http_sink sink, void *userdata,
	struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free char *path = name_of(self, "cas", &blob->digest), *block = cb_xmalloc(BLOCK);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t left = blob->size;

	if (fd < 0)
		return cb_err_errno(err, errno, "open %s", path);
	while (left) {
		ssize_t n = read(fd, block, CB_MIN(left, BLOCK));
		int r = cb_cancel_check(cancel, err);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? cb_err_errno(err, errno, "read %s", path)
				 : cb_err_set(err, CB_ERR_CORRUPT, "%s is shorter than it should be", path);
		if (r == 0)
			r = sink(userdata, block, (size_t)n, err);
		if (r < 0)
			return r;
		left -= (uint64_t)n;
	}
	return 0;
}

static int put_blob(
	void *self, const struct cb_descriptor *blob, int from, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free char *path = name_of(self, "cas", &blob->digest), *temporary = NULL, *block = cb_xmalloc(BLOCK);
	cleanup_close int fd = open_temporary(self, "cas", &temporary, err);
	off_t at = 0;
	int r = 0;

	if (fd < 0)
		return fd;
	while (r == 0) {
		ssize_t n = pread(from, block, BLOCK, at);

		if (n == 0)
			break;
		if (n < 0)
			r = cb_err_errno(err, errno, "read a blob");
		else if (cb_fd_write_all(fd, block, (size_t)n) < 0)
			r = cb_err_errno(err, errno, "write %s", path);
		else
			r = cb_cancel_check(cancel, err);
		at += n > 0 ? n : 0;
	}
	return publish(temporary, path, r, err);
}

static void dir_free(void *self)
{
	struct dir *dir = self;

	free(dir->path);
	free(dir);
}

static const struct cb_remote_ops dir_ops = {
	.get_record = get_record,
	.put_record = put_record,
	.has_blob = has_blob,
	.get_blob = get_blob,
	.put_blob = put_blob,
	.free = dir_free,
};

struct cb_remote_cache *cb_remote_dir_new(const char *path)
{
	struct cb_remote_cache *cache = cb_new0(struct cb_remote_cache);
	struct dir *dir = cb_new0(struct dir);

	dir->path = cb_xstrdup(path);
	*cache = (struct cb_remote_cache){ &dir_ops, dir, cb_xasprintf("local cache %s", path) };
	return cache;
}

struct cb_remote_cache *cb_remote_cache_free(struct cb_remote_cache *cache)
{
	if (!cache)
		return NULL;
	cache->ops->free(cache->self);
	free(cache->shown);
	free(cache);
	return NULL;
}
