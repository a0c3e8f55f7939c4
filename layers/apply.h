/*
 * Unpacks a tar stream, which is hostile input, into a directory.
 *
 * As a layer (`layer` set) the result is a snapshot in overlay format, independent of what lies below: `.wh.x` becomes
 * a whiteout, `.wh..wh..opq` the opaque mark. Whatever the stream says, nothing outside the directory is read, written
 * or linked: names with NUL, "..", or absolute ones fail, parents are opened component by component without following
 * symlinks, hard links must name something this stream unpacked and that is no directory. A later entry of the same
 * name replaces the earlier one. Modes are kept with set-id bits, xattrs only if security.capability, user.* or
 * a POSIX ACL; character device 0:0 is refused. Times of directories are set at the end.
 */
#ifndef CB_LAYERS_APPLY_H
#define CB_LAYERS_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "layers/stream.h"
#include "layers/whiteout.h"

/** Limits; 0 means the default given here. */
struct cb_apply_limits {
	uint64_t max_entries; /* 10 million */
	uint64_t max_bytes;   /* 1 TiB of file content */
	uint64_t max_file;    /* 1 TiB */
};
#define CB_APPLY_ENTRIES_MAX (UINT64_C(10) * 1000 * 1000)
#define CB_APPLY_BYTES_MAX (UINT64_C(1) << 40)
/** Components of a path: bounds every walk over the result. Names, records and xattrs: layers/tarread.h. */
#define CB_APPLY_DEPTH_MAX 1024

struct cb_apply_spec {
	int dirfd; /* the target, normally empty; borrowed */
	enum cb_flavour flavour;
	bool layer;      /* `.wh.` names are marks; otherwise they are refused */
	bool no_devices; /* skip character and block devices */
	struct cb_apply_limits limits;
	const struct cb_cancel *cancel; /* or NULL */
};

struct cb_apply_stats {
	uint64_t entries, bytes; /* applied, of file content */
	uint64_t skipped;        /* devices that could not be made */
	uint64_t implied;        /* directories that no entry described: made 0755, owner 0:0 */
};

/** Reads @in to its end (also what follows the end marker, which must be zeros). @stats may be NULL. */
int cb_apply(const struct cb_apply_spec *spec, struct cb_source in, struct cb_apply_stats *stats, struct cb_err **err);

#endif
