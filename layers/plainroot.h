/*
 * A file system without overlay: the merged view copied into one directory, and what changed in it taken out again as a
 * snapshot.
 *
 * Copies are reflinks where the file system has them. Hard links to snapshots are never made, as a step may write in
 * place. What changed is known by inode, change time, size, mode and owner, never by modification time alone; changed
 * files are moved, not copied. The directories must be on one file system.
 */
#ifndef CB_LAYERS_PLAINROOT_H
#define CB_LAYERS_PLAINROOT_H

#include "base/cancel.h"
#include "base/pool.h"
#include "layers/tree.h"

struct cb_plainroot;

/**
 * Copies @tree into the empty directory @dirfd (borrowed until free, as is @tree), and with @targets makes the mount
 * targets of every container (/proc, /sys, /dev, /etc/hosts, /etc/resolv.conf) where they are missing, which is no
 * change. @pool and @cancel may be NULL.
 */
int cb_plainroot_new(struct cb_tree *tree, int dirfd, bool targets, struct cb_pool *pool,
	const struct cb_cancel *cancel, struct cb_plainroot **ret, struct cb_err **err);
struct cb_plainroot *cb_plainroot_free(struct cb_plainroot *root);
CB_DEFINE_CLEANUP(struct cb_plainroot *, cb_plainroot_free)

/** Remembers everything as it is now: later differences are changes. */
int cb_plainroot_mark(struct cb_plainroot *root, struct cb_err **err);
/**
 * The entry @path (real, no leading slash) was moved away and back since the mark, by us: that is no change. What is in
 * a directory needs no word.
 */
int cb_plainroot_excuse(struct cb_plainroot *root, const char *path, struct cb_err **err);
/**
 * Moves what has changed since the mark into @upper, a fresh directory in overlay format. What is left is of no use.
 * Nothing may write to it any more.
 */
int cb_plainroot_take(struct cb_plainroot *root, int upper, struct cb_err **err);

#endif
