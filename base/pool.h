/*
 * Thread pool: jobs run in the order of submission within their priority.
 *
 * A job owns its inputs and reports by what it calls itself; the pool knows nothing of results. Threads block all
 * signals.
 */
#ifndef CB_BASE_POOL_H
#define CB_BASE_POOL_H

#include <stddef.h>

#include "base/mem.h"

struct cb_pool;

/** Starts up to @threads threads, on demand. @name (at most 15 bytes) names them. */
struct cb_pool *cb_pool_new(const char *name, size_t threads);
/** Waits for every submitted job, then ends the threads. */
struct cb_pool *cb_pool_free(struct cb_pool *pool);
CB_DEFINE_CLEANUP(struct cb_pool *, cb_pool_free)

enum cb_priority { CB_PRIORITY_HIGH, CB_PRIORITY_NORMAL, CB_PRIORITY_LOW, CB_PRIORITY_N };
void cb_pool_submit(struct cb_pool *pool, enum cb_priority priority, void (*fn)(void *arg), void *arg);
/** Waits until no job is queued or running. */
void cb_pool_drain(struct cb_pool *pool);
size_t cb_pool_threads(const struct cb_pool *pool);
/** Processors that this process may use, at least 1. */
size_t cb_cpu_count(void);

#endif
