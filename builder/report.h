/*
 * How a failure is told to people, and which exit status it means.
 *
 * An error with a place prints as `Buildfile:L:C: error: message`, the source line, a caret, and `hint: ...`; the error
 * of a step prints the last lines of its output and the numbered source excerpt with ` >>> ` marks.
 */
#ifndef CB_BUILDER_REPORT_H
#define CB_BUILDER_REPORT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/needles.h"

/** Exit statuses of cbuild; README documents them. */
enum cb_exit {
	CB_EXIT_OK = 0,
	CB_EXIT_FAILED = 1,        /* the Buildfile, its context or one of its steps is at fault */
	CB_EXIT_USAGE = 2,         /* the command line is wrong */
	CB_EXIT_TIMEOUT = 124,     /* --timeout or --step-timeout is over, as timeout(1) says it */
	CB_EXIT_ENVIRONMENT = 125, /* cbuild itself or this host: store, isolation, full disk, a bug */
	CB_EXIT_TRANSIENT = 126,   /* a registry or the network failed in a way that a retry may mend */
	CB_EXIT_SIGINT = 130,
	CB_EXIT_SIGTERM = 143,
};

/** The only mapping from error codes to exit statuses. 0 and positive outcomes are CB_EXIT_OK. */
int cb_report_exit_status(int code);

/** The text that errors point into. */
struct cb_report_source {
	const char *name; /* "Buildfile", as the user knows it */
	const char *data; /* may be NULL: no excerpt */
	size_t len;
	const struct cb_report_source *more; /* files that errors may name, or NULL */
	size_t n_more;
};

/** A failed step's context for the report; all may be zero. */
struct cb_report_step {
	const char *name; /* "[stage 2/5] RUN make" */
	const char *tail; /* last lines of its output, or NULL */
};

/**
 * Appends the report of @err: with @step the excerpt style of a failed step, else the caret style; without a place
 * `cbuild: error: message`. @src may be NULL.
 */
void cb_report_error(struct cb_buf *out, const struct cb_err *err, const struct cb_report_source *src,
	const struct cb_report_step *step);
/** Appends `NAME:L:C: warning: message` (or `cbuild: warning: ...` without a line). */
void cb_report_warning(struct cb_buf *out, const struct cb_report_source *src, unsigned int line, unsigned int col,
	const char *message);
/** Appends numbered lines around @line to @end_line of @src, with marks; nothing when there is no such line. */
void cb_report_excerpt(
	struct cb_buf *out, const struct cb_report_source *src, unsigned int line, unsigned int end_line);
/** Appends @label and @message, fit for a terminal, and a line end. */
void cb_report_text(struct cb_buf *out, const char *label, const char *message);
/** As cb_report_fail, without what @needles finds. */
int cb_report_fail_redacted(const struct cb_err *err, const struct cb_report_source *src,
	const struct cb_report_step *step, const struct cb_needles *needles);
/** Prints the report on standard error and returns the exit status. The usual last act of a command. */
int cb_report_fail(const struct cb_err *err, const struct cb_report_source *src, const struct cb_report_step *step);

#endif
