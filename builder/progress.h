/*
 * Progress: events of a build, shown on standard error in one of several looks.
 *
 * All calls come from one thread (the coordinator). Vertex ids are chosen by the caller: small, dense, from 0, each
 * added once before it is used otherwise. What is printed as "#N" is the order in which vertices *start*, as people
 * expect it. Nothing is ever clipped from a log. Call cb_progress_tick now and then (the terminal look redraws in it,
 * at most ten times a second), and cb_progress_finish at the end, before anything else is printed.
 */
#ifndef CB_BUILDER_PROGRESS_H
#define CB_BUILDER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/needles.h"
#include "builder/settings.h"

struct cb_progress;

/** The last lines of a failed step's output that cb_progress_tail returns. */
#define CB_PROGRESS_TAIL_LINES 10

/**
 * Shows on descriptor @fd (borrowed; normally 2). AUTO is settled here by isatty(@fd) and TERM; NO_COLOR and
 * BUILDKIT_TTY_LOG_LINES are obeyed. @title is the word of the header, "Building".
 */
struct cb_progress *cb_progress_new(enum cb_progress_mode mode, int fd, const char *title);
/** For tests: the events go to @out, with a terminal of @width x @height and @clock in place of the monotonic clock. */
struct cb_progress *cb_progress_new_memory(enum cb_progress_mode mode, struct cb_buf *out, unsigned int width,
	unsigned int height, uint64_t (*clock)(void *arg), void *arg);
struct cb_progress *cb_progress_free(struct cb_progress *progress);
CB_DEFINE_CLEANUP(struct cb_progress *, cb_progress_free)

/** Names, messages and warnings are shown without what @needles (borrowed) finds; logs are the caller's to redact. */
void cb_progress_redact(struct cb_progress *progress, const struct cb_needles *needles);

/** A vertex comes to be. @name as in "[stage 2/5] RUN make" (copied). Shows nothing but the total yet. */
void cb_progress_added(struct cb_progress *progress, uint32_t id, const char *name);
void cb_progress_started(struct cb_progress *progress, uint32_t id);
/** The result was found in the cache: ends the vertex (started first when it was not). */
void cb_progress_cached(struct cb_progress *progress, uint32_t id);
/** Ends the vertex. */
void cb_progress_done(struct cb_progress *progress, uint32_t id);
/** Ends the vertex; @message without "error:". */
void cb_progress_error(struct cb_progress *progress, uint32_t id, const char *message);
/** Ends the vertex: a sibling failed or the user stopped the build. A vertex that never started shows nothing. */
void cb_progress_canceled(struct cb_progress *progress, uint32_t id);
/** The vertex will not be needed after all: it leaves the total. */
void cb_progress_dropped(struct cb_progress *progress, uint32_t id);

/** Output of the step: @stream 1 or 2, any bytes, lines split anywhere. */
void cb_progress_log(struct cb_progress *progress, uint32_t id, int stream, const void *data, size_t len);
/**
 * A named part of the vertex's work ("transferring context", "sha256:12ab..."), repeated as it advances; @total 0 when
 * unknown. @done ends it.
 */
void cb_progress_status(
	struct cb_progress *progress, uint32_t id, const char *what, uint64_t current, uint64_t total, bool done);
/** A warning, shown once and repeated at the end. @id may be UINT32_MAX. */
void cb_progress_warning(struct cb_progress *progress, uint32_t id, const char *message);

/** Redraws when it is time. Returns the milliseconds until it wants to be called again, or -1 for no wish. */
int cb_progress_tick(struct cb_progress *progress);
/** Shows the final state; @ok false after a failure. Later events are ignored. Idempotent. */
void cb_progress_finish(struct cb_progress *progress, bool ok);

/** Appends the vertex's last complete log lines ("0.123 text\n", at most CB_PROGRESS_TAIL_LINES). */
void cb_progress_tail(const struct cb_progress *progress, uint32_t id, struct cb_buf *out);

/**
 * Makes bytes of a step safe for a terminal: escape sequences and control characters but tab are removed, a carriage
 * return starts the line over, invalid UTF-8 becomes U+FFFD. Appends to @out.
 */
void cb_progress_sanitise(struct cb_buf *out, const char *data, size_t len);

#endif
