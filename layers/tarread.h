/*
 * Streaming tar reader for hostile input: ustar, pax and GNU headers, bounded in every size.
 *
 * Understood: pax extended and global headers, GNU long names and links, base-256 numbers, GNU sparse files (old
 * format and pax 0.0, 0.1, 1.0). Names are given as they are in the archive, checked only for NUL and length: what
 * they may mean is the caller's business. CB_ERR_CORRUPT for what is no tar, CB_ERR_LIMIT beyond a limit.
 */
#ifndef CB_LAYERS_TARREAD_H
#define CB_LAYERS_TARREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "layers/stream.h"
#include "layers/tarwrite.h"

/** A path, a link target. */
#define CB_TAR_PATH_MAX 4095
/** All records of one extended header. */
#define CB_TAR_PAX_MAX (1024 * 1024)
/** One xattr value: as the kernel. */
#define CB_TAR_XATTR_MAX 65536
/** Data regions of one sparse file. */
#define CB_TAR_SPARSE_MAX 65536
/** Consecutive headers that only describe the next entry. */
#define CB_TAR_META_MAX 64

/** One entry; valid until the next call of cb_tarreader_next. */
struct cb_tar_item {
	const char *path;
	const char *link; /* "" unless a link */
	enum cb_tar_type type;
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	uint64_t size; /* of a file, with its holes */
	struct timespec mtime;
	uint32_t major, minor;
	const struct cb_tar_xattr *xattrs; /* SCHILY.xattr records, the last of a name only */
	size_t n_xattrs;
};

struct cb_tarreader;

struct cb_tarreader *cb_tarreader_new(struct cb_source in);
struct cb_tarreader *cb_tarreader_free(struct cb_tarreader *r);
CB_DEFINE_CLEANUP(struct cb_tarreader *, cb_tarreader_free)

/** The next entry; what is left of the one before is skipped. 0, or 1 at the end (marker or end of stream). */
int cb_tarreader_next(struct cb_tarreader *r, const struct cb_tar_item **ret, struct cb_err **err);
/**
 * The next piece of the current file's data, in place: its length with *ret and *ret_at (its offset in the file) set,
 * or 0 after the last. Holes are what no piece covers.
 */
ssize_t cb_tarreader_data(struct cb_tarreader *r, const void **ret, uint64_t *ret_at, struct cb_err **err);
/** After the end: reads the stream to its end. CB_ERR_CORRUPT when there is something but zeros. */
int cb_tarreader_drain(struct cb_tarreader *r, struct cb_err **err);

/** True when @block (512 bytes) is a header with a right checksum, or zeros. */
bool cb_tar_is_header(const void *block);

#endif
