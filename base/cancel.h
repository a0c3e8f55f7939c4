/*
 * Cancellation: a flag that any thread may raise once, with a descriptor to poll.
 */
#ifndef CB_BASE_CANCEL_H
#define CB_BASE_CANCEL_H

#include <stdbool.h>

#include "base/err.h"

struct cb_cancel;

struct cb_cancel *cb_cancel_new(void);
struct cb_cancel *cb_cancel_free(struct cb_cancel *cancel);
CB_DEFINE_CLEANUP(struct cb_cancel *, cb_cancel_free)

/** Raises the flag; async-signal-safe; idempotent. */
void cb_cancel_raise(struct cb_cancel *cancel);
/** False for NULL. */
bool cb_cancel_raised(const struct cb_cancel *cancel);
/** Becomes readable for good once raised; -1 for NULL. */
int cb_cancel_fd(const struct cb_cancel *cancel);
/** 0, or CB_ERR_CANCELED with "canceled" once raised. For the top of long loops. */
int cb_cancel_check(const struct cb_cancel *cancel, struct cb_err **err);

#endif
