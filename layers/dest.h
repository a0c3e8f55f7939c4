/*
 * Writing into a snapshot directory beside its parents, without a mount: what an overlay mount would do on copy-up.
 *
 * The merged view is parents + upper. Directories on the way to a change are made in the upper with the metadata they
 * have in the parents. Symlinks are followed only by cb_dest_resolve, inside the view. For one thread.
 */
#ifndef CB_LAYERS_DEST_H
#define CB_LAYERS_DEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "layers/chown.h"
#include "layers/tree.h"

/** What directories get that were not there before. */
struct cb_dest_attr {
	mode_t mode; /* permission bits */
	struct cb_owner owner;
	struct timespec time; /* access and modification */
};

struct cb_dest;

/**
 * @parents may be NULL (nothing below) and is referenced; @upper is a directory in overlay upper format, duplicated.
 * Gives the upper's root the mode, owner and times of the parents' root.
 */
int cb_dest_new(struct cb_tree *parents, int upper, struct cb_dest **ret, struct cb_err **err);
struct cb_dest *cb_dest_free(struct cb_dest *dest);
CB_DEFINE_CLEANUP(struct cb_dest *, cb_dest_free)

/** Mode, owner and times of the parents' root (0755 0:0 without) for a new snapshot's root directory, changed. */
int cb_dest_init_root(struct cb_tree *parents, int upper, struct cb_err **err);

/** As cb_tree_resolve, in the merged view. */
int cb_dest_resolve(
	struct cb_dest *dest, const char *path, enum cb_tree_resolve flags, char **ret, struct cb_err **err);
/** lstat of a canonical path in the merged view; 0 or 1. */
int cb_dest_stat(struct cb_dest *dest, const char *path, struct stat *ret, struct cb_err **err);
/** The directory that the parents alone have at a canonical path; 1 when they have none. */
int cb_dest_parents_dir(struct cb_dest *dest, const char *path, struct cb_tree_dir **ret, struct cb_err **err);

/**
 * Makes the canonical @path a directory of the upper: existing ones are copied up, missing ones get @missing. Returns 1
 * when @path itself was missing, else 0. CB_ERR_INPUT when something on the way is no directory.
 * *ret_fd (O_RDONLY, may be NULL) is the directory in the upper.
 */
int cb_dest_mkdirs(
	struct cb_dest *dest, const char *path, const struct cb_dest_attr *missing, int *ret_fd, struct cb_err **err);
/** Remembers the times (access, modification) that the directory @path shall end with. Thread-safe. */
void cb_dest_touch(struct cb_dest *dest, const char *path, const struct timespec times[2]);
/** The same, only when some are remembered for it already. Thread-safe. */
void cb_dest_retouch(struct cb_dest *dest, const char *path, const struct timespec times[2]);
/**
 * Something was put into the directory @path, or taken out of it: see CB_DIFF_NSEC_CHANGED. Later calls of
 * cb_dest_touch undo that; earlier ones count as well only when @touched. Thread-safe.
 */
void cb_dest_changed(struct cb_dest *dest, const char *path, bool touched);
/**
 * Sets the access and modification times that the copied-up and made directories shall end with (writing into them
 * changed them). Call once at the end.
 */
int cb_dest_finish(struct cb_dest *dest, struct cb_err **err);

/** WORKDIR: resolves @path through symlinks and makes it, all missing parts with @missing. 1 when it was missing. */
int cb_dest_workdir(
	struct cb_tree *parents, int upper, const char *path, const struct cb_dest_attr *missing, struct cb_err **err);

#endif
