/*
 * A remote cache in a registry: all records in the config of one manifest, all blobs its layers.
 *
 * Builds that write to one name are joined: what is there is read again right before it is replaced, and once more
 * after that, since a registry has no way to replace only what one has read. Of two that still do it in the same moment
 * the last one stays, and the other's records are given again by its next build.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parallel.h"
#include "layers/cachedoc.h"
#include "layers/config.h"
#include "layers/index.h"
#include "layers/manifest.h"
#include "layers/mediatype.h"
#include "layers/push_upload.h"
#include "layers/remote_put.h"
#include "layers/remotecache.h"

/** Images of an index that are looked into. */
#define IMAGES_MAX 16
/** Times that a manifest is written, when others write there, too. */
#define WRITES_MAX 4
/** What a cache keeps: registries take manifests of 4 MB, and each build reads all of it. */
#define RECORDS_MAX 4000
#define BLOBS_MAX 900
#define BYTES_MAX ((size_t)16 << 20)
#define AGE_MAX ((int64_t)30 * 24 * 3600)
/** Looks for blobs at a time. */
#define PARALLEL 8

struct repo {
	struct cb_registry *registry;
	const struct cb_ref *ref;
	cb_remote_inline_fn inlined;
	pthread_mutex_t mutex;
	bool read;   /* it was asked for */
	bool failed; /* and could not be read */
	struct cb_cachedoc *found;
	struct cb_digest version;  /* digest of the manifest that found is of; unset: there was none */
	struct cb_cachedoc *added; /* of this build */
	int64_t now;
};

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* The records of one manifest into @ret, a cache's or an image's. */
static int read_manifest(struct repo *repo, const struct cb_buf *document, struct cb_cancel *cancel, bool *ret_image,
	struct cb_cachedoc **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_buf struct cb_buf config = { 0 };
	bool image;
	int r = cb_manifest_parse(document->data, document->len, &manifest, err);

	if (r < 0)
		return r;
	image = !cb_str_eq(manifest->config.media_type, CB_MEDIA_CACHE_CONFIG);
	*ret_image |= image;
	r = cb_registry_blob_read(repo->registry, repo->ref, &manifest->config,
		image ? CB_CONFIG_BYTES_MAX : CB_CACHEDOC_BYTES_MAX, cancel, &config, err);
	if (r < 0)
		return r;
	if (image)
		return repo->inlined ? repo->inlined(manifest, cb_buf_str(&config), config.len, *ret, err) : 0;
	cb_cachedoc_free(*ret);
	*ret = NULL;
	return cb_cachedoc_parse(cb_buf_str(&config), config.len, ret, err);
}

/* Each image of an index that is one. */
static int read_index(struct repo *repo, const struct cb_buf *document, struct cb_cancel *cancel, bool *ret_image,
	struct cb_cachedoc **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	int r = cb_index_parse(document->data, document->len, &index, err);

	*ret_image = true;
	for (size_t i = 0; r == 0 && i < index->n_entries && i < IMAGES_MAX; i++) {
		cleanup_buf struct cb_buf body = { 0 };

		/* Attestations are no images. */
		if (index->entries[i].has_platform && cb_str_eq(index->entries[i].platform.os, "unknown"))
			continue;
		r = cb_registry_manifest(repo->registry, repo->ref, &index->entries[i], cancel, &body, err);
		if (r == 0 && cb_media_sniff(NULL, body.data, body.len) == CB_MEDIA_KIND_MANIFEST)
			r = read_manifest(repo, &body, cancel, ret_image, ret, err);
	}
	return r;
}

/* What is there now. *ret_version says which one it is; 1 when it is still @known. */
static int read_now(struct repo *repo, const struct cb_digest *known, struct cb_cancel *cancel,
	struct cb_digest *ret_version, bool *ret_image, struct cb_cachedoc **ret, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	cleanup_buf struct cb_buf body = { 0 };
	cleanup_err struct cb_err *why = NULL;
	int r = cb_registry_resolve(repo->registry, repo->ref, cancel, &desc, &why);

	*ret_version = (struct cb_digest){ 0 };
	*ret_image = false;
	*ret = cb_cachedoc_new();
	/* A cache begins empty. */
	if (r == CB_ERR_NOT_FOUND)
		return 0;
	if (r < 0)
		return cb_err_move(err, CB_TAKE_PTR(why));
	*ret_version = desc.digest;
	if (known && cb_digest_equal(known, &desc.digest))
		return 1;
	r = cb_registry_manifest(repo->registry, repo->ref, &desc, cancel, &body, err);
	if (r < 0)
		return r;
	return cb_media_sniff(desc.media_type, body.data, body.len) == CB_MEDIA_KIND_INDEX
		       ? read_index(repo, &body, cancel, ret_image, ret, err)
		       : read_manifest(repo, &body, cancel, ret_image, ret, err);
}

/* Once, by whoever asks first; the others wait. 1 when it cannot be read, which was told. */
static int read_once(struct repo *repo, struct cb_cancel *cancel, struct cb_err **err)
{
	bool image;
	int r;

	if (repo->read)
		return repo->failed;
	repo->read = true;
	r = read_now(repo, NULL, cancel, &repo->version, &image, &repo->found, err);
	if (r == 0 && image && !cb_cachedoc_records(repo->found)) {
		r = cb_err_set(err, CB_ERR_NOT_FOUND, "the image has no records");
		r = cb_err_hint(err, r, "build it with --cache-to type=inline");
	}
	repo->failed = r < 0;
	return r;
}

static int get_record(
	void *self, const struct cb_digest *key, struct cb_cancel *cancel, struct cb_buf *ret, struct cb_err **err)
{
	struct repo *repo = self;
	const char *record;
	int r;

	pthread_mutex_lock(&repo->mutex);
	r = read_once(repo, cancel, err);
	if (r == 0) {
		record = cb_cachedoc_get(repo->found, key);
		if (record)
			cb_buf_adds(ret, record);
		else
			r = 1;
	}
	pthread_mutex_unlock(&repo->mutex);
	return r;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static int put_record(void *self, const struct cb_digest *key, const void *data, size_t len,
	const struct cb_descriptor *blobs, size_t n, struct cb_cancel *cancel, struct cb_err **err)
{
	struct repo *repo = self;
	int r;

	(void)cancel;
	pthread_mutex_lock(&repo->mutex);
	r = cb_cachedoc_put(repo->added, key, data, len, repo->now, blobs, n, err);
	pthread_mutex_unlock(&repo->mutex);
	return r;
}

/* Whether a blob is there is asked by the upload itself. */
static int has_blob(void *self, const struct cb_descriptor *blob, struct cb_cancel *cancel, struct cb_err **err)
{
	(void)self, (void)blob, (void)cancel, (void)err;
	return 0;
}

static int get_blob(void *self, const struct cb_descriptor *blob, cb_http_sink sink, void *userdata,
	struct cb_cancel *cancel, struct cb_err **err)
{
	struct repo *repo = self;

	return cb_registry_blob_unverified(repo->registry, repo->ref, blob, sink, userdata, cancel, err);
}

static int put_blob(void *self, const struct cb_descriptor *blob, int fd, struct cb_cancel *cancel, struct cb_err **err)
{
	struct repo *repo = self;

	return cb_remote_put_blob(repo->registry, repo->ref, blob, fd, cancel, err);
}

/* ---- the end: joining ----------------------------------------------------------------------------------------- */

struct missing {
	struct repo *repo;
	const struct cb_descriptor *blobs;
	pthread_mutex_t mutex;
	struct cb_map *digests;
};

static int look(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	struct missing *missing = userdata;
	const struct cb_descriptor *blob = &missing->blobs[at];
	int r = cb_registry_has_blob(missing->repo->registry, missing->repo->ref, blob, cancel, err);

	if (r == 0) {
		pthread_mutex_lock(&missing->mutex);
		cb_map_set(missing->digests, blob->digest.text, missing);
		pthread_mutex_unlock(&missing->mutex);
	}
	return r < 0 ? r : 0;
}

/* Drops records whose blobs somebody has deleted, since no registry takes a manifest with such. */
static int drop_missing(struct repo *repo, struct cb_cachedoc *doc, struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_map_free) struct cb_map *digests = cb_map_new(NULL);
	size_t n;
	cleanup_free struct cb_descriptor *blobs = cb_cachedoc_blobs(doc, &n);
	struct missing missing = { .repo = repo, .blobs = blobs, .digests = digests };
	int r;

	pthread_mutex_init(&missing.mutex, NULL);
	r = cb_parallel_each("look", PARALLEL, n, look, &missing, cancel, err);
	pthread_mutex_destroy(&missing.mutex);
	if (r < 0)
		return r;
	cb_cachedoc_drop_blobs(doc, digests);
	return 0;
}

static int write_doc(struct repo *repo, const struct cb_cachedoc *doc, struct cb_cancel *cancel,
	struct cb_digest *ret_version, struct cb_err **err)
{
	size_t n, len;
	cleanup_free char *text = cb_cachedoc_write(doc, &len);
	cleanup_free struct cb_descriptor *blobs = cb_cachedoc_blobs(doc, &n);

	return cb_remote_put_document(repo->registry, repo->ref, text, len, blobs, n, cancel, ret_version, err);
}

/* Writes @doc, without what it can no longer hold. */
static int write_or_mend(struct repo *repo, struct cb_cachedoc *doc, struct cb_cancel *cancel,
	struct cb_digest *ret_version, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	size_t before = cb_cachedoc_records(doc);
	int r = write_doc(repo, doc, cancel, ret_version, &why);

	if (r >= 0 || r == CB_ERR_CANCELED || r == CB_ERR_DENIED)
		return cb_err_move(err, CB_TAKE_PTR(why));
	r = drop_missing(repo, doc, cancel, NULL);
	/* Nothing was missing: that was not it. */
	if (r < 0 || cb_cachedoc_records(doc) == before)
		return cb_err_move(err, CB_TAKE_PTR(why));
	return write_doc(repo, doc, cancel, ret_version, err);
}

/* Joins what was added with what is there; 1 when that is what was written last. */
static int join(struct repo *repo, struct cb_digest *version, struct cb_cancel *cancel, struct cb_err **err)
{
	const struct cb_cachedoc_limits limits = {
		.not_before = repo->now - AGE_MAX, .records = RECORDS_MAX, .blobs = BLOBS_MAX, .bytes = BYTES_MAX
	};
	CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = NULL;
	struct cb_digest there;
	bool image;
	int r = read_now(repo, cb_digest_is_set(version) ? version : NULL, cancel, &there, &image, &doc, err);

	/* What nobody can read, nobody needs. */
	if ((r == CB_ERR_CORRUPT || r == CB_ERR_LIMIT || r == CB_ERR_NOT_FOUND) && !image) {
		if (err)
			*err = cb_err_free(*err);
		cb_cachedoc_free(doc);
		doc = cb_cachedoc_new();
		r = 0;
	}
	if (r != 0)
		return r;
	/* Somebody joined what was written here with his own. */
	if (cb_digest_is_set(version) && !image && cb_cachedoc_covers(doc, repo->added))
		return 1;
	if (image) {
		r = cb_err_set(err, CB_ERR_INPUT, "an image has this name, which the cache would replace");
		return cb_err_hint(err, r, "give the cache a name of its own, or use --cache-to type=inline");
	}
	/* What was added is the newer: it goes over what is there. */
	cb_cachedoc_merge(repo->added, doc, &limits);
	r = write_or_mend(repo, repo->added, cancel, version, err);
	return r < 0 ? r : 0;
}

static int finish(void *self, struct cb_cancel *cancel, struct cb_err **err)
{
	struct repo *repo = self;
	struct cb_digest version = { 0 };
	int r = 0;

	if (!cb_cachedoc_records(repo->added))
		return 0;
	for (size_t i = 0; i < WRITES_MAX && r == 0; i++)
		r = join(repo, &version, cancel, err);
	return r < 0 ? r : 0;
}

static void repo_free(void *self)
{
	struct repo *repo = self;

	cb_cachedoc_free(repo->found);
	cb_cachedoc_free(repo->added);
	pthread_mutex_destroy(&repo->mutex);
	free(repo);
}

static const struct cb_remote_ops registry_ops = {
	.get_record = get_record,
	.put_record = put_record,
	.has_blob = has_blob,
	.get_blob = get_blob,
	.put_blob = put_blob,
	.finish = finish,
	.free = repo_free,
};

struct cb_remote_cache *cb_remote_registry_new(
	struct cb_registry *registry, const struct cb_ref *ref, cb_remote_inline_fn inlined)
{
	struct cb_remote_cache *cache = cb_new0(struct cb_remote_cache);
	struct repo *repo = cb_new0(struct repo);
	cleanup_free char *name = cb_ref_format(ref);

	repo->registry = registry;
	repo->ref = ref;
	repo->inlined = inlined;
	repo->added = cb_cachedoc_new();
	repo->now = (int64_t)time(NULL);
	pthread_mutex_init(&repo->mutex, NULL);
	*cache = (struct cb_remote_cache){ &registry_ops, repo, cb_xasprintf("cache %s", name) };
	return cache;
}
