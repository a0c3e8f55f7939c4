/*
 * Directories as an overlay in the user namespace wants to see them: idmapped, each made once for the whole build.
 *
 * Making and closing such a copy costs two waits for all processors (RCU), which a chain of steps would pay for each of
 * its layers in each step.
 */
#ifndef CB_RUNTIME_MAPPED_H
#define CB_RUNTIME_MAPPED_H

#include "base/err.h"

struct cb_overlay_env;
struct cb_mapped;

/**
 * @above: a directory above most of what will be asked for, or -1; borrowed for the call. Copies are made when they are
 * first needed. Never fails.
 */
struct cb_mapped *cb_mapped_new(int above);
/** Takes NULL. @env as it was with cb_mapped_lower. */
struct cb_mapped *cb_mapped_free(struct cb_mapped *mapped, const struct cb_overlay_env *env);

/** The directory @fd as a layer. The descriptor in *ret is borrowed, and good until the end. Any thread. */
int cb_mapped_lower(struct cb_mapped *mapped, const struct cb_overlay_env *env, int fd, int *ret, struct cb_err **err);

/** @upper and @work on one mount, which the kernel wants. The descriptors are the caller's. Any thread. */
int cb_mapped_upper(struct cb_mapped *mapped, const struct cb_overlay_env *env, int upper, int work, int *ret_upper,
	int *ret_work, struct cb_err **err);

#endif
