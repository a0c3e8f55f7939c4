/*
 * Splitting the rest of a line into words. Words keep their quotes and escapes; expansion removes them later.
 */
#ifndef CB_PARSER_WORDS_H
#define CB_PARSER_WORDS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/** Next word of *rest, separated by blanks and nothing else; false at the end. */
bool cb_word_plain(struct cb_span *rest, struct cb_span *ret);
/**
 * Next word of *rest as ENV, LABEL and ARG have them: separated by Unicode white space, which quotes and the escape
 * character protect; quotes and escapes stay, save an escape character at the very end. @buf gets the bytes, *at the
 * start. False at the end.
 */
bool cb_word_quoted(struct cb_span *rest, char escape, struct cb_buf *buf, const char **at);

#endif
