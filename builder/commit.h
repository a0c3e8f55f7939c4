/*
 * Layers of finished snapshots: tar, digest, compression in the background while later steps run.
 *
 * A layer is only made for a snapshot that the target's image holds and that an output wants as a blob, and only when
 * the store does not know it from an earlier build. All functions belong to the coordinator.
 */
#ifndef CB_BUILDER_COMMIT_H
#define CB_BUILDER_COMMIT_H

#include "builder/build.h"
#include "layers/layercommit.h"

struct cb_commits;

struct cb_commits *cb_commits_new(struct cb_build *build, const struct cb_compress_spec *compression);
/** No commit may be running. */
struct cb_commits *cb_commits_free(struct cb_commits *commits);
CB_DEFINE_CLEANUP(struct cb_commits *, cb_commits_free)

/** Starts on the layer on top of @chain unless that was done. */
void cb_commits_start(struct cb_commits *commits, const struct cb_chain *chain);
/** A message CB_MSG_TASK: the chain whose top layer was committed, or NULL when it was about something else. */
const struct cb_chain *cb_commits_message(struct cb_commits *commits, struct cb_msg *msg);
/** Nothing is running any more. */
bool cb_commits_idle(const struct cb_commits *commits);
/** The layer on top of @chain, when it is made: 0 with *ret borrowed, or the failure. */
int cb_commits_get(struct cb_commits *commits, const struct cb_chain *chain, const struct cb_layer **ret,
	struct timespec *ret_created, struct cb_err **err);

#endif
