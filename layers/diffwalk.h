/* The inside of layers/diff.h: the walk (diff.c), the comparison (diffsame.c), the writing (diffput.c). */
#ifndef CB_LAYERS_DIFFWALK_H
#define CB_LAYERS_DIFFWALK_H

#include "base/map.h"
#include "layers/diff.h"
#include "layers/dirnames.h"
#include "layers/tarput.h"
#include "layers/tree.h"

/** A directory of the snapshot on the way down. */
struct cb_diff_dir {
	char *path;               /* "" is the root */
	int fd;                   /* -EBADF while parked */
	bool has_base;            /* the parents have a directory there */
	struct cb_tree_dir *base; /* NULL without, or while parked */
	bool cut_off;             /* opaque, or below such: what the parents have there is gone unless it is here too */
	bool emitted;             /* its entry was written */
	struct cb_dirnames names;
	struct cb_tree_list base_names; /* only when cut off */
	size_t next, base_next;
};

struct cb_diff {
	const struct cb_diff_spec *spec;
	int rootfd;
	struct cb_tarwriter *tar;
	char *buf; /* for content */
	struct cb_diff_stats stats;
	struct cb_diff_dir *dirs; /* the way down, root first */
	size_t n_dirs, cap_dirs;
	struct cb_map *stubs;

	struct cb_map *inodes;    /* "DEV:INO" -> struct cb_diff_inode: those with several names */
	struct cb_map *late_dirs; /* directories of unchanged names: path -> emitted or not */
};

#define CB_DIFF_BUF ((size_t)256 << 10)

/** The directory that is being read; open. */
struct cb_diff_dir *cb_diff_top(struct cb_diff *d);

/**
 * 1 when the entry @name of the top directory is as the parents have it (@base_st): so it is no change. Metadata first;
 * content only when times are equal and without nanoseconds, as unpacked ones are.
 */
int cb_diff_same(struct cb_diff *d, const char *name, const struct stat *st, const struct cb_tree_ent *base,
	const struct stat *base_st, struct cb_err **err);

/** Writes the directories from the root (not listed) to the top one that were not written yet. */
int cb_diff_put_dirs(struct cb_diff *d, struct cb_err **err);
/** Writes the entry @name of the top directory, and its parents before it. @path is its whole path. */
int cb_diff_put(struct cb_diff *d, const char *name, const char *path, const struct stat *st, struct cb_err **err);
/** Notes an unchanged name of an inode with several: it is written when another of its names is. */
int cb_diff_put_later(struct cb_diff *d, const char *path, const struct stat *st, struct cb_err **err);
/** Writes the deletion of @name of the top directory. */
int cb_diff_put_whiteout(struct cb_diff *d, const char *name, struct cb_err **err);
/** For cb_map_new. */
void cb_diff_inode_free(void *inode);

#endif
