/*
 * What differs between two layers that should be the same.
 *
 * Both are tars in the order that our writer gives them (a walk with names sorted bytewise). One pass over both; memory
 * is bound by one block of a file and by the limits of tarread.h.
 */
#ifndef CB_LAYERS_LAYERDIFF_H
#define CB_LAYERS_LAYERDIFF_H

#include "base/cancel.h"
#include "base/strv.h"
#include "layers/stream.h"

/**
 * Appends to @ret, for each of the first @max entries that differ, a line "PATH: what differs", e.g. "etc/stamp:
 * content from byte 4: "12:00" and "12:01"" or "tmp/x: only in the first". Control characters are replaced. Returns how
 * many entries differ (0: none), or a negative code.
 */
int cb_layer_compare(struct cb_source first, struct cb_source second, size_t max, const struct cb_cancel *cancel,
	struct cb_strv *ret, struct cb_err **err);

#endif
