/* What the files of fsck share. */
#ifndef CB_LAYERS_FSCK_INSIDE_H
#define CB_LAYERS_FSCK_INSIDE_H

#include "layers/diskusage.h"
#include "layers/fsck.h"
#include "layers/storedb.h"

struct cb_fsck_run {
	struct cb_store *store;
	struct cb_fsck *fsck;
	const struct cb_cancel *cancel;
	bool content, repair;
};

/** Notes a problem. */
void cb_fsck_add(struct cb_fsck_run *run, bool repaired, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** Blobs, and what the database says of them. */
int cb_fsck_blobs(struct cb_fsck_run *run, struct cb_err **err);
/** The layout: names and the images behind them. */
int cb_fsck_images(struct cb_fsck_run *run, struct cb_err **err);

#endif
