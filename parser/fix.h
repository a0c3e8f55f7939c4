/*
 * Mending what checks found, where that is mechanical: casing of keywords, of AS and of stage names; `ENV k v` and
 * `LABEL k v`; MAINTAINER.
 *
 * Only the bytes concerned change: comments, continuations and everything else stay as they are. The result is parsed
 * again and compared with the tree before, so that a file never changes its meaning.
 */
#ifndef CB_PARSER_FIX_H
#define CB_PARSER_FIX_H

#include "base/buf.h"
#include "parser/check.h"

/**
 * Appends @data, mended, to @ret, and counts the findings that were in *ret_n; with none, *ret_n is 0 and nothing is
 * appended. @file is the tree of @data and @findings are about it. A finding that cannot be mended safely is left.
 * CB_ERR_UNSUPPORTED for a file with INCLUDE.
 */
int cb_fix(const char *data, size_t len, const struct cb_buildfile *file, const struct cb_findings *findings,
	struct cb_buf *ret, size_t *ret_n, struct cb_err **err);

#endif
