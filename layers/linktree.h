/*
 * Copies of directory trees that share their files, for what is written in place on purpose: cache mounts.
 */
#ifndef CB_LAYERS_LINKTREE_H
#define CB_LAYERS_LINKTREE_H

#include <stdbool.h>

#include "base/cancel.h"
#include "base/err.h"

/**
 * Makes the directory @name in @to a copy of the directory @from: mode, owner, times and attributes of directories, and
 * every other entry a hard link, so that both trees have the same files. With @own_files, or where links are not
 * possible, regular files are copied (as clones where the file system has them).
 */
int cb_linktree_make(
	int from, int to, const char *name, bool own_files, const struct cb_cancel *cancel, struct cb_err **err);
/** Gives each file of the tree @dirfd that has names outside of it, too, an inode of its own. Nobody else uses it. */
int cb_linktree_part(int dirfd, const struct cb_cancel *cancel, struct cb_err **err);

#endif
