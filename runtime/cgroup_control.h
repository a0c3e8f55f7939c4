/*
 * The files of a control group, and the controllers that groups of v2 hand down to those below them. What we have
 * handed down is noted on the group itself, as the attribute user.cbuild.enabled: so whoever is the last of several
 * builds, or the next one after a build that was killed, can take it back. Private to cgroup*.c.
 */
#ifndef CB_RUNTIME_CGROUP_CONTROL_H
#define CB_RUNTIME_CGROUP_CONTROL_H

/** Writes the file @name of the group @dir. 0, or -1 with errno. */
int cb_cgroup_write(int dir, const char *name, const char *text);
/** The text of the file @name, or NULL. Caller frees. */
char *cb_cgroup_read(int dir, const char *name);
/** The controllers that a file as cgroup.controllers names; none when there is no such file. */
unsigned int cb_cgroup_read_controllers(int dir, const char *name);

/** Gives the groups below @dir the controllers of @set, and notes which they did not have. 0, or -1 with errno. */
int cb_cgroup_hand_down(int dir, unsigned int set);
/**
 * Takes back what was noted, unless somebody uses it: a group below that hands it on, or that has any setting of it.
 * What is kept stays noted.
 */
void cb_cgroup_take_back(int dir);
/** Takes all controllers from the groups below @dir, which is ours. */
void cb_cgroup_take_all(int dir);

/**
 * Makes hand-downs and take-backs of @dir exclude each other between processes. Gives up after a second: anybody who
 * can read the directory can lock it. The descriptor is to be unlocked with cb_cgroup_unlock, or closed.
 */
void cb_cgroup_lock(int dir);
void cb_cgroup_unlock(int dir);

#endif
