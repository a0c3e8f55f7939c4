/* Inside of explain: differences between two lists of files. */
#ifndef CB_BUILDER_EXPLAIN_FILES_H
#define CB_BUILDER_EXPLAIN_FILES_H

#include "builder/explain.h"

/** A new difference; its other members are the caller's to set. Borrowed. */
struct cb_difference *cb_differences_add(
	struct cb_differences *d, const char *kind, const char *name, const char *old, const char *now);

/** Adds how the list @now differs from @old; @ignore: an ignore file has changed, too. */
int cb_explain_files(const struct cb_buf *old, const struct cb_buf *now, bool ignore, struct cb_differences *ret,
	struct cb_err **err);

#endif
