/*
 * Remote caches: records by key and blobs by digest, somewhere that other machines reach too.
 *
 * One small interface; a directory, an HTTP server, S3 and a registry are behind it. Records are bytes of the caller;
 * blobs are verified by whoever takes them (their digests are known before), so a hostile cache can refuse and lie in
 * its records, but not put other bytes under a digest. All functions may be called from several threads.
 *
 * Layout of a directory and of servers: cas/<hex of sha256> and ac/<hex of the key>, as bazel-remote and any WebDAV
 * server take them. To servers a record goes as an ActionResult message of the Remote Execution API, with the blobs it
 * needs as output files and the record as stdout_raw, so that servers that check such messages accept it.
 */
#ifndef CB_LAYERS_REMOTECACHE_H
#define CB_LAYERS_REMOTECACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "layers/cachedoc.h"
#include "layers/descriptor.h"
#include "layers/http.h"
#include "layers/manifest.h"
#include "layers/ref.h"
#include "layers/registry.h"

/** Largest record that is read. */
#define CB_REMOTE_RECORD_MAX ((size_t)4 << 20)

struct cb_remote_ops {
	/** 0 with the bytes added to @ret, or 1 when there is none. */
	int (*get_record)(void *self, const struct cb_digest *key, struct cb_cancel *cancel, struct cb_buf *ret,
		struct cb_err **err);
	/** @blobs: what the record needs; they are there already. */
	int (*put_record)(void *self, const struct cb_digest *key, const void *data, size_t len,
		const struct cb_descriptor *blobs, size_t n, struct cb_cancel *cancel, struct cb_err **err);
	/** 1 when it is there, else 0. */
	int (*has_blob)(void *self, const struct cb_descriptor *blob, struct cb_cancel *cancel, struct cb_err **err);
	/** Exactly blob->size bytes on success; their digest is the caller's business. */
	int (*get_blob)(void *self, const struct cb_descriptor *blob, cb_http_sink sink, void *userdata,
		struct cb_cancel *cancel, struct cb_err **err);
	/** From @fd, which is read by pread. */
	int (*put_blob)(
		void *self, const struct cb_descriptor *blob, int fd, struct cb_cancel *cancel, struct cb_err **err);
	/** After the last put; may be NULL. */
	int (*finish)(void *self, struct cb_cancel *cancel, struct cb_err **err);
	void (*free)(void *self);
};

struct cb_remote_cache {
	const struct cb_remote_ops *ops;
	void *self;
	char *shown; /* for messages, without secrets */
};
struct cb_remote_cache *cb_remote_cache_free(struct cb_remote_cache *cache);
CB_DEFINE_CLEANUP(struct cb_remote_cache *, cb_remote_cache_free)

/** The directory @path, which is made when something is put. */
struct cb_remote_cache *cb_remote_dir_new(const char *path);

struct cb_remote_http_options {
	const char *url; /* of what is above cas/ and ac/; may carry user:password@ */
	bool plain;      /* records go as they are, not as an ActionResult */
	struct cb_http_options http;
	/* S3: requests are signed when there is a key. */
	const char *region, *access_key, *secret_key, *session_token; /* or NULL */
};
int cb_remote_http_new(const struct cb_remote_http_options *options, struct cb_remote_cache **ret, struct cb_err **err);

/** Media type of the config of a cache in a registry. */
#define CB_MEDIA_CACHE_CONFIG "application/vnd.cbuild.cache.config.v1+json"
/** Media type of lists of files there (layers/filelist.h). */
#define CB_MEDIA_CACHE_FILES "application/vnd.cbuild.cache.files.v1"
/** Adds the records that an image has in its config. */
typedef int (*cb_remote_inline_fn)(const struct cb_manifest *manifest, const char *config, size_t len,
	struct cb_cachedoc *ret, struct cb_err **err);
/**
 * The repository and tag @ref: one image manifest whose config is a document of records (layers/cachedoc.h) and whose
 * layers are the blobs. finish joins what was put with what others have put there meanwhile. A @ref that is an image,
 * or an index of some, is read with @inlined (may be NULL) and never written. Both borrowed.
 */
struct cb_remote_cache *cb_remote_registry_new(
	struct cb_registry *registry, const struct cb_ref *ref, cb_remote_inline_fn inlined);

/**
 * The same, with a manifest for each record under the tag "<tag of @ref>-<20 hex digits of the key>": its config is the
 * record, its layers are the blobs that the record needs. For records that live for themselves and share blobs.
 */
struct cb_remote_cache *cb_remote_tags_new(struct cb_registry *registry, const struct cb_ref *ref);

/** A record as an ActionResult, and back: 1 when @data is none. */
void cb_action_result_write(
	const void *record, size_t len, const struct cb_descriptor *blobs, size_t n, struct cb_buf *out);
int cb_action_result_read(const void *data, size_t len, struct cb_buf *ret);

#endif
