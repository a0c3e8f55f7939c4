/*
 * The record of a cache mount in a remote cache: one JSON document that says what it is, which chunks its lists are
 * made of (mountlist.h), and which packs and indexes hold these and all that the lists name (packset.h).
 *
 *   { "version": 1, "kind": "cache-mount", "id": "npm", "created": "2024-…Z", "files": 7, "bytes": 1234,
 *     "parent": "sha256:…", "tree": ["sha256:…", …], "times": ["sha256:…", …],
 *     "indexes": [{"digest": "sha256:…", "size": 1}, …], "packs": [{"digest": "sha256:…", "size": 1, "live": 1}, …] }
 *
 * live: bytes of the pack's content that this record needs. parent: digest of the record that the export built on.
 * Members that are not known are passed over; another version is refused.
 */
#ifndef CB_LAYERS_MOUNTDOC_H
#define CB_LAYERS_MOUNTDOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "layers/digest.h"

#define CB_MOUNT_BYTES_MAX ((uint64_t)1 << 42)
/** Indexes of one record; so many exports add one each before they are written anew. */
#define CB_MOUNT_INDEXES_MAX 64

/** SHA-256 digests in a row. */
struct cb_mount_chunks {
	struct cb_buf digests;
};
static inline size_t cb_mount_chunks_n(const struct cb_mount_chunks *chunks)
{
	return chunks->digests.len / CB_DIGEST_SIZE;
}

struct cb_mount_blob {
	struct cb_digest digest;
	uint64_t size, live;
};

struct cb_mountdoc {
	char *id;
	int64_t created; /* seconds since the epoch */
	uint64_t files, bytes;
	struct cb_digest parent; /* or unset */
	struct cb_mount_chunks tree, times;
	struct cb_mount_blob *indexes, *packs;
	size_t n_indexes, n_packs;
};

/** Zero-initialised; on failure as before. CB_ERR_CORRUPT, CB_ERR_UNSUPPORTED for another version. */
int cb_mountdoc_parse(const char *data, size_t len, struct cb_mountdoc *ret, struct cb_err **err);
/** The text; caller frees. */
char *cb_mountdoc_write(const struct cb_mountdoc *doc);
void cb_mountdoc_done(struct cb_mountdoc *doc);
#define cleanup_mountdoc __attribute__((cleanup(cb_mountdoc_done)))

#endif
