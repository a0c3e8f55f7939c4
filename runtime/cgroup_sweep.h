/*
 * Removing control groups: our own at the end, and those of processes that are gone. Private to cgroup*.c.
 */
#ifndef CB_RUNTIME_CGROUP_SWEEP_H
#define CB_RUNTIME_CGROUP_SWEEP_H

#include <stdbool.h>

#include "base/strv.h"

/** Names of our directories begin so. */
#define CB_CGROUP_PREFIX "cbuild-"
#define CB_CGROUP_NAME_MAX 48

/** Where a directory of ours is: what has to be removed at the end. */
struct cb_cgroup_place {
	int above;
	bool made; /* only the way to our groups, for --cgroup-parent: others may use it by now */
	char name[256];
};

/**
 * Removes the groups of a place, and takes back what was handed down to them. Who is in the leaf goes back up first.
 * Waits up to @patience_ms for processes that are about to end. Idempotent; closes nothing.
 */
void cb_cgroup_place_remove(const struct cb_cgroup_place *place, unsigned int patience_ms);
/** Enough for what the kernel has killed already, where nothing is slow. */
#define CB_CGROUP_PATIENCE_MS 500

/** Removes the groups of ours below @parent that nobody holds a lock on. */
void cb_cgroup_sweep(int parent);
/** The names of the groups below @dir that begin with @prefix. */
void cb_cgroup_list(int dir, const char *prefix, struct cb_strv *ret);

#endif
