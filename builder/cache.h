/*
 * The step cache: records in the store as results of vertices.
 *
 * A record holds the chain of a step's result, as snapshot ids and diff IDs; it counts only while all of these
 * snapshots are there, and finding it keeps them there for the rest of the build.
 */
#ifndef CB_BUILDER_CACHE_H
#define CB_BUILDER_CACHE_H

#include "builder/build.h"

/** 1 with *ret (in the graph's arena) when @key leads to a usable record, else 0. */
int cb_cache_find(
	struct cb_build *build, const struct cb_digest *key, struct cb_step_result **ret, struct cb_err **err);
/** Records @result of @vertex, whose top layer is @snapshot, under @n keys. Takes @fields (may be NULL). */
int cb_cache_put(struct cb_build *build, const struct cb_vertex *vertex, const struct cb_digest *keys, size_t n,
	const char *snapshot, const struct cb_step_result *result, uint64_t duration_ns, json_t *fields,
	struct cb_err **err);

#endif
