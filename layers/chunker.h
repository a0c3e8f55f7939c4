/*
 * Content-defined chunks: a stream is cut where its content says so, so that bytes inserted or removed change the
 * chunks around them and no others.
 *
 * A rolling "gear" hash decides: h = 2h + G[byte], a cut where its upper bits are all zero. As FastCDC does (Xia and
 * others, USENIX ATC 2016), nothing is looked at before the minimum, and the mask is four times as hard to meet before
 * the average length and four times as easy after it, which gathers the lengths around the average. The cuts are part
 * of the format of cache mounts: table and rules must not change, or nothing is found again.
 */
#ifndef CB_LAYERS_CHUNKER_H
#define CB_LAYERS_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** Lengths in bytes: avg is a power of two, min < avg < max. */
struct cb_chunk_sizes {
	size_t min, avg, max;
};
/** Of what files hold. */
extern const struct cb_chunk_sizes cb_chunk_data;
/** Of lists, whose changes are small. */
extern const struct cb_chunk_sizes cb_chunk_lists;
/** No chunk is longer. */
#define CB_CHUNK_MAX ((size_t)256 << 10)

/** Length of the first chunk of @data; all of it when it ends before a cut. @len is at least max or all there is. */
size_t cb_chunk_cut(const struct cb_chunk_sizes *sizes, const void *data, size_t len);

/** Cuts what is added piece by piece. Zero-initialise but for the first two; end with cb_chunker_done. */
struct cb_chunker {
	const struct cb_chunk_sizes *sizes;
	/** Gets each chunk; negative ends the work. */
	int (*take)(void *arg, const void *data, size_t len, struct cb_err **err);
	void *arg;
	unsigned char *buf; /* two of the largest chunks */
	size_t len;
};
int cb_chunker_add(struct cb_chunker *c, const void *data, size_t len, struct cb_err **err);
/** The stream ends: what is left is the last chunk. The next may begin. */
int cb_chunker_end(struct cb_chunker *c, struct cb_err **err);
void cb_chunker_done(struct cb_chunker *c);

#endif
