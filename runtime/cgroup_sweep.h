/*
 * Control groups of processes that are gone. Private to cgroup.c.
 */
#ifndef CB_RUNTIME_CGROUP_SWEEP_H
#define CB_RUNTIME_CGROUP_SWEEP_H

/** Names of our directories begin so. */
#define CB_CGROUP_PREFIX "cbuild-"
#define CB_CGROUP_NAME_MAX 48

/** Removes the groups of ours below @parent that nobody holds a lock on. */
void cb_cgroup_sweep(int parent);
/** Removes the group @name of @parent and those below it. Waits a moment for processes that are about to end. */
void cb_cgroup_remove_tree(int parent, const char *name);

#endif
