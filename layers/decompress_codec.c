/* Decoders of gzip (ISA-L, else zlib) and zstd for layers/decompress.c. */
#include <assert.h>
#include <limits.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#ifdef CB_HAVE_ISAL
#include <isa-l.h>
#endif

#include "layers/compress_codec.h"

/** As large as zstd's own level 22 writes; memory of that size is taken only when a frame asks for it. */
#define ZSTD_WINDOW_LOG_MAX 27

struct gunzip {
	bool in_member; /* between the first byte of a member and its trailer */
#ifdef CB_HAVE_ISAL
	struct inflate_state s;
#else
	z_stream s;
#endif
};

static int gunzip_truncated(struct cb_err **err)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "gzip: data ends in the middle of the stream");
}

#ifdef CB_HAVE_ISAL
static void gunzip_start(struct gunzip *g)
{
	isal_inflate_reset(&g->s);
	g->s.crc_flag = ISAL_GZIP;
}

/** Runs the decoder once; 1 when the member is complete. */
static int gunzip_step(
	struct gunzip *g, struct cb_decoder_input *in, void *buf, size_t len, size_t *ret_n, struct cb_err **err)
{
	uint32_t room = (uint32_t)CB_MIN(len, (size_t)UINT_MAX);
	int r;

	g->s.next_in = (uint8_t *)in->next;
	g->s.avail_in = (uint32_t)in->avail;
	g->s.next_out = buf;
	g->s.avail_out = room;
	r = isal_inflate(&g->s);
	in->next = g->s.next_in;
	in->avail = g->s.avail_in;
	*ret_n = room - g->s.avail_out;
	if (r == ISAL_INCORRECT_CHECKSUM)
		return cb_err_set(err, CB_ERR_CORRUPT, "gzip: wrong checksum");
	if (r == ISAL_INVALID_WRAPPER)
		return cb_err_set(err, CB_ERR_CORRUPT, "gzip: no gzip header after the end of a member");
	/* ISAL_END_INPUT is no failure; what the decoder lacks then is in the next call. */
	if (r < 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "gzip: invalid data");
	return g->s.block_state == ISAL_BLOCK_FINISH;
}

static void gunzip_init(struct gunzip *g)
{
	isal_inflate_init(&g->s);
}

static void gunzip_done(struct gunzip *g)
{
	(void)g;
}
#else
static void gunzip_start(struct gunzip *g)
{
	inflateReset(&g->s);
}

static int gunzip_step(
	struct gunzip *g, struct cb_decoder_input *in, void *buf, size_t len, size_t *ret_n, struct cb_err **err)
{
	uInt room = (uInt)CB_MIN(len, (size_t)UINT_MAX);
	int r;

	g->s.next_in = (Bytef *)in->next;
	g->s.avail_in = (uInt)in->avail;
	g->s.next_out = buf;
	g->s.avail_out = room;
	r = inflate(&g->s, Z_NO_FLUSH);
	in->next = g->s.next_in;
	in->avail = g->s.avail_in;
	*ret_n = room - g->s.avail_out;
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return cb_err_set(err, CB_ERR_CORRUPT, "gzip: %s", g->s.msg ? g->s.msg : "invalid data");
	return r == Z_STREAM_END;
}

static void gunzip_init(struct gunzip *g)
{
	/* 16: gzip wrapper only. */
	if (inflateInit2(&g->s, 15 + 16) != Z_OK)
		abort();
}

static void gunzip_done(struct gunzip *g)
{
	inflateEnd(&g->s);
}
#endif

static ssize_t gunzip_read(void *state, struct cb_decoder_input *in, void *buf, size_t len, struct cb_err **err)
{
	struct gunzip *g = state;

	for (;;) {
		size_t before = in->avail, n = 0;
		int r;

		/* Between members nothing is left inside the decoder; within one there may be output without new input.
		 */
		if (!g->in_member && in->avail == 0)
			return 0;
		if (!g->in_member) {
			gunzip_start(g);
			g->in_member = true;
		}
		r = gunzip_step(g, in, buf, len, &n, err);
		if (r < 0)
			return r;
		if (r > 0)
			g->in_member = false;
		if (n > 0)
			return (ssize_t)n;
		if (r > 0)
			continue;
		if (in->avail > 0 && in->avail == before)
			return cb_err_set(err, CB_ERR_CORRUPT, "gzip: invalid data");
		if (in->avail == 0)
			return in->eof ? gunzip_truncated(err) : 0;
	}
}

static void gunzip_free(void *state)
{
	gunzip_done(state);
	free(state);
}

int cb_decoder_gzip(struct cb_decoder *ret, struct cb_err **err)
{
	struct gunzip *g = cb_new0(struct gunzip);

	(void)err;
	gunzip_init(g);
	*ret = (struct cb_decoder){ gunzip_read, gunzip_free, g };
	return 0;
}

struct unzstd {
	ZSTD_DCtx *ctx;
	bool in_frame;
};

static ssize_t unzstd_read(void *state, struct cb_decoder_input *in, void *buf, size_t len, struct cb_err **err)
{
	struct unzstd *z = state;
	ZSTD_outBuffer out = { buf, len, 0 };

	for (;;) {
		ZSTD_inBuffer src = { in->next, in->avail, 0 };
		size_t r;

		if (in->avail == 0 && !z->in_frame)
			return 0;
		r = ZSTD_decompressStream(z->ctx, &out, &src);
		in->next += src.pos;
		in->avail -= src.pos;
		if (ZSTD_isError(r))
			return cb_err_set(err, CB_ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(r));
		z->in_frame = r != 0;
		if (out.pos > 0)
			return (ssize_t)out.pos;
		if (in->avail > 0)
			continue;
		if (in->eof && z->in_frame)
			return cb_err_set(err, CB_ERR_CORRUPT, "zstd: data ends in the middle of the stream");
		return 0;
	}
}

static void unzstd_free(void *state)
{
	struct unzstd *z = state;

	ZSTD_freeDCtx(z->ctx);
	free(z);
}

int cb_decoder_zstd(struct cb_decoder *ret, struct cb_err **err)
{
	struct unzstd *z = cb_new0(struct unzstd);
	size_t r;

	z->ctx = ZSTD_createDCtx();
	if (!z->ctx)
		abort();
	r = ZSTD_DCtx_setParameter(z->ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
	if (ZSTD_isError(r)) {
		unzstd_free(z);
		return cb_err_set(err, CB_ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(r));
	}
	*ret = (struct cb_decoder){ unzstd_read, unzstd_free, z };
	return 0;
}
