/*
 * Makes packs (packset.h) of chunks. Finished ones are handed over as files in memory.
 */
#ifndef CB_LAYERS_PACKWRITE_H
#define CB_LAYERS_PACKWRITE_H

#include "layers/packset.h"

struct cb_packwriter;

/** @done gets each finished pack with its bytes from offset 0 of a descriptor that it takes. @set is borrowed. */
struct cb_packwriter *cb_packwriter_new(
	struct cb_packset *set, int (*done)(void *arg, size_t pack, int fd, struct cb_err **err), void *arg);
struct cb_packwriter *cb_packwriter_free(struct cb_packwriter *w);
CB_DEFINE_CLEANUP(struct cb_packwriter *, cb_packwriter_free)

/** Adds a chunk, at most CB_CHUNK_MAX bytes, that the set does not have. */
int cb_packwriter_add(struct cb_packwriter *w, const uint8_t digest[static CB_DIGEST_SIZE], const void *data,
	size_t len, struct cb_err **err);
/** Finishes the last pack. */
int cb_packwriter_end(struct cb_packwriter *w, struct cb_err **err);

#endif
