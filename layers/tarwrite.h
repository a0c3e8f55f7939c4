/*
 * Deterministic tar writer: POSIX pax interchange format, byte for byte as Go's archive/tar writes it.
 *
 * Only what a header cannot hold goes into a pax record (names that are not ASCII or cannot be split as ustar does, ids
 * above 7 octal digits, negative times, xattrs); records are sorted by key; no user or group names, no atime, no ctime,
 * whole seconds. An entry's bytes depend on its fields alone. The end is two zero blocks, without record padding.
 *
 * Order of calls: entry, then exactly `size` bytes of data for regular files, next entry ..., finish.
 */
#ifndef CB_LAYERS_TARWRITE_H
#define CB_LAYERS_TARWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "layers/stream.h"

#define CB_TAR_BLOCK 512

/** Type flags of the format. */
enum cb_tar_type {
	CB_TAR_FILE = '0',
	CB_TAR_HARDLINK = '1',
	CB_TAR_SYMLINK = '2',
	CB_TAR_CHAR = '3',
	CB_TAR_BLOCK_DEV = '4',
	CB_TAR_DIR = '5',
	CB_TAR_FIFO = '6',
};

/** Extended attribute of an entry. */
struct cb_tar_xattr {
	const char *name;
	const void *value;
	size_t len;
};
/** xattrs of one entry. */
#define CB_TAR_XATTRS_MAX 256

struct cb_tar_entry {
	const char *path; /* no leading "/"; a directory's trailing "/" is added when missing */
	enum cb_tar_type type;
	uint32_t mode; /* permission bits with set-id and sticky: 07777 */
	uint32_t uid, gid;
	uint64_t size;    /* regular files only, else 0 */
	int64_t mtime;    /* seconds */
	const char *link; /* target of symbolic and hard links */
	uint32_t major, minor;
	const void *capability; /* value of security.capability, or NULL */
	size_t capability_len;
	const struct cb_tar_xattr *xattrs; /* others, at most CB_TAR_XATTRS_MAX */
	size_t n_xattrs;
};

/**
 * Looks on while a tar is written, before the bytes are. What it returns below 0 ends the writing.
 */
struct cb_tar_watch {
	void *arg;
	/** The next entry; NULL at the end of the tar. */
	int (*entry)(void *arg, const struct cb_tar_entry *entry, struct cb_err **err);
	/** Some of the content of the entry before. */
	int (*data)(void *arg, const void *data, size_t len, struct cb_err **err);
};

struct cb_tarwriter;

struct cb_tarwriter *cb_tarwriter_new(struct cb_sink out);
struct cb_tarwriter *cb_tarwriter_free(struct cb_tarwriter *w);
CB_DEFINE_CLEANUP(struct cb_tarwriter *, cb_tarwriter_free)
/** From now on @watch (borrowed, may be NULL) looks on. */
void cb_tarwriter_watch(struct cb_tarwriter *w, const struct cb_tar_watch *watch);

/** Writes the header. CB_ERR_INTERNAL when the entry before got fewer bytes than its size. */
int cb_tarwriter_entry(struct cb_tarwriter *w, const struct cb_tar_entry *entry, struct cb_err **err);
/** Content of the current regular file; more than its size is CB_ERR_INTERNAL. */
int cb_tarwriter_data(struct cb_tarwriter *w, const void *data, size_t len, struct cb_err **err);
/** A whole regular file from memory: mode, owner 0:0 and time as given. */
int cb_tarwriter_file(struct cb_tarwriter *w, const char *path, uint32_t mode, int64_t mtime, const void *data,
	size_t len, struct cb_err **err);
/** A directory of mode 0755, owner 0:0. */
int cb_tarwriter_dir(struct cb_tarwriter *w, const char *path, int64_t mtime, struct cb_err **err);
/** Writes the end marker. */
int cb_tarwriter_finish(struct cb_tarwriter *w, struct cb_err **err);
/** Bytes written so far. */
uint64_t cb_tarwriter_bytes(const struct cb_tarwriter *w);

#endif
