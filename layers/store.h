/*
 * The store: one directory with everything cbuild keeps. This header has the root, blobs, locks and temporary files;
 * snapshot.h, record.h, layertable.h, statindex.h and image.h add what is kept in it.
 *
 *   oci-layout, index.json, blobs/sha256/<hex>   a valid OCI layout that other tools read in place
 *   snapshots/<id>/fs                            unpacked differences (snapshot.h)
 *   db.sqlite                                    what exists and how it hangs together
 *   cachemounts/<name>/  locks/  tmp/
 *
 * Any number of processes and threads share a store; every function here is thread-safe. A process owns tmp/<process
 * id>/, guarded by a lock that dies with it: what a killed process left is removed by the next cb_store_open. Blobs
 * and snapshots appear by rename of a finished, verified temporary, and the database speaks last, so kill -9 at any
 * moment leaves nothing half-made to be found. Nothing is fsynced on the way: cb_store_sync makes all of it durable at
 * the end of a build, and the first open after a reboot re-verifies or drops what was newer than the last sync.
 *
 * The store must not be used in a child after fork.
 */
#ifndef CB_LAYERS_STORE_H
#define CB_LAYERS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/strv.h"
#include "layers/digest.h"

struct cb_store;

/** Who wrote the snapshots, hence which xattr marks an opaque directory. Fixed when a store is made. */
enum cb_store_flavour {
	CB_STORE_TRUSTED, /* real root: trusted.overlay.* */
	CB_STORE_USER,    /* inside a user namespace: user.overlay.* */
};

/**
 * Opens the store at @path, making it when it is missing or empty, and removes what dead processes left.
 * CB_ERR_INPUT when the directory holds something else or a store of the other flavour (one
 * that was made with one user id only is a flavour of its own), CB_ERR_UNSUPPORTED when a newer
 * cbuild made it.
 */
int cb_store_open(const char *path, enum cb_store_flavour flavour, struct cb_store **ret, struct cb_err **err);
/** Flushes batched last-use times; removes this process's temporaries. */
struct cb_store *cb_store_free(struct cb_store *store);
CB_DEFINE_CLEANUP(struct cb_store *, cb_store_free)

/** Descriptor of the root; borrowed. */
int cb_store_dirfd(const struct cb_store *store);
const char *cb_store_path(const struct cb_store *store);
enum cb_store_flavour cb_store_flavour(const struct cb_store *store);
/** Private directory of this process on the store's file system, removed at the end or by the next open; borrowed. */
int cb_store_tmpfd(const struct cb_store *store);
/** A name no one else uses in cb_store_tmpfd (or anywhere in this store). Caller frees. */
char *cb_store_unique_name(struct cb_store *store);

/**
 * Makes everything written so far durable: one syncfs, then marks are cleared and the database is checkpointed. Slow;
 * for a background thread at the end of a build.
 */
int cb_store_sync(struct cb_store *store, struct cb_err **err);
/**
 * On a full disk nothing can be removed without room to write that down: a store keeps a little aside, which this gives
 * free. True when there was any. The next open with enough room puts some aside again. @path: of a store.
 */
bool cb_store_use_spare(const char *path);
/** Writes the batched last-use times now. */
int cb_store_flush(struct cb_store *store, struct cb_err **err);

/*
 * Blobs. One that a process was told of (by has, open, put or finish) stays there until that process ends: whoever
 * cleans up leaves what was used since the start of the oldest process alone (cb_blob_sweep).
 */

/** 1 with *ret_size (may be NULL) when the blob is there, 0 when not, or an error. */
int cb_blob_has(struct cb_store *store, const struct cb_digest *digest, uint64_t *ret_size, struct cb_err **err);
/** Opens for reading; CB_ERR_NOT_FOUND when missing. */
int cb_blob_open(
	struct cb_store *store, const struct cb_digest *digest, int *ret_fd, uint64_t *ret_size, struct cb_err **err);
/** Reads a small blob whole, verifying its digest; CB_ERR_LIMIT beyond @max bytes. */
int cb_blob_read(
	struct cb_store *store, const struct cb_digest *digest, size_t max, struct cb_buf *out, struct cb_err **err);
/** Stores memory. 0, also when it was there. @ret may be NULL. */
int cb_blob_put(struct cb_store *store, const void *data, size_t len, struct cb_digest *ret, struct cb_err **err);
/** Removes a blob; 0, also when it was not there. The caller knows that nothing needs it. */
int cb_blob_remove(struct cb_store *store, const struct cb_digest *digest, struct cb_err **err);

/** What cb_blob_sweep decides about. Sizes are those on disk; times in nanoseconds since the epoch. */
struct cb_blob_info {
	struct cb_digest digest;
	uint64_t size, disk;
	int64_t made, used;
	bool in_use; /* by a process that lives */
};
/** Calls @fn with each blob, in no order, until it returns non-zero; returns that. */
int cb_blob_each(struct cb_store *store, int (*fn)(void *ctx, const struct cb_blob_info *info, struct cb_err **err),
	void *ctx, struct cb_err **err);
/**
 * Removes those of the @n blobs that no process uses; the caller knows that nothing else needs them. @ret_gone[i] says
 * whether blob i went (or was gone).
 */
int cb_blob_sweep(
	struct cb_store *store, const struct cb_digest *digests, size_t n, bool *ret_gone, struct cb_err **err);

/** A blob being written: hashed while it is written, invisible until finished. One thread at a time. */
struct cb_blob_writer;

int cb_blob_writer_open(struct cb_store *store, struct cb_blob_writer **ret, struct cb_err **err);
int cb_blob_writer_write(struct cb_blob_writer *writer, const void *data, size_t len, struct cb_err **err);
uint64_t cb_blob_writer_size(const struct cb_blob_writer *writer);
/**
 * Publishes what was written; CB_ERR_CORRUPT unless its digest is @want (NULL: any) and its size @want_size
 * (UINT64_MAX: any). @ret may be NULL. The writer is then good only for cb_blob_writer_free.
 */
int cb_blob_writer_finish(struct cb_blob_writer *writer, const struct cb_digest *want, uint64_t want_size,
	struct cb_digest *ret, struct cb_err **err);
/** Drops what was not finished. */
struct cb_blob_writer *cb_blob_writer_free(struct cb_blob_writer *writer);
CB_DEFINE_CLEANUP(struct cb_blob_writer *, cb_blob_writer_free)

/* Locks between processes and threads, freed by the death of the holder */

struct cb_lock;

/**
 * Takes the exclusive lock named @key (any text), waiting until @cancel is raised. 0, or CB_ERR_CANCELED.
 */
int cb_lock_wait(struct cb_store *store, const char *key, const struct cb_cancel *cancel, struct cb_lock **ret,
	struct cb_err **err);
/** As above without waiting: 1 (and *ret untouched) when someone else holds it. */
int cb_lock_try(struct cb_store *store, const char *key, struct cb_lock **ret, struct cb_err **err);
/** Releases. */
struct cb_lock *cb_lock_free(struct cb_lock *lock);
CB_DEFINE_CLEANUP(struct cb_lock *, cb_lock_free)

#endif
