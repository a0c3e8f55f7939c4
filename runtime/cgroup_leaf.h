/*
 * Leaving one's own group: a v2 group has either processes or children with controllers, but for the root of all. Where
 * cbuild is in the only group that it may use, as in a container or a delegated scope, it moves to a leaf below first.
 */
#ifndef CB_RUNTIME_CGROUP_LEAF_H
#define CB_RUNTIME_CGROUP_LEAF_H

#include <stdbool.h>

/** The leaf's name. */
#define CB_CGROUP_SELF "self"

/**
 * Moves this process, those that it has made, and cbuild-outer that waits for it, from the group @group to a new one
 * "self" in @dir, which is below it. 0, or -1 with errno and nobody moved: EBUSY when others are in @group as well, who
 * are not ours to move.
 */
int cb_cgroup_leave(int group, int dir);

/** Moves them back and removes "self"; false when @group cannot take them, because its children have controllers. */
bool cb_cgroup_return(int group, int dir);

#endif
