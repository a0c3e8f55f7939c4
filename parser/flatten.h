/*
 * One plain Dockerfile in place of a Buildfile and the files it includes: what other builders can read (`cbuild
 * flatten`).
 */
#ifndef CB_PARSER_FLATTEN_H
#define CB_PARSER_FLATTEN_H

#include "base/buf.h"
#include "base/err.h"
#include "parser/ast.h"

/**
 * Appends the equivalent of @file (from cb_parse_files, whose texts still live): comments and layout stay, INCLUDE
 * gives way to what it names, FROM --reset to a FROM and the instructions that set what it clears to nothing.
 * CB_ERR_INPUT, with the place in @file's lines, for what no plain instruction can clear. Triggers of the base run
 * before these instructions, not behind them as with --reset.
 */
int cb_flatten(const struct cb_buildfile *file, struct cb_buf *out, struct cb_err **err);

#endif
