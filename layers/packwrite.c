#include "layers/packwrite.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fd.h"
#include "layers/chunker.h"

#define LEVEL 3

struct cb_packwriter {
	struct cb_packset *set;
	int (*done)(void *arg, size_t pack, int fd, struct cb_err **err);
	void *arg;
	ZSTD_CCtx *zstd;
	struct cb_hasher *hasher;
	struct cb_pack *pack; /* that is being filled, or NULL */
	int fd;
	unsigned char *raw, *packed; /* content of the frame, and what becomes of it */
	size_t len, packed_size;
};

struct cb_packwriter *cb_packwriter_new(
	struct cb_packset *set, int (*done)(void *arg, size_t pack, int fd, struct cb_err **err), void *arg)
{
	struct cb_packwriter *w = cb_new0(struct cb_packwriter);

	*w = (struct cb_packwriter){ .set = set, .done = done, .arg = arg, .fd = -EBADF };
	w->raw = cb_xmalloc(CB_PACK_FRAME_MAX);
	w->packed_size = ZSTD_compressBound(CB_PACK_FRAME_MAX);
	w->packed = cb_xmalloc(w->packed_size);
	w->hasher = cb_hasher_new();
	w->zstd = ZSTD_createCCtx();
	if (!w->zstd)
		abort();
	return w;
}

struct cb_packwriter *cb_packwriter_free(struct cb_packwriter *w)
{
	if (!w)
		return NULL;
	ZSTD_freeCCtx(w->zstd);
	cb_hasher_free(w->hasher);
	cb_closep(&w->fd);
	free(w->raw);
	free(w->packed);
	free(w);
	return NULL;
}

static int end_frame(struct cb_packwriter *w, struct cb_err **err)
{
	struct cb_pack_frame *frame = &w->pack->frames[w->pack->n_frames - 1];
	size_t n = ZSTD_compressCCtx(w->zstd, w->packed, w->packed_size, w->raw, w->len, LEVEL);

	if (ZSTD_isError(n))
		return cb_err_set(err, CB_ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
	if (cb_fd_write_all(w->fd, w->packed, n) < 0)
		return cb_err_errno(err, errno, "write a pack of chunks");
	cb_hasher_add(w->hasher, w->packed, n);
	frame->at = (uint32_t)w->pack->size;
	frame->len = (uint32_t)n;
	w->pack->size += n;
	w->len = 0;
	return 0;
}

static int begin_frame(struct cb_packwriter *w, struct cb_err **err)
{
	struct cb_pack *pack = w->pack;

	if (!pack) {
		w->fd = memfd_create("pack", MFD_CLOEXEC);
		if (w->fd < 0)
			return cb_err_errno(err, errno, "make a pack of chunks");
		pack = w->pack = cb_packset_add(w->set);
	}
	CB_GROW(pack->frames, pack->cap_frames, pack->n_frames + 1);
	pack->frames[pack->n_frames++] = (struct cb_pack_frame){ 0 };
	return 0;
}

int cb_packwriter_end(struct cb_packwriter *w, struct cb_err **err)
{
	int r = w->len ? end_frame(w, err) : 0;

	if (r < 0 || !w->pack)
		return r;
	cb_hasher_finish(w->hasher, &w->pack->digest);
	w->pack = NULL;
	return w->done(w->arg, w->set->n - 1, CB_TAKE_FD(w->fd), err);
}

int cb_packwriter_add(struct cb_packwriter *w, const uint8_t digest[static CB_DIGEST_SIZE], const void *data,
	size_t len, struct cb_err **err)
{
	int r = 0;

	assert(len && len <= CB_CHUNK_MAX);
	if (!w->len)
		r = begin_frame(w, err);
	if (r < 0)
		return r;
	memcpy(w->raw + w->len, data, len);
	w->len += len;
	cb_packset_add_chunk(w->set, digest, len);
	if (w->len >= CB_PACK_FRAME)
		r = end_frame(w, err);
	return r == 0 && w->pack->size >= CB_PACK_FULL ? cb_packwriter_end(w, err) : r;
}
