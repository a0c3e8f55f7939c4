/*
 * The same work for each of some items, side by side on threads of its own.
 */
#ifndef CB_BASE_PARALLEL_H
#define CB_BASE_PARALLEL_H

#include <stddef.h>

#include "base/cancel.h"
#include "base/err.h"

/** Does item @at. @cancel is raised by the first failure of another item, and when the caller's token is. */
typedef int (*cb_parallel_fn)(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err);

/**
 * Calls @fn for items 0 to @n - 1, begun in that order, on at most @threads threads (named @name), and waits for all.
 * Positive results count as success. The first failure is the result; what was not begun by then is left out.
 */
int cb_parallel_each(const char *name, size_t threads, size_t n, cb_parallel_fn fn, void *userdata,
	struct cb_cancel *cancel, struct cb_err **err);

#endif
