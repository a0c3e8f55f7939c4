/*
 * Cache mounts: directories that RUN steps share from build to build, cachemounts/<name>.
 *
 * One is in use while somebody holds the lock that cb_cachemount_open gave (a shared flock on cachemounts/.<name>; the
 * directory itself belongs to the steps, who may lock it), and is then removed by no process. What it is called and
 * when it was used is in the database; its size is counted when it is asked for, and once until it is used again.
 */
#ifndef CB_LAYERS_CACHEMOUNT_H
#define CB_LAYERS_CACHEMOUNT_H

#include "base/cancel.h"
#include "layers/store.h"

struct cb_cachemount_info {
	char *name, *title; /* title: what the Buildfile calls it, or NULL */
	uint64_t size;      /* bytes on disk */
	uint64_t uses;
	int64_t created, last_used; /* seconds since the epoch */
};
void cb_cachemount_info_done(struct cb_cachemount_info *info);

/**
 * Opens it, made with mode 0755 when missing; @name must be a plain file name. @title may be NULL. It is in use until
 * the descriptor *ret_lock is closed.
 */
int cb_cachemount_open(
	struct cb_store *store, const char *name, const char *title, int *ret_fd, int *ret_lock, struct cb_err **err);
/** The same to look at it, which is no use that counts. 1 when there is none. @cancel may be NULL. */
int cb_cachemount_read(struct cb_store *store, const char *name, const struct cb_cancel *cancel, int *ret_fd,
	int *ret_lock, struct cb_err **err);
/** The same with nobody else: waits for those who have it, and lets nobody have it meanwhile. @cancel may be NULL. */
int cb_cachemount_open_alone(struct cb_store *store, const char *name, const char *title,
	const struct cb_cancel *cancel, int *ret_fd, int *ret_lock, struct cb_err **err);
/**
 * Makes the directory @entry in @dirfd, on the store's file system, the cache mount @name, which is held alone; what it
 * was until then becomes @entry. In one step where the file system can do that.
 */
int cb_cachemount_replace(struct cb_store *store, const char *name, int dirfd, const char *entry, struct cb_err **err);
/**
 * The directory @from of this process (cb_store_tmpfd) becomes the cache mount, in one step. 0; or 1 when somebody uses
 * the mount, or something is in it and not to be replaced (@replace): then nothing is done.
 */
int cb_cachemount_adopt(struct cb_store *store, const char *name, const char *title, const char *from, bool replace,
	struct cb_err **err);
/** 1 when there is such a cache mount with something in it, else 0. */
int cb_cachemount_filled(struct cb_store *store, const char *name, struct cb_err **err);
/** True while somebody uses it. */
bool cb_cachemount_in_use(struct cb_store *store, const char *name);
/**
 * The name of the cache mount that a Buildfile calls @id: the same on every machine. Another owner or mode is another
 * cache, and so is another @space (BUILDKIT_CACHE_MOUNT_NS; may be NULL). Caller frees.
 */
char *cb_cachemount_name(const char *space, const char *id, uint32_t uid, uint32_t gid, uint32_t mode);
/** Attribute of one that was filled with the files that it begins with. */
#define CB_CACHEMOUNT_SEEDED "user.cbuild.seeded"
/** Name of the lock (cb_lock_wait) that steps with sharing=locked and private hold. Caller frees. */
char *cb_cachemount_lock_key(const char *name);
/** Adds the names of all that there are. */
int cb_cachemount_list(struct cb_store *store, struct cb_strv *ret, struct cb_err **err);
/** 0 with *ret (end with cb_cachemount_info_done), or 1 when there is none. Counts the size when it may have changed.
 */
int cb_cachemount_stat(struct cb_store *store, const char *name, struct cb_cachemount_info *ret, struct cb_err **err);
/** Removes it with all that is in it. 0, also when missing; 1 when it is in use (then nothing is done). */
int cb_cachemount_remove(struct cb_store *store, const char *name, struct cb_err **err);

#endif
