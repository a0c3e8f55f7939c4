/*
 * Stat index: (device, inode, size, mtime, ctime) → SHA-256 of a file's content, so that unchanged files of a context
 * are not read again.
 *
 * One index serves one *scope* (a context directory); it is read whole when opened and written back by one
 * transaction. The index may miss a file that did not change, never the reverse: an entry is kept only when the file's
 * ctime is older than the opening of the index by more than the clock's granularity, so a later change within the same
 * tick cannot go unseen. An index is thread-safe.
 */
#ifndef CB_LAYERS_STATINDEX_H
#define CB_LAYERS_STATINDEX_H

#include <sys/stat.h>

#include "layers/digest.h"
#include "layers/store.h"

struct cb_stat_index;

/** @store may be NULL: an index that only lives in memory. Open it before looking at any file of the scope. */
int cb_stat_index_open(struct cb_store *store, const char *scope, struct cb_stat_index **ret, struct cb_err **err);
/** True with the digest when this very file state was seen before. */
bool cb_stat_index_get(struct cb_stat_index *index, const struct stat *st, uint8_t ret[static CB_DIGEST_SIZE]);
/** Remembers; @st was taken before the content was read. */
void cb_stat_index_put(struct cb_stat_index *index, const struct stat *st, const uint8_t digest[static CB_DIGEST_SIZE]);
/** Writes what changed. Entries neither got nor put since opening are dropped when @prune (the whole scope was seen).
 */
int cb_stat_index_flush(struct cb_stat_index *index, bool prune, struct cb_err **err);
/** Does not flush. */
struct cb_stat_index *cb_stat_index_free(struct cb_stat_index *index);
CB_DEFINE_CLEANUP(struct cb_stat_index *, cb_stat_index_free)

#endif
