/*
 * Files that appear whole or not at all: temporary + fsync + rename.
 */
#ifndef CB_BASE_ATOMIC_H
#define CB_BASE_ATOMIC_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/** Replaces @name below @dirfd (AT_FDCWD allowed) with @len bytes, mode @mode. */
int cb_atomic_write(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct cb_err **err);
/** Opens a temporary beside @name; *ret_tmp is its name. Finish with cb_atomic_commit or cb_atomic_abort. */
int cb_atomic_open(int dirfd, const char *name, mode_t mode, int *ret_fd, char **ret_tmp, struct cb_err **err);
/** fsyncs @fd and renames @tmp to @name. Closes nothing. */
int cb_atomic_commit(int dirfd, int fd, const char *tmp, const char *name, struct cb_err **err);
void cb_atomic_abort(int dirfd, const char *tmp);

#endif
