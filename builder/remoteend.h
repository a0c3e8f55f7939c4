/*
 * One remote cache as a build uses it: of results (remotes.h) or of cache mounts (cachemounts.h). One that fails twice
 * in a row is left alone for the rest of the build.
 */
#ifndef CB_BUILDER_REMOTEEND_H
#define CB_BUILDER_REMOTEEND_H

#include <stdatomic.h>

#include "builder/build.h"
#include "builder/remotespec.h"
#include "layers/ref.h"
#include "layers/remotecache.h"

/** Failures in a row after which a cache is left alone. */
#define CB_REMOTE_FAILURES_MAX 2

struct cb_remote_end {
	struct cb_build *build;
	struct cb_remote_spec spec;
	struct cb_remote_cache *cache;
	struct cb_ref *ref;   /* of a registry, or NULL */
	atomic_uint failures; /* in a row */
	atomic_uint broken;   /* promises: layers of records that were not to be had */
};

/**
 * Opens the cache that end->spec, which is parsed, names; @end is zeroed but for that. @option is for errors, @inlined
 * (or NULL) reads records that images carry.
 */
int cb_remote_end_open(struct cb_build *build, const char *option, bool to, cb_remote_inline_fn inlined,
	struct cb_remote_end *end, struct cb_err **err);
/** Closes and frees an array. */
void cb_remote_ends_free(struct cb_remote_end *ends, size_t n);

/* Any thread. */

/** False when the cache was left alone. */
bool cb_remote_end_alive(const struct cb_remote_end *end);
/** Counts how a request ended: how many have failed in a row when @code is a failure, else 0. */
unsigned int cb_remote_end_count(struct cb_remote_end *end, int code);
/** Warns, about @vertex or NULL, that @what (NULL: anything) failed: the last of @failures in a row. */
void cb_remote_end_warn(struct cb_remote_end *end, const struct cb_vertex *vertex, const char *what,
	unsigned int failures, const struct cb_err *why);

#endif
