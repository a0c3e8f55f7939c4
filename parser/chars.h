/*
 * Characters as the language sees them: two notions of white space, and trimming of spans.
 *
 * Words of most instructions are separated by blanks (space, tab, VT, FF, CR); lines are trimmed, and pairs of ENV,
 * LABEL and ARG separated, by Unicode white space in UTF-8.
 */
#ifndef CB_PARSER_CHARS_H
#define CB_PARSER_CHARS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

static inline bool cb_is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

/** Bytes of the white space character at @p, 0 when there is none. */
size_t cb_space_width(const char *p, const char *end);
struct cb_span cb_span_trim_left(struct cb_span s);
struct cb_span cb_span_trim(struct cb_span s);
/** True when all of it is white space. */
bool cb_span_blank(struct cb_span s);

#endif
