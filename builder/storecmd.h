/*
 * What the commands have in common that work on the store alone: opening it as a build would, and printing.
 */
#ifndef CB_BUILDER_STORECMD_H
#define CB_BUILDER_STORECMD_H

#include "base/buf.h"
#include "base/err.h"
#include "layers/store.h"

/**
 * Goes where the files of the store can be read (the user namespace of an ordinary user) and opens it. @root is what
 * --root gave, or NULL.
 */
int cb_storecmd_open(const char *root, struct cb_store **ret, struct cb_err **err);
/** Becomes raised by SIGINT, SIGTERM and SIGHUP, which from then on end nothing themselves. Never freed. */
struct cb_cancel *cb_storecmd_cancel(void);
/** The exit status of a command that failed with @code: 128 and the signal's number when one came. */
int cb_storecmd_fail(const struct cb_err *err);
/** Writes @text to standard output; an enum cb_exit. */
int cb_storecmd_print(const struct cb_buf *text);

#endif
