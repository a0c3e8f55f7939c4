/*
 * The step cache: records in the store as results of vertices.
 *
 * A record holds the chain of a step's result, as snapshot ids and diff IDs; it counts only while all of these
 * snapshots are there, and finding it keeps them there for the rest of the build.
 */
#ifndef CB_BUILDER_CACHE_H
#define CB_BUILDER_CACHE_H

#include "builder/build.h"

/** The names of a shape and of a print in the facts of a record; what they cover has changed once. */
#define CB_CACHE_SHAPE "shape-2"
#define CB_CACHE_PRINT "print"

/** 1 with *ret (in the graph's arena) when @key leads to a usable record, else 0. */
int cb_cache_find(
	struct cb_build *build, const struct cb_digest *key, struct cb_step_result **ret, struct cb_err **err);
/** What a step gave, for cb_cache_put. */
struct cb_cache_entry {
	const char *snapshot; /* the top layer; NULL when it is not unpacked */
	const struct cb_chain *chain;
	uint64_t duration_ns;
	const struct cb_step_note *note; /* its inputs and files are kept, too */
	int64_t began, ended;            /* ns: when the snapshot was written, by the clock of file systems */
	struct cb_digest shape;          /* of the snapshot (layers/samesnap.h), or not set: who asks makes it */
};

/** The present by the clock that file systems stamp with, in nanoseconds; @fine: not before any stamp given yet. */
int64_t cb_cache_clock(bool fine);
/** Enters a record under @n keys; *ret_id is the record's. */
int cb_cache_put(struct cb_build *build, const struct cb_cache_entry *entry, const struct cb_digest *keys, size_t n,
	int64_t *ret_id, struct cb_err **err);

#endif
