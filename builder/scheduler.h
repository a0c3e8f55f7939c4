/*
 * The scheduler: makes the result of a target vertex, and of nothing that the target does not need.
 *
 * One thread, the coordinator, calls cb_scheduler_run and owns the graph; it decides, the pools work. A wanted vertex
 * is looked up by its definition key as soon as that is known; on a hit its inputs are not asked for. Otherwise the
 * inputs are wanted, and when all are finished the vertex is executed in a pool (where its content key is looked up
 * first). Vertices whose key waits for the content of local files want their inputs right away, except late ones; the
 * content of local files is wanted from the start.
 *
 * Looking up may take its time (a remote cache): the vertex waits for CB_MSG_ANSWER while the others go on.
 *
 * When a job finds that what its inputs gave is gone after all (a remote cache lost it), nothing new starts, the
 * running jobs are waited for, and every result that is lost is made again, as are selections of files from it.
 *
 * The first failure raises @cancel; running jobs are waited for, nothing new starts, the first error is returned.
 */
#ifndef CB_BUILDER_SCHEDULER_H
#define CB_BUILDER_SCHEDULER_H

#include "base/cancel.h"
#include "base/err.h"
#include "base/pool.h"
#include "builder/graph.h"
#include "builder/queue.h"

/** Where a job runs. */
enum cb_lane {
	CB_LANE_INLINE, /* in the coordinator: for what only joins results */
	CB_LANE_RUN,    /* steps that mostly wait for a process */
	CB_LANE_CPU,    /* copying and hashing */
	CB_LANE_NET,    /* downloads */
	CB_LANE_N,
};

enum cb_event {
	CB_EVENT_STARTED,
	CB_EVENT_CACHED,
	CB_EVENT_DONE,
	CB_EVENT_FAILED,
	CB_EVENT_CANCELED,
};

/** Of probe and ready: ask again when CB_MSG_ANSWER about the vertex came. */
#define CB_SCHEDULER_LATER 2
/** Of execute: results of its inputs are lost. */
#define CB_SCHEDULER_AGAIN 2

/** What executing means; the functions get @ctx. */
struct cb_scheduler_ops {
	enum cb_lane (*lane)(void *ctx, const struct cb_vertex *vertex);
	/** Coordinator: computes vertex->key; the keys of all inputs (content_defined: its own result) are known. */
	void (*key)(void *ctx, struct cb_vertex *vertex);
	/** Coordinator: looks vertex->key up. 1 with vertex->result set, 0 when there is nothing, CB_SCHEDULER_LATER.
	 */
	int (*probe)(void *ctx, struct cb_vertex *vertex, struct cb_err **err);
	/** Coordinator: all inputs are finished. 0 when @vertex can be executed, or CB_SCHEDULER_LATER. May be NULL. */
	int (*ready)(void *ctx, struct cb_vertex *vertex);
	/** Any thread: makes vertex->result. 0 executed, 1 found in the cache after all, CB_SCHEDULER_AGAIN. */
	int (*execute)(void *ctx, struct cb_vertex *vertex, struct cb_err **err);
	/**
	 * Coordinator, while no job is running: is the result of @vertex lost, or (@inputs) those of its inputs, and is
	 * it therefore not to be had? Then the result is dropped. May be NULL when execute never says AGAIN.
	 */
	bool (*lost)(void *ctx, struct cb_vertex *vertex, bool inputs);
	/** Coordinator, for progress; @err only with CB_EVENT_FAILED. */
	void (*event)(void *ctx, const struct cb_vertex *vertex, enum cb_event event, const struct cb_err *err);
	/** Coordinator: a message other than CB_MSG_DONE of a vertex, or any message of another subject. */
	void (*message)(void *ctx, struct cb_msg *msg);
	/** Coordinator: about ten times a second, and when signal_fd is readable. */
	void (*tick)(void *ctx);
};

struct cb_scheduler {
	const struct cb_scheduler_ops *ops;
	void *ctx;
	struct cb_graph *graph;
	struct cb_queue *queue;
	struct cb_pool *pools[CB_LANE_N]; /* INLINE is unused */
	struct cb_cancel *cancel;
	int signal_fd; /* polled for the caller, or -1 */
};

/** Finishes @target (NULL: nothing to do). CB_ERR_CANCELED when @cancel was raised from outside. */
int cb_scheduler_run(const struct cb_scheduler *scheduler, struct cb_vertex *target, struct cb_err **err);
/** The same for @n targets side by side, none of which is NULL. */
int cb_scheduler_run_all(
	const struct cb_scheduler *scheduler, struct cb_vertex *const *targets, size_t n, struct cb_err **err);
/** After a run whose results turn out to be lost: makes what @targets need of them again. */
int cb_scheduler_repair(
	const struct cb_scheduler *scheduler, struct cb_vertex *const *targets, size_t n, struct cb_err **err);

/**
 * Runs fn(args[i]) for all @n in the pool of @lane and waits for them while serving messages, signals and ticks: for
 * work before and after the graph. The first failure raises the cancel flag.
 */
int cb_scheduler_call(const struct cb_scheduler *scheduler, enum cb_lane lane,
	int (*fn)(void *arg, struct cb_err **err), void *const *args, size_t n, struct cb_err **err);

/** Serves messages, signals and ticks until ready(ctx), or CB_ERR_CANCELED. */
int cb_scheduler_wait(const struct cb_scheduler *scheduler, bool (*ready)(void *ctx), struct cb_err **err);

#endif
