/*
 * What the store holds, one item for each thing that can be removed by itself: snapshots, blobs, cache mounts.
 *
 * Sizes are those on disk, hard links once. They come from the database; what nobody counted yet is counted now. Items
 * of the same store may vanish at any moment: a list is what was there when it was made.
 */
#ifndef CB_LAYERS_USAGE_H
#define CB_LAYERS_USAGE_H

#include "base/cancel.h"
#include "layers/store.h"

enum cb_usage_kind { CB_USAGE_SNAPSHOT, CB_USAGE_BLOB, CB_USAGE_CACHEMOUNT };

struct cb_usage_item {
	enum cb_usage_kind kind;
	char *type;   /* "run", "copy", …, "image" and "remote" of snapshots; "layer", "document"; "cachemount" */
	char *id;     /* snapshot id, digest, name of the cache mount */
	char *parent; /* what it was made on: a snapshot id or a diff ID; of a layer the snapshot that has it; or NULL
		       */
	char *title;  /* the step, or the id of the cache mount; or NULL */
	uint64_t size, uses;
	int64_t created, last_used; /* seconds since the epoch */
	int64_t order;              /* later ones have higher numbers */
	size_t children;            /* snapshots made on it */
	bool in_use;                /* by a process that lives */
	bool named;                 /* part of an image that has a name */
};

/** Zero-initialise, end with cb_usage_done. */
struct cb_usage {
	struct cb_usage_item *v;
	size_t n, cap;
	uint64_t total;
};
void cb_usage_done(struct cb_usage *usage);
#define cleanup_usage __attribute__((cleanup(cb_usage_done)))

int cb_usage_read(struct cb_store *store, const struct cb_cancel *cancel, struct cb_usage *ret, struct cb_err **err);
/** The total alone, without looking at who needs what: quick. */
int cb_usage_total(struct cb_store *store, uint64_t *ret, struct cb_err **err);
/** True when prune without --all may remove it: nobody uses it and no name leads to it. */
bool cb_usage_reclaimable(const struct cb_usage_item *item);

#endif
