/*
 * "Did you mean" for words that are none of a known set.
 */
#ifndef CB_PARSER_DIAG_H
#define CB_PARSER_DIAG_H

#include <stddef.h>

#include "base/err.h"

/** Adds the hint `did you mean "<prefix><candidate>"?` when a candidate is near @word. Returns @code. */
int cb_diag_did_you_mean(
	struct cb_err **err, int code, const char *prefix, const char *word, const char *const *candidates, size_t n);

#endif
