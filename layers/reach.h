/*
 * What the names of the store lead to: documents and layers that must stay while their name does.
 */
#ifndef CB_LAYERS_REACH_H
#define CB_LAYERS_REACH_H

#include "base/map.h"
#include "layers/descriptor.h"
#include "layers/store.h"

/** Zero-initialise, end with cb_reach_done. The keys of both are texts of digests, the values mean nothing. */
struct cb_reach {
	struct cb_map *blobs;    /* indexes, manifests, configs, layers */
	struct cb_map *diff_ids; /* of the layers */
};
void cb_reach_done(struct cb_reach *reach);
#define cleanup_reach __attribute__((cleanup(cb_reach_done)))

/** Adds all that index.json leads to. What is missing or unreadable leads no further: no failure. */
int cb_reach_names(struct cb_store *store, struct cb_reach *reach, struct cb_err **err);
/** Adds what @desc, an index or a manifest, leads to. */
void cb_reach_add(struct cb_store *store, const struct cb_descriptor *desc, struct cb_reach *reach);

#endif
