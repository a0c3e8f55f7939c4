/* A remote cache in a registry: all records in the config of one manifest, all blobs its layers. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "layers/manifest.h"
#include "layers/mediatype.h"
#include "layers/push_upload.h"
#include "layers/remotecache.h"

/** Largest config with records that is read. */
#define CONFIG_MAX ((size_t)64 << 20)

struct repo {
	struct cb_registry *registry;
	const struct cb_ref *ref;
	pthread_mutex_t mutex;
	bool read;     /* it was asked for */
	int code;      /* how that ended */
	json_t *found; /* records by hex of their key */
	json_t *added; /* the same, of this build */
	struct cb_descriptor *blobs;
	size_t n_blobs, cap_blobs;
};

static int read_config(struct repo *repo, struct cb_cancel *cancel, json_t **ret, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_buf struct cb_buf body = { 0 };
	cleanup_json json_t *doc = NULL;
	json_t *records = NULL;
	int r = cb_registry_resolve(repo->registry, repo->ref, cancel, &desc, err);

	if (r == 0)
		r = cb_registry_manifest(repo->registry, repo->ref, &desc, cancel, &body, err);
	if (r == 0)
		r = cb_manifest_parse(body.data, body.len, &manifest, err);
	if (r < 0)
		return r;
	cb_buf_clear(&body);
	r = cb_registry_blob_read(repo->registry, repo->ref, &manifest->config, CONFIG_MAX, cancel, &body, err);
	if (r == 0)
		r = cb_json_parse(cb_buf_str(&body), body.len, &doc, err);
	if (r == 0)
		r = cb_json_get_obj(doc, "records", &records, err);
	if (r < 0)
		return r;
	*ret = records ? json_incref(records) : json_object();
	return 0;
}

/* Once, by whoever asks first; the others wait. */
static int read_once(struct repo *repo, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;

	if (repo->read)
		return repo->code < 0 ? cb_err_set(err, repo->code, "it could not be read before") : 0;
	repo->read = true;
	repo->code = read_config(repo, cancel, &repo->found, &why);
	/* A cache begins empty. */
	if (repo->code == CB_ERR_NOT_FOUND) {
		repo->code = 0;
		repo->found = json_object();
	}
	return repo->code < 0 ? cb_err_move(err, CB_TAKE_PTR(why)) : 0;
}

static int get_record(
	void *self, const struct cb_digest *key, struct cb_cancel *cancel, struct cb_buf *ret, struct cb_err **err)
{
	struct repo *repo = self;
	const json_t *record;
	int r;

	pthread_mutex_lock(&repo->mutex);
	r = read_once(repo, cancel, err);
	if (r == 0) {
		record = json_object_get(repo->found, cb_digest_hex(key));
		if (json_is_object(record)) {
			cleanup_free char *text = cb_json_dump(record, false);

			cb_buf_adds(ret, text);
		} else {
			r = 1;
		}
	}
	pthread_mutex_unlock(&repo->mutex);
	return r;
}

static void note_blob(struct repo *repo, const struct cb_descriptor *blob)
{
	pthread_mutex_lock(&repo->mutex);
	for (size_t i = 0; i < repo->n_blobs; i++) {
		if (cb_digest_equal(&repo->blobs[i].digest, &blob->digest)) {
			pthread_mutex_unlock(&repo->mutex);
			return;
		}
	}
	CB_GROW(repo->blobs, repo->cap_blobs, repo->n_blobs + 1);
	repo->blobs[repo->n_blobs] = (struct cb_descriptor){ 0 };
	cb_descriptor_copy(&repo->blobs[repo->n_blobs++], blob);
	pthread_mutex_unlock(&repo->mutex);
}

static int put_record(void *self, const struct cb_digest *key, const void *data, size_t len,
	const struct cb_descriptor *blobs, size_t n, struct cb_cancel *cancel, struct cb_err **err)
{
	struct repo *repo = self;
	json_t *record = NULL;
	int r = cb_json_parse(data, len, &record, err);

	(void)cancel;
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		note_blob(repo, &blobs[i]);
	pthread_mutex_lock(&repo->mutex);
	json_object_set_new(repo->added, cb_digest_hex(key), record);
	pthread_mutex_unlock(&repo->mutex);
	return 0;
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

static int duplicate(void *userdata, int *ret_fd, struct cb_err **err)
{
	*ret_fd = dup(*(int *)userdata);
	return *ret_fd < 0 ? cb_err_errno(err, errno, "duplicate a descriptor") : 0;
}

static int put_blob(void *self, const struct cb_descriptor *blob, int fd, struct cb_cancel *cancel, struct cb_err **err)
{
	struct repo *repo = self;
	struct cb_upload upload = { .digest = blob->digest, .size = blob->size, .open = duplicate, .userdata = &fd };
	int r = cb_registry_upload(repo->registry, repo->ref, &upload, cancel, err);

	if (r < 0)
		return r;
	note_blob(repo, blob);
	return 0;
}

static int finish(void *self, struct cb_cancel *cancel, struct cb_err **err)
{
	struct repo *repo = self;
	cleanup_json json_t *config = json_pack("{s:i, s:O}", "version", 1, "records", repo->added);
	cleanup_free char *text = cb_json_dump(config, true), *document = NULL;
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = cb_manifest_new(false);
	struct cb_upload upload = { .data = text, .size = strlen(text) };
	size_t len;
	int r;

	if (!json_object_size(repo->added))
		return 0;
	cb_digest_of(text, upload.size, &upload.digest);
	r = cb_registry_upload(repo->registry, repo->ref, &upload, cancel, err);
	if (r < 0)
		return r;
	cb_descriptor_init(&manifest->config, CB_MEDIA_CACHE_CONFIG, &upload.digest, upload.size);
	for (size_t i = 0; i < repo->n_blobs; i++)
		cb_manifest_add_layer(manifest, &repo->blobs[i]);
	document = cb_manifest_write(manifest, &len);
	return cb_registry_put_manifest(repo->registry, repo->ref, repo->ref->tag ? repo->ref->tag : "latest",
		CB_MEDIA_OCI_MANIFEST, document, len, cancel, err);
}

static void repo_free(void *self)
{
	struct repo *repo = self;

	for (size_t i = 0; i < repo->n_blobs; i++)
		cb_descriptor_done(&repo->blobs[i]);
	free(repo->blobs);
	json_decref(repo->found);
	json_decref(repo->added);
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

struct cb_remote_cache *cb_remote_registry_new(struct cb_registry *registry, const struct cb_ref *ref)
{
	struct cb_remote_cache *cache = cb_new0(struct cb_remote_cache);
	struct repo *repo = cb_new0(struct repo);
	cleanup_free char *name = cb_ref_format(ref);

	repo->registry = registry;
	repo->ref = ref;
	repo->added = json_object();
	pthread_mutex_init(&repo->mutex, NULL);
	*cache = (struct cb_remote_cache){ &registry_ops, repo, cb_xasprintf("cache %s", name) };
	return cache;
}
