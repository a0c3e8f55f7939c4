#include "unit/layers/fakeregistry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers/compress.h"
#include "layers/descriptor.h"
#include "layers/mediatype.h"

static void item_free(void *p)
{
	struct fake_item *item = p;

	cb_buf_done(&item->data);
	free(item->type);
	free(item);
}

static struct fake_item *item_new(const void *data, size_t len, const char *type)
{
	struct fake_item *item = cb_new0(struct fake_item);

	cb_buf_add(&item->data, data, len);
	item->type = cb_xstrdup(type);
	return item;
}

static bool send_item(struct httpd_request *req, const struct fake_item *item, const char *digest)
{
	cleanup_free char *headers =
		cb_xasprintf("Content-Type: %s\r\nDocker-Content-Digest: %s\r\n", item->type, digest);

	if (strcmp(req->method, "HEAD") == 0)
		return httpd_reply(req, 200, headers, item->data.data, item->data.len);
	return httpd_ranged(req, headers, item->data.data, item->data.len, item->data.len);
}

/* Called with the lock. */
static const struct fake_item *find(struct fake_registry *reg, const char *path, char *digest, size_t size)
{
	const char *blobs = strstr(path, "/blobs/"), *manifests = strstr(path, "/manifests/");
	const struct fake_item *item = NULL;
	struct cb_digest computed;

	if (blobs) {
		item = cb_map_get(reg->blobs, blobs + 7);
	} else if (manifests) {
		const char *name = manifests + 11;
		cleanup_free char *key = cb_xasprintf(
			"%.*s%c%s", (int)(manifests - path - 4), path + 4, strchr(name, ':') ? '@' : ':', name);

		item = cb_map_get(reg->manifests, key);
	}
	if (!item)
		return NULL;
	cb_digest_of(item->data.data, item->data.len, &computed);
	snprintf(digest, size, "%s", blobs ? blobs + 7 : computed.text);
	return item;
}

/* Uploads; called with the lock. "/v2/<repository>/blobs/uploads/[number]". */

static bool accepted(struct httpd_request *req, int status, const char *repository, const char *number, size_t len)
{
	cleanup_free char *headers = cb_xasprintf("Location: /v2/%s/blobs/uploads/%s?state=%zu\r\nRange: 0-%zu\r\n",
		repository, number, len, len ? len - 1 : 0);

	return httpd_text(req, status, headers, "");
}

static bool begin_upload(struct fake_registry *reg, struct httpd_request *req, const char *repository)
{
	char number[16];

	if (cb_str_starts(req->query, "mount=sha256%3A") && strlen(req->query) > 15 + 64) {
		cleanup_free char *digest = cb_xasprintf("sha256:%.64s", req->query + 15);

		if (cb_map_has(reg->blobs, digest))
			return httpd_text(req, 201, NULL, "");
	}
	snprintf(number, sizeof(number), "%d", ++reg->n_sessions);
	cb_map_set(reg->sessions, number, item_new("", 0, ""));
	return accepted(req, 202, repository, number, 0);
}

static bool finish_upload(struct fake_registry *reg, struct httpd_request *req, const char *number)
{
	struct fake_item *session = cb_map_get(reg->sessions, number);
	const char *at = strstr(req->query, "digest=sha256%3A");
	cleanup_free char *headers = NULL;
	struct cb_digest digest;

	cb_buf_add(&session->data, req->body.data, req->body.len);
	cb_digest_of(session->data.data, session->data.len, &digest);
	if (!at || strncmp(at + 16, cb_digest_hex(&digest), 64) != 0) {
		cb_map_del(reg->sessions, number);
		return httpd_text(req, 400, NULL, "{\"errors\":[{\"code\":\"DIGEST_INVALID\"}]}");
	}
	cb_map_set(
		reg->blobs, digest.text, item_new(session->data.data, session->data.len, "application/octet-stream"));
	cb_map_del(reg->sessions, number);
	headers = cb_xasprintf("Docker-Content-Digest: %s\r\n", digest.text);
	return httpd_text(req, 201, headers, "");
}

static bool continue_upload(
	struct fake_registry *reg, struct httpd_request *req, const char *repository, const char *number)
{
	struct fake_item *session = cb_map_get(reg->sessions, number);
	char range[64];

	if (!session)
		return httpd_text(req, 404, NULL, "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\"}]}");
	if (strcmp(req->method, "PUT") == 0)
		return finish_upload(reg, req, number);
	if (strcmp(req->method, "DELETE") == 0) {
		cb_map_del(reg->sessions, number);
		return httpd_text(req, 204, NULL, "");
	}
	if (strcmp(req->method, "GET") == 0)
		return accepted(req, 204, repository, number, session->data.len);
	if (!httpd_header(req, "Content-Range", range, sizeof(range)) || strtoull(range, NULL, 10) != session->data.len)
		return accepted(req, 416, repository, number, session->data.len);
	cb_buf_add(&session->data, req->body.data, req->body.len);
	return accepted(req, 202, repository, number, session->data.len);
}

static bool take_upload(struct fake_registry *reg, struct httpd_request *req, const char *at)
{
	cleanup_free char *repository = cb_xstrndup(req->path + 4, (size_t)(at - req->path - 4));

	at += strlen("/blobs/uploads/");
	return *at ? continue_upload(reg, req, repository, at) : begin_upload(reg, req, repository);
}

static bool take_manifest(struct fake_registry *reg, struct httpd_request *req, const char *at)
{
	const char *name = at + strlen("/manifests/");
	cleanup_free char *repository = cb_xstrndup(req->path + 4, (size_t)(at - req->path - 4));
	cleanup_free char *key = NULL, *headers = NULL;
	struct cb_digest digest;
	char type[128] = "";

	httpd_header(req, "Content-Type", type, sizeof(type));
	cb_digest_of(req->body.data, req->body.len, &digest);
	key = cb_xasprintf("%s@%s", repository, digest.text);
	cb_map_set(reg->manifests, key, item_new(req->body.data, req->body.len, type));
	if (!strchr(name, ':')) {
		free(key);
		key = cb_xasprintf("%s:%s", repository, name);
		cb_map_set(reg->manifests, key, item_new(req->body.data, req->body.len, type));
	}
	headers = cb_xasprintf("Docker-Content-Digest: %s\r\n", digest.text);
	return httpd_text(req, 201, headers, "");
}

/* 1 when it was something written, answered with *ret. */
static int take(struct fake_registry *reg, struct httpd_request *req, bool *ret)
{
	const char *uploads = strstr(req->path, "/blobs/uploads/"), *manifests = strstr(req->path, "/manifests/");

	if (uploads)
		*ret = take_upload(reg, req, uploads);
	else if (manifests && strcmp(req->method, "PUT") == 0)
		*ret = take_manifest(reg, req, manifests);
	else
		return 0;
	return 1;
}

static bool handle(struct httpd_request *req)
{
	struct fake_registry *reg = req->userdata;
	const struct fake_item *item;
	struct fake_item *sent = NULL;
	char digest[128];
	bool keep;
	fake_fault fault = reg->fault;
	int r = -1;

	if (fault) {
		pthread_mutex_lock(&reg->lock);
		r = fault(reg, req);
		pthread_mutex_unlock(&reg->lock);
	}
	if (r >= 0)
		return r == 1;
	if (strcmp(req->path, "/v2/") == 0)
		return httpd_text(req, 200, NULL, "{}");
	pthread_mutex_lock(&reg->lock);
	if (take(reg, req, &keep)) {
		pthread_mutex_unlock(&reg->lock);
		return keep;
	}
	/* A copy: another request may replace or delete it while it is being sent. */
	item = find(reg, req->path, digest, sizeof(digest));
	if (item)
		sent = item_new(item->data.data, item->data.len, item->type);
	pthread_mutex_unlock(&reg->lock);
	if (!sent)
		return httpd_text(
			req, 404, NULL, "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"unknown to us\"}]}");
	keep = send_item(req, sent, digest);
	item_free(sent);
	return keep;
}

void fake_registry_start(struct fake_registry *reg)
{
	*reg = (struct fake_registry){ 0 };
	pthread_mutex_init(&reg->lock, NULL);
	reg->blobs = cb_map_new(item_free);
	reg->manifests = cb_map_new(item_free);
	reg->sessions = cb_map_new(item_free);
	reg->server = httpd_start(handle, reg);
}

void fake_registry_stop(struct fake_registry *reg)
{
	httpd_stop(reg->server);
	cb_map_free(reg->blobs);
	cb_map_free(reg->manifests);
	cb_map_free(reg->sessions);
	pthread_mutex_destroy(&reg->lock);
}

char *fake_registry_name(const struct fake_registry *reg, const char *rest)
{
	return cb_xasprintf("127.0.0.1:%d/%s", httpd_port(reg->server), rest);
}

struct cb_ref *fake_registry_ref(const struct fake_registry *reg, const char *rest)
{
	cleanup_free char *name = fake_registry_name(reg, rest);
	struct cb_ref *ref = NULL;

	assert_int_equal(cb_ref_parse(name, &ref, NULL), 0);
	return ref;
}

struct cb_registry *fake_registry_client(uint64_t chunk)
{
	struct cb_registry_options options = { .http = { .backoff_ms = 2,
						       .retries = 3,
						       .stall_timeout_ms = 1000,
						       .total_timeout_ms = 3000,
						       .retry_after_max_ms = 20 },
		.upload_chunk = chunk,
		.commit_timeout_ms = 1000 };
	struct cb_registry *registry = NULL;

	assert_int_equal(cb_registry_new(&options, &registry, NULL), 0);
	return registry;
}

void fake_put_blob(struct fake_registry *reg, const void *data, size_t len, struct cb_digest *ret)
{
	cb_digest_of(data, len, ret);
	pthread_mutex_lock(&reg->lock);
	if (!cb_map_has(reg->blobs, ret->text))
		cb_map_set(reg->blobs, ret->text, item_new(data, len, "application/octet-stream"));
	pthread_mutex_unlock(&reg->lock);
}

void fake_put_manifest(struct fake_registry *reg, const char *repository, const char *tag, const char *type,
	const void *data, size_t len, struct cb_digest *ret)
{
	cleanup_free char *by_tag = tag ? cb_xasprintf("%s:%s", repository, tag) : NULL;
	cleanup_free char *by_digest = NULL;

	cb_digest_of(data, len, ret);
	by_digest = cb_xasprintf("%s@%s", repository, ret->text);
	pthread_mutex_lock(&reg->lock);
	cb_map_set(reg->manifests, by_digest, item_new(data, len, type));
	if (by_tag)
		cb_map_set(reg->manifests, by_tag, item_new(data, len, type));
	pthread_mutex_unlock(&reg->lock);
}

struct fake_item *fake_blob(struct fake_registry *reg, const char *digest)
{
	return cb_map_get(reg->blobs, digest);
}

void fake_tar_add(struct cb_buf *tar, const char *name, const void *content, size_t len)
{
	bool dir = cb_str_ends(name, "/");
	unsigned char head[512] = { 0 };
	unsigned int sum = 0;

	snprintf((char *)head, 100, "%s", name);
	snprintf((char *)head + 100, 8, "%07o", dir ? 0755U : 0644U);
	snprintf((char *)head + 108, 8, "%07o", 0U);
	snprintf((char *)head + 116, 8, "%07o", 0U);
	snprintf((char *)head + 124, 12, "%011zo", len);
	snprintf((char *)head + 136, 12, "%011o", 1000000000U);
	memset(head + 148, ' ', 8);
	head[156] = dir ? '5' : '0';
	snprintf((char *)head + 257, 6, "ustar");
	head[263] = head[264] = '0';
	for (size_t i = 0; i < sizeof(head); i++)
		sum += head[i];
	snprintf((char *)head + 148, 8, "%06o", sum);
	cb_buf_add(tar, head, sizeof(head));
	cb_buf_add(tar, content, len);
	while (tar->len % 512)
		cb_buf_addc(tar, '\0');
}

void fake_tar_end(struct cb_buf *tar)
{
	static const char zeros[1024];

	cb_buf_add(tar, zeros, sizeof(zeros));
}

void fake_compress(const struct cb_buf *in, enum fake_codec codec, struct cb_buf *out)
{
	static const enum cb_codec codecs[] = { CB_CODEC_GZIP, CB_CODEC_ZSTD, CB_CODEC_NONE };
	struct cb_compress_spec spec = { .codec = codecs[codec], .level = CB_LEVEL_DEFAULT };
	CB_CLEANUP(cb_compressor_free) struct cb_compressor *c = NULL;

	if (cb_compressor_open(&spec, NULL, cb_sink_buf(out), &c, NULL) < 0 ||
		cb_compressor_write(c, in->data, in->len, NULL) < 0 || cb_compressor_finish(c, NULL) < 0)
		abort();
}

static void make_layer(struct cb_buf *tar, unsigned int number, size_t size)
{
	cleanup_buf struct cb_buf noise = { 0 };
	uint32_t x = number * 2654435761U + 12345;
	char name[32], text[16];

	snprintf(name, sizeof(name), "layer-%u", number);
	snprintf(text, sizeof(text), "%u", number);
	fake_tar_add(tar, "d/", NULL, 0);
	fake_tar_add(tar, name, text, strlen(text));
	while (noise.len < size) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		cb_buf_add(&noise, &x, sizeof(x));
	}
	snprintf(name, sizeof(name), "d/size-%u", number);
	fake_tar_add(tar, name, noise.data, size);
	fake_tar_end(tar);
}

void fake_put_image(struct fake_registry *reg, const char *repository, const char *tag, const char *platform,
	unsigned int n_layers, size_t size, struct cb_digest *ret)
{
	static const char *const types[] = { CB_MEDIA_OCI_LAYER_GZIP, CB_MEDIA_OCI_LAYER_ZSTD, CB_MEDIA_OCI_LAYER };
	cleanup_buf struct cb_buf layers = { 0 }, diff_ids = { 0 };
	cleanup_free char *config = NULL, *manifest = NULL;
	struct cb_platform p;
	struct cb_digest digest;

	if (cb_platform_parse(platform, &p, NULL) < 0)
		abort();
	for (unsigned int i = 0; i < n_layers; i++) {
		cleanup_buf struct cb_buf tar = { 0 }, blob = { 0 };

		make_layer(&tar, i, size);
		cb_digest_of(tar.data, tar.len, &digest);
		cb_buf_addf(&diff_ids, "%s\"%s\"", i ? "," : "", digest.text);
		fake_compress(&tar, (enum fake_codec)(i % 3), &blob);
		fake_put_blob(reg, blob.data, blob.len, &digest);
		cb_buf_addf(&layers, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", i ? "," : "",
			types[i % 3], digest.text, blob.len);
	}
	config = cb_xasprintf("{\"architecture\":\"%s\",\"os\":\"%s\",\"config\":{\"Env\":[\"A=%s\"]},"
			      "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
		p.arch, p.os, platform, cb_buf_str(&diff_ids));
	fake_put_blob(reg, config, strlen(config), &digest);
	manifest = cb_xasprintf("{\"schemaVersion\":2,\"mediaType\":\"" CB_MEDIA_OCI_MANIFEST "\",\"config\":"
				"{\"mediaType\":\"" CB_MEDIA_OCI_CONFIG
				"\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
		digest.text, strlen(config), cb_buf_str(&layers));
	fake_put_manifest(reg, repository, tag, CB_MEDIA_OCI_MANIFEST, manifest, strlen(manifest), ret);
}
