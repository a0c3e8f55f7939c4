/*
 * The common look of a Buildfile (`cbuild fmt`), which never changes what it means.
 *
 * - Instruction words, and AS of FROM, in capitals at the start of the line, one blank behind them.
 * - Continuation lines: the outermost begin with 4 blanks, the others keep their distance to them; tabs count as stops
 *   of 4. Comments between them stand where the next line does.
 * - No blanks at the end of lines, one blank line at most between instructions, none at either end of the file (but for
 *   one that keeps a comment from being a directive), a line end at its end.
 *
 * Left as it is: bodies of here-documents, text in quotes, white space inside of lines, what an ONBUILD stores, the
 * command of CMD, ENTRYPOINT and HEALTHCHECK, and every continuation line whose indentation might matter: see
 * parser/shelltext.h. RUN commands of a SHELL that is no Bourne shell, or in a file with another escape character than
 * the backslash, are left too. Formatting what was formatted changes nothing.
 */
#ifndef CB_PARSER_FORMAT_H
#define CB_PARSER_FORMAT_H

#include "base/buf.h"
#include "base/err.h"

/**
 * Appends the formatted text to @out, after parsing it again and comparing both trees. CB_ERR_INPUT for what is no
 * Buildfile; CB_ERR_INTERNAL, with the place, when the trees differ. @out is unchanged on failure.
 */
int cb_format(const char *data, size_t len, struct cb_buf *out, struct cb_err **err);

#endif
