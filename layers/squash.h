/*
 * Several layers as one.
 */
#ifndef CB_LAYERS_SQUASH_H
#define CB_LAYERS_SQUASH_H

#include "layers/layercommit.h"

/**
 * Makes of the last @n - @n_below of the @n layers @blobs (bottom first, all in the store) one that does the same to
 * the layers below: files that later ones replace or delete are left out, deletions stay only where the layers below
 * have the file. The order and form of entries are those of diff.h, so equal input gives equal bytes. The content of
 * files is kept in a temporary file of the store meanwhile, everything else in a table on disk (filetable.h).
 */
int cb_layers_squash(struct cb_store *store, const struct cb_descriptor *blobs, size_t n, size_t n_below,
	const struct cb_compress_spec *compression, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_layer *ret, struct cb_err **err);

#endif
