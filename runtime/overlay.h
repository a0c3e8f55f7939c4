/*
 * Overlay mounts that are attached nowhere: built from descriptors, handed over as one descriptor.
 *
 * Always volatile (a layer is made durable once, by the store, not at each unmount), always without redirects, index,
 * metacopy and xino, whatever the distribution's defaults: an upper directory must be readable as a plain difference.
 */
#ifndef CB_RUNTIME_OVERLAY_H
#define CB_RUNTIME_OVERLAY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/runtime.h"

struct cb_mapped;

struct cb_overlay_env {
	enum cb_overlay_api api;  /* not AUTO */
	bool trusted;             /* marks are trusted.overlay.*, else user.overlay.* */
	int userns_fd;            /* idmap every layer into this user namespace; -1: no */
	uid_t root_id;            /* with userns_fd: what its ids 0 are outside, for both kinds */
	struct cb_mapped *mapped; /* with userns_fd */
	int scratch_fd;
	bool attach; /* the kernel takes no detached mounts as parts of an overlay (before Linux 6.15) */
};

/**
 * Mounts @layers (bottom first) above the directory @stub, which is used as it is, with @upper and @work on top, or
 * read-only when @upper is -1. A layer may come more than once. @attr are MOUNT_ATTR_ flags. Returns the descriptor of
 * the detached mount. Any thread.
 */
int cb_overlay_mount(const struct cb_overlay_env *env, int stub, const int *layers, size_t n_layers, int upper,
	int work, unsigned int attr, struct cb_err **err);

/** A detached, private, idmapped where needed copy of the directory or file @fd. Returns its descriptor. */
int cb_overlay_clone(const struct cb_overlay_env *env, int fd, unsigned int attr, struct cb_err **err);

/**
 * Mounts the detached mount @fd on a new directory below scratch_fd, whose name goes to @name: Linux before 6.15 makes
 * an overlay of parts only that are somewhere. In the mount namespace of this process; cb_overlay_detach undoes it.
 */
int cb_overlay_attach(const struct cb_overlay_env *env, int fd, char name[static 32], struct cb_err **err);
/** The mount and its directory go; an overlay that was made of it keeps its own. */
void cb_overlay_detach(const struct cb_overlay_env *env, const char *name);

/** A path that a stub must hold. */
struct cb_stub_entry {
	const char *path; /* absolute, cleaned */
	bool dir;
};

/**
 * A detached tmpfs with empty @entries and the usual mount targets, to be the lowest layer: mount targets then exist
 * without ever being created in an image. Returns a directory descriptor.
 */
int cb_stub_new(const struct cb_overlay_env *env, const struct cb_stub_entry *entries, size_t n, struct cb_err **err);
/** An empty detached tmpfs. */
int cb_stub_new_empty(const struct cb_overlay_env *env, struct cb_err **err);
/** cb_stub_new without extra entries, as a directory "@name" below scratch_fd, where detached lowers are refused. */
int cb_stub_new_on_disk(const struct cb_overlay_env *env, const char *name, struct cb_err **err);

/** Empties an overlay work directory (its inner directory has mode 000 and a mark against reuse). */
int cb_overlay_clean_work(int work, struct cb_err **err);

#endif
