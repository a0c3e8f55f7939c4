/*
 * Physical lines to logical lines: directives, comments, continuations.
 *
 * A logical line is one instruction: its pieces are joined with nothing between them. Comment lines vanish even inside
 * it, blank lines inside it are skipped with a warning. What follows it (here-documents) is read from .src by the
 * caller.
 */
#ifndef CB_PARSER_LEXER_H
#define CB_PARSER_LEXER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "parser/ast.h"
#include "parser/directive.h"
#include "parser/physline.h"

/** From .offset of the logical line on, bytes stand at .line, .col and following. */
struct cb_line_piece {
	size_t offset;
	unsigned int line, col;
};

/** Where the bytes of a logical line stand in the file. A trigger shares the pieces of its ONBUILD, .base further. */
struct cb_linemap {
	const struct cb_line_piece *v;
	size_t n, base;
};

/** Reads logical lines. Zero-initialised by cb_lexer_init, ended by cb_lexer_done. */
struct cb_lexer {
	struct cb_arena *arena;
	struct cb_line_reader src;
	struct cb_directives *directives;
	struct cb_directive_reader reader;
	struct cb_buf text; /* the logical line read last */
	struct cb_line_piece *pieces;
	size_t n_pieces, cap_pieces;
	unsigned int line;       /* its first physical line */
	bool empty_continuation; /* it has a blank line inside */
	struct cb_text *comments;
	size_t n_comments, cap_comments;
};

/** @directives->escape is set by the caller and changed by a directive of the file. */
int cb_lexer_init(struct cb_lexer *lexer, struct cb_arena *arena, const char *data, size_t len,
	struct cb_directives *directives, struct cb_err **err);
void cb_lexer_done(struct cb_lexer *lexer);
/** Reads the next logical line; 1 at the end of the file. */
int cb_lexer_next(struct cb_lexer *lexer, struct cb_err **err);
/** Copies the pieces and the comments above of the line read last to the arena; the comments are then used up. */
const struct cb_linemap *cb_lexer_map(struct cb_lexer *lexer);
struct cb_texts cb_lexer_comments(struct cb_lexer *lexer);

#endif
