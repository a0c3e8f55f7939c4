/*
 * A node to a typed instruction: arity, flags and values are checked here.
 */
#ifndef CB_PARSER_INSTR_H
#define CB_PARSER_INSTR_H

#include "base/arena.h"
#include "base/err.h"
#include "parser/ast.h"

/**
 * Fills *ret from @node. @docs is the node whose here-documents count: the node itself, or the ONBUILD around it.
 * CB_ERR_INPUT for whatever the instruction does not allow.
 */
int cb_instr_init(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *node, const struct cb_node *docs,
	struct cb_err **err);

/* The larger instructions, each in its file. */
int cb_instr_run(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err);
int cb_instr_copy(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err);
int cb_instr_from(struct cb_instr *ret, struct cb_arena *arena, struct cb_err **err);
int cb_instr_health(struct cb_instr *ret, struct cb_arena *arena, struct cb_err **err);

/** An error at the keyword, or at the first argument when there is one. Returns CB_ERR_INPUT. */
int cb_instr_err(struct cb_err **err, const struct cb_node *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
