#include "layers/registry.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "layers/index.h"
#include "layers/manifest.h"
#include "layers/mediatype.h"
#include "layers/registry_target.h"

/* The larger of the two kinds of document that a manifest request may give. */
#define DOCUMENT_MAX CB_INDEX_BYTES_MAX
/* Backends copy what was uploaded to its final place, at their leisure. */
#define COMMIT_TIMEOUT_MS 120000

int cb_registry_new(const struct cb_registry_options *options, struct cb_registry **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_registry_free) struct cb_registry *reg = cb_new0(struct cb_registry);
	int r;

	pthread_mutex_init(&reg->lock, NULL);
	reg->schemes = cb_map_new(NULL);
	r = cb_http_new(options ? &options->http : NULL, &reg->http, err);
	if (r == 0 && options && options->credential)
		reg->cfg = cb_dockercfg_of(options->credential);
	else if (r == 0)
		r = cb_dockercfg_load(&reg->cfg, err);
	if (r == 0)
		r = cb_registriesconf_load(&reg->conf, err);
	if (r < 0)
		return r;
	reg->auth = cb_regauth_new(reg->http, reg->cfg);
	if (options && options->certs_dirs)
		cb_registriesconf_set_certs_dirs(reg->conf, options->certs_dirs);
	reg->upload_chunk = options ? options->upload_chunk : 0;
	reg->commit_timeout_ms = options && options->commit_timeout_ms ? options->commit_timeout_ms : COMMIT_TIMEOUT_MS;
	for (size_t i = 0; options && options->insecure_hosts && options->insecure_hosts[i]; i++)
		cb_strv_add(&reg->insecure_hosts, options->insecure_hosts[i]);
	*ret = CB_TAKE_PTR(reg);
	return 0;
}

struct cb_registry *cb_registry_free(struct cb_registry *reg)
{
	if (!reg)
		return NULL;
	cb_regauth_free(reg->auth);
	cb_registriesconf_free(reg->conf);
	cb_dockercfg_free(reg->cfg);
	cb_http_free(reg->http);
	cb_strv_done(&reg->insecure_hosts);
	cb_map_free(reg->schemes);
	pthread_mutex_destroy(&reg->lock);
	free(reg);
	return NULL;
}

static int ping_at(struct cb_target *t, void *userdata CB_UNUSED, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	struct cb_http_request req = { 0 };
	int r;

	r = cb_target_do(t, &req, "/v2/", &resp, err);
	return r < 0 ? r : cb_http_status_err(&resp, t->endpoint->host, err);
}

int cb_registry_ping(struct cb_registry *reg, const char *host, struct cb_cancel *cancel, struct cb_err **err)
{
	struct cb_target_query q = { .host = host, .push = true, .cancel = cancel };

	return cb_target_each(reg, &q, ping_at, NULL, err);
}

/* Manifests */

struct manifest_job {
	const char *name;             /* tag or digest */
	const char *what;             /* for errors */
	const struct cb_digest *want; /* NULL: any */
	struct cb_descriptor *desc;   /* out, or NULL */
	struct cb_buf *body;          /* out */
};

static void add_accept(struct cb_strv *headers)
{
	cb_strv_add(headers, "Accept: " CB_MEDIA_OCI_INDEX ", " CB_MEDIA_OCI_MANIFEST ", " CB_MEDIA_DOCKER_LIST
			     ", " CB_MEDIA_DOCKER_MANIFEST ", */*;q=0.1");
}

static void set_descriptor(struct cb_descriptor *desc, const char *type, const struct cb_digest *digest, uint64_t size)
{
	cleanup_free char *plain = cb_xstrndup(type, strcspn(type, "; \t"));

	cb_descriptor_init(desc, plain, digest, size);
}

static bool is_document(enum cb_media_kind kind)
{
	return kind == CB_MEDIA_KIND_INDEX || kind == CB_MEDIA_KIND_MANIFEST;
}

/* 0 when the answer to HEAD says everything, 1 when only GET will tell. */
static int read_head(const struct cb_http_response *resp, const struct manifest_job *job, struct cb_err **err)
{
	const char *type = cb_http_header(resp, "content-type"), *length = cb_http_header(resp, "content-length");
	const char *text = cb_http_header(resp, "docker-content-digest");
	struct cb_digest digest = { 0 };
	uint64_t size = 0;

	if (resp->status == 404 || resp->status == 401 || resp->status == 403 || resp->status == 429)
		return cb_http_status_err(resp, job->what, err);
	if (resp->status != 200 || !type || !is_document(cb_media_kind(type)))
		return 1;
	if (!text || !cb_digest_parse(text, &digest) || !length || !cb_num_u64(length, &size) || !size)
		return 1;
	if (job->want && !cb_digest_equal(job->want, &digest))
		return cb_err_set(err, CB_ERR_CORRUPT, "%s: the registry offers %s instead", job->what, digest.text);
	if (size > DOCUMENT_MAX)
		return cb_err_set(
			err, CB_ERR_LIMIT, "%s: a manifest of %llu bytes", job->what, (unsigned long long)size);
	set_descriptor(job->desc, type, &digest, size);
	return 0;
}

static int head_manifest(struct cb_target *t, const struct manifest_job *job, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *path = cb_target_path(t, "manifests", job->name);
	cleanup_strv struct cb_strv headers = { 0 };
	struct cb_http_request req = { .method = "HEAD", .headers = &headers };
	int r;

	add_accept(&headers);
	r = cb_target_do(t, &req, path, &resp, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s", job->what);
	return read_head(&resp, job, err);
}

/* The type of a document: what the server said, else what it says itself, else what it looks like; NULL: neither. */
static const char *type_of(const char *content_type, const json_t *doc, const struct cb_buf *body)
{
	const char *own = json_string_value(json_object_get(doc, "mediaType"));
	enum cb_media_kind kind;

	if (content_type && is_document(cb_media_kind(content_type)))
		return content_type;
	if (own && is_document(cb_media_kind(own)))
		return own;
	kind = doc ? cb_media_sniff(NULL, body->data, body->len) : CB_MEDIA_KIND_UNKNOWN;
	if (!is_document(kind))
		return NULL;
	return kind == CB_MEDIA_KIND_INDEX ? CB_MEDIA_OCI_INDEX : CB_MEDIA_OCI_MANIFEST;
}

static int describe_body(const char *content_type, const struct cb_digest *digest, const struct manifest_job *job,
	const struct cb_buf *body, struct cb_err **err)
{
	cleanup_json json_t *doc = NULL;
	const char *type;

	if (cb_json_parse(body->data, body->len, &doc, NULL) < 0)
		doc = NULL;
	type = type_of(content_type, doc, body);
	if (!type)
		return cb_err_set(err, CB_ERR_CORRUPT, "%s: neither an image manifest nor an index", job->what);
	set_descriptor(job->desc, type, digest, body->len);
	return 0;
}

static int get_manifest(struct cb_target *t, const struct manifest_job *job, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *path = cb_target_path(t, "manifests", job->name);
	cleanup_strv struct cb_strv headers = { 0 };
	struct cb_http_request req = { .headers = &headers, .max_body = DOCUMENT_MAX };
	struct cb_digest digest;
	int r;

	add_accept(&headers);
	r = cb_target_do(t, &req, path, &resp, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s", job->what);
	r = cb_http_status_err(&resp, job->what, err);
	if (r < 0)
		return r;
	if (!resp.body.len)
		return cb_err_set(err, CB_ERR_CORRUPT, "%s: the manifest is empty", job->what);
	cb_digest_of(resp.body.data, resp.body.len, &digest);
	if (job->want && !cb_digest_equal(job->want, &digest))
		return cb_err_set(err, CB_ERR_CORRUPT, "%s: the manifest has digest %s", job->what, digest.text);
	if (job->desc) {
		r = describe_body(cb_http_header(&resp, "content-type"), &digest, job, &resp.body, err);
		if (r < 0)
			return r;
	}
	cb_buf_clear(job->body);
	cb_buf_add(job->body, resp.body.data, resp.body.len);
	return 0;
}

static int resolve_at(struct cb_target *t, void *userdata, struct cb_err **err)
{
	struct manifest_job *job = userdata;
	int r;

	r = head_manifest(t, job, err);
	return r == 1 ? get_manifest(t, job, err) : r;
}

int cb_registry_resolve(struct cb_registry *reg, const struct cb_ref *ref, struct cb_cancel *cancel,
	struct cb_descriptor *ret, struct cb_err **err)
{
	cleanup_free char *what = cb_ref_format(ref);
	cleanup_buf struct cb_buf body = { 0 };
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	struct manifest_job job = { .name = ref->has_digest ? ref->digest.text : ref->tag,
		.what = what,
		.want = ref->has_digest ? &ref->digest : NULL,
		.desc = &desc,
		.body = &body };
	struct cb_target_query q = { .host = ref->registry,
		.repository = ref->repository,
		.actions = "pull",
		.by_digest = ref->has_digest,
		.cancel = cancel };
	int r;

	r = cb_target_each(reg, &q, resolve_at, &job, err);
	if (r < 0)
		return r;
	*ret = desc;
	desc = (struct cb_descriptor){ 0 };
	return 0;
}

static int manifest_at(struct cb_target *t, void *userdata, struct cb_err **err)
{
	return get_manifest(t, userdata, err);
}

int cb_registry_manifest(struct cb_registry *reg, const struct cb_ref *ref, const struct cb_descriptor *desc,
	struct cb_cancel *cancel, struct cb_buf *body, struct cb_err **err)
{
	cleanup_free char *name = cb_ref_name(ref), *what = cb_xasprintf("%s@%s", name, desc->digest.text);
	struct manifest_job job = { .name = desc->digest.text, .what = what, .want = &desc->digest, .body = body };
	struct cb_target_query q = { .host = ref->registry,
		.repository = ref->repository,
		.actions = "pull",
		.by_digest = true,
		.cancel = cancel };

	return cb_target_each(reg, &q, manifest_at, &job, err);
}

/* Blobs */

struct blob_job {
	const struct cb_descriptor *desc;
	const char *what;
	cb_http_sink sink;
	void *userdata;
	struct cb_hasher *hasher; /* or NULL */
	uint64_t got;             /* also from an endpoint that failed half-way: the next goes on there */
};

static int blob_sink(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct blob_job *job = userdata;
	int r;

	r = job->sink(job->userdata, data, len, err);
	if (r < 0)
		return r;
	if (job->hasher)
		cb_hasher_add(job->hasher, data, len);
	job->got += len;
	return 0;
}

static int blob_at(struct cb_target *t, void *userdata, struct cb_err **err)
{
	struct blob_job *job = userdata;
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *path = cb_target_path(t, "blobs", job->desc->digest.text);
	uint64_t left = job->desc->size - job->got;
	struct cb_http_request req = {
		.sink = blob_sink, .userdata = job, .range_from = job->got, .expect = left, .max_body = CB_MAX(left, 1)
	};
	int r;

	if (job->got && !left)
		return 0;
	r = cb_target_do(t, &req, path, &resp, err);
	if (r < 0)
		return r == CB_ERR_CANCELED ? r : cb_err_wrap(err, r, "%s", job->what);
	return cb_http_status_err(&resp, job->what, err);
}

static int get_blob(struct cb_registry *reg, const struct cb_ref *ref, struct blob_job *job, struct cb_cancel *cancel,
	struct cb_err **err)
{
	const struct cb_descriptor *desc = job->desc;
	cleanup_free char *name = cb_ref_name(ref), *what = cb_xasprintf("%s: blob %s", name, desc->digest.text);
	struct cb_target_query q = { .host = ref->registry,
		.repository = ref->repository,
		.actions = "pull",
		.by_digest = true,
		.cancel = cancel };
	struct cb_digest digest;
	int r;

	job->what = what;
	r = cb_target_each(reg, &q, blob_at, job, err);
	if (r < 0)
		return r;
	if (job->got != desc->size)
		return cb_err_set(err, CB_ERR_CORRUPT, "%s has %llu bytes, not %llu", what,
			(unsigned long long)job->got, (unsigned long long)desc->size);
	if (!job->hasher)
		return 0;
	cb_hasher_finish(job->hasher, &digest);
	if (!cb_digest_equal(&digest, &desc->digest))
		return cb_err_set(err, CB_ERR_CORRUPT, "%s has digest %s", what, digest.text);
	return 0;
}

int cb_registry_blob(struct cb_registry *reg, const struct cb_ref *ref, const struct cb_descriptor *desc,
	cb_http_sink sink, void *userdata, struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	struct blob_job job = { .desc = desc, .sink = sink, .userdata = userdata, .hasher = hasher };

	return get_blob(reg, ref, &job, cancel, err);
}

int cb_registry_blob_unverified(struct cb_registry *reg, const struct cb_ref *ref, const struct cb_descriptor *desc,
	cb_http_sink sink, void *userdata, struct cb_cancel *cancel, struct cb_err **err)
{
	struct blob_job job = { .desc = desc, .sink = sink, .userdata = userdata };

	return get_blob(reg, ref, &job, cancel, err);
}

static int buffer_sink(void *userdata, const void *data, size_t len, struct cb_err **err CB_UNUSED)
{
	cb_buf_add(userdata, data, len);
	return 0;
}

int cb_registry_blob_read(struct cb_registry *reg, const struct cb_ref *ref, const struct cb_descriptor *desc,
	size_t max, struct cb_cancel *cancel, struct cb_buf *body, struct cb_err **err)
{
	if (desc->size > max)
		return cb_err_set(err, CB_ERR_LIMIT, "blob %s has %llu bytes, more than %zu", desc->digest.text,
			(unsigned long long)desc->size, max);
	cb_buf_clear(body);
	return cb_registry_blob(reg, ref, desc, buffer_sink, body, cancel, err);
}
