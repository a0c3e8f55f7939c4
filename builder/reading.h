/*
 * A Buildfile read and parsed for commands that build nothing: graph, check, outlines.
 *
 * Local contexts need nothing else. For a context or Buildfile that has to be fetched a build is opened that can fetch
 * (the store keeps what came), but not run steps.
 */
#ifndef CB_BUILDER_READING_H
#define CB_BUILDER_READING_H

#include "builder/build.h"
#include "builder/report.h"

struct cb_reading {
	struct cb_context_file file;
	struct cb_includes *includes;
	struct cb_contexts *contexts;
	struct cb_buildfile *parsed;    /* NULL until it is parsed */
	struct cb_report_source source; /* for reports; empty until the file is read */
	struct cb_build *build;         /* that fetched, or NULL */
};

/** Reads and parses. On failure @ret has what there is for a report, and is to be ended too. */
int cb_reading_open(const struct cb_settings *settings, struct cb_reading *ret, struct cb_err **err);
/** Parses reading->file again, which was changed. */
int cb_reading_parse(struct cb_reading *reading, const struct cb_settings *settings, struct cb_err **err);
/** Reports @err, which came from this reading; the exit status. */
int cb_reading_fail(const struct cb_reading *reading, struct cb_err *err);
void cb_reading_done(struct cb_reading *reading);
#define cleanup_reading __attribute__((cleanup(cb_reading_done)))

#endif
