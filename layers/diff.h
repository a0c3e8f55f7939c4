/*
 * From a snapshot (directory of differences in overlay upper format) and the merged view of its parents to the changes
 * that its layer tar must carry, and to that tar.
 *
 * The order is that of a directory walk with names sorted bytewise; a deletion stands where the deleted name would.
 * What overlay copied up without changing it is left out; every parent directory of a change comes once before it; an
 * opaque directory becomes additions and one deletion per name that the parents had and the snapshot has not; the root
 * itself is never listed; sockets are skipped. Names below one hard-linked inode follow the first one as links,
 * unchanged ones too. Memory is bound by the deepest path's listings and the number of hard-linked inodes, not by files
 * or bytes.
 */
#ifndef CB_LAYERS_DIFF_H
#define CB_LAYERS_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "layers/stream.h"
#include "layers/whiteout.h"

struct cb_tar_watch;
struct cb_tree;

/**
 * Nanoseconds of the modification time of a directory that a copy changed. Its seconds are those it had, so that the
 * layer is the same each time; where times are clamped it is taken as of the build, as BuildKit has it, whose layers
 * have the same diff ID then.
 */
#define CB_DIFF_NSEC_CHANGED 999999001L

struct cb_diff_spec {
	int fs_fd; /* the snapshot's directory; borrowed */
	enum cb_flavour flavour;
	struct cb_tree *parents;  /* merged view of what lies below; NULL: nothing */
	const char *const *stubs; /* paths without leading "/" that are mount targets of ours: dropped */
	size_t n_stubs;
	bool clamp; /* times after @epoch become @epoch (rewrite-timestamp) */
	bool level; /* every time becomes @epoch */
	int64_t epoch;
	const struct cb_cancel *cancel;   /* or NULL */
	const struct cb_tar_watch *watch; /* or NULL */
};

/** What was left out on the way. */
struct cb_diff_stats {
	uint64_t entries; /* tar entries written */
	uint64_t bytes;   /* of the tar stream */
	uint64_t sockets; /* skipped */
};

/** Writes the layer tar of @spec to @out. @stats may be NULL. A snapshot that changed nothing gives an empty tar. */
int cb_diff_tar(const struct cb_diff_spec *spec, struct cb_sink out, struct cb_diff_stats *stats, struct cb_err **err);

/**
 * A merged file system as a plain tar stream (output type=tar): every entry of @tree but its root. With @epoch every
 * time is that.
 */
int cb_export_tar(struct cb_tree *tree, const int64_t *epoch, struct cb_sink out, const struct cb_cancel *cancel,
	struct cb_err **err);
struct cb_tarwriter;
/** The same entries into a tar that goes on: below the directory @below, which is made, or at its root (NULL). */
int cb_export_tar_below(struct cb_tree *tree, const char *below, const int64_t *epoch, struct cb_tarwriter *tar,
	const struct cb_cancel *cancel, struct cb_err **err);
/**
 * A merged file system into the directory @dirfd (output type=local): files belong to the caller, modes, times, links
 * and symlinks are kept; devices, fifos and sockets are skipped; existing files are replaced, directories merged, and
 * symlinks in the way of a directory are replaced by it.
 */
int cb_export_local(
	struct cb_tree *tree, const int64_t *epoch, int dirfd, const struct cb_cancel *cancel, struct cb_err **err);

#endif
