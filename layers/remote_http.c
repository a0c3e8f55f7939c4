/* A remote cache behind HTTP: GET, HEAD and PUT below cas/ and ac/. S3 is the same with signed requests. */
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "layers/regauth.h"
#include "layers/remotecache.h"

struct server {
	char *base; /* without user and without "/" at its end */
	char *authorization;
	bool plain;
	struct cb_http *http;
	struct cb_http_aws aws;
	bool sign;
	char *user, *region, *session;
};

static int authorize(void *userdata, struct cb_cancel *cancel, char **ret, struct cb_err **err)
{
	const struct server *s = userdata;

	(void)cancel, (void)err;
	*ret = cb_xstrdup_null(s->authorization);
	return 0;
}

static int challenged(
	void *userdata, const struct cb_http_response *resp, struct cb_cancel *cancel, struct cb_err **err)
{
	(void)userdata, (void)resp, (void)cancel, (void)err;
	return 1;
}

/* One request for @kind/<hex of @digest>. */
static int request(struct server *s, const char *kind, const struct cb_digest *digest, const struct cb_digest *payload,
	struct cb_http_request *req, struct cb_http_response *resp, struct cb_err **err)
{
	const struct cb_http_authorizer authorizer = { s, authorize, challenged };
	cleanup_strv struct cb_strv headers = { 0 };
	cleanup_free char *url = cb_xasprintf("%s/%s/%s", s->base, kind, cb_digest_hex(digest));

	req->url = url;
	req->authorizer = s->authorization ? &authorizer : NULL;
	req->aws = s->sign ? &s->aws : NULL;
	if (s->sign) {
		cb_strv_addf(&headers, "x-amz-content-sha256: %s", cb_digest_hex(payload));
		req->headers = &headers;
	}
	return cb_http_do(s->http, req, resp, err);
}

static int get_record(
	void *self, const struct cb_digest *key, struct cb_cancel *cancel, struct cb_buf *ret, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	struct cb_http_request req = { .max_body = CB_REMOTE_RECORD_MAX, .cancel = cancel };
	struct server *s = self;
	struct cb_digest nothing;
	int r;

	cb_digest_of("", 0, &nothing);
	r = request(s, "ac", key, &nothing, &req, &resp, err);

	if (r < 0)
		return r;
	if (resp.status == 404 || resp.status == 410)
		return 1;
	r = cb_http_status_err(&resp, "read a cache record", err);
	if (r < 0)
		return r;
	if (s->plain || (resp.body.len && resp.body.data[0] == '{')) {
		cb_buf_add(ret, resp.body.data, resp.body.len);
		return 0;
	}
	return cb_action_result_read(resp.body.data, resp.body.len, ret);
}

static int put(struct server *s, const char *kind, const struct cb_digest *digest, const struct cb_digest *payload,
	const struct cb_http_upload *upload, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	struct cb_http_request req = { .method = "PUT", .upload = upload, .cancel = cancel };
	int r = request(s, kind, digest, payload, &req, &resp, err);

	return r < 0 ? r : cb_http_status_err(&resp, "write to the cache", err);
}

static int put_record(void *self, const struct cb_digest *key, const void *data, size_t len,
	const struct cb_descriptor *blobs, size_t n, struct cb_cancel *cancel, struct cb_err **err)
{
	struct server *s = self;
	cleanup_buf struct cb_buf message = { 0 };
	struct cb_http_upload upload = { .data = data, .len = len };
	struct cb_digest payload;

	if (!s->plain) {
		cb_action_result_write(data, len, blobs, n, &message);
		upload.data = message.data;
		upload.len = message.len;
	}
	cb_digest_of(upload.data, upload.len, &payload);
	return put(s, "ac", key, &payload, &upload, cancel, err);
}

static int has_blob(void *self, const struct cb_descriptor *blob, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	struct cb_http_request req = { .method = "HEAD", .cancel = cancel };
	struct cb_digest nothing;
	int r;

	cb_digest_of("", 0, &nothing);
	r = request(self, "cas", &blob->digest, &nothing, &req, &resp, err);

	if (r < 0)
		return r;
	if (resp.status == 404 || resp.status == 410)
		return 0;
	r = cb_http_status_err(&resp, "look for a blob", err);
	return r < 0 ? r : 1;
}

static int get_blob(void *self, const struct cb_descriptor *blob, cb_http_sink sink, void *userdata,
	struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	struct cb_http_request req = {
		.sink = sink, .userdata = userdata, .max_body = blob->size, .expect = blob->size, .cancel = cancel
	};
	struct cb_digest nothing;
	int r;

	cb_digest_of("", 0, &nothing);
	r = request(self, "cas", &blob->digest, &nothing, &req, &resp, err);

	return r < 0 ? r : cb_http_status_err(&resp, "read a blob", err);
}

static int put_blob(void *self, const struct cb_descriptor *blob, int fd, struct cb_cancel *cancel, struct cb_err **err)
{
	const struct cb_http_upload upload = { .fd = fd, .len = blob->size };

	return put(self, "cas", &blob->digest, &blob->digest, &upload, cancel, err);
}

static void server_free(void *self)
{
	struct server *s = self;

	cb_http_free(s->http);
	free(s->base);
	free(s->authorization);
	free(s->user);
	free(s->region);
	free(s->session);
	free(s);
}

static const struct cb_remote_ops http_ops = {
	.get_record = get_record,
	.put_record = put_record,
	.has_blob = has_blob,
	.get_blob = get_blob,
	.put_blob = put_blob,
	.free = server_free,
};

/* "http://user:password@host/path/" without what must not be in a request line. */
static void take_url(struct server *s, const char *url)
{
	const char *host = strstr(url, "://") ? strstr(url, "://") + 3 : url;
	size_t len = strcspn(host, "/");
	const char *at = memrchr(host, '@', len);

	if (at) {
		size_t len_user = CB_MIN(strcspn(host, ":"), (size_t)(at - host));
		const char *colon = host + len_user < at ? host + len_user + 1 : at;
		cleanup_free char *user = cb_http_url_unescape(host, len_user);
		cleanup_free char *password = cb_http_url_unescape(colon, (size_t)(at - colon));

		s->authorization = cb_regauth_basic(user ? user : "", password ? password : "");
		s->base = cb_xasprintf("%.*s%s", (int)(host - url), url, at + 1);
	} else {
		s->base = cb_xstrdup(url);
	}
	for (size_t n = strlen(s->base); n && s->base[n - 1] == '/'; n--)
		s->base[n - 1] = '\0';
}

int cb_remote_http_new(const struct cb_remote_http_options *options, struct cb_remote_cache **ret, struct cb_err **err)
{
	struct server *s = cb_new0(struct server);
	cleanup_free char *shown = NULL;
	int r = cb_http_new(&options->http, &s->http, err);

	if (r < 0) {
		server_free(s);
		return r;
	}
	take_url(s, options->url);
	s->plain = options->plain;
	if (options->access_key && options->secret_key) {
		s->sign = true;
		s->user = cb_xasprintf("%s:%s", options->access_key, options->secret_key);
		s->region = cb_xstrdup(options->region ? options->region : "us-east-1");
		s->session = cb_xstrdup_null(options->session_token);
		s->aws = (struct cb_http_aws){ .user = s->user, .region = s->region, .session = s->session };
	}
	shown = cb_http_url_redact(s->base);
	*ret = cb_new0(struct cb_remote_cache);
	**ret = (struct cb_remote_cache){ &http_ops, s, cb_xasprintf("cache %s", shown) };
	return 0;
}
