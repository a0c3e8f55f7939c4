/*
 * Control groups: limits of a run, and what it used.
 *
 * One directory "cbuild-PID-RANDOM" in every hierarchy that a limit needs, and in it one group a sandbox. The directory
 * is locked with flock(2) as long as its cbuild lives, so the next one knows which are left over and removes them.
 * Works on cgroup v1, v2 and hosts with both; where nothing can be written, limits that were asked for are an error and
 * the default ones are left out.
 *
 * Threads: one caller at a time, but for cb_cgroups_kill, cb_cgroups_usage and cb_cgroups_remove of different groups.
 */
#ifndef CB_RUNTIME_CGROUP_H
#define CB_RUNTIME_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "runtime/spec.h"

/** A set of controllers. */
enum cb_controller {
	CB_CONTROLLER_MEMORY = 1,
	CB_CONTROLLER_CPU = 2,
	CB_CONTROLLER_CPUSET = 4,
	CB_CONTROLLER_PIDS = 8,
};

/** Most hierarchies that are looked at: v2 and one for each controller. */
#define CB_CGROUP_HIERARCHIES 5

/** A mounted hierarchy and where in it this process is. */
struct cb_cgroup_hierarchy {
	bool v2;
	unsigned int controllers; /* of v1; which ones a v2 group has is in its files */
	char *mount, *own;        /* absolute; own is mount or below it */
};

struct cb_cgroup_layout {
	struct cb_cgroup_hierarchy v[CB_CGROUP_HIERARCHIES];
	size_t n;
};

/** Reads the texts of /proc/self/mountinfo and /proc/self/cgroup. Pure; what does not parse is skipped. */
void cb_cgroup_layout_parse(const char *mountinfo, const char *self, struct cb_cgroup_layout *ret);
void cb_cgroup_layout_done(struct cb_cgroup_layout *layout);
/** The controllers that a list as in cgroup.controllers names. Pure. */
unsigned int cb_cgroup_controllers(const char *list, const char *separators);
/** "system.slice" or "a/b" as a path without leading slash ("a-b.slice" is "a.slice/a-b.slice"); NULL when it leaves
 * the hierarchy. Caller frees. Pure. */
char *cb_cgroup_parent_path(const char *parent);

/** One file of a group. */
struct cb_cgroup_setting {
	const char *file;
	char *value;
	enum cb_controller controller;
	bool optional; /* the kernel may not have it */
};
#define CB_CGROUP_SETTINGS_MAX 8

/** The controllers that @limits asks for. Pure. */
unsigned int cb_cgroup_needs(const struct cb_limits *limits);
/** What to write for @limits, in this order; values are the caller's. Pure. */
size_t cb_cgroup_settings(
	const struct cb_limits *limits, bool v2, struct cb_cgroup_setting ret[static CB_CGROUP_SETTINGS_MAX]);

struct cb_cgroups;
struct cb_cgroup_heir;

/** How a group was used. */
struct cb_cgroup_usage {
	uint64_t peak_memory;  /* bytes; 0: not known */
	uint64_t oom_kills;    /* processes that were ended because memory ran out, in the group or around it */
	bool memory_reached;   /* it ran out because of the limit of this group */
	uint64_t pids_refused; /* forks that the limit of processes refused */
};

/**
 * Finds out what can be had and removes what dead processes left. *ret is NULL when nothing was asked for and nothing
 * is possible; CB_ERR_UNSUPPORTED when something was. The @heir (cgroup_heir.h; NULL: none), which is to live longer
 * than *ret, is told what it has to remove in place of a process that was killed.
 */
int cb_cgroups_open(
	const struct cb_limits *limits, struct cb_cgroup_heir *heir, struct cb_cgroups **ret, struct cb_err **err);
/** Removes all groups; their processes are gone. */
struct cb_cgroups *cb_cgroups_close(struct cb_cgroups *groups);
/** True when the user asked for a limit: then a sandbox that cannot join its group is an error. */
bool cb_cgroups_required(const struct cb_cgroups *groups);

/**
 * Makes a group with all limits. A single-threaded process joins by writing "0" into every descriptor of @fds (at most
 * CB_CGROUP_HIERARCHIES), which the caller closes.
 */
int cb_cgroups_add(struct cb_cgroups *groups, unsigned int *ret, int *fds, size_t *n_fds, struct cb_err **err);
/** Kills every process of a group where the kernel has a way to (v2, Linux 5.14). */
void cb_cgroups_kill(const struct cb_cgroups *groups, unsigned int number);
void cb_cgroups_usage(const struct cb_cgroups *groups, unsigned int number, struct cb_cgroup_usage *ret);
void cb_cgroups_remove(const struct cb_cgroups *groups, unsigned int number);

/** Processes that the memory limit of our own group, or the host, has ended so far; @groups are not asked. */
uint64_t cb_cgroup_own_oom_kills(void);

#endif
