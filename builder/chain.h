/*
 * Chains: a file system as a list of layers, shared from the bottom up.
 *
 * A chain is its top layer and the chain below; NULL is the empty file system. A layer is a snapshot that a step made,
 * or a layer of a base image, which has a snapshot only once something needed to read it. The content id of a chain
 * is the same wherever the same layers lie above each other.
 *
 * A set owns its chains; it is thread-safe and only grows. Chains are immutable but for the snapshot of base layers,
 * which is written before the vertex of the image is finished.
 */
#ifndef CB_BUILDER_CHAIN_H
#define CB_BUILDER_CHAIN_H

#include <stddef.h>

#include "base/strv.h"
#include "layers/digest.h"
#include "layers/snapshot.h"

struct cb_base;
struct cb_image;
struct cb_chain_set;

/** A layer of a step that came by its diff ID: from a remote cache, perhaps not here yet. */
struct cb_cached_layer {
	struct cb_image *image; /* with this one layer, to pull it by */
	int64_t created;        /* seconds since the epoch */
};

struct cb_chain {
	const struct cb_chain *below;
	size_t depth;                         /* layers, this one included */
	char snapshot[CB_SNAPSHOT_ID_MAX];    /* of a step; "" for a base layer */
	struct cb_digest diff_id;             /* of a base layer or a cached one; unset for a step */
	const struct cb_cached_layer *cached; /* or NULL */
	const struct cb_base *base;           /* of a base layer: the image that has it, as layer base_at */
	size_t base_at;
	struct cb_digest content; /* of the whole chain */
};

struct cb_chain_set *cb_chain_set_new(void);
struct cb_chain_set *cb_chain_set_free(struct cb_chain_set *set);
CB_DEFINE_CLEANUP(struct cb_chain_set *, cb_chain_set_free)

/** @below with the snapshot @id on top. The same arguments give the same pointer. */
const struct cb_chain *cb_chain_add(struct cb_chain_set *set, const struct cb_chain *below, const char *id);
/** @below with a layer of an image on top. */
const struct cb_chain *cb_chain_add_base(struct cb_chain_set *set, const struct cb_chain *below,
	const struct cb_digest *diff_id, const struct cb_base *base, size_t at);
/** @below with a cached layer on top; @layer must live as long as @set. */
const struct cb_chain *cb_chain_add_cached(struct cb_chain_set *set, const struct cb_chain *below,
	const struct cb_digest *diff_id, const struct cb_cached_layer *layer);
/** @upper's layers on top of @lower's. */
const struct cb_chain *cb_chain_stack(
	struct cb_chain_set *set, const struct cb_chain *lower, const struct cb_chain *upper);

/** The content id, of the empty chain too. */
const char *cb_chain_content(const struct cb_chain *chain);
static inline size_t cb_chain_depth(const struct cb_chain *chain)
{
	return chain ? chain->depth : 0;
}
/** The layers bottom first, chain->depth pointers; caller frees. */
const struct cb_chain **cb_chain_list(const struct cb_chain *chain);

/** Adds one text for each layer, bottom first: a snapshot id, a diff ID, or "layer:<diff ID>@<created>". For records.
 */
void cb_chain_write(const struct cb_chain *chain, struct cb_strv *ret);
/** Gives the cached layer @diff_id, or NULL when it is not to be had. */
typedef const struct cb_cached_layer *(*cb_chain_cached_fn)(
	void *userdata, const struct cb_digest *diff_id, int64_t created);
/**
 * The chain of such texts. Base layers must be known to @set from an image of this build; 1 when a layer is not to be
 * had.
 */
int cb_chain_read(struct cb_chain_set *set, const struct cb_strv *layers, cb_chain_cached_fn cached, void *userdata,
	const struct cb_chain **ret);

#endif
