/*
 * Paths: lexical operations, and resolution that cannot leave a root directory.
 *
 * Paths of a Buildfile, context, image or archive are untrusted: they are only ever opened through the functions
 * below *_in_root, never by a joined string.
 */
#ifndef CB_BASE_PATH_H
#define CB_BASE_PATH_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/** Go's path.Clean: "" becomes ".", ".." above "/" is dropped. Caller frees. */
char *cb_path_clean(const char *path);
/** cb_path_clean(a + "/" + b); an absolute @b is still put below @a. Caller frees. */
char *cb_path_join(const char *a, const char *b);
/** Cleaned as if below "/": always absolute, ".." clamped. Caller frees. */
char *cb_path_abs(const char *path);
/** The part after the last slash of a cleaned path; borrowed. */
const char *cb_path_base(const char *path);
/** The part before the last slash ("/" or "." when there is none). Caller frees. */
char *cb_path_dir(const char *path);
/** True when @path equals @dir or lies below it; both cleaned and of one kind (absolute or relative). */
bool cb_path_below(const char *path, const char *dir);

/**
 * Opens @path as if @rootfd were "/": symlinks (absolute ones too) and ".." stay inside. Adds O_CLOEXEC.
 * openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), and a walk component by component where openat2 is missing
 * or blocked. Returns the descriptor, or -1 with errno. Never follows a final symlink when O_NOFOLLOW is given.
 */
int cb_path_open_in_root(int rootfd, const char *path, int flags, mode_t mode);
/** As above, symlinks refused everywhere (ELOOP) and ".." refused (EXDEV): for paths that are already canonical. */
int cb_path_open_beneath(int rootfd, const char *path, int flags, mode_t mode);
/** Forces the walk (true) in place of openat2; for tests. */
void cb_path_force_walk(bool on);
/** mkdir -p below @rootfd without leaving it; missing ones get @mode. Returns an O_PATH descriptor or -1 with errno. */
int cb_path_mkdirs_in_root(int rootfd, const char *path, mode_t mode);
/** Removes the entry @name below @topfd and everything beneath, on one file system, never following symlinks. */
int cb_path_remove_tree(int topfd, const char *name, struct cb_err **err);
/** Removes all that is in the directory @dirfd. */
int cb_path_empty_dir(int dirfd, struct cb_err **err);
/** mkdir -p for trusted host paths (state directories). 0 or -1 with errno. */
int cb_path_mkdirs(const char *path, mode_t mode);

#endif
