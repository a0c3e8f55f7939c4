/* The reading half of layers/compress.h: recognises the codec, refills the decoder, keeps the limits. */
#include <assert.h>
#include <string.h>

#include "layers/compress_codec.h"

#define INPUT_SIZE ((size_t)256 << 10)
/* Below this much output a high ratio is harmless. */
#define RATIO_FREE (UINT64_C(64) << 20)

struct cb_decompressor {
	struct cb_source src;
	enum cb_codec codec;
	struct cb_decoder decoder; /* without functions for CB_CODEC_NONE */
	struct cb_decoder_input in;
	uint8_t *buf;
	uint64_t max_bytes;
	uint32_t max_ratio;
	uint64_t total_in, total_out;
	bool ended;
};

/** Reads more input when there is none left. */
static int refill(struct cb_decompressor *d, struct cb_err **err)
{
	ssize_t n;

	if (d->in.avail > 0 || d->in.eof)
		return 0;
	n = d->src.read(d->src.arg, d->buf, INPUT_SIZE, err);
	if (n < 0)
		return (int)n;
	d->in.next = d->buf;
	d->in.avail = (size_t)n;
	d->in.eof = n == 0;
	d->total_in += (uint64_t)n;
	return 0;
}

int cb_decompressor_open(struct cb_source in, const struct cb_decompress_limits *limits, struct cb_decompressor **ret,
	struct cb_err **err)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *d = cb_new0(struct cb_decompressor);
	ssize_t n;
	int r = 0;

	assert(in.read);
	assert(ret);

	d->src = in;
	d->buf = cb_xmalloc(INPUT_SIZE);
	d->max_bytes = limits && limits->max_bytes > 0 ? limits->max_bytes : CB_DECOMPRESS_MAX;
	d->max_ratio = limits && limits->max_ratio > 0 ? limits->max_ratio : CB_DECOMPRESS_RATIO_MAX;

	n = cb_source_read_full(in, d->buf, 4, err);
	if (n < 0)
		return (int)n;
	d->in.next = d->buf;
	d->in.avail = (size_t)n;
	d->total_in = (uint64_t)n;
	d->codec = cb_codec_sniff(d->buf, (size_t)n);
	if (d->codec == CB_CODEC_GZIP)
		r = cb_decoder_gzip(&d->decoder, err);
	else if (d->codec == CB_CODEC_ZSTD)
		r = cb_decoder_zstd(&d->decoder, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(d);
	return 0;
}

struct cb_decompressor *cb_decompressor_free(struct cb_decompressor *d)
{
	if (!d)
		return NULL;
	if (d->decoder.free)
		d->decoder.free(d->decoder.state);
	free(d->buf);
	free(d);
	return NULL;
}

enum cb_codec cb_decompressor_codec(const struct cb_decompressor *d)
{
	assert(d);
	return d->codec;
}

/** Plain bytes: what was read to sniff, then straight from the source. */
static ssize_t read_plain(struct cb_decompressor *d, void *buf, size_t len, struct cb_err **err)
{
	if (d->in.avail > 0) {
		size_t n = CB_MIN(len, d->in.avail);

		memcpy(buf, d->in.next, n);
		d->in.next += n;
		d->in.avail -= n;
		return (ssize_t)n;
	}
	return d->src.read(d->src.arg, buf, len, err);
}

static ssize_t read_coded(struct cb_decompressor *d, void *buf, size_t len, struct cb_err **err)
{
	for (;;) {
		ssize_t n;
		int r = refill(d, err);

		if (r < 0)
			return r;
		n = d->decoder.read(d->decoder.state, &d->in, buf, len, err);
		if (n != 0)
			return n;
		if (d->in.eof)
			return 0;
	}
}

ssize_t cb_decompressor_read(struct cb_decompressor *d, void *buf, size_t len, struct cb_err **err)
{
	ssize_t n;

	assert(d);

	if (d->ended || len == 0)
		return 0;
	n = d->codec == CB_CODEC_NONE ? read_plain(d, buf, len, err) : read_coded(d, buf, len, err);
	if (n < 0)
		return n;
	if (n == 0) {
		d->ended = true;
		return 0;
	}

	d->total_out += (uint64_t)n;
	if (d->total_out > d->max_bytes)
		return cb_err_set(
			err, CB_ERR_LIMIT, "decompressed data exceeds %llu bytes", (unsigned long long)d->max_bytes);
	if (d->codec != CB_CODEC_NONE && d->total_out > RATIO_FREE && d->total_out / d->max_ratio > d->total_in)
		return cb_err_set(
			err, CB_ERR_LIMIT, "decompressed data exceeds %u times its compressed size", d->max_ratio);
	return n;
}

static ssize_t source_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	return cb_decompressor_read(arg, buf, len, err);
}

struct cb_source cb_decompressor_source(struct cb_decompressor *d)
{
	assert(d);
	return (struct cb_source){ source_read, d };
}
