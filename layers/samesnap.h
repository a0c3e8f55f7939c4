/*
 * Are two snapshots the same result? For taking an earlier one in the place of one that was made again.
 *
 * A print is a digest of all that a later step could see of a snapshot: names, types, modes, owners, sizes, content,
 * link targets, device numbers, whiteouts, opaque directories, extended attributes, which names are one file. Of times
 * it has the modification times that the step chose (by touch -d, tar, cp -p): those that the clock gave while it ran
 * are only known to be such, since no two runs can agree in them. Change and access times, inode numbers and what
 * overlayfs notes for itself are left out.
 *
 * The shape is the print without the content of files and without attributes: it costs no reading and one call an
 * entry, and mostly says already that two differ.
 */
#ifndef CB_LAYERS_SAMESNAP_H
#define CB_LAYERS_SAMESNAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "layers/digest.h"
#include "layers/flavour.h"

struct cb_print_spec {
	int fs_fd; /* of the snapshot */
	enum cb_flavour flavour;
	int64_t began, ended; /* ns: when the step wrote, by the clock of file systems */
	bool content;         /* the print, else the shape */
	const struct cb_cancel *cancel;
};

/** Directories deeper than this are not compared. */
#define CB_PRINT_DEPTH_MAX 400

/** 0 with *ret; 1 for a snapshot that cannot be compared. */
int cb_snapshot_print(const struct cb_print_spec *spec, struct cb_digest *ret, struct cb_err **err);

#endif
