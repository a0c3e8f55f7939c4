/*
 * One record of comma-separated values, as option values such as `type=oci,dest="a,b.tar"` are written.
 *
 * A field that starts with a quote ends at the next lone quote; two quotes are one. A quote elsewhere is an error.
 */
#ifndef CB_BASE_CSV_H
#define CB_BASE_CSV_H

#include "base/err.h"
#include "base/strv.h"

/** Appends the fields of @text (none for ""). CB_ERR_INPUT. */
int cb_csv_split(const char *text, struct cb_strv *ret, struct cb_err **err);

#endif
