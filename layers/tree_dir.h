/*
 * Inside of a tree, shared by the files that make it up (tree, tree_list, tree_resolve, tree_walk). Not for others.
 */
#ifndef CB_LAYERS_TREE_DIR_H
#define CB_LAYERS_TREE_DIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/map.h"
#include "layers/tree.h"

#define CB_TREE_CACHE_DIRS 32
#define CB_TREE_CACHE_FDS 256
/** Names in one directory. */
#define CB_TREE_ENTRIES_MAX ((size_t)1 << 24)

/** The directory in one layer. */
struct cb_tree_part {
	int fd;
};

struct cb_tree_dir {
	_Atomic size_t refs;
	struct cb_tree *tree; /* borrowed: the cache would make a circle */
	char *path;
	size_t n;
	struct cb_tree_part parts[]; /* top first */
};

struct cb_tree_cached {
	struct cb_tree_dir *dir;
	uint64_t hash, used;
};

struct cb_tree {
	_Atomic size_t refs;
	bool plain, root_owned, uncached, filtered;
	bool lent; /* the descriptors of the root are not ours to close */
	struct cb_path_filter filter;
	enum cb_flavour flavour;
	size_t n;
	struct cb_tree_dir *root;
	pthread_mutex_t lock; /* of what follows */
	struct cb_tree_cached cache[CB_TREE_CACHE_DIRS];
	size_t cached_fds;
	uint64_t clock;
	struct cb_map *peeked; /* directory -> "y" or "n": something below it is visible */
};

/** A view of @parents (NULL: nothing) with @upper on top, which may change: nothing is remembered. */
int cb_tree_new_over(struct cb_tree *parents, int upper, struct cb_tree **ret, struct cb_err **err);

/** The path without leading slash; "" for the root. */
const char *cb_tree_canonical(const char *path);
/** True when the filter shows the entry @path (in a plain tree). */
bool cb_tree_visible(struct cb_tree *tree, const char *path, bool is_dir);

#endif
