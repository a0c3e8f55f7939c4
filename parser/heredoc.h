/*
 * Here-documents: finding their tokens in a logical line, and what their bodies mean.
 *
 * A token is digits (a file descriptor), "<<", perhaps "-", and a delimiter; blanks may stand behind "<<". Tokens
 * are the words that a shell-like reading of the line finds, so quotes protect a "<<", and a line that cannot be read
 * so (an odd quote, an operator of ${} that we do not know) has no here-documents. The escape character is the
 * backslash.
 */
#ifndef CB_PARSER_HEREDOC_H
#define CB_PARSER_HEREDOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "parser/ast.h"

/**
 * Whether the whole of @word is one token: 1 with name, expand, chomp and fd of *ret set, 0 when not, CB_ERR_INPUT when
 * it is one with a delimiter that cannot be read.
 */
int cb_heredoc_token(struct cb_arena *arena, const char *word, struct cb_heredoc *ret, struct cb_err **err);
/** All tokens of @line in order: *ret in @arena, without bodies. */
int cb_heredoc_find(struct cb_arena *arena, const char *line, struct cb_heredoc **ret, size_t *n, struct cb_err **err);
/** Whether the physical line @text (without its line end) ends the body of @doc. */
bool cb_heredoc_ends(const struct cb_heredoc *doc, const char *text, size_t len);
/** Appends the body of @doc as its reader sees it: leading tabs of each line removed for <<-. */
void cb_heredoc_text(const struct cb_heredoc *doc, struct cb_buf *out);

#endif
