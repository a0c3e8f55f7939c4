/*
 * Local archives of ADD: is this file a tar, and unpack it into the destination.
 *
 * Decided by content only: plain, gzip, bzip2, xz or zstd around a tar whose first header has a right checksum. Same
 * rules against hostile input as layers/apply.h, but that symlinks of the file system (and of the archive) on the way
 * are followed inside its root. `.wh.` names are refused, since they would become deletions in the layer. What follows
 * the end marker is ignored.
 */
#ifndef CB_LAYERS_ARCHIVE_H
#define CB_LAYERS_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "layers/apply.h"

/** 1 when the file @fd (read by pread from 0) is an archive that ADD unpacks, else 0. */
int cb_archive_is_tar(int fd, struct cb_err **err);

/**
 * The time of the newest regular file in the archive @fd, in seconds: 0 with *ret, or 1 when there is none, or @fd is
 * no (whole) archive.
 */
int cb_archive_newest(int fd, const struct cb_cancel *cancel, int64_t *ret, struct cb_err **err);

/**
 * Where entries go. The destination is one directory of a file system whose symlinks may lead elsewhere in it, so the
 * owner of the snapshot resolves names.
 */
struct cb_archive_dest {
	/**
	 * Opens directory @path (clean, relative to the destination; "" is the destination itself) in the new snapshot
	 * for writing (O_RDONLY | O_DIRECTORY, given to the caller). Symlinks on the way are followed inside the root
	 * file system; missing directories are made 0755 (the destination with the owner of the copy), those of the
	 * parents copied up.
	 * CB_ERR_INPUT when something on the way is no directory.
	 */
	int (*open_dir)(void *arg, const char *path, int *ret_fd, struct cb_err **err);
	/**
	 * May be NULL. Directory @path was given these times (access, modification) by the archive: an owner that sets
	 * times of directories itself, later, must leave it these.
	 */
	int (*dir_timed)(void *arg, const char *path, const struct timespec times[2], struct cb_err **err);
	/** Something was put into the directory @path. May be NULL; called once for many that follow each other. */
	int (*dir_changed)(void *arg, const char *path, struct cb_err **err);
	void *arg;
};

struct cb_archive_spec {
	int fd; /* the archive; borrowed, read from offset 0 */
	struct cb_archive_dest dest;
	bool chown; /* --chown: every entry gets uid and gid */
	uint32_t uid, gid;
	enum cb_flavour flavour; /* of the snapshot */
	bool no_devices;
	struct cb_apply_limits limits;
	const struct cb_cancel *cancel; /* or NULL */
};

/** Unpacks. @stats may be NULL. */
int cb_archive_extract(const struct cb_archive_spec *spec, struct cb_apply_stats *stats, struct cb_err **err);

#endif
