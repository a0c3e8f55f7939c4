/*
 * RUN --mount: from the plan's mounts to those of the container. Not for others than step_run.c, step_mounts.c and
 * step_lend.c.
 */
#ifndef CB_BUILDER_STEP_MOUNTS_H
#define CB_BUILDER_STEP_MOUNTS_H

#include "builder/build.h"
#include "layers/cover.h"
#include "layers/plainroot.h"
#include "runtime/spec.h"

/** What stays open, locked or lent for one mount until the step is over. */
struct cb_mount_hold {
	struct cb_run_mount mount; /* as the container gets it, but for a mount that is lent; no target: none */
	size_t order;              /* among the mounts of the instruction */
	int fd, use;               /* use: the lock of a cache mount */
	char *cache;               /* name of a cache mount */
	int *layers;
	struct cb_buf data;
	struct cb_lock *lock;
	struct cb_snapshot *throwaway;
	struct cb_sshagent *agent;
	char *target;
	struct cb_cover *cover; /* what is lent */
};

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
/** Nothing can be mounted for steps: isolation chroot. */
bool cb_build_lends(const struct cb_build *build);
/**
 * Where nothing can be mounted: puts the sources of all mounts but files to their targets in the plain root @rootfd,
 * which was marked before, and takes them out of @mounts->v. To be ended by cb_run_mounts_return when
 * every process of the step is gone, however it ended.
 */
int cb_run_mounts_lend(struct cb_build *build, const struct cb_vertex *vertex, struct cb_run_mounts *mounts, int rootfd,
	struct cb_err **err);
/** The reverse; what is in cache mounts now is kept. CB_ERR_STEP when the step has moved or removed a mount. */
int cb_run_mounts_return(
	struct cb_build *build, struct cb_run_mounts *mounts, struct cb_plainroot *plain, struct cb_err **err);
/** Closes, unlocks, throws away. */
void cb_run_mounts_done(struct cb_run_mounts *mounts);

#endif
