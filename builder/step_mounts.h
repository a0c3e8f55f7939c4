/*
 * RUN --mount: from the plan's mounts to those of the container. Not for others than step_run.c.
 */
#ifndef CB_BUILDER_STEP_MOUNTS_H
#define CB_BUILDER_STEP_MOUNTS_H

#include "builder/build.h"
#include "runtime/spec.h"

/** Mounts with all that must stay open until the step is over. */
struct cb_run_mounts {
	struct cb_run_mount *v;
	size_t n;
	struct cb_mount_hold *holds;
	size_t n_holds;
};

/** Variables that secrets bring are added to @env. On failure @ret is empty. */
int cb_run_mounts_make(struct cb_build *build, const struct cb_vertex *vertex, struct cb_run_mounts *ret,
	struct cb_strv *env, struct cb_err **err);
/** Closes, unlocks, throws away. */
void cb_run_mounts_done(struct cb_run_mounts *mounts);

#endif
