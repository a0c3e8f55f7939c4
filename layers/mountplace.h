/*
 * A list of a cache mount (mountlist.h) becomes a directory.
 *
 * The list is not trusted: every entry is made anew, by its one component, in a directory that was made before it and
 * is still open, so that nothing outside of the target is touched whatever the list says. Owners are given away by
 * base/owner.h, so they are right with any number of ids.
 */
#ifndef CB_LAYERS_MOUNTPLACE_H
#define CB_LAYERS_MOUNTPLACE_H

#include "base/cancel.h"
#include "layers/mountlist.h"
#include "layers/packread.h"

struct cb_mountplace_spec {
	int dirfd; /* empty, of nobody else; its mode and owner are set when everything is in it */
	struct cb_packread *packs;
	uint64_t max_bytes; /* of content; CB_ERR_LIMIT beyond */
	const struct cb_cancel *cancel;
};

struct cb_mountplace_stats {
	uint64_t files, bytes;
};

int cb_mountplace(const struct cb_mountplace_spec *spec, struct cb_mountlist *list, struct cb_mountplace_stats *ret,
	struct cb_err **err);

#endif
