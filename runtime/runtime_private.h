/*
 * The open runtime, shared by the files runtime*.c and run.c.
 */
#ifndef CB_RUNTIME_PRIVATE_H
#define CB_RUNTIME_PRIVATE_H

#include <pthread.h>

#include "runtime/cgroup.h"
#include "runtime/cgroup_heir.h"
#include "runtime/emulate.h"
#include "runtime/network.h"
#include "runtime/overlay.h"
#include "runtime/runtime.h"
#include "runtime/zygote.h"

#define CB_IDLE_MAX 4

enum cb_network_state { CB_NETWORK_UNTRIED, CB_NETWORK_STARTED, CB_NETWORK_CONNECTED, CB_NETWORK_REFUSED };

struct cb_runtime {
	struct cb_runtime_info info;
	struct cb_runtime_options options;

	pthread_mutex_t ready_lock; /* taken before all others; of ready and seed, and of all below until it is ready */
	bool ready;
	struct cb_zygote_seed seed; /* with lazy, and with a user namespace under real root */
	struct cb_overlay_env overlay;
	unsigned int kind;    /* of all sandboxes */
	char *overlay_reason; /* why not, with CB_STORAGE_COPY */
	int stub;             /* the lowest layer of every root */
	int stub_empty;       /* the lowest layer of other chains */
	bool stub_on_disk;
	char stub_name[32]; /* where an idmapped stub on disk is attached, or empty */
	bool no_prepare;
	int trash; /* directory below scratch_fd, made when first needed, removed at the end; -1 */
	unsigned int n_trash;
	struct cb_cgroups *groups; /* or NULL */
	struct cb_cgroup_heir heir;
	uint64_t memory_limit; /* of the groups, or 0 */
	uint64_t oom_kills;    /* of our own group, before any run */

	struct cb_emulations *emulations;

	pthread_mutex_t network_lock; /* taken before lock; of network* */
	enum cb_network_state network_state;
	bool network_told;
	struct cb_network *network;
	char *network_reason; /* when it is REFUSED */

	pthread_mutex_t lock; /* of what follows */
	struct cb_zygote zygote;
	struct cb_sandbox_handle idle[CB_IDLE_MAX];
	size_t n_idle, n_pending; /* pending: asked for, not yet received; at most one */
	unsigned int pending_group;
};

/**
 * Takes the best isolation that works, or the one that was asked for: zygote, overlay and a first sandbox are there
 * then, and info tells of it.
 */
int cb_runtime_choose_rung(struct cb_runtime *rt, struct cb_err **err);
/** Ends what was made for a rung. */
void cb_runtime_undo_rung(struct cb_runtime *rt);
/** Makes the stub and mounts an overlay on the store, by @want or by the first way that works. */
int cb_runtime_probe_overlay(struct cb_runtime *rt, enum cb_overlay_api want, struct cb_err **err);
/** Without overlay, a root is a directory of the store, mounted where it is needed: does that work? */
int cb_runtime_probe_bind(struct cb_runtime *rt, struct cb_err **err);

/** Asks the zygote for a sandbox. With the lock held, or before there are threads. */
int cb_runtime_ask_sandbox(struct cb_runtime *rt, unsigned int kind, struct cb_err **err);
/** Waits for the one that was asked for. The same. */
int cb_runtime_receive_sandbox(struct cb_runtime *rt, struct cb_sandbox_handle *ret, struct cb_err **err);

/** Gives a waiting sandbox of @kind, or a new one. Any thread. */
int cb_runtime_take_sandbox(
	struct cb_runtime *runtime, unsigned int kind, struct cb_sandbox_handle *ret, struct cb_err **err);

/**
 * True when a run may join the connected network of this build, which is waited for; else it has to share the host's,
 * which is said in @warnings once.
 */
bool cb_runtime_join_network(struct cb_runtime *runtime, struct cb_strv *warnings);

/** Asks for a sandbox of @kind to wait for the next step: most likely that wants the same. */
void cb_runtime_prepare_next(struct cb_runtime *runtime, unsigned int kind);

/**
 * Empties the work directory of an overlay that is gone, by moving what is in it out of the way: deleting waits until
 * the end, because an ext4 without journal searches long for free inodes shortly after others were deleted.
 */
void cb_runtime_discard_work(struct cb_runtime *runtime, int work);

struct cb_report_head;

/**
 * Reads one report. 0 and the text (NUL-terminated) in @text, 1 at the end, or a failure. *fd is what came along, or
 * -1; with NULL nothing is expected to.
 */
int cb_report_read(int sock, struct cb_report_head *head, char *text, size_t size, int *fd, struct cb_err **err);

#endif
