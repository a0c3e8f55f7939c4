/*
 * Does a mended Buildfile mean what it meant? Private to fix.
 */
#ifndef CB_PARSER_FIX_VERIFY_H
#define CB_PARSER_FIX_VERIFY_H

#include "parser/parse.h"

/** The label that takes the place of MAINTAINER. */
#define CB_FIX_AUTHORS "org.opencontainers.image.authors"

/** What the MAINTAINER @node names, without one pair of quotes around it. Caller frees. */
char *cb_fix_author(const struct cb_node *node);
/** True when the only instruction of @line, with one pair, sets what the pair of @before in the legacy form sets. */
bool cb_fix_same_pair(const struct cb_node *before, const char *line, size_t len, char escape);
/** Parses @data and compares it with @before, leaving out what fixes change on purpose. CB_ERR_INTERNAL. */
int cb_fix_verify(const struct cb_buildfile *before, const char *data, size_t len, struct cb_err **err);

#endif
