/*
 * Checks where a Buildfile, a context and perhaps a plan are at hand.
 */
#ifndef CB_BUILDER_CHECK_SOURCE_H
#define CB_BUILDER_CHECK_SOURCE_H

#include "base/json.h"
#include "builder/plan.h"
#include "parser/outline.h"

struct cb_check_source {
	const struct cb_settings *settings;
	const struct cb_contexts *contexts; /* NULL: no named ones */
	const struct cb_buildfile *file;
	const struct cb_plan *plan;   /* knows base images */
	struct cb_check_bases *bases; /* looks them up; both NULL: they are not known */
	struct cb_platform target;
	size_t target_at; /* which of the plan's targets that is */
	bool own;         /* rules of our own too, but for ... */
	bool portable;    /* ... NotPortable */
};

/**
 * Runs the checks with the ignore file, build arguments and target of the settings; with a plan also those that need
 * base images. @ret has what was found even on failure.
 */
int cb_check_run(const struct cb_check_source *source, struct cb_findings *ret, struct cb_err **err);
/** The outline of the target. */
int cb_check_outline(const struct cb_check_source *source, struct cb_outline *ret, struct cb_err **err);

/** "Rule: message (line 3)". Caller frees. */
char *cb_check_warning(const struct cb_finding *finding);
/** Adds "buildx.build.warnings" to the metadata of a build, unless there are none. */
void cb_check_metadata(const struct cb_findings *findings, const char *file, json_t *meta);

/** `cbuild build --call=METHOD`: everything but building. Returns the exit status. */
int cb_check_call(const struct cb_settings *settings);

/** Appends the outline of @target and the list of stages, as text or as BuildKit's JSON. */
void cb_check_print_outline(
	const struct cb_outline *outline, const struct cb_stage *target, bool json, struct cb_buf *out);
void cb_check_print_targets(const struct cb_buildfile *file, bool json, struct cb_buf *out);

#endif
