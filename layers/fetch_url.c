#include "layers/fetch_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/timefmt.h"

struct fetch {
	const struct cb_fetch_url *req;
	const struct cb_http_response *resp;
	struct cb_hasher *hasher;
	struct cb_checksummer *summer; /* NULL: there is nothing to compare with */
	int fd;
	uint64_t bytes, total;
};

void cb_fetched_done(struct cb_fetched *f)
{
	free(f->name);
	free(f->etag);
	free(f->last_modified);
	free(f->url);
	*f = (struct cb_fetched){ 0 };
}

char *cb_fetch_url_name(const char *url)
{
	const char *scheme = strstr(url, "://"), *path = scheme ? scheme + 3 : url;
	cleanup_free char *plain = NULL;
	const char *slash;

	path += strcspn(path, "/?#");
	plain = cb_http_url_unescape(path, strcspn(path, "?#"));
	for (size_t len = plain ? strlen(plain) : 0; len && plain[len - 1] == '/'; len--)
		plain[len - 1] = '\0';
	slash = plain ? strrchr(plain, '/') : NULL;
	if (!slash || !slash[1] || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0 || strlen(slash) > 256)
		return cb_xstrdup("__unnamed__");
	return cb_xstrdup(slash + 1);
}

static int too_large(const struct fetch *f, struct cb_err **err)
{
	cleanup_buf struct cb_buf size = { 0 };

	cb_num_format_size(&size, f->req->max_size);
	cb_err_set(err, CB_ERR_LIMIT, "it is larger than %s", cb_buf_str(&size));
	return f->req->limit_hint ? cb_err_hint(err, CB_ERR_LIMIT, "%s", f->req->limit_hint) : CB_ERR_LIMIT;
}

static int on_data(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct fetch *f = userdata;

	if (!f->bytes) {
		const char *length = cb_http_header(f->resp, "content-length");

		if (!length || !cb_num_u64(length, &f->total))
			f->total = 0;
	}
	if (f->req->max_size && (f->total > f->req->max_size || len > f->req->max_size - f->bytes))
		return too_large(f, err);
	/* A server that sends little by little never stalls: here is where that ends. */
	if (f->req->deadline_ns && cb_time_mono() >= f->req->deadline_ns)
		return cb_err_set(err, CB_ERR_TIMEOUT, "it takes too long: %ju bytes so far", (uintmax_t)f->bytes);
	if (cb_fd_write_all(f->fd, data, len) < 0)
		return cb_err_errno(err, errno, "write what was fetched");
	cb_hasher_add(f->hasher, data, len);
	if (f->summer)
		cb_checksummer_add(f->summer, data, len);
	f->bytes += len;
	if (f->req->progress)
		f->req->progress(f->req->userdata, f->bytes, f->total);
	return 0;
}

static int give_authorization(
	void *userdata, struct cb_cancel *cancel CB_UNUSED, char **ret, struct cb_err **err CB_UNUSED)
{
	*ret = cb_xstrdup_null(userdata);
	return 0;
}

static void fill(struct cb_fetched *ret, const struct fetch *f, const struct cb_digest *digest)
{
	const char *modified = cb_http_header(f->resp, "last-modified");
	time_t at = modified ? curl_getdate(modified, NULL) : -1;

	ret->digest = *digest;
	ret->size = f->bytes;
	ret->name = cb_fetch_url_name(f->req->url);
	ret->etag = cb_xstrdup_null(cb_http_header(f->resp, "etag"));
	ret->last_modified = cb_xstrdup_null(modified);
	ret->mtime.tv_sec = at > 0 ? at : 0;
	ret->url = cb_http_url_redact(f->resp->url);
}

int cb_fetch_url(
	struct cb_http *http, const struct cb_fetch_url *req, int fd, struct cb_fetched *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	CB_CLEANUP(cb_checksummer_free)
	struct cb_checksummer *summer = req->checksum ? cb_checksummer_new(req->checksum) : NULL;
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *shown = cb_http_url_redact(req->url);
	cleanup_strv struct cb_strv headers = { 0 };
	struct fetch f = { .req = req, .resp = &resp, .hasher = hasher, .summer = summer, .fd = fd };
	struct cb_http_authorizer auth = { .userdata = (void *)req->authorization, .value = give_authorization };
	struct cb_http_request http_req = { .url = req->url,
		.headers = &headers,
		.authorizer = req->authorization ? &auth : NULL,
		.sink = on_data,
		.userdata = &f,
		.cancel = req->cancel };
	struct cb_digest digest;
	int r;

	if (req->etag)
		cb_strv_addf(&headers, "If-None-Match: %s", req->etag);
	else if (req->last_modified)
		cb_strv_addf(&headers, "If-Modified-Since: %s", req->last_modified);
	r = cb_http_do(http, &http_req, &resp, err);
	if (r < 0)
		return r == CB_ERR_CANCELED ? r : cb_err_wrap(err, r, "fetch %s", shown);
	if (resp.status == 304 && headers.n)
		return CB_FETCH_UNCHANGED;
	r = cb_http_status_err(&resp, shown, err);
	if (r < 0)
		return r;
	cb_hasher_finish(hasher, &digest);
	if (summer) {
		struct cb_checksum got;

		cb_checksummer_finish(summer, &got);
		if (strcmp(got.text, req->checksum->text) != 0)
			return cb_err_set(err, CB_ERR_CORRUPT, "digest mismatch %s: %s", got.text, req->checksum->text);
	}
	fill(ret, &f, &digest);
	return 0;
}
