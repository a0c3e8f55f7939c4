/*
 * How the files of two images differ, written while both are walked: for `cbuild diff`.
 */
#ifndef CB_BUILDER_DIFFTREE_H
#define CB_BUILDER_DIFFTREE_H

#include <stdio.h>

#include "layers/filetable.h"

struct cb_diff_counts {
	uint64_t added, removed, changed;
};

/**
 * Writes to @out what @b has and @a has not ("+"), the other way round ("-"), and what differs ("~"): as lines, or with
 * @json as members of an array, without its brackets. Times of modification count with @times, in whole seconds.
 */
int cb_diff_trees(struct cb_filetable *a, struct cb_filetable *b, bool times, bool json, FILE *out,
	struct cb_diff_counts *ret, struct cb_err **err);

#endif
