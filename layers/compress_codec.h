/* What compress.c needs of each codec. Private to layers/compress*.c and layers/decompress*.c. */
#ifndef CB_LAYERS_COMPRESS_CODEC_H
#define CB_LAYERS_COMPRESS_CODEC_H

#include "layers/compress.h"

/** One way to write a stream; `state` belongs to it. */
struct cb_encoder {
	int (*write)(void *state, const void *data, size_t len, struct cb_err **err);
	int (*finish)(void *state, struct cb_err **err);
	void (*free)(void *state);
	void *state;
};

/** @level is one of the codec's own or CB_LEVEL_DEFAULT. */
int cb_encoder_gzip(int level, struct cb_pool *pool, struct cb_sink out, struct cb_encoder *ret, struct cb_err **err);
int cb_encoder_zstd(int level, struct cb_pool *pool, struct cb_sink out, struct cb_encoder *ret, struct cb_err **err);

/** Input of a decoder: refilled by the reader before each call unless `eof`. */
struct cb_decoder_input {
	const uint8_t *next;
	size_t avail;
	bool eof; /* nothing comes after `avail` */
};

/** One way to read a stream. */
struct cb_decoder {
	/**
	 * Consumes of @in, produces up to @len bytes: their count, or 0 when it needs more input (in->avail == 0) or
	 * the stream is complete (in->eof too), or a negative code.
	 */
	ssize_t (*read)(void *state, struct cb_decoder_input *in, void *buf, size_t len, struct cb_err **err);
	void (*free)(void *state);
	void *state;
};

int cb_decoder_gzip(struct cb_decoder *ret, struct cb_err **err);
int cb_decoder_zstd(struct cb_decoder *ret, struct cb_err **err);

#endif
