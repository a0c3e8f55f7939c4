/*
 * From a cb_run_spec to the message that a sandbox understands. Private to run.c.
 */
#ifndef CB_RUNTIME_RUN_SPEC_H
#define CB_RUNTIME_RUN_SPEC_H

#include "runtime/runtime_private.h"

/** The message: descriptors in its order, the first is the memfd. Those marked own are closed at the end. */
struct cb_spec_message {
	int fds[CB_RUN_MOUNTS_MAX + 8];
	bool own[CB_RUN_MOUNTS_MAX + 8];
	size_t n_fds;
	uint64_t wire_len;
};

void cb_spec_message_done(struct cb_spec_message *msg);

/** Checks @spec, makes all mounts (detached) and writes the memfd. @joined: its network is that of network.h. */
int cb_spec_message_make(const struct cb_runtime *runtime, const struct cb_run_spec *spec, bool joined,
	struct cb_spec_message *ret, struct cb_err **err);

#endif
