/* Inside of the cache mounts of a build: what cachemounts.c and cachemounts_put.c share. Not for others. */
#ifndef CB_BUILDER_CACHEMOUNTS_INNER_H
#define CB_BUILDER_CACHEMOUNTS_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "builder/cachemounts.h"

/** One cache. */
struct cb_mounts_end {
	struct cb_cachemounts *mounts;
	struct cb_remote_spec spec;
	struct cb_remote_cache *cache;
	struct cb_ref *ref;   /* of a registry, or NULL */
	atomic_uint failures; /* in a row */
};

/** A mount that a step used. */
struct cb_mounts_used {
	char *name, *travel, *title;
	bool locked;
};

struct cb_cachemounts {
	struct cb_build *build;
	char *platform;
	struct cb_mounts_end *from, *to;
	size_t n_from, n_to;
	pthread_mutex_t mutex; /* of what follows */
	struct cb_mounts_used *used;
	size_t n_used, cap_used;
	/* exporting */
	struct cb_cancel *cancel; /* not the build's, which a failed step raises */
	struct cb_vertex line;    /* stands for the progress line */
	atomic_size_t running;
	bool started;
	uint32_t shown;
};

/** False when the cache was left alone. */
bool cb_mounts_end_alive(const struct cb_mounts_end *end);
/** Counts how a request about @what ended; a failure is a warning about @vertex (may be NULL). Takes @err. */
void cb_mounts_end_result(
	struct cb_mounts_end *end, const struct cb_vertex *vertex, const char *what, int code, struct cb_err *err);

#endif
