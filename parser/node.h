/*
 * One logical line to a node: keyword, flags, and arguments by the form that the keyword has.
 */
#ifndef CB_PARSER_NODE_H
#define CB_PARSER_NODE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "parser/ast.h"
#include "parser/lexer.h"

/** ONBUILD inside ONBUILD deeper than this is refused by the grammar (validation refuses any). */
#define CB_ONBUILD_DEPTH_MAX 16

/** Makes the node of @line, which need not live on. Here-documents and comments are the caller's part. */
int cb_node_new(struct cb_arena *arena, struct cb_span line, const struct cb_linemap *map, char escape,
	struct cb_node **ret, struct cb_err **err);
/** Text of the @len bytes at @at, with the place of @origin, a pointer into node->original. */
struct cb_text cb_node_text(
	struct cb_arena *arena, const struct cb_node *node, const char *at, size_t len, const char *origin);
/** An error at @origin, a pointer into node->original. Returns CB_ERR_INPUT. */
int cb_node_err(struct cb_err **err, const struct cb_node *node, const char *origin, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
