#include "layers/packread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fd.h"
#include "base/parallel.h"

/** Packs that are fetched at once. */
#define FETCHES 4
/** Frames that stay open: the two lists, and where the content is read from. */
#define FRAMES 8

struct frame {
	unsigned char *raw;
	size_t pack, frame;
	uint64_t used; /* 0: nothing is in it */
};

struct cb_packread {
	const struct cb_packset *set;
	int dirfd;
	int *fds; /* by pack; -EBADF: not here */
	ZSTD_DCtx *zstd;
	unsigned char *packed;
	size_t packed_size;
	struct frame frames[FRAMES];
	uint64_t clock;
};

struct cb_packread *cb_packread_new(const struct cb_packset *set, int dirfd)
{
	struct cb_packread *p = cb_new0(struct cb_packread);

	p->set = set;
	p->dirfd = dirfd;
	p->fds = cb_newa0(int, set->n + 1);
	for (size_t i = 0; i < set->n; i++)
		p->fds[i] = -EBADF;
	p->packed_size = CB_PACK_MAX;
	p->zstd = ZSTD_createDCtx();
	if (!p->zstd)
		abort();
	return p;
}

struct cb_packread *cb_packread_free(struct cb_packread *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->set->n; i++)
		cb_closep(&p->fds[i]);
	for (size_t i = 0; i < FRAMES; i++)
		free(p->frames[i].raw);
	ZSTD_freeDCtx(p->zstd);
	free(p->fds);
	free(p->packed);
	free(p);
	return NULL;
}

/* ---- fetching ------------------------------------------------------------------------------------------------- */

struct fetching {
	struct cb_packread *p;
	struct cb_remote_cache *cache;
	void (*progress)(void *arg, uint64_t bytes);
	void *arg;
	size_t *wanted; /* numbers of packs */
};

struct taking {
	const struct fetching *f;
	struct cb_hasher *hasher;
	uint64_t left;
	int fd;
};

static int take(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct taking *t = userdata;

	if (len > t->left)
		return cb_err_set(err, CB_ERR_CORRUPT, "a pack of chunks is longer than its record says");
	t->left -= len;
	cb_hasher_add(t->hasher, data, len);
	if (cb_fd_write_all(t->fd, data, len) < 0)
		return cb_err_errno(err, errno, "keep a pack of chunks");
	if (t->f->progress)
		t->f->progress(t->f->arg, len);
	return 0;
}

static int open_nameless(int dirfd, struct cb_err **err)
{
	static atomic_uint counter;
	int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* Not every file system has them. */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
		cleanup_free char *name = cb_xasprintf(".pack-%u", atomic_fetch_add(&counter, 1));

		fd = openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		if (fd >= 0)
			unlinkat(dirfd, name, 0);
	}
	return fd < 0 ? cb_err_errno(err, errno, "make a file for a pack of chunks") : fd;
}

static int fetch_one(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	const struct fetching *f = userdata;
	const struct cb_pack *pack = f->p->set->packs[f->wanted[at]];
	const struct cb_descriptor blob = { .digest = pack->digest, .size = pack->size };
	cleanup_close int fd = open_nameless(f->p->dirfd, err);
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	struct taking taking = { f, hasher, pack->size, fd };
	struct cb_digest got;
	int r;

	if (fd < 0)
		return fd;
	r = f->cache->ops->get_blob(f->cache->self, &blob, take, &taking, cancel, err);
	if (r < 0)
		return r;
	cb_hasher_finish(hasher, &got);
	if (taking.left || !cb_digest_equal(&got, &pack->digest))
		return cb_err_set(
			err, CB_ERR_CORRUPT, "a pack of chunks does not have its digest %s", pack->digest.text);
	f->p->fds[f->wanted[at]] = CB_TAKE_FD(fd);
	return 0;
}

int cb_packread_fetch(struct cb_packread *p, struct cb_remote_cache *cache, void (*progress)(void *arg, uint64_t bytes),
	void *arg, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_free size_t *wanted = cb_newa0(size_t, p->set->n + 1);
	struct fetching fetching = { p, cache, progress, arg, wanted };
	size_t n = 0;

	for (size_t i = 0; i < p->set->n; i++)
		if (p->set->packs[i]->use && p->fds[i] < 0)
			wanted[n++] = i;
	return cb_parallel_each("packs", FETCHES, n, fetch_one, &fetching, cancel, err);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static int read_frame(struct cb_packread *p, size_t number, size_t at, struct frame *ret, struct cb_err **err)
{
	const struct cb_pack *pack = p->set->packs[number];
	const struct cb_pack_frame *frame = &pack->frames[at];
	size_t done = 0, n;

	if (!p->packed)
		p->packed = cb_xmalloc(p->packed_size);
	while (done < frame->len) {
		ssize_t got = pread(p->fds[number], p->packed + done, frame->len - done, (off_t)(frame->at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return cb_err_errno(err, got ? errno : EIO, "read a pack of chunks");
		done += (size_t)got;
	}
	if (!ret->raw)
		ret->raw = cb_xmalloc(CB_PACK_FRAME_MAX);
	ret->used = 0;
	n = ZSTD_decompressDCtx(p->zstd, ret->raw, CB_PACK_FRAME_MAX, p->packed, frame->len);
	if (ZSTD_isError(n) || n != frame->raw)
		return cb_err_set(err, CB_ERR_CORRUPT, "a pack of chunks is not what its index says");
	ret->pack = number;
	ret->frame = at;
	return 0;
}

static int open_frame(struct cb_packread *p, size_t number, size_t at, const struct frame **ret, struct cb_err **err)
{
	struct frame *oldest = p->frames;
	int r;

	for (size_t i = 0; i < FRAMES; i++) {
		struct frame *frame = &p->frames[i];

		if (frame->used && frame->pack == number && frame->frame == at) {
			frame->used = ++p->clock;
			*ret = frame;
			return 0;
		}
		if (frame->used < oldest->used)
			oldest = frame;
	}
	r = read_frame(p, number, at, oldest, err);
	if (r < 0)
		return r;
	oldest->used = ++p->clock;
	*ret = oldest;
	return 0;
}

int cb_packread_chunk(struct cb_packread *p, const uint8_t digest[static CB_DIGEST_SIZE], const void **ret,
	size_t *ret_len, struct cb_err **err)
{
	const struct frame *frame = NULL;
	struct cb_digest want, got;
	const struct cb_pack_chunk *chunk;
	size_t number;
	int r;

	chunk = cb_packset_find(p->set, digest, &number);
	cb_digest_from_bytes(digest, &want);
	if (!chunk || p->fds[number] < 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "no pack has the chunk %s", want.text);
	r = open_frame(p, number, chunk->frame, &frame, err);
	if (r < 0)
		return r;
	cb_digest_of(frame->raw + chunk->at, chunk->len, &got);
	if (!cb_digest_equal(&got, &want))
		return cb_err_set(err, CB_ERR_CORRUPT, "a chunk does not have its digest %s", want.text);
	*ret = frame->raw + chunk->at;
	*ret_len = chunk->len;
	return 0;
}

static ssize_t read_stream(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct cb_packread_stream *s = arg;

	if (s->at == s->len) {
		const void *data;
		int r;

		if (!s->n)
			return 0;
		r = cb_packread_chunk(s->packs, s->digests, &data, &s->len, err);
		if (r < 0)
			return r;
		memcpy(s->chunk, data, s->len);
		s->at = 0;
		s->digests += CB_DIGEST_SIZE;
		s->n--;
	}
	len = CB_MIN(len, s->len - s->at);
	memcpy(buf, s->chunk + s->at, len);
	s->at += len;
	return (ssize_t)len;
}

struct cb_source cb_packread_source(struct cb_packread_stream *stream)
{
	return (struct cb_source){ read_stream, stream };
}
