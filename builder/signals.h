/*
 * SIGINT, SIGTERM and SIGHUP as something to read between two pieces of work.
 */
#ifndef CB_BUILDER_SIGNALS_H
#define CB_BUILDER_SIGNALS_H

#include <stdbool.h>

#include "base/err.h"

/** From now on these signals wait in *ret_fd (the caller closes it). Call it before the first thread. */
int cb_signals_open(int *ret_fd, struct cb_err **err);
/**
 * Notes in *@seen what came since the last call (@fd may be negative: nothing comes); true when it is the first. Who
 * sends a second one means it: the process ends at once, with status 128 and the signal's number.
 */
bool cb_signals_take(int fd, int *seen);

#endif
