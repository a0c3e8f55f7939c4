/*
 * Marks of the overlay file system on disk and of layers in tars: what is deleted, what replaces its lower directory.
 *
 * A store has one flavour. Only the xattr of that flavour is a mark: the other one is an application's data.
 */
#ifndef CB_LAYERS_WHITEOUT_H
#define CB_LAYERS_WHITEOUT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "layers/flavour.h"

#define CB_WHITEOUT_PREFIX ".wh."
#define CB_WHITEOUT_OPAQUE ".wh..wh..opq"

/** A whiteout in overlay format: character device 0:0. */
static inline bool cb_whiteout_is(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/** Creates the whiteout @name; what was there is replaced. */
int cb_whiteout_make(int dirfd, const char *name, struct cb_err **err);
/** 1 when directory @fd (not O_PATH) is marked opaque, else 0. */
int cb_opaque_get(int fd, enum cb_flavour flavour, struct cb_err **err);
int cb_opaque_set(int fd, enum cb_flavour flavour, struct cb_err **err);
/** True for names that overlay keeps for itself ("trusted.overlay." or "user.overlay.", by flavour). */
bool cb_overlay_xattr(const char *name, enum cb_flavour flavour);

#endif
