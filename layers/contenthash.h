/*
 * Content digests: what a COPY, ADD or mount really reads, as 32 bytes that do not change when the result would not.
 *
 * In the digest: type, mode, owner, size and data of files, link targets, device numbers, security.capability, names
 * below a directory, which of the files are one file with several names. Not in it: times, inode numbers, the path that
 * leads to a source, and the name of a source that was written out (its user has that name in its own key). A source
 * found by a pattern brings its name. Directories are Merkle nodes, so equal trees have equal digests wherever they
 * are.
 */
#ifndef CB_LAYERS_CONTENTHASH_H
#define CB_LAYERS_CONTENTHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/pool.h"
#include "layers/match.h"
#include "layers/tree.h"

#define CB_CONTENT_DIGEST_SIZE 32

/** What git's index looks at: the same values mean the same bytes. */
struct cb_file_id {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns;
};
void cb_file_id_of(const struct stat *st, struct cb_file_id *ret);

/**
 * Remembers sha256 of file data. Both are called from several threads at once; NULL members are allowed. Only files
 * whose ctime is safely in the past are stored, so a later change cannot hide behind an equal time stamp; and only
 * files without security.capability, so a hit also says that there is none.
 */
struct cb_hash_index {
	bool (*lookup)(void *userdata, const struct cb_file_id *id, unsigned char sha256[CB_CONTENT_DIGEST_SIZE]);
	void (*store)(void *userdata, const struct cb_file_id *id, const unsigned char sha256[CB_CONTENT_DIGEST_SIZE]);
	void *userdata;
};

/** One line of explanation: an entry that went into a digest. */
struct cb_content_file {
	char *path; /* in the tree, no "/" before it; "/" at the end for a directory */
	uint32_t mode, uid, gid;
	uint64_t size;
	unsigned char digest[CB_CONTENT_DIGEST_SIZE]; /* of the entry with its metadata; directories: of all below */
	unsigned char data[CB_CONTENT_DIGEST_SIZE];   /* of a file's bytes or a link's target alone, else zeros */
};

/** Entries in the order of a sorted walk, directories first, at most `max`; `total` counts all. Set `max` before. */
struct cb_content_files {
	struct cb_content_file *v;
	size_t n, cap, max;
	uint64_t total;
};
void cb_content_files_done(struct cb_content_files *files);
#define cleanup_content_files __attribute__((cleanup(cb_content_files_done)))

struct cb_content_spec {
	struct cb_tree *tree;
	const struct cb_sources *sources;
	bool whole;                           /* mode and owner of a source directory itself count too: a mount */
	const struct cb_path_filter *exclude; /* relative to each source that is a directory; or NULL */
	const struct cb_hash_index *index;    /* or NULL */
	struct cb_pool *pool;                 /* helps when not NULL; the caller may itself run on it */
	const struct cb_cancel *cancel;       /* or NULL */
	struct cb_content_files *files;       /* filled when not NULL */
};

struct cb_content_result {
	unsigned char digest[CB_CONTENT_DIGEST_SIZE];
	uint64_t entries, bytes; /* seen */
	uint64_t hashed;         /* bytes read, the rest was known to the index */
};

/** The digest of all sources in their order. */
int cb_content_digest(const struct cb_content_spec *spec, struct cb_content_result *ret, struct cb_err **err);

/** sha256 of an open file's data, through @index (may be NULL). @ret_read (may be NULL) counts the bytes read. */
int cb_content_file(int fd, const struct stat *st, const struct cb_hash_index *index, const struct cb_cancel *cancel,
	unsigned char ret[CB_CONTENT_DIGEST_SIZE], uint64_t *ret_read, struct cb_err **err);

/**
 * Tells @index the digest of a file that was just read from beginning to end, if it may know it; @st is from before.
 */
void cb_content_remember(int fd, const struct stat *st, const struct cb_hash_index *index,
	const unsigned char digest[CB_CONTENT_DIGEST_SIZE]);

#endif
