/*
 * A walk over a cache mount, which belongs to the steps that use it, perhaps at this moment: no symbolic link is
 * followed, no other file system entered, what vanishes on the way was not there. Names are sorted bytewise.
 */
#ifndef CB_LAYERS_MOUNTWALK_H
#define CB_LAYERS_MOUNTWALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/cancel.h"
#include "base/err.h"

struct cb_mountwalk_ops {
	/** A directory, open as @fd; the top has the name "". Positive: leave it out. */
	int (*enter)(void *arg, const char *name, int fd, const struct stat *st, struct cb_err **err);
	int (*leave)(void *arg, struct cb_err **err);
	/** Anything else. @st as cb_owner_fstatat gives it. */
	int (*entry)(void *arg, int parent, const char *name, const struct stat *st, struct cb_err **err);
	/** Something that cannot be looked into (depth, permission). */
	void (*skipped)(void *arg, const char *name);
};

int cb_mountwalk(
	int dirfd, const struct cb_mountwalk_ops *ops, void *arg, const struct cb_cancel *cancel, struct cb_err **err);

/** Opens the file @name below @parent for reading if that is what it is, leaving its access time alone: -1 with errno.
 */
int cb_mountwalk_open(int parent, const char *name);
/** When a file was used last, in nanoseconds. */
int64_t cb_mountwalk_used(const struct stat *st);

/*
 * What is too much: of all files the ones used last, up to so many bytes.
 */
struct cb_mount_ages {
	struct cb_mount_age {
		int64_t used;
		uint64_t size;
	} * v;
	size_t n, cap;
	uint64_t bytes;
};
/** Files used after @used stay, of those used at that moment @budget bytes. */
struct cb_mount_cut {
	int64_t used;
	uint64_t budget;
};
/** Adds the files below @dirfd. */
int cb_mount_ages_add(struct cb_mount_ages *ages, int dirfd, const struct cb_cancel *cancel, struct cb_err **err);
/** Adds those of @more. */
void cb_mount_ages_join(struct cb_mount_ages *ages, const struct cb_mount_ages *more);
/** Where to cut so that @max bytes are left. */
struct cb_mount_cut cb_mount_ages_cut(struct cb_mount_ages *ages, uint64_t max);
void cb_mount_ages_done(struct cb_mount_ages *ages);
/** Whether the file stays; takes from the budget. */
bool cb_mount_cut_keeps(struct cb_mount_cut *cut, const struct stat *st);

#endif
