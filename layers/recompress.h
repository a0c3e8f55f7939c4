/*
 * The same layer, compressed otherwise: another blob with the same diff ID.
 */
#ifndef CB_LAYERS_RECOMPRESS_H
#define CB_LAYERS_RECOMPRESS_H

#include "layers/layercommit.h"

/**
 * Finds or makes a blob of the layer @diff_id as @compression says; @from is one of its blobs, in the store. *ret is
 * the caller's, with the annotations of @from. Asked for a level, it makes one: what is there has any.
 */
int cb_layer_recompress(struct cb_store *store, const struct cb_digest *diff_id, const struct cb_descriptor *from,
	const struct cb_compress_spec *compression, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_descriptor *ret, struct cb_err **err);

#endif
