/*
 * One record of comma-separated values, as option values such as `type=oci,dest="a,b.tar"`, --mount and --device are
 * written.
 *
 * A field may stand in double quotes, where "" is a quote and a comma is data. A quote elsewhere is an error.
 */
#ifndef CB_BASE_CSV_H
#define CB_BASE_CSV_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "base/strv.h"

/** Appends the fields of @text (none for ""). CB_ERR_INPUT. */
int cb_csv_split(const char *text, struct cb_strv *ret, struct cb_err **err);
/**
 * Takes the next field off *rest into @buf, with its start in *at: 0, or CB_ERR_INPUT for a misplaced quote. *more
 * tells whether a comma follows, that is, whether there is another field (perhaps empty).
 */
int cb_csv_next(struct cb_span *rest, struct cb_buf *buf, const char **at, bool *more, struct cb_err **err);

#endif
