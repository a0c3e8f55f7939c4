/*
 * Parser directives: "# key = value" in the very first lines. Keys are syntax, escape and check.
 */
#ifndef CB_PARSER_DIRECTIVE_H
#define CB_PARSER_DIRECTIVE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "parser/ast.h"

/** Reads directives until the first line that is none. */
struct cb_directive_reader {
	struct cb_arena *arena;
	struct cb_directives *found; /* filled in; .escape starts as '\\' */
	bool done;
	bool seen_escape, seen_syntax, seen_check;
};

/**
 * Looks at a physical line, white space at its start already gone: 1 when it is a directive, 0 when not (then no later
 * line is one), CB_ERR_INPUT for a repeated directive or a wrong escape character. @col is the place of the text.
 */
int cb_directive_line(struct cb_directive_reader *reader, struct cb_span text, unsigned int line, unsigned int col,
	struct cb_err **err);
/** Fills syntax and check from behind a first "#!" line, where escape does not count. */
void cb_directive_after_shebang(struct cb_arena *arena, struct cb_span data, struct cb_directives *found);

#endif
