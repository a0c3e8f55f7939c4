/*
 * Lists of files as bytes: what cache records keep of the files that a step read, to tell later which of them changed.
 *
 * The bytes are compressed; they carry path, mode, owner, size and the first half of the data's digest, sorted by path.
 * They may come from another machine: reading them trusts nothing.
 */
#ifndef CB_LAYERS_FILELIST_H
#define CB_LAYERS_FILELIST_H

#include "base/buf.h"
#include "base/err.h"
#include "layers/contenthash.h"

/** Files of one list; what is beyond is only counted. */
#define CB_FILELIST_MAX 131072
/** Bytes of a list, compressed and not. */
#define CB_FILELIST_BYTES_MAX ((size_t)16 << 20)
#define CB_FILELIST_PLAIN_MAX ((size_t)96 << 20)
/** Bytes of a digest that are kept. */
#define CB_FILELIST_DIGEST 16

/** Sorts @files and writes them; @out is empty before. */
int cb_filelist_pack(struct cb_content_files *files, struct cb_buf *out, struct cb_err **err);
/** Reads such bytes; @ret is zeroed before, and gets paths, modes, owners, sizes and the halves of `data`. */
int cb_filelist_unpack(const void *data, size_t len, struct cb_content_files *ret, struct cb_err **err);

/**
 * Calls @fn with each path that differs, in order: @old or @now is NULL for what was added or removed. Both lists are
 * sorted.
 */
void cb_filelist_compare(const struct cb_content_files *old, const struct cb_content_files *now,
	void (*fn)(void *ctx, const struct cb_content_file *old, const struct cb_content_file *now), void *ctx);

#endif
