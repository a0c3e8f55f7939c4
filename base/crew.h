/*
 * Work that makes more work, done by the calling thread with the help of a pool.
 *
 * The caller always works itself, so a crew may run on a thread of the very pool that helps it, and on a pool whose
 * threads are all busy. Newest items are taken first: a walk of a tree stays deep, not wide. The first failure stops
 * it.
 */
#ifndef CB_BASE_CREW_H
#define CB_BASE_CREW_H

#include <stddef.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"

struct cb_crew;

struct cb_crew_ops {
	/** Does one item, which it owns. May add more items. */
	int (*work)(void *userdata, void *item, struct cb_err **err);
	/** Frees an item that will not be done. */
	void (*drop)(void *userdata, void *item);
};

/** @pool (may be NULL) lends at most @helpers threads. */
struct cb_crew *cb_crew_new(struct cb_pool *pool, size_t helpers, const struct cb_crew_ops *ops, void *userdata);
struct cb_crew *cb_crew_free(struct cb_crew *crew);
CB_DEFINE_CLEANUP(struct cb_crew *, cb_crew_free)

/** Adds an item; from the owner before cb_crew_run, or from inside work(). */
void cb_crew_add(struct cb_crew *crew, void *item);
/** Works until nothing is left. The first error, or CB_ERR_CANCELED; then the rest was dropped. */
int cb_crew_run(struct cb_crew *crew, const struct cb_cancel *cancel, struct cb_err **err);

#endif
