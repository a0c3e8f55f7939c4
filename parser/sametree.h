/*
 * Whether two files mean the same: the promise of the formatter, checked on what it made.
 */
#ifndef CB_PARSER_SAMETREE_H
#define CB_PARSER_SAMETREE_H

#include <stdbool.h>

#include "parser/ast.h"

/**
 * True when the trees of two files differ in nothing but lines, columns, the case of keywords, white space around
 * arguments, and the number of blanks between the words of a RUN command (outside of quotes). What an ONBUILD stores is
 * compared byte for byte. Else *ret_line is the line of the first difference in @a.
 */
bool cb_same_tree(const struct cb_buildfile *a, const struct cb_buildfile *b, unsigned int *ret_line);

#endif
