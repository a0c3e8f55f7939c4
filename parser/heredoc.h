/*
 * Here-documents: finding their tokens in a logical line, and what their bodies mean.
 */
#ifndef CB_PARSER_HEREDOC_H
#define CB_PARSER_HEREDOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "parser/ast.h"

struct cb_arena;

/** Whether the whole of @word is one here-document token ("3<<-'EOF'"); 1 if so with *ret's head filled, else 0. */
int cb_heredoc_token(struct cb_arena *arena, const char *word, struct cb_heredoc *ret);
/** Appends the body of @doc as its reader sees it: leading tabs of each line removed for <<-. */
void cb_heredoc_text(const struct cb_heredoc *doc, struct cb_buf *out);

#endif
