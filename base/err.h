/*
 * Errors: one heap object handed up through `struct cb_err **err`.
 *
 * Functions return 0 for success, a positive outcome that their header names, or a negative enum cb_code with *err set.
 * The caller owns *err. Passing err == NULL is allowed: the code is returned, the message dropped. An error is either
 * returned or reported, never both; below builder/ nothing prints.
 */
#ifndef CB_BASE_ERR_H
#define CB_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/** What kind of failure: decides the exit status and whether a retry makes sense. */
enum cb_code {
	CB_ERR_INTERNAL = -1,    /* a promise between our own functions was broken */
	CB_ERR_INPUT = -2,       /* a Buildfile, context, image name or other user input is wrong */
	CB_ERR_USAGE = -3,       /* the command line is wrong */
	CB_ERR_IO = -4,          /* a system call failed (errnum is set) */
	CB_ERR_NOT_FOUND = -5,   /* a named thing is not there */
	CB_ERR_CORRUPT = -6,     /* data does not have its digest, or does not follow its format */
	CB_ERR_LIMIT = -7,       /* a named limit was exceeded */
	CB_ERR_UNSUPPORTED = -8, /* this host or this build of cbuild cannot do it */
	CB_ERR_DENIED = -9,      /* permission, entitlement or authentication */
	CB_ERR_NETWORK = -10,    /* a transfer failed in a way that a retry may mend */
	CB_ERR_STEP = -11,       /* a RUN command ended with a non-zero status or by a signal */
	CB_ERR_CANCELED = -12,   /* the user or a failing sibling stopped it */
	CB_ERR_NO_SPACE = -13,   /* ENOSPC or EDQUOT: the disk or a quota is full */
	CB_ERR_TIMEOUT = -14,    /* a time limit of the user's ended a step or the build */
};

/** A failure. Lines and columns are 1-based; 0 means that the place is not known. */
struct cb_err {
	enum cb_code code;
	int errnum; /* errno of the failing call, or 0 */
	char *msg;  /* outermost context first, "a: b: c" */
	char *hint; /* what to do, or NULL */
	char *file; /* the file that line counts in, when it is not the Buildfile; or NULL */
	unsigned int line, col, end_line;
};

#define CB_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

/** Sets *err to a new error and returns @code. An error already in *err is freed. */
int cb_err_set(struct cb_err **err, enum cb_code code, const char *fmt, ...) CB_PRINTF(3, 4);
/** As cb_err_set, with a place in the source text. */
int cb_err_at(struct cb_err **err, enum cb_code code, unsigned int line, unsigned int col, const char *fmt, ...)
	CB_PRINTF(5, 6);
/** "<text>: <strerror>". The code follows @errnum: NOT_FOUND for ENOENT, NO_SPACE, DENIED for EACCES/EPERM, else IO. */
int cb_err_errno(struct cb_err **err, int errnum, const char *fmt, ...) CB_PRINTF(3, 4);
/** Puts "<text>: " before the message of *err, gives it @code and returns that: `return cb_err_wrap(err, r, ...)`. */
int cb_err_wrap(struct cb_err **err, int code, const char *fmt, ...) CB_PRINTF(3, 4);
/** Gives *err another code, which says more about the cause than its own. Returns @code. */
int cb_err_recode(struct cb_err **err, int code);
/** Gives *err a place unless it has one. Returns @code. */
int cb_err_locate(struct cb_err **err, int code, unsigned int line, unsigned int col, unsigned int end_line);
/** Sets the hint (replacing an earlier one). Returns @code. */
int cb_err_hint(struct cb_err **err, int code, const char *fmt, ...) CB_PRINTF(3, 4);

/** The message, or "" for NULL. Borrowed. */
const char *cb_err_msg(const struct cb_err *err);
/** Moves @from into *to (dropping it when to is NULL). Returns its code, or 0 when from is NULL. */
int cb_err_move(struct cb_err **to, struct cb_err *from);
struct cb_err *cb_err_copy(const struct cb_err *err);
struct cb_err *cb_err_free(struct cb_err *err);
CB_DEFINE_CLEANUP(struct cb_err *, cb_err_free)
#define cleanup_err CB_CLEANUP(cb_err_free)

#endif
