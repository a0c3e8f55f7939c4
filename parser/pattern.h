/*
 * Shell file patterns with exactly the rules of Go's filepath.Match on Unix, which COPY sources follow.
 *
 * `*` any run of characters but `/`; `?` one character but `/`; `[a-z]`, `[^a-z]` one character of a class or not of
 * it,
 * `/` included (`!` does not negate); `\c` the character c. The whole name must match. Characters are UTF-8; an invalid
 * byte is one character.
 */
#ifndef CB_PARSER_PATTERN_H
#define CB_PARSER_PATTERN_H

#include <stdbool.h>

#include "base/err.h"

/** 1 for a match, 0 for none, CB_ERR_INPUT for a @pattern that is malformed up to where the match failed. */
int cb_pattern_match(const char *pattern, const char *name, struct cb_err **err);
/** 0, or CB_ERR_INPUT "syntax error in pattern \"...\"": all of it is looked at. */
int cb_pattern_check(const char *pattern, struct cb_err **err);
/** True when @s holds `*`, `?`, `[` or a backslash: it is not a plain path. */
bool cb_pattern_is_wild(const char *s);

#endif
