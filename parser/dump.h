/*
 * Prints the grammar tree for `cbuild parse --format`.
 *
 * JSON: one array of nodes, one a line, each with exactly these keys:
 *   instruction  lower case                    flags     ["--x=y"...]
 *   args         as parse.h says               json      true for the exec form
 *   original     the logical line              line, end_line
 *   child        the trigger's node or null    heredocs  [{name, content, expand, chomp, fd}...]
 *
 * S-expressions: one node a line,
 *   (copy ("--from=build" "--link") "/a b" "/c")       flags, when there are any, are the first list
 *   (cmd :json "a" "b")                                exec form
 *   (onbuild (run "make"))                             the trigger
 *   (run "cat <<EOF" (heredoc "EOF" "text\n"))         each here-document last; :raw when it is not expanded,
 *                                                      :chomp for <<-, :fd N when N is not 0, before the name
 * Strings are quoted as in JSON. Bytes that are not UTF-8 are printed as U+FFFD in both formats.
 */
#ifndef CB_PARSER_DUMP_H
#define CB_PARSER_DUMP_H

#include "base/buf.h"
#include "parser/ast.h"

void cb_dump_json(const struct cb_buildfile *file, struct cb_buf *out);
void cb_dump_sexp(const struct cb_buildfile *file, struct cb_buf *out);

#endif
