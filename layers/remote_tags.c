/* A remote cache in a registry whose records are manifests of their own, each under a tag made of its key. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "layers/manifest.h"
#include "layers/mediatype.h"
#include "layers/remote_put.h"
#include "layers/remotecache.h"

/** Of the key in a tag. */
#define HEX 20

struct tags {
	struct cb_registry *registry;
	const struct cb_ref *ref;
	pthread_mutex_t mutex;
	struct cb_map *blobs; /* that manifests list, which keeps them */
};

static struct cb_ref *ref_of(const struct tags *tags, const struct cb_digest *key)
{
	const char *tag = tags->ref->tag ? tags->ref->tag : "latest";
	struct cb_ref *ref = cb_ref_copy(tags->ref);

	free(ref->tag);
	ref->has_digest = false;
	ref->tag = cb_xasprintf("%.100s-%.*s", tag, HEX, cb_digest_hex(key));
	return ref;
}

static void note_blobs(struct tags *tags, const struct cb_descriptor *blobs, size_t n)
{
	pthread_mutex_lock(&tags->mutex);
	for (size_t i = 0; i < n; i++)
		cb_map_set(tags->blobs, blobs[i].digest.text, tags);
	pthread_mutex_unlock(&tags->mutex);
}

static int get_record(
	void *self, const struct cb_digest *key, struct cb_cancel *cancel, struct cb_buf *ret, struct cb_err **err)
{
	struct tags *tags = self;
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = ref_of(tags, key);
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	cleanup_buf struct cb_buf body = { 0 };
	cleanup_err struct cb_err *why = NULL;
	int r = cb_registry_resolve(tags->registry, ref, cancel, &desc, &why);

	if (r == CB_ERR_NOT_FOUND)
		return 1;
	if (r == 0)
		r = cb_registry_manifest(tags->registry, ref, &desc, cancel, &body, &why);
	if (r == 0)
		r = cb_manifest_parse(body.data, body.len, &manifest, &why);
	if (r < 0)
		return cb_err_move(err, CB_TAKE_PTR(why));
	assert(manifest);
	cb_buf_clear(&body);
	r = cb_registry_blob_read(tags->registry, ref, &manifest->config, CB_REMOTE_RECORD_MAX, cancel, &body, err);
	if (r < 0)
		return r;
	note_blobs(tags, manifest->layers, manifest->n_layers);
	cb_buf_add(ret, body.data, body.len);
	return 0;
}

static int put_record(void *self, const struct cb_digest *key, const void *data, size_t len,
	const struct cb_descriptor *blobs, size_t n, struct cb_cancel *cancel, struct cb_err **err)
{
	struct tags *tags = self;
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = ref_of(tags, key);

	return cb_remote_put_document(tags->registry, ref, data, len, blobs, n, cancel, NULL, err);
}

static int has_blob(void *self, const struct cb_descriptor *blob, struct cb_cancel *cancel, struct cb_err **err)
{
	struct tags *tags = self;
	bool has;

	(void)cancel, (void)err;
	pthread_mutex_lock(&tags->mutex);
	has = cb_map_has(tags->blobs, blob->digest.text);
	pthread_mutex_unlock(&tags->mutex);
	return has;
}

static int get_blob(void *self, const struct cb_descriptor *blob, cb_http_sink sink, void *userdata,
	struct cb_cancel *cancel, struct cb_err **err)
{
	struct tags *tags = self;

	return cb_registry_blob_unverified(tags->registry, tags->ref, blob, sink, userdata, cancel, err);
}

static int put_blob(void *self, const struct cb_descriptor *blob, int fd, struct cb_cancel *cancel, struct cb_err **err)
{
	struct tags *tags = self;

	return cb_remote_put_blob(tags->registry, tags->ref, blob, fd, cancel, err);
}

static void tags_free(void *self)
{
	struct tags *tags = self;

	cb_map_free(tags->blobs);
	pthread_mutex_destroy(&tags->mutex);
	free(tags);
}

static const struct cb_remote_ops tags_ops = {
	.get_record = get_record,
	.put_record = put_record,
	.has_blob = has_blob,
	.get_blob = get_blob,
	.put_blob = put_blob,
	.free = tags_free,
};

struct cb_remote_cache *cb_remote_tags_new(struct cb_registry *registry, const struct cb_ref *ref)
{
	struct cb_remote_cache *cache = cb_new0(struct cb_remote_cache);
	struct tags *tags = cb_new0(struct tags);
	cleanup_free char *name = cb_ref_format(ref);

	tags->registry = registry;
	tags->ref = ref;
	tags->blobs = cb_map_new(NULL);
	pthread_mutex_init(&tags->mutex, NULL);
	*cache = (struct cb_remote_cache){ &tags_ops, tags, cb_xasprintf("cache %s", name) };
	return cache;
}
