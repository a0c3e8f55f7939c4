/*
 * Cache mounts in remote caches (remotecache.h): a record by key (mountdoc.h), its indexes and packs as blobs.
 *
 * Export writes what the cache does not have: chunks are compared with those of the last record under the key or, where
 * there is none, under the first of the other keys that has one, so that a new branch begins with the chunks of the one
 * it left. A pack of which less than half is needed is given up and what is needed of it written again; so are small
 * packs when there are many. Import gives a directory as it was, or nothing.
 */
#ifndef CB_LAYERS_MOUNTREMOTE_H
#define CB_LAYERS_MOUNTREMOTE_H

#include "layers/mountdoc.h"
#include "layers/mountwalk.h"
#include "layers/packset.h"
#include "layers/remotecache.h"
#include "layers/store.h"

/** Content of one cache mount when nobody says otherwise. */
#define CB_MOUNT_SIZE_DEFAULT ((uint64_t)10 << 30)

/** Media types of the blobs in a registry. */
#define CB_MEDIA_MOUNT_INDEX "application/vnd.cbuild.cachemount.index.v1"
#define CB_MEDIA_MOUNT_PACK "application/vnd.cbuild.cachemount.pack.v1+zstd"

/** The key of the mount @name (of the store), for steps of @platform. Scope and branch are any text, or "". */
void cb_mount_key(const char *platform, const char *scope, const char *branch, const char *name, struct cb_digest *ret);

/** 0 with a record, or 1 when there is none. *ret_digest (may be NULL) is that of its bytes. */
int cb_mount_find(struct cb_remote_cache *cache, const struct cb_digest *key, struct cb_cancel *cancel,
	struct cb_mountdoc *ret, struct cb_digest *ret_digest, struct cb_err **err);
/** Reads the indexes of @doc into @set; no pack is in use. */
int cb_mount_indexes(struct cb_remote_cache *cache, const struct cb_mountdoc *doc, struct cb_cancel *cancel,
	struct cb_packset *set, struct cb_err **err);

struct cb_mount_export {
	struct cb_remote_cache *cache;
	const struct cb_digest *keys; /* the own, then others to build on */
	size_t n_keys;
	const char *id;                   /* what the record calls it, or NULL */
	int dirfd;                        /* of the mount */
	struct cb_mount_cut *cuts[2];     /* what is too much of it, of all; or NULL */
	const struct cb_needles *needles; /* what must not be in it; or NULL */
	struct cb_cancel *cancel;
};

struct cb_mount_export_result {
	uint64_t files, bytes; /* in the record */
	uint64_t dropped;      /* files that were too much */
	uint64_t left_out;     /* sockets and devices, and what could not be read */
	uint64_t sent;         /* bytes of blobs and record */
	uint64_t fresh;        /* bytes of content that were new */
	bool unchanged;        /* nothing was sent: the record is the same */
	unsigned int owner;    /* of what must not be in it and is */
	char *leak; /* the name of the file that has it, or NULL; the caller frees it, also after a failure */
};
/** CB_ERR_DENIED when a needle is in it: there is no record then, and no chunk with all of it. */
int cb_mount_export(const struct cb_mount_export *spec, struct cb_mount_export_result *ret, struct cb_err **err);

struct cb_mount_import {
	struct cb_store *store;
	struct cb_remote_cache *cache;
	const struct cb_digest *keys; /* in this order */
	size_t n_keys;
	const char *name, *title; /* of the mount (cachemount.h) */
	uint64_t max_bytes;
	bool replace; /* what is in it goes */
	/** May be NULL; of the packs. Any thread, one at a time. */
	void (*progress)(void *arg, uint64_t bytes, uint64_t total);
	void *arg;
	struct cb_cancel *cancel;
};

enum cb_mount_import_outcome {
	CB_MOUNT_IMPORTED, /* 0 */
	CB_MOUNT_NONE,     /* no record */
	CB_MOUNT_KEPT,     /* there is something in the mount, or somebody uses it */
};

struct cb_mount_import_result {
	size_t key; /* which it was */
	uint64_t files, bytes, received;
};
/** An enum cb_mount_import_outcome. The mount is as before unless it is CB_MOUNT_IMPORTED. */
int cb_mount_import(const struct cb_mount_import *spec, struct cb_mount_import_result *ret, struct cb_err **err);

#endif
