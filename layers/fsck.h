/*
 * Is the store sound? What the database says against what is on disk, blobs against their digests, names against their
 * images; and mending what can be mended.
 *
 * May run beside builds: what they are about to finish is no problem. Nothing is lost by a repair but what cannot be
 * used any more: a step whose files are gone runs again, a blob with wrong bytes is fetched or made again.
 */
#ifndef CB_LAYERS_FSCK_H
#define CB_LAYERS_FSCK_H

#include "layers/store.h"

struct cb_problem {
	char *text;
	bool repaired;
};

struct cb_fsck {
	struct cb_problem *problems;
	size_t n, cap;
	size_t n_repaired;
	size_t snapshots, blobs, images; /* that were looked at */
};
void cb_fsck_done(struct cb_fsck *fsck);

enum cb_fsck_flag {
	CB_FSCK_CONTENT = 1 << 0, /* read every blob, count every snapshot */
	CB_FSCK_REPAIR = 1 << 1,
};

/**
 * Checks an open store; @ret was zeroed. 0 also when problems were found. CB_ERR_CORRUPT when the database is damaged:
 * cb_fsck_reset helps.
 */
int cb_fsck_run(struct cb_store *store, unsigned int flags, const struct cb_cancel *cancel, struct cb_fsck *ret,
	struct cb_err **err);
/**
 * Puts the database of the store at @path, which no process may have open, aside: the next open makes a new one. Images
 * and their names stay, cached steps are lost. *ret is the name that the old one has now; caller frees.
 */
int cb_fsck_reset(const char *path, char **ret, struct cb_err **err);

/** The texts of all problems that cb_fsck_run finds without repair. */
int cb_store_check(struct cb_store *store, bool content, struct cb_strv *problems, struct cb_err **err);

#endif
