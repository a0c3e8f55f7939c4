/*
 * SOURCE_DATE_EPOCH: the time at which a build says that it was made.
 *
 * The value is a build argument (or the environment variable of cbuild), else the default of an ARG before the first
 * FROM: seconds; "context" (when the main context was made); a named context; or a stage that only fetches one thing
 * (FROM scratch and one ADD of a URL or repository). A commit has the time of its committer, a URL that of
 * Last-Modified or of the newest file in its archive. Local directories have none. Empty is none.
 */
#ifndef CB_BUILDER_EPOCH_H
#define CB_BUILDER_EPOCH_H

#include "base/err.h"
#include "builder/context.h"
#include "parser/parse.h"
#include "parser/scope.h"

#define CB_EPOCH_ARG "SOURCE_DATE_EPOCH"

struct cb_epoch {
	bool set;
	int64_t seconds;
};

struct cb_epoch_source {
	const struct cb_buildfile *file;
	const struct cb_globals *globals; /* evaluated */
	struct cb_contexts *contexts;
	const struct cb_platform *target;
	/** Fetches and opens a remote context. NULL: nothing is fetched, and what would have to be counts as none. */
	int (*fetch)(void *ctx, struct cb_context *context, struct cb_err **err);
	void *ctx;
};

/** Seconds, or nothing for an empty text; CB_ERR_INPUT without a place. */
int cb_epoch_parse(const char *text, struct cb_epoch *ret, struct cb_err **err);
/** What build arguments and Buildfile say: 0 with *ret, or 1 when they say nothing. Errors carry the place. */
int cb_epoch_find(const struct cb_epoch_source *source, struct cb_epoch *ret, struct cb_err **err);
/**
 * What a reproducible build takes when they say none: when the context was made, be it only the commit that a local
 * directory has checked out; else 0.
 */
int cb_epoch_fallback(const struct cb_epoch_source *source, struct cb_epoch *ret, struct cb_err **err);

#endif
