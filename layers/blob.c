/*
 * Blobs: blobs/sha256/<hex>, each a finished temporary that was renamed.
 *
 * A blob's access time is when a process last was told of it, set here and never left to the file system. Telling
 * happens under a shared lock (the gate), removing under the exclusive one, so that no process is told of a blob that
 * is on its way out. The time is at least that of the process's own start: nothing that a process knows of is older
 * than the process, whatever the clock does meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/timefmt.h"
#include "layers/storedb.h"

struct cb_blob_writer {
	struct cb_store *store;
	struct cb_hasher *hasher;
	char *name; /* in tmpfd; NULL once published */
	int fd;
	uint64_t size;
};

static bool older(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* 0, or an error number. Waits only for somebody who removes a few names. */
static int enter_gate(struct cb_store *store, int how)
{
	int r;

	pthread_mutex_lock(&store->gate_lock);
	do
		r = flock(store->gate, how);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		r = errno;
		pthread_mutex_unlock(&store->gate_lock);
	}
	return r;
}

static void leave_gate(struct cb_store *store)
{
	flock(store->gate, LOCK_UN);
	pthread_mutex_unlock(&store->gate_lock);
}

/* Looks at a blob, and notes that this process knows of it. An error number. */
static int use(struct cb_store *store, const struct cb_digest *digest, struct stat *ret)
{
	struct timespec times[2] = { { 0 }, { .tv_nsec = UTIME_OMIT } };
	int r = enter_gate(store, LOCK_SH);

	if (r != 0)
		return r;
	if (fstatat(store->blobs, cb_digest_hex(digest), ret, AT_SYMLINK_NOFOLLOW) < 0) {
		r = errno;
	} else if (S_ISREG(ret->st_mode) && older(ret->st_atim, store->started)) {
		times[0] = cb_time_now();
		if (older(times[0], store->started))
			times[0] = store->started;
		r = utimensat(store->blobs, cb_digest_hex(digest), times, AT_SYMLINK_NOFOLLOW) < 0 ? errno : 0;
	}
	leave_gate(store);
	return r;
}

int cb_blob_has(struct cb_store *store, const struct cb_digest *digest, uint64_t *ret_size, struct cb_err **err)
{
	struct stat st;
	int r = use(store, digest, &st);

	if (r != 0)
		return r == ENOENT ? 0 : cb_err_errno(err, r, "look for blob %s", digest->text);
	if (!S_ISREG(st.st_mode))
		return cb_err_set(err, CB_ERR_CORRUPT, "blob %s is not a regular file", digest->text);
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	return 1;
}

int cb_blob_open(
	struct cb_store *store, const struct cb_digest *digest, int *ret_fd, uint64_t *ret_size, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	struct stat st;
	int r = use(store, digest, &st);

	if (r == 0) {
		fd = openat(store->blobs, cb_digest_hex(digest), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		r = fd < 0 || fstat(fd, &st) < 0 ? errno : 0;
	}
	if (r == ENOENT)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "blob %s is not in the store", digest->text);
	if (r != 0)
		return cb_err_errno(err, r, "open blob %s", digest->text);
	if (!S_ISREG(st.st_mode))
		return cb_err_set(err, CB_ERR_CORRUPT, "blob %s is not a regular file", digest->text);
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	*ret_fd = CB_TAKE_FD(fd);
	return 0;
}

int cb_blob_read(
	struct cb_store *store, const struct cb_digest *digest, size_t max, struct cb_buf *out, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	cleanup_buf struct cb_buf data = { 0 };
	struct cb_digest got;
	int r = cb_blob_open(store, digest, &fd, NULL, err);

	if (r < 0)
		return r;
	r = cb_fd_read_all(fd, max, digest->text, &data, err);
	if (r < 0)
		return cb_err_wrap(err, r, "read blob");
	cb_digest_of(cb_buf_str(&data), data.len, &got);
	if (!cb_digest_equal(&got, digest))
		return cb_err_set(err, CB_ERR_CORRUPT, "blob %s has digest %s", digest->text, got.text);
	cb_buf_add(out, data.data, data.len);
	return 0;
}

int cb_blob_put(struct cb_store *store, const void *data, size_t len, struct cb_digest *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_blob_writer_free) struct cb_blob_writer *writer = NULL;
	struct cb_digest digest;
	int r;

	cb_digest_of(data, len, &digest);
	r = cb_blob_has(store, &digest, NULL, err);
	if (r == 0) {
		r = cb_blob_writer_open(store, &writer, err);
		if (r == 0)
			r = cb_blob_writer_write(writer, data, len, err);
		if (r == 0)
			r = cb_blob_writer_finish(writer, &digest, len, NULL, err);
	}
	if (r < 0)
		return r;
	if (ret)
		*ret = digest;
	return 0;
}

int cb_blob_remove(struct cb_store *store, const struct cb_digest *digest, struct cb_err **err)
{
	if (unlinkat(store->blobs, cb_digest_hex(digest), 0) < 0 && errno != ENOENT)
		return cb_err_errno(err, errno, "remove blob %s", digest->text);
	return 0;
}

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct each {
	struct cb_store *store;
	struct timespec oldest;
	int (*fn)(void *ctx, const struct cb_blob_info *info, struct cb_err **err);
	void *ctx;
};

static int give_one(void *arg, const char *name, struct cb_err **err)
{
	const struct each *each = arg;
	struct cb_blob_info info = { 0 };
	cleanup_free char *text = cb_xasprintf("sha256:%s", name);
	struct stat st;

	if (!cb_digest_parse(text, &info.digest) || fstatat(each->store->blobs, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(st.st_mode))
		return 0;
	info.size = (uint64_t)st.st_size;
	info.disk = (uint64_t)st.st_blocks * 512;
	info.made = nanoseconds(st.st_mtim);
	info.used = nanoseconds(st.st_atim);
	info.in_use = !older(st.st_atim, each->oldest);
	return each->fn(each->ctx, &info, err);
}

int cb_blob_each(struct cb_store *store, int (*fn)(void *ctx, const struct cb_blob_info *info, struct cb_err **err),
	void *ctx, struct cb_err **err)
{
	struct each each = { .store = store, .fn = fn, .ctx = ctx };
	int r = cb_store_oldest(store, &each.oldest, err);

	return r < 0 ? r : cb_store_each_name(store->dirfd, "blobs/sha256", give_one, &each, err);
}

/* Moves a blob out of sight; its bytes go when nobody waits. True when it is gone. */
static bool take_away(struct cb_store *store, const struct cb_digest *digest, struct timespec oldest, char **ret)
{
	cleanup_free char *name = cb_store_unique_name(store);
	struct stat st;

	if (fstatat(store->blobs, cb_digest_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	if (!older(st.st_atim, oldest))
		return false;
	if (renameat(store->blobs, cb_digest_hex(digest), store->tmpfd, name) < 0)
		return false;
	*ret = CB_TAKE_PTR(name);
	return true;
}

/* Blobs that go while others wait for the gate. */
#define SWEEP_BATCH 32

int cb_blob_sweep(
	struct cb_store *store, const struct cb_digest *digests, size_t n, bool *ret_gone, struct cb_err **err)
{
	for (size_t at = 0; at < n; at += SWEEP_BATCH) {
		size_t count = CB_MIN(n - at, (size_t)SWEEP_BATCH);
		char *names[SWEEP_BATCH] = { NULL };
		struct timespec oldest;
		int r = enter_gate(store, LOCK_EX);

		if (r != 0)
			return cb_err_errno(err, r, "lock the blobs of the store");
		r = cb_store_oldest(store, &oldest, err);
		for (size_t i = 0; r == 0 && i < count; i++)
			ret_gone[at + i] = take_away(store, &digests[at + i], oldest, &names[i]);
		leave_gate(store);
		for (size_t i = 0; i < count; i++) {
			if (names[i])
				unlinkat(store->tmpfd, names[i], 0);
			free(names[i]);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int cb_blob_writer_open(struct cb_store *store, struct cb_blob_writer **ret, struct cb_err **err)
{
	cleanup_free char *name = cb_store_unique_name(store);
	struct cb_blob_writer *writer;
	int fd = openat(store->tmpfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return cb_err_errno(err, errno, "create a temporary blob in %s", store->path);
	writer = cb_new0(struct cb_blob_writer);
	writer->store = store;
	writer->hasher = cb_hasher_new();
	writer->name = CB_TAKE_PTR(name);
	writer->fd = fd;
	*ret = writer;
	return 0;
}

int cb_blob_writer_write(struct cb_blob_writer *writer, const void *data, size_t len, struct cb_err **err)
{
	int r = cb_store_reserve(writer->store, len, err);

	if (r < 0)
		return r;
	if (cb_fd_write_all(writer->fd, data, len) < 0)
		return cb_err_errno(err, errno, "write blob to the store %s", writer->store->path);
	cb_hasher_add(writer->hasher, data, len);
	writer->size += len;
	return 0;
}

uint64_t cb_blob_writer_size(const struct cb_blob_writer *writer)
{
	return writer->size;
}

int cb_blob_writer_finish(struct cb_blob_writer *writer, const struct cb_digest *want, uint64_t want_size,
	struct cb_digest *ret, struct cb_err **err)
{
	struct cb_digest got;
	int fd = CB_TAKE_FD(writer->fd);
	int r = 0;

	cb_hasher_finish(writer->hasher, &got);
	if (want && !cb_digest_equal(&got, want))
		r = cb_err_set(err, CB_ERR_CORRUPT, "content has digest %s, expected %s", got.text, want->text);
	else if (want_size != UINT64_MAX && writer->size != want_size)
		r = cb_err_set(err, CB_ERR_CORRUPT, "blob %s has %llu bytes, expected %llu", got.text,
			(unsigned long long)writer->size, (unsigned long long)want_size);
	else if (fchmod(fd, 0444) < 0)
		r = cb_err_errno(err, errno, "store blob %s", got.text);
	/* Network and quota file systems tell of a full disk only here. */
	if (close(fd) < 0 && r == 0 && errno != EINTR)
		r = cb_err_errno(err, errno, "write blob %s", got.text);
	if (r == 0 && renameat(writer->store->tmpfd, writer->name, writer->store->blobs, cb_digest_hex(&got)) < 0)
		r = cb_err_errno(err, errno, "store blob %s", got.text);
	if (r < 0)
		return r;

	free(writer->name);
	writer->name = NULL;
	if (ret)
		*ret = got;
	return 0;
}

struct cb_blob_writer *cb_blob_writer_free(struct cb_blob_writer *writer)
{
	if (writer) {
		cb_closep(&writer->fd);
		if (writer->name)
			unlinkat(writer->store->tmpfd, writer->name, 0);
		cb_hasher_free(writer->hasher);
		free(writer->name);
		free(writer);
	}
	return NULL;
}
