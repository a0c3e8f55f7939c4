/*
 * From a snapshot to a layer blob in one pass: walk -> tar -> sha256 (diff ID) -> compress -> sha256 -> blob in the
 * store.
 *
 * Files are read by a thread ahead, hashed and compressed by others; memory is a few MiB whatever the size. Any number
 * of commits may run at once, each called from its own thread.
 */
#ifndef CB_LAYERS_LAYERCOMMIT_H
#define CB_LAYERS_LAYERCOMMIT_H

#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "layers/compress.h"
#include "layers/descriptor.h"
#include "layers/diff.h"
#include "layers/digest.h"
#include "layers/store.h"

/** A layer that is in the store. */
struct cb_layer {
	struct cb_digest diff_id; /* of the tar */
	struct cb_descriptor
		blob;  /* media type (OCI), digest and size of the (compressed) blob; cb_descriptor_done frees */
	uint64_t size; /* of the tar */
};
void cb_layer_done(struct cb_layer *layer);

/**
 * Puts the differences of @spec into @store as a blob compressed as @compression says. @pool (may be NULL, may be the
 * one that runs the caller) lends threads for compression. *ret is the caller's, to end with cb_layer_done.
 */
int cb_layer_commit(struct cb_store *store, const struct cb_diff_spec *spec, const struct cb_compress_spec *compression,
	struct cb_pool *pool, struct cb_layer *ret, struct cb_err **err);
/** As above for the tar that @fn writes, on a thread of its own. */
int cb_layer_commit_with(struct cb_store *store, int (*fn)(void *arg, struct cb_sink out, struct cb_err **err),
	void *arg, const struct cb_compress_spec *compression, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_layer *ret, struct cb_err **err);
/** As above for a tar that exists: @tar is read to its end, compressed and stored (recompression of a pulled layer). */
int cb_layer_commit_tar(struct cb_store *store, struct cb_source tar, const struct cb_compress_spec *compression,
	struct cb_pool *pool, const struct cb_cancel *cancel, struct cb_layer *ret, struct cb_err **err);

#endif
