/*
 * Reads chunks out of packs that a remote cache has (packset.h).
 *
 * The packs in use are fetched whole, several at a time, into files without a name; their digests are checked on the
 * way, the digest of each chunk when it is read. One thread reads.
 */
#ifndef CB_LAYERS_PACKREAD_H
#define CB_LAYERS_PACKREAD_H

#include "layers/chunker.h"
#include "layers/packset.h"
#include "layers/remotecache.h"
#include "layers/stream.h"

struct cb_packread;

/** @set is borrowed. @dirfd is where the files are made. */
struct cb_packread *cb_packread_new(const struct cb_packset *set, int dirfd);
struct cb_packread *cb_packread_free(struct cb_packread *p);
CB_DEFINE_CLEANUP(struct cb_packread *, cb_packread_free)

/** Fetches all packs in use. @progress (may be NULL) is called from several threads. CB_ERR_CORRUPT. */
int cb_packread_fetch(struct cb_packread *p, struct cb_remote_cache *cache, void (*progress)(void *arg, uint64_t bytes),
	void *arg, struct cb_cancel *cancel, struct cb_err **err);
/** The content of a chunk, good until the next call. CB_ERR_CORRUPT when no pack in use has it. */
int cb_packread_chunk(struct cb_packread *p, const uint8_t digest[static CB_DIGEST_SIZE], const void **ret,
	size_t *ret_len, struct cb_err **err);

/** Chunks one after the other as a stream; zeroes but for the first three. */
struct cb_packread_stream {
	struct cb_packread *packs;
	const uint8_t *digests; /* n of them in a row */
	size_t n;
	unsigned char chunk[CB_CHUNK_MAX]; /* the current one */
	size_t at, len;
};
struct cb_source cb_packread_source(struct cb_packread_stream *stream);

#endif
