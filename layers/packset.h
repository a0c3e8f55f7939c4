/*
 * Packs: blobs that hold many chunks, and the documents that say which.
 *
 * A pack is zstd frames one after the other; a frame is up to CB_PACK_FRAME bytes of chunks, packed together because
 * small chunks alone do not compress. So three sizes are independent of each other: what is compared (a chunk, never
 * more than one file), what is compressed (a frame) and what a server keeps (a pack).
 *
 * An index says what is in some packs. It names each chunk by SHA-256 and by its length; where chunks and frames lie
 * follows from the lengths before them, so that they can neither overlap nor leave a gap:
 *
 *   "cbpacks1"  packs { sha256[32] size frames { size chunks { sha256[32] length } } }
 *
 * with "x {...}" for a number and so many of what follows, and numbers as in varint.h. Packs and indexes are not
 * changed once they are written: each export adds an index for the packs that it adds.
 */
#ifndef CB_LAYERS_PACKSET_H
#define CB_LAYERS_PACKSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "layers/digest.h"

/** Content of a frame that is full; of one frame at most this and one chunk. */
#define CB_PACK_FRAME ((size_t)768 << 10)
#define CB_PACK_FRAME_MAX ((size_t)1 << 20)
/** A pack that is full; its last frame may go beyond. */
#define CB_PACK_FULL ((size_t)8 << 20)
#define CB_PACK_MAX ((size_t)16 << 20)
/** Chunks of one index, of one set. */
#define CB_PACK_CHUNKS_MAX ((size_t)16 << 20)
/** Packs of one set. */
#define CB_PACKS_MAX ((size_t)16 << 10)
/** Bytes of an index. */
#define CB_PACK_INDEX_MAX ((size_t)256 << 20)

struct cb_pack_frame {
	uint32_t at, len, raw; /* place and length in the pack, length of its content */
};

struct cb_pack_chunk {
	uint8_t digest[CB_DIGEST_SIZE];
	uint32_t frame, at, len; /* which frame; place and length in its content */
};

struct cb_pack {
	struct cb_digest digest;
	uint64_t size, raw; /* of the blob, of what is in it */
	struct cb_pack_frame *frames;
	size_t n_frames, cap_frames;
	struct cb_pack_chunk *chunks;
	size_t n_chunks, cap_chunks;
	uint64_t live;          /* bytes of it that the user of the set has counted */
	bool use;               /* cb_packset_find looks here */
	bool fresh;             /* of this export */
	unsigned char *counted; /* a bit for each chunk that is in live, or NULL */
};

struct cb_packset {
	struct cb_pack **packs;
	size_t n, cap, n_chunks;
	struct cb_pack_slot *slots; /* hash table of the chunks of packs in use */
	size_t n_slots, n_known;
	uint64_t keys[4];
};

/** Starts as zeroes. */
void cb_packset_done(struct cb_packset *set);
#define cleanup_packset __attribute__((cleanup(cb_packset_done)))

/** Adds the packs of an index, not in use yet; those that the set has are passed over. CB_ERR_CORRUPT, CB_ERR_LIMIT. */
int cb_packset_read(struct cb_packset *set, const void *data, size_t len, struct cb_err **err);
/** The index of the packs that are in use and, when @fresh, are of this export. */
void cb_packset_write(const struct cb_packset *set, bool fresh, struct cb_buf *out);
/** True with the number of the pack that has the digest. */
bool cb_packset_pack(const struct cb_packset *set, const struct cb_digest *digest, size_t *ret);
/** From now on the chunks of this pack are found. */
void cb_packset_use(struct cb_packset *set, size_t pack);
/** An empty pack in use, fresh, to be filled by its maker. */
struct cb_pack *cb_packset_add(struct cb_packset *set);
/** Adds a chunk to the last frame of @pack, which is the newest of the set, and makes it known. */
void cb_packset_add_chunk(struct cb_packset *set, const uint8_t digest[static CB_DIGEST_SIZE], size_t len);
/** Where a pack in use has the chunk, with the number of that pack, or NULL. Valid until the next addition. */
const struct cb_pack_chunk *cb_packset_find(
	const struct cb_packset *set, const uint8_t digest[static CB_DIGEST_SIZE], size_t *ret_pack);
/** Counts @chunk of @pack as live, once; those of fresh packs are not counted. */
void cb_packset_count(struct cb_pack *pack, const struct cb_pack_chunk *chunk);

#endif
