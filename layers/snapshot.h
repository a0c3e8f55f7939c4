/*
 * Snapshots: directories of differences in overlay's upper format, used directly as overlay lower directories.
 *
 * A snapshot is made under tmp/ (fs for the differences, work for overlay), then committed: renamed to
 * snapshots/<id> and, last, entered in the database. A file system is a chain of ids, bottom first; a snapshot does not
 * know its parents beyond the informational `parent`.
 */
#ifndef CB_LAYERS_SNAPSHOT_H
#define CB_LAYERS_SNAPSHOT_H

#include "layers/digest.h"
#include "layers/store.h"

/** Length of an id with its NUL: lower-case hex. */
#define CB_SNAPSHOT_ID_MAX 33

/** One being made. */
struct cb_snapshot;

/** What is recorded with a committed snapshot. Strings borrowed when given, owned when returned. */
struct cb_snapshot_info {
	char *kind;                 /* "image", "run", "copy", "add", "workdir", "mkfile" … */
	char *parent;               /* id (or diff ID) of what was below it when it was made; NULL: nothing */
	struct cb_digest diff_id;   /* unset when not known yet */
	uint64_t size;              /* of its layer tar, 0 when not known */
	int64_t created, last_used; /* seconds since the epoch; set by the store */
	uint64_t uses;              /* by later steps and builds; set by the store */
	bool counted;               /* disk and entries are known; set by cb_snapshot_count */
	uint64_t disk, entries;     /* bytes that it occupies, hard links once; names in it */
};
void cb_snapshot_info_done(struct cb_snapshot_info *info);

/** Makes an empty one: fs is mode 0755, owned by the caller. */
int cb_snapshot_new(struct cb_store *store, struct cb_snapshot **ret, struct cb_err **err);
/** Drops it with everything in it unless it was committed. */
struct cb_snapshot *cb_snapshot_free(struct cb_snapshot *snapshot);
CB_DEFINE_CLEANUP(struct cb_snapshot *, cb_snapshot_free)
const char *cb_snapshot_id(const struct cb_snapshot *snapshot);
/** O_RDONLY directory descriptor of fs; borrowed. Stays valid through the commit. */
int cb_snapshot_fs(const struct cb_snapshot *snapshot);
/** An empty directory on the file system of fs, for overlay's work; borrowed. -1 with *err set. */
int cb_snapshot_work(struct cb_snapshot *snapshot, struct cb_err **err);
/**
 * Publishes it: renames, records. fs must no longer be an overlay's upper. The object then still gives
 * id and fs and keeps the snapshot in use until it is freed.
 */
int cb_snapshot_commit(struct cb_snapshot *snapshot, const struct cb_snapshot_info *info, struct cb_err **err);

/**
 * Opens fs of a committed one (O_RDONLY directory). 0, or 1 when there is none of that id (never made, or thrown away).
 * While the descriptor (or a duplicate of it) is open the snapshot counts as in use and is not removed by any process.
 */
int cb_snapshot_open(struct cb_store *store, const char *id, int *ret_fd, struct cb_err **err);
/** 0 with *ret filled (end with cb_snapshot_info_done), or 1 when there is none. */
int cb_snapshot_stat(struct cb_store *store, const char *id, struct cb_snapshot_info *ret, struct cb_err **err);
/** The snapshot that holds the layer @diff_id: 0 with *ret (caller frees), or 1. */
int cb_snapshot_find(struct cb_store *store, const struct cb_digest *diff_id, char **ret, struct cb_err **err);
/** Records what the background pipeline found out. Unknown ids are ignored. */
int cb_snapshot_set_diff_id(
	struct cb_store *store, const char *id, const struct cb_digest *diff_id, uint64_t size, struct cb_err **err);
/** Counts what it occupies and records that, unless that was done before. 1 when there is none of that id. */
int cb_snapshot_count(struct cb_store *store, const char *id, struct cb_err **err);
/** Notes a use; written in batches. */
void cb_snapshot_touch(struct cb_store *store, const char *id);
/** Removes it with all records that name it. 0, also when missing; 1 when it is in use (then nothing is done). */
int cb_snapshot_remove(struct cb_store *store, const char *id, struct cb_err **err);
/** Adds all ids, oldest first. */
int cb_snapshot_list(struct cb_store *store, struct cb_strv *ret, struct cb_err **err);

#endif
