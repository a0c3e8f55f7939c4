/*
 * Compression of layer blobs: none, gzip and zstd, as a push-style writer and a pull-style reader.
 *
 * Writer: the input is cut at fixed boundaries and the blocks are compressed by the threads of a pool, and by the
 * caller when they are busy; the output is the same bytes for any number of threads. gzip output is one member (blocks
 * end on a byte boundary by a flush), without name or time, OS byte 255. zstd output is one frame with checksum.
 * The bytes for a level may differ between builds of cbuild with and without ISA-L.
 *
 * Reader: recognises the codec by its magic. Concatenated gzip members and zstd frames are valid; anything else after
 * the end is CB_ERR_CORRUPT, as is a truncated stream.
 */
#ifndef CB_LAYERS_COMPRESS_H
#define CB_LAYERS_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "layers/stream.h"

enum cb_codec { CB_CODEC_NONE, CB_CODEC_GZIP, CB_CODEC_ZSTD };

/** Level of the codec's own choosing. */
#define CB_LEVEL_DEFAULT (-1)
#define CB_GZIP_LEVEL_MAX 9
#define CB_ZSTD_LEVEL_MAX 22

/** How layers are to be compressed: codec and level. */
struct cb_compress_spec {
	enum cb_codec codec;
	int level; /* CB_LEVEL_DEFAULT or the codec's own scale */
};

/** "uncompressed", "gzip", "zstd", as the compression= attribute of an output spells them. */
const char *cb_codec_name(enum cb_codec codec);
/** False for an unknown name. */
bool cb_codec_parse(const char *name, enum cb_codec *ret);
/** The codec that @len first bytes (at least 4 to be sure) show; CB_CODEC_NONE for anything unknown. */
enum cb_codec cb_codec_sniff(const void *data, size_t len);

struct cb_pool;
struct cb_compressor;

/**
 * Starts a stream that goes to @out, which is called only from the thread that calls write and finish. @pool may be
 * NULL (all work in the caller's thread) and may be the pool whose job the caller is. Levels: gzip 0..9, zstd 1..22 (0
 * is the default), else CB_ERR_INPUT; ignored for CB_CODEC_NONE.
 */
int cb_compressor_open(const struct cb_compress_spec *spec, struct cb_pool *pool, struct cb_sink out,
	struct cb_compressor **ret, struct cb_err **err);
int cb_compressor_write(struct cb_compressor *c, const void *data, size_t len, struct cb_err **err);
/** Ends the stream; only cb_compressor_free may follow. */
int cb_compressor_finish(struct cb_compressor *c, struct cb_err **err);
/** Before finish: drops what was not written yet. */
struct cb_compressor *cb_compressor_free(struct cb_compressor *c);
CB_DEFINE_CLEANUP(struct cb_compressor *, cb_compressor_free)

/** Limits of a reader; 0 means the default. */
struct cb_decompress_limits {
	uint64_t max_bytes; /* of output; default CB_DECOMPRESS_MAX */
	uint32_t
		max_ratio; /* output per input byte, checked beyond 64 MiB of output; default CB_DECOMPRESS_RATIO_MAX */
};
#define CB_DECOMPRESS_MAX (UINT64_C(1) << 40)
/** deflate cannot exceed 1032; zstd can, by far: a gap this size is an attack or a sparse file of zeros. */
#define CB_DECOMPRESS_RATIO_MAX 2000

struct cb_decompressor;

/** Reads the first bytes of @in to recognise the codec. An empty input is CB_CODEC_NONE. @limits may be NULL. */
int cb_decompressor_open(struct cb_source in, const struct cb_decompress_limits *limits, struct cb_decompressor **ret,
	struct cb_err **err);
struct cb_decompressor *cb_decompressor_free(struct cb_decompressor *d);
CB_DEFINE_CLEANUP(struct cb_decompressor *, cb_decompressor_free)
enum cb_codec cb_decompressor_codec(const struct cb_decompressor *d);
/** As struct cb_source.read. At the end of output @in was read to its end. */
ssize_t cb_decompressor_read(struct cb_decompressor *d, void *buf, size_t len, struct cb_err **err);
struct cb_source cb_decompressor_source(struct cb_decompressor *d);

#endif
