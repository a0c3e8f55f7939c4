/*
 * What is in a cache mount, as two streams of bytes: the tree (names, kinds, modes, owners, chunks of content) and what
 * changes when the rest does not: times, because tools that keep what was used last touch all of their files, and what
 * is in very small files, because that is where they count.
 *
 * The tree is a list of records, each after its length, nested as directories are. The first one opens the root, which
 * has no name, the last one closes it. A name is one component, sorted behind the names before it in its directory, so
 * no list of names can lead elsewhere or name one thing twice. Numbers as in varint.h:
 *
 *   'D' name mode uid gid xattrs      opens a directory
 *   'U'                               closes it
 *   'F' name mode uid gid xattrs size linked chunks { sha256[32] }
 *   'S' name mode uid gid xattrs linked          a file of at most 512 bytes
 *   'H' name number                   the file of that number (from 0, in the order of the list), which is "linked"
 *   'L' name uid gid target           symbolic link
 *   'P' name mode uid gid             fifo
 *
 * with xattrs a number and so many of name and value, of user.* only. Set-id bits of files are not kept. The times
 * are, for each record with an owner, in that order: seconds (less those before), nanoseconds, and how many seconds
 * later it was used; then the content of a small file after its length.
 */
#ifndef CB_LAYERS_MOUNTLIST_H
#define CB_LAYERS_MOUNTLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "layers/digest.h"
#include "layers/stream.h"

/** Directories below each other, the root included. */
#define CB_MOUNT_DEPTH_MAX 256
#define CB_MOUNT_ENTRIES_MAX ((uint64_t)10000000)
#define CB_MOUNT_NAME_MAX 255
#define CB_MOUNT_TARGET_MAX 4095
#define CB_MOUNT_XATTRS_MAX 64
#define CB_MOUNT_XATTR_MAX ((size_t)64 << 10)
/** Content that is not worth a chunk. */
#define CB_MOUNT_SMALL_MAX ((size_t)512)
/** Chunks of one file. */
#define CB_MOUNT_CHUNKS_MAX ((size_t)1 << 20)

enum cb_mount_kind {
	CB_MOUNT_DIR = 'D',
	CB_MOUNT_UP = 'U',
	CB_MOUNT_FILE = 'F',
	CB_MOUNT_SMALL = 'S',
	CB_MOUNT_LINK = 'H',
	CB_MOUNT_SYMLINK = 'L',
	CB_MOUNT_FIFO = 'P',
};

struct cb_mount_xattr {
	const char *name;
	size_t name_len;
	const void *value;
	size_t len;
};

struct cb_mount_entry {
	enum cb_mount_kind kind;
	const char *name;
	uint32_t mode, uid, gid; /* mode without kind */
	struct cb_mount_xattr xattrs[CB_MOUNT_XATTRS_MAX];
	size_t n_xattrs;
	uint64_t size;
	const void *content;   /* of a small file, size bytes */
	bool linked;           /* more names may follow */
	const uint8_t *chunks; /* n_chunks digests in a row */
	size_t n_chunks;
	uint64_t number; /* of a file: its own; of a link: that of the file */
	const char *target;
	int64_t mtime;
	uint32_t mtime_ns;
	int64_t used;
};

/** Appends the records of @entry; *last_time begins as 0. */
void cb_mountlist_put(
	const struct cb_mount_entry *entry, struct cb_buf *tree, struct cb_buf *times, int64_t *last_time);

/** Reads two streams that are not trusted. */
struct cb_mountlist;
struct cb_mountlist *cb_mountlist_new(struct cb_source tree, struct cb_source times);
struct cb_mountlist *cb_mountlist_free(struct cb_mountlist *list);
CB_DEFINE_CLEANUP(struct cb_mountlist *, cb_mountlist_free)
/** 0 with an entry that is good until the next call, or 1 at the end of both. CB_ERR_CORRUPT, CB_ERR_LIMIT. */
int cb_mountlist_next(struct cb_mountlist *list, const struct cb_mount_entry **ret, struct cb_err **err);

#endif
