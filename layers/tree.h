/*
 * Read-only view of a file tree: a stack of directories in overlay upper format merged into one, or one plain directory
 * (a build context) seen through a filter.
 *
 * Paths given to a tree are canonical unless a function says otherwise: relative ("" or "." or "/" is the root; one
 * leading slash is ignored), no "..", no empty component, and no symlink but the last component. Symlinks are never
 * followed by anything but cb_tree_resolve() and cb_tree_read_file(), so no tree can lead outside of itself.
 *
 * "Not there" is the outcome 1, not an error. A tree and its directories are immutable and may be used by any number
 * of threads at once; whoever changes the directories beneath meanwhile (the owner of a context) can make calls fail or
 * see old or new content, never another tree.
 *
 * Cost: an entry is decided by the topmost layer that has it; a merged directory keeps one descriptor per layer that
 * contributes to it, and the directories used last stay open.
 */
#ifndef CB_LAYERS_TREE_H
#define CB_LAYERS_TREE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/strv.h"
#include "layers/flavour.h"

struct cb_tree;
struct cb_tree_dir;

/** Symlinks followed in one resolution; more is a loop. */
#define CB_TREE_LINKS_MAX 255
/** Directories below each other. */
#define CB_TREE_DEPTH_MAX 2048
/** Layers in one stack. */
#define CB_TREE_LAYERS_MAX 4096

enum cb_path_verdict {
	CB_PATH_TAKE, /* there */
	CB_PATH_DROP, /* not there, and nothing below it either */
	CB_PATH_PEEK, /* a directory not there for itself, but something below it may be: then it is kept as its parent
		       */
};

/**
 * Chooses paths: .dockerignore of a context, --exclude of a copy. @path is relative and canonical. The answer depends
 * on the arguments alone (patterns that match a parent included), and comes from several threads at once.
 */
struct cb_path_filter {
	enum cb_path_verdict (*verdict)(void *userdata, const char *path, bool is_dir);
	void *userdata;
};

/** Merges @n directories, bottom first. The descriptors are duplicated. @n == 0 is an empty tree. */
int cb_tree_new_layers(const int *dirfds, size_t n, enum cb_flavour flavour, struct cb_tree **ret, struct cb_err **err);
/** The same with descriptors that are borrowed for the life of the tree, and not O_PATH: saves time with many layers.
 */
int cb_tree_new_lent(const int *dirfds, size_t n, enum cb_flavour flavour, struct cb_tree **ret, struct cb_err **err);
/**
 * One plain directory. @filter (may be NULL, is copied) hides entries; @root_owned reports every owner as 0:0, as
 * contexts are copied. Overlay marks mean nothing here.
 */
int cb_tree_new_plain(
	int dirfd, const struct cb_path_filter *filter, bool root_owned, struct cb_tree **ret, struct cb_err **err);
struct cb_tree *cb_tree_ref(struct cb_tree *tree);
/** Drops one reference. */
struct cb_tree *cb_tree_free(struct cb_tree *tree);
CB_DEFINE_CLEANUP(struct cb_tree *, cb_tree_free)

/** Layers below, 0 for an empty tree; 1 for a plain one. */
size_t cb_tree_layers(const struct cb_tree *tree);

/* --- By path ---------------------------------------------------------------------------------------------------- */

/** lstat. 0, or 1 when not there (also below something that is no directory). */
int cb_tree_stat(struct cb_tree *tree, const char *path, struct stat *ret, struct cb_err **err);
/** Opens a regular file for reading; 1 when not there, CB_ERR_INPUT for another kind. */
int cb_tree_open(struct cb_tree *tree, const char *path, int *ret_fd, struct cb_err **err);
/** The target of a symlink, freed by the caller; 1 when not there, CB_ERR_INPUT for another kind. */
int cb_tree_readlink(struct cb_tree *tree, const char *path, char **ret, struct cb_err **err);

enum cb_tree_resolve {
	CB_TREE_FOLLOW = 0,
	CB_TREE_NOFOLLOW = 1 << 0, /* the last component may stay a symlink */
};
/**
 * Resolves any @path ("..", "//", symlinks, absolute links, "" for the root) inside the tree to a canonical path
 * without leading slash, "" for the root. 0: it is there; 1: it is not, and *ret names where it would be (from the
 * first missing component on, ".." is taken lexically). A non-directory on the way counts as missing. CB_ERR_INPUT for
 * a loop.
 */
int cb_tree_resolve(
	struct cb_tree *tree, const char *path, enum cb_tree_resolve flags, char **ret, struct cb_err **err);
/** Reads a regular file of at most @max bytes; @path as for cb_tree_resolve. 1 when not there or not regular. */
int cb_tree_read_file(struct cb_tree *tree, const char *path, size_t max, struct cb_buf *out, struct cb_err **err);

/* --- By directory ----------------------------------------------------------------------------------------------- */

/** An entry of a directory. What cb_tree_dir_find fills borrows the name of its caller. */
struct cb_tree_ent {
	const char *name;
	unsigned int layer; /* opaque */
	unsigned char type; /* DT_*, never DT_UNKNOWN or DT_WHT */
};

/** Entries sorted bytewise, without "." and "..". */
struct cb_tree_list {
	struct cb_tree_ent *ents;
	size_t n;
	char *names; /* what the entries' names point into */
};
void cb_tree_list_done(struct cb_tree_list *list);
#define cleanup_tree_list __attribute__((cleanup(cb_tree_list_done)))

/** Opens a directory; 1 when not there or not a directory. Free it before the tree's last reference. */
int cb_tree_dir_open(struct cb_tree *tree, const char *path, struct cb_tree_dir **ret, struct cb_err **err);
struct cb_tree_dir *cb_tree_dir_ref(struct cb_tree_dir *dir);
struct cb_tree_dir *cb_tree_dir_free(struct cb_tree_dir *dir);
CB_DEFINE_CLEANUP(struct cb_tree_dir *, cb_tree_dir_free)

/** Canonical, "" for the root; borrowed. */
const char *cb_tree_dir_path(const struct cb_tree_dir *dir);
int cb_tree_dir_list(struct cb_tree_dir *dir, struct cb_tree_list *ret, struct cb_err **err);
int cb_tree_dir_stat(struct cb_tree_dir *dir, struct stat *ret, struct cb_err **err);
/** Looks up one name; 0 or 1. */
int cb_tree_dir_find(struct cb_tree_dir *dir, const char *name, struct cb_tree_ent *ret, struct cb_err **err);

/** Each returns 1 when the entry has vanished since. */
int cb_tree_at_stat(struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct stat *ret, struct cb_err **err);
/**
 * Opens a regular file (CB_ERR_INPUT for another kind) and describes it. @ret_st may be NULL. Never blocks on a fifo,
 * never touches a device.
 */
int cb_tree_at_open(
	struct cb_tree_dir *dir, const struct cb_tree_ent *ent, int *ret_fd, struct stat *ret_st, struct cb_err **err);
int cb_tree_at_readlink(struct cb_tree_dir *dir, const struct cb_tree_ent *ent, char **ret, struct cb_err **err);
/** 1 also when it is no directory. */
int cb_tree_at_dir(
	struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct cb_tree_dir **ret, struct cb_err **err);

/* --- Whole ------------------------------------------------------------------------------------------------------- */

/** Returns 0 to go on, 1 to leave out what is below a directory, or a negative code to stop with. */
typedef int (*cb_tree_walk_fn)(
	void *userdata, const char *path, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct cb_err **err);
/**
 * Visits everything below the directory @path (not itself), parents first, names bytewise. @dir holds the entry. In one
 * thread; open directories do not grow with depth. 1 when @path is no directory.
 */
int cb_tree_walk(struct cb_tree *tree, const char *path, cb_tree_walk_fn fn, void *userdata, struct cb_err **err);

#endif
