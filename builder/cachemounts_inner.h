/* Inside of the cache mounts of a build: what cachemounts.c and cachemounts_put.c share. Not for others. */
#ifndef CB_BUILDER_CACHEMOUNTS_INNER_H
#define CB_BUILDER_CACHEMOUNTS_INNER_H

#include <pthread.h>

#include "builder/cachemounts.h"
#include "builder/remoteend.h"

/** A mount that a step used. */
struct cb_mounts_used {
	char *name, *travel, *title;
	bool locked;
};

struct cb_cachemounts {
	struct cb_build *build;
	char *platform;
	struct cb_remote_end *from, *to;
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

/** Counts how a request about @what ended; a failure is a warning about @vertex (may be NULL). Takes @err. */
void cb_cachemounts_result(
	struct cb_remote_end *end, const struct cb_vertex *vertex, const char *what, int code, struct cb_err *err);

#endif
