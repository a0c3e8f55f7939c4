/*
 * The patterns of `${X#pat}`, `${X%pat}` and `${X/pat/rep}`: `*`, `?`, backslash escapes of `* ? \ / }`. No brackets.
 *
 * `*` and `?` stop at a newline. Matching is by table, so its cost is length of pattern times length of value,
 * whatever the pattern. That and the bytes made are taken off *work, which starts as CB_REPLACE_WORK_MAX for one whole
 * expansion: substitutions inside of substitutions would otherwise grow without bound.
 */
#ifndef CB_PARSER_REPLACE_H
#define CB_PARSER_REPLACE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/** More work than this in one expansion is CB_ERR_LIMIT. */
#define CB_REPLACE_WORK_MAX ((size_t)1 << 24)

/** Appends @value without the shortest (@greedy: longest) prefix, or with @suffix suffix, that matches @pattern. */
int cb_replace_trim(struct cb_buf *out, const char *value, const char *pattern, bool suffix, bool greedy, size_t *work,
	struct cb_err **err);

/**
 * Appends @value with the first (@all: every) match of @pattern replaced by @with. Matches are leftmost and longest
 * first. With @all, `$` in @with is a template: `$$` is `$`, `$0` and `${0}` the match, other names nothing.
 */
int cb_replace_match(struct cb_buf *out, const char *value, const char *pattern, const char *with, bool all,
	size_t *work, struct cb_err **err);

#endif
