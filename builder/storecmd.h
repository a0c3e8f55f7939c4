/*
 * What the commands have in common that work on the store alone: opening it as a build would, and printing.
 */
#ifndef CB_BUILDER_STORECMD_H
#define CB_BUILDER_STORECMD_H

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "layers/platform.h"
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
/** Parses --format text|json. CB_ERR_USAGE. */
int cb_storecmd_format(const char *value, bool *ret_json, struct cb_err **err);
/** Parses --platform. CB_ERR_USAGE. */
int cb_storecmd_platform(const char *value, struct cb_platform *ret, struct cb_err **err);
/** Appends how long ago @then was: "3 days ago". */
void cb_storecmd_age(struct cb_buf *out, int64_t now, int64_t then);
/** Appends the first line of @text, fit for a terminal, at most @max columns. */
void cb_storecmd_cut(struct cb_buf *out, const char *text, size_t max);
/** Writes @text to standard output; an enum cb_exit. */
int cb_storecmd_print(const struct cb_buf *text);

#endif
