/*
 * Open snapshots of a build: one descriptor each, which also keeps other processes from removing them.
 *
 * Thread-safe. Descriptors live until the set is freed.
 */
#ifndef CB_BUILDER_SNAPFDS_H
#define CB_BUILDER_SNAPFDS_H

#include "base/err.h"
#include "builder/chain.h"
#include "layers/store.h"

struct cb_snapfds;

struct cb_snapfds *cb_snapfds_new(struct cb_store *store);
struct cb_snapfds *cb_snapfds_free(struct cb_snapfds *set);
CB_DEFINE_CLEANUP(struct cb_snapfds *, cb_snapfds_free)

/**
 * The directory of the layer on top of @chain (of the layer alone): 0 with *ret borrowed, or 1 when the snapshot is
 * gone or the base layer was not unpacked.
 */
int cb_snapfds_get(struct cb_snapfds *set, const struct cb_chain *chain, int *ret, struct cb_err **err);
/** The snapshot id of the same; borrowed. */
int cb_snapfds_id(struct cb_snapfds *set, const struct cb_chain *chain, const char **ret, struct cb_err **err);

#endif
