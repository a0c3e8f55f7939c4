/*
 * The files of an image as a table on disk: what its layers add up to, where each file is from, and what was in vain.
 *
 * Layers are read once, bottom first, as streams; entries go into a temporary SQLite database (below TMPDIR, removed
 * with the process), so that memory does not grow with their number. Whiteouts, opaque directories and entries that
 * replace others act as when a layer is unpacked. A table has one user at a time.
 */
#ifndef CB_LAYERS_FILETABLE_H
#define CB_LAYERS_FILETABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/cancel.h"
#include "base/strv.h"
#include "layers/stream.h"

struct cb_filetable;

int cb_filetable_new(struct cb_filetable **ret, struct cb_err **err);
struct cb_filetable *cb_filetable_free(struct cb_filetable *table);
CB_DEFINE_CLEANUP(struct cb_filetable *, cb_filetable_free)

/** A second table with what @table has now. */
int cb_filetable_copy(struct cb_filetable *table, struct cb_filetable **ret, struct cb_err **err);
/** From now on the content of files is appended to @fd, which is borrowed: see `spot`. */
void cb_filetable_spool(struct cb_filetable *table, int fd);

/** What is in one layer. */
struct cb_filetable_sums {
	uint64_t bytes;     /* of regular files */
	uint64_t files;     /* regular ones; another name of one is not counted */
	uint64_t entries;   /* everything but whiteouts */
	uint64_t whiteouts; /* opaque directories, too */
};

/** Adds the next layer: @source is an uncompressed tar. */
int cb_filetable_add_tar(struct cb_filetable *table, struct cb_source source, const struct cb_cancel *cancel,
	struct cb_filetable_sums *ret, struct cb_err **err);
/** Adds the files below the directory @dirfd as the next layer; sockets are left out. */
int cb_filetable_add_dir(struct cb_filetable *table, int dirfd, const struct cb_cancel *cancel,
	struct cb_filetable_sums *ret, struct cb_err **err);

/** A file of the result. Strings are borrowed until the next call. */
struct cb_filetable_entry {
	const char *path;   /* "/a/b"; the top is "/" */
	unsigned int layer; /* that it is from: 0 is the bottom */
	char type;          /* as ls shows it: - d l c b p */
	uint32_t mode;      /* 07777 */
	uint32_t uid, gid;
	uint64_t size; /* of a regular file */
	struct timespec mtime;
	const char *link; /* target of a symbolic link, else "" */
	uint32_t major, minor;
	const uint8_t *content; /* SHA-256 of a regular file, else NULL */
	const void *xattrs;     /* see cb_filetable_xattr */
	size_t xattrs_len;
	const char *same_as; /* the first of the names that a file has several of; else NULL */
	int64_t spot;        /* where the content is in what cb_filetable_spool was given; -1: not there */
	bool repeated;       /* a name of a file whose size was counted with another name */
};

/** Walks the result in the order of a tree walk, names sorted bytewise. */
struct cb_filetable_walk;
int cb_filetable_walk_open(struct cb_filetable *table, struct cb_filetable_walk **ret, struct cb_err **err);
struct cb_filetable_walk *cb_filetable_walk_free(struct cb_filetable_walk *walk);
CB_DEFINE_CLEANUP(struct cb_filetable_walk *, cb_filetable_walk_free)
/** 1: *ret is the next one; 0 at the end. */
int cb_filetable_next(struct cb_filetable_walk *walk, struct cb_filetable_entry *ret, struct cb_err **err);
/** Which of two paths a walk comes to first: below, above or 0. */
int cb_filetable_order(const char *a, const char *b);
/** The attribute at *@at (0 at first), sorted by name, and moves on; false at the end. Borrowed from @entry. */
bool cb_filetable_xattr(
	const struct cb_filetable_entry *entry, size_t *at, const char **ret_name, const void **ret, size_t *ret_len);

/** What a later layer made useless. */
struct cb_filetable_waste {
	const char *path;
	uint64_t bytes;
	unsigned int layer, by; /* that had it, and the one that took it away */
	bool deleted;           /* else overwritten */
};
/** Files of the same content. */
struct cb_filetable_same {
	uint64_t bytes, times;       /* of one, and how many there are */
	const struct cb_strv *paths; /* of the first few */
};

/** The sum of bytes and files of cb_filetable_waste. */
int cb_filetable_wasted(struct cb_filetable *table, uint64_t *ret_bytes, uint64_t *ret_files, struct cb_err **err);
/** Calls @fn with the @max largest, largest first. */
int cb_filetable_each_waste(struct cb_filetable *table, unsigned int max,
	void (*fn)(void *arg, const struct cb_filetable_waste *waste), void *arg, struct cb_err **err);
/** The bytes that equal files have beyond the first of each, and how many groups there are. */
int cb_filetable_repeated(struct cb_filetable *table, uint64_t *ret_bytes, uint64_t *ret_groups, struct cb_err **err);
int cb_filetable_each_same(struct cb_filetable *table, unsigned int max,
	void (*fn)(void *arg, const struct cb_filetable_same *same), void *arg, struct cb_err **err);

#endif
