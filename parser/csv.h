/*
 * One line of comma separated fields, as --mount and --device have them: a field may stand in double quotes, where ""
 * is a quote and a comma is data.
 */
#ifndef CB_PARSER_CSV_H
#define CB_PARSER_CSV_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/**
 * Takes the next field off *rest into @buf, with its start in *at: 0, or CB_ERR_INPUT for a misplaced quote. *more
 * tells whether a comma follows, that is, whether there is another field (perhaps empty).
 */
int cb_csv_next(struct cb_span *rest, struct cb_buf *buf, const char **at, bool *more, struct cb_err **err);

#endif
