/*
 * Early cutoff: a step that ran again and gave what an earlier run gave on the same file system is taken for that run,
 * so that all that follows is found in the cache.
 */
#ifndef CB_BUILDER_ADOPT_H
#define CB_BUILDER_ADOPT_H

#include "builder/cache.h"

/**
 * Looks for an earlier result that equals the fresh snapshot @fs_fd of @vertex on @below, written in the window of
 * @entry: 1 with *ret_snapshot (caller frees), chain and window of @entry set to it, else 0. What cannot be compared is
 * no failure.
 */
int cb_adopt_find(struct cb_build *build, const struct cb_vertex *vertex, const struct cb_chain *below, int fs_fd,
	struct cb_cache_entry *entry, char **ret_snapshot, struct cb_err **err);

#endif
