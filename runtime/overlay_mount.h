/*
 * The ways to ask the kernel for an overlay. Private to overlay.c.
 */
#ifndef CB_RUNTIME_OVERLAY_MOUNT_H
#define CB_RUNTIME_OVERLAY_MOUNT_H

#include "runtime/overlay.h"

struct cb_overlay_parts {
	const int *lower; /* top first */
	size_t n_lower;
	int upper, work; /* -1: none */
};

/** Whether this kernel has a way at all: a failure of one that it does not know says nothing about the host. */
bool cb_overlay_kernel_takes(enum cb_overlay_api api, int dir);
/** fsopen and fsmount, layers as descriptors (env->api FDS) or as names of descriptors (STRINGS). */
int cb_overlay_mount_new(
	const struct cb_overlay_env *env, const struct cb_overlay_parts *parts, unsigned int attr, struct cb_err **err);
/** mount(2) below scratch_fd, taken off again at once. The calling process must have a private mount namespace. */
int cb_overlay_mount_legacy(
	const struct cb_overlay_env *env, const struct cb_overlay_parts *parts, unsigned int attr, struct cb_err **err);

#endif
