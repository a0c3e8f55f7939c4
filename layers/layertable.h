/*
 * Which blobs hold which layer: diff ID (digest of the uncompressed tar) ↔ compressed blobs of it.
 *
 * A layer may have several blobs (gzip, zstd, other bytes from a registry). An entry may name a blob that is not in the
 * store (known from a pulled manifest, never fetched): cb_blob_has decides.
 */
#ifndef CB_LAYERS_LAYERTABLE_H
#define CB_LAYERS_LAYERTABLE_H

#include "layers/descriptor.h"
#include "layers/mediatype.h"
#include "layers/store.h"

/** Records that @blob, decompressed, is the layer @diff_id of @size bytes (0: not known). */
int cb_layer_put(struct cb_store *store, const struct cb_digest *diff_id, uint64_t size,
	const struct cb_descriptor *blob, struct cb_err **err);
/**
 * A blob of the layer compressed as @codec whose bytes are in the store: 0 with *ret (media type, digest,
 * size; zeroed or done before), or 1.
 */
int cb_layer_find(struct cb_store *store, const struct cb_digest *diff_id, enum cb_codec codec,
	struct cb_descriptor *ret, struct cb_err **err);
/** Any recorded blob of the layer, in the store first: 0 with *ret, or 1. */
int cb_layer_find_any(
	struct cb_store *store, const struct cb_digest *diff_id, struct cb_descriptor *ret, struct cb_err **err);
/** The diff ID that the blob @digest decompresses to: 0 with *ret, or 1. */
int cb_layer_diff_id(
	struct cb_store *store, const struct cb_digest *digest, struct cb_digest *ret, struct cb_err **err);
/** Uncompressed size: 0 with *ret, or 1 when not known. */
int cb_layer_size(struct cb_store *store, const struct cb_digest *diff_id, uint64_t *ret, struct cb_err **err);

#endif
