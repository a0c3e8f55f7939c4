/*
 * The patterns of `${X#pat}`, `${X%pat}` and `${X/pat/rep}`: `*`, `?`, backslash escapes of `* ? \ / }`. No brackets.
 *
 * `*` and `?` stop at a newline. Matching is by table, so its cost is bounded by CB_REPLACE_WORK_MAX whatever the
 * pattern.
 */
#ifndef CB_PARSER_REPLACE_H
#define CB_PARSER_REPLACE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/** Length of pattern times length of value beyond which CB_ERR_LIMIT is returned. */
#define CB_REPLACE_WORK_MAX (1U << 28)

/** Appends @value without the shortest (@greedy: longest) prefix, or with @suffix suffix, that matches @pattern. */
int cb_replace_trim(
	struct cb_buf *out, const char *value, const char *pattern, bool suffix, bool greedy, struct cb_err **err);

/**
 * Appends @value with the first (@all: every) match of @pattern replaced by @with. Matches are leftmost and longest
 * first. With @all, `$` in @with is a template: `$$` is `$`, `$0` and `${0}` the match, other names nothing.
 */
int cb_replace_match(
	struct cb_buf *out, const char *value, const char *pattern, const char *with, bool all, struct cb_err **err);

#endif
