#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "layers/http.h"
#include "unit/layers/httpd.h"

#define BODY_SIZE 300000

static char body[BODY_SIZE];
static struct httpd *server, *other;
static struct cb_http *client;

/* How often @path was asked for before this request; the handler's threads share it. */
static int times(const char *path)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct {
		char path[64];
		int n;
	} seen[64];
	int n = -1;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < ARRAY_SIZE(seen) && n < 0; i++) {
		if (!*seen[i].path)
			snprintf(seen[i].path, sizeof(seen[i].path), "%s", path);
		if (strcmp(seen[i].path, path) == 0)
			n = seen[i].n++;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

static bool redirect(struct httpd_request *req, const char *location)
{
	cleanup_free char *header = cb_xasprintf("Location: %s\r\n", location);

	return httpd_text(req, 307, header, "over there");
}

/* Waits until the client hangs up, at most 5 seconds. */
static bool stall(struct httpd_request *req)
{
	struct pollfd p = { .fd = req->fd, .events = POLLIN | POLLRDHUP };

	poll(&p, 1, 5000);
	return false;
}

static bool drip(struct httpd_request *req)
{
	httpd_raw(req, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 41);
	for (int i = 0; i < 25; i++) {
		httpd_raw(req, ".", 1);
		usleep(100000);
	}
	return false;
}

static bool many_headers(struct httpd_request *req, int n, size_t size)
{
	cleanup_buf struct cb_buf out = { 0 };

	cb_buf_adds(&out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
	for (int i = 0; i < n; i++) {
		cb_buf_addf(&out, "X-%d: ", i);
		for (size_t k = 0; k < size; k++)
			cb_buf_addc(&out, 'x');
		cb_buf_adds(&out, "\r\n");
	}
	cb_buf_adds(&out, "\r\n");
	return httpd_raw(req, out.data, out.len);
}

static bool echo_authorization(struct httpd_request *req)
{
	char text[256];

	return httpd_text(req, 200, NULL, httpd_header(req, "Authorization", text, sizeof(text)) ? text : "none");
}

static bool broken_bodies(struct httpd_request *req, const char *path)
{
	char etag[32];
	int n = times(path);

	if (strcmp(path, "/cut") == 0)
		return httpd_ranged(req, "ETag: \"1\"\r\n", body, BODY_SIZE, n < 3 ? 70000 : BODY_SIZE);
	if (strcmp(path, "/cut-reset") == 0)
		return httpd_ranged(req, NULL, body, BODY_SIZE, n < 3 ? 100 : BODY_SIZE) || httpd_reset(req);
	if (strcmp(path, "/cut-no-range") == 0) {
		if (n == 0)
			return httpd_ranged(req, NULL, body, BODY_SIZE, 1000);
		return httpd_reply(req, 200, NULL, body, BODY_SIZE);
	}
	if (strcmp(path, "/cut-changed") == 0) {
		snprintf(etag, sizeof(etag), "ETag: \"%d\"\r\n", n);
		return httpd_ranged(req, etag, body, BODY_SIZE, n ? BODY_SIZE : 1000);
	}
	if (strcmp(path, "/cut-shrunk") == 0)
		return httpd_ranged(req, NULL, body, n ? BODY_SIZE / 2 : BODY_SIZE, n ? BODY_SIZE : 1000);
	if (strcmp(path, "/cut-elsewhere") == 0) {
		if (n == 0)
			return httpd_ranged(req, NULL, body, BODY_SIZE, 1000);
		return httpd_text(req, 206, "Content-Range: bytes 5-9/300000\r\n", "abcde");
	}
	if (strcmp(path, "/cut-always") == 0)
		return httpd_ranged(req, NULL, body, BODY_SIZE, 10);
	if (strcmp(path, "/no-length") == 0) /* only the end of the connection ends the body */
		return httpd_raw(req, "HTTP/1.1 200 OK\r\n\r\nabc", 22);
	if (strcmp(path, "/unasked-part") == 0)
		return httpd_text(req, 206, "Content-Range: bytes 0-4/9\r\n", "abcde");
	return httpd_raw(req, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 52);
}

static bool redirects(struct httpd_request *req, const char *path)
{
	char url[128];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/auth", httpd_port(other));
	if (strcmp(path, "/to-loop") == 0)
		return redirect(req, "/to-loop");
	if (strcmp(path, "/to-other") == 0)
		return redirect(req, url);
	if (strcmp(path, "/to-same") == 0)
		return redirect(req, "auth");
	if (strcmp(path, "/to-file") == 0)
		return redirect(req, "file:///etc/passwd");
	if (strcmp(path, "/to-user") == 0) {
		snprintf(url, sizeof(url), "http://user:secret@127.0.0.1:%d/auth", httpd_port(other));
		return redirect(req, url);
	}
	if (strcmp(path, "/to-back") == 0) {
		snprintf(url, sizeof(url), "http://127.0.0.1:%d/back", httpd_port(other));
		return redirect(req, url);
	}
	return httpd_text(req, 302, NULL, "nowhere");
}

static bool handle(struct httpd_request *req)
{
	const char *path = req->path;
	char text[64];

	if (cb_str_starts(path, "/to-"))
		return redirects(req, path);
	if (cb_str_starts(path, "/cut") || strcmp(path, "/no-length") == 0 || strcmp(path, "/chunk-cut") == 0 ||
		strcmp(path, "/unasked-part") == 0)
		return broken_bodies(req, path);
	if (strcmp(path, "/body") == 0)
		return httpd_ranged(req, NULL, body, BODY_SIZE, BODY_SIZE);
	if (strcmp(path, "/503-503") == 0)
		return times(path) < 2 ? httpd_text(req, 503, NULL, "busy") : httpd_text(req, 200, NULL, "hello");
	if (strcmp(path, "/429") == 0)
		return times(path) < 1 ? httpd_text(req, 429, "Retry-After: 3600\r\n", "")
				       : httpd_text(req, 200, NULL, "hello");
	if (strcmp(path, "/429-date") == 0)
		return times(path) < 1 ? httpd_text(req, 429, "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", "")
				       : httpd_text(req, 200, NULL, "hello");
	if (strcmp(path, "/reset") == 0)
		return times(path) < 2 ? httpd_reset(req) : httpd_text(req, 200, NULL, "hello");
	if (strcmp(path, "/close") == 0)
		return times(path) < 2 ? false : httpd_text(req, 200, NULL, "hello");
	if (strcmp(path, "/half-header") == 0)
		return times(path) < 1 ? httpd_raw(req, "HTTP/1.1 200 OK\r\nConte", 22)
				       : httpd_text(req, 200, NULL, "hello");
	if (strcmp(path, "/reset-always") == 0)
		return httpd_reset(req);
	if (strcmp(path, "/500") == 0)
		return httpd_text(
			req, 500, NULL, "{\"errors\":[{\"code\":\"X\",\"message\":\"out of\\u001b[1m order\"}]}");
	if (strcmp(path, "/404") == 0)
		return httpd_text(req, 404, NULL, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}");
	if (strcmp(path, "/drip") == 0)
		return drip(req);
	if (strcmp(path, "/stall") == 0)
		return stall(req);
	if (strcmp(path, "/many-headers") == 0)
		return many_headers(req, 250, 10);
	if (strcmp(path, "/huge-header") == 0)
		return many_headers(req, 1, 90000);
	if (strcmp(path, "/long-headers") == 0)
		return many_headers(req, 20, 5000);
	if (strcmp(path, "/garbage") == 0)
		return httpd_raw(req, "SSH-2.0-OpenSSH_9.2p1\r\n", 23);
	if (strcmp(path, "/huge-error") == 0)
		return httpd_reply(req, 403, NULL, body, BODY_SIZE);
	if (strcmp(path, "/auth") == 0)
		return echo_authorization(req);
	if (strcmp(path, "/upload") == 0) {
		snprintf(text, sizeof(text), "%s %zu", req->method, req->body.len);
		return httpd_text(req, 201, NULL, text);
	}
	if (strcmp(path, "/upload-reset") == 0)
		return times(path) < 1 ? httpd_reset(req)
				       : httpd_text(req, 201, NULL, req->body.len == 70000 ? "all" : "?");
	return httpd_text(req, 200, NULL, "hello");
}

/* The other server: sends back to the first one, which must not get the credentials again. */
static bool handle_other(struct httpd_request *req)
{
	char url[128];

	if (strcmp(req->path, "/back") != 0)
		return handle(req);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/auth", httpd_port(server));
	return redirect(req, url);
}

static char *url_of(const char *path)
{
	return cb_xasprintf("http://127.0.0.1:%d%s", httpd_port(server), path);
}

static int give_secret(void *userdata, struct cb_cancel *cancel CB_UNUSED, char **ret, struct cb_err **err CB_UNUSED)
{
	*ret = cb_xstrdup(userdata);
	return 0;
}

static int append(void *userdata, const void *data, size_t len, struct cb_err **err CB_UNUSED)
{
	cb_buf_add(userdata, data, len);
	return 0;
}

/* Requests without sink. */
static const struct {
	const char *path, *want; /* body, or part of the message of an error */
	int code, status;
} plain[] = {
	{ "/ok", "hello", 0, 200 },
	{ "/503-503", "hello", 0, 200 },
	{ "/429", "hello", 0, 200 },
	{ "/429-date", "hello", 0, 200 },
	{ "/reset", "hello", 0, 200 },
	{ "/close", "hello", 0, 200 },
	{ "/half-header", "hello", 0, 200 },
	{ "/no-length", "abc", 0, 200 },
	{ "/reset-always", "reset", CB_ERR_NETWORK, 0 },
	{ "/500", "{\"errors\"", 0, 500 },
	{ "/404", "{\"errors\"", 0, 404 },
	{ "/drip", "low", CB_ERR_NETWORK, 0 },
	/* Curl looks at its clock, and we at ours. */
	{ "/stall", " seconds", CB_ERR_NETWORK, 0 },
	{ "/many-headers", "too many headers", CB_ERR_LIMIT, 0 },
	{ "/huge-header", "too many headers", CB_ERR_LIMIT, 0 },
	{ "/long-headers", "too many headers", CB_ERR_LIMIT, 0 },
	{ "/garbage", "HTTP/0.9", CB_ERR_CORRUPT, 0 },
	{ "/huge-error", "", 0, 403 },
	{ "/unasked-part", "not asked for", CB_ERR_CORRUPT, 0 },
	{ "/chunk-cut", "", CB_ERR_NETWORK, 0 },
	{ "/to-loop", "more than 4 redirects", CB_ERR_LIMIT, 0 },
	{ "/to-other", "none", 0, 200 },
	{ "/to-same", "Bearer secret", 0, 200 },
	{ "/to-back", "none", 0, 200 },
	{ "/to-user", "none", 0, 200 },
	{ "/to-file", "not an http", CB_ERR_CORRUPT, 0 },
	{ "/to-nowhere", "nowhere", 0, 302 },
	{ "/auth", "Bearer secret", 0, 200 },
};

static void plain_requests(void **state)
{
	struct cb_http_authorizer auth = { .userdata = (void *)"Bearer secret", .value = give_secret };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		cleanup_free char *url = url_of(plain[i].path);
		cleanup_err struct cb_err *err = NULL;
		struct cb_http_request req = { .url = url, .authorizer = &auth };
		uint64_t start = cb_time_mono();
		int r = cb_http_do(client, &req, &resp, &err);

		print_message("# %s: %s\n", plain[i].path, cb_err_msg(err));
		assert_int_equal(r, plain[i].code);
		if (r < 0) {
			assert_non_null(strstr(cb_err_msg(err), plain[i].want));
		} else {
			assert_int_equal(resp.status, plain[i].status);
			assert_memory_equal(cb_buf_str(&resp.body), plain[i].want, strlen(plain[i].want));
			assert_true(resp.body.len <= CB_HTTP_ERROR_BODY_MAX);
		}
		assert_true(cb_time_mono() - start < 6000000000);
	}
}

/* Requests for the large body with a sink. */
static const struct {
	const char *path, *want;
	uint64_t from, max;
	int code;
} streamed[] = {
	{ "/body", NULL, 0, 0, 0 },
	{ "/body", NULL, 299999, 0, 0 },
	{ "/cut", NULL, 0, 0, 0 },
	{ "/cut-reset", NULL, 0, 0, 0 },
	{ "/cut-no-range", NULL, 0, 0, 0 },
	{ "/cut-changed", "changed", 0, 0, CB_ERR_NETWORK },
	{ "/cut-shrunk", "changed", 0, 0, CB_ERR_NETWORK },
	{ "/cut-elsewhere", "another part", 0, 0, CB_ERR_CORRUPT },
	{ "/cut-always", "", 0, 0, CB_ERR_NETWORK },
	{ "/body", "larger than 1000", 0, 1000, CB_ERR_LIMIT },
	{ "/ok", "ended after 5 of 300000", 0, 0, CB_ERR_NETWORK },
};

static void streamed_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(streamed); i++) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		cleanup_free char *url = url_of(streamed[i].path);
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf got = { 0 };
		struct cb_http_request req = { .url = url,
			.sink = append,
			.userdata = &got,
			.range_from = streamed[i].from,
			.expect = BODY_SIZE - streamed[i].from,
			.max_body = streamed[i].max };
		int r = cb_http_do(client, &req, &resp, &err);

		print_message("# %s: %s\n", streamed[i].path, cb_err_msg(err));
		assert_int_equal(r, streamed[i].code);
		if (r < 0) {
			assert_non_null(strstr(cb_err_msg(err), streamed[i].want));
			continue;
		}
		assert_int_equal(got.len, BODY_SIZE - streamed[i].from);
		assert_int_equal(resp.body_bytes, got.len);
		assert_memory_equal(got.data, body + streamed[i].from, got.len);
	}
}

static int refuse(void *userdata CB_UNUSED, const void *data CB_UNUSED, size_t len CB_UNUSED, struct cb_err **err)
{
	return cb_err_set(err, CB_ERR_NO_SPACE, "disk full");
}

static void failing_sink(void **state)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *url = url_of("/body");
	cleanup_err struct cb_err *err = NULL;
	struct cb_http_request req = { .url = url, .sink = refuse };
	int before = httpd_count(server);

	(void)state;
	assert_int_equal(cb_http_do(client, &req, &resp, &err), CB_ERR_NO_SPACE);
	assert_string_equal(cb_err_msg(err), "disk full");
	assert_int_equal(httpd_count(server), before + 1);
}

static const struct {
	int status, code;
	const char *want;
} statuses[] = {
	{ 200, 0, "" },
	{ 204, 0, "" },
	{ 302, CB_ERR_CORRUPT, "fetch: HTTP status 302" },
	{ 400, CB_ERR_CORRUPT, "fetch: HTTP status 400 (bad request): a[1m b" },
	{ 401, CB_ERR_DENIED, "fetch: HTTP status 401 (authentication required): a[1m b" },
	{ 403, CB_ERR_DENIED, NULL },
	{ 404, CB_ERR_NOT_FOUND, NULL },
	{ 410, CB_ERR_NOT_FOUND, NULL },
	{ 429, CB_ERR_NETWORK, NULL },
	{ 503, CB_ERR_NETWORK, NULL },
};

static void status_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		cleanup_http_response struct cb_http_response resp = { .status = statuses[i].status };
		cleanup_err struct cb_err *err = NULL;

		if (resp.status != 302)
			cb_buf_adds(&resp.body, "{\"errors\": [{\"message\": \"a\\u001b[1m b\"}]}");
		assert_int_equal(cb_http_status_err(&resp, "fetch", &err), statuses[i].code);
		if (statuses[i].want && err) {
			/* The escape character became a space. */
			cleanup_free char *shown = cb_xstrdup(cb_err_msg(err));
			char *esc = strstr(shown, "a [1m");

			if (esc)
				memmove(esc + 1, esc + 2, strlen(esc + 2) + 1);
			assert_string_equal(shown, statuses[i].want);
		}
	}
}

static void uploads(void **state)
{
	int fd = memfd_create("upload", MFD_CLOEXEC);
	struct cb_http_upload memory = { .data = body, .len = 5 };
	struct cb_http_upload file = { .fd = fd, .offset = 1000, .len = 70000 };
	const struct {
		const char *method, *path;
		const struct cb_http_upload *upload;
		const char *want;
	} cases[] = {
		{ "PUT", "/upload", &memory, "PUT 5" },
		{ "POST", "/upload", &memory, "POST 5" },
		{ "PATCH", "/upload", &file, "PATCH 70000" },
		{ "POST", "/upload", NULL, "POST 0" },
		{ "PUT", "/upload", NULL, "PUT 0" },
		{ "DELETE", "/upload", NULL, "DELETE 0" },
		{ "PUT", "/upload-reset", &file, "all" },
	};

	(void)state;
	assert_int_equal(write(fd, body, BODY_SIZE), BODY_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		cleanup_free char *url = url_of(cases[i].path);
		cleanup_err struct cb_err *err = NULL;
		struct cb_http_request req = { .url = url, .method = cases[i].method, .upload = cases[i].upload };

		print_message("# %s %s\n", cases[i].method, cases[i].path);
		assert_int_equal(cb_http_do(client, &req, &resp, &err), 0);
		assert_int_equal(resp.status, 201);
		assert_string_equal(cb_buf_str(&resp.body), cases[i].want);
	}
	close(fd);
}

static void head_has_no_body(void **state)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *url = url_of("/ok");
	struct cb_http_request req = { .url = url, .method = "HEAD", .expect = 5 };

	(void)state;
	assert_int_equal(cb_http_do(client, &req, &resp, NULL), 0);
	assert_string_equal(cb_http_header(&resp, "CONTENT-length"), "5");
	assert_int_equal(resp.body.len, 0);
}

static void no_retry(void **state)
{
	cleanup_http_response struct cb_http_response resp = { 0 };
	cleanup_free char *url = url_of("/500");
	struct cb_http_request req = { .url = url, .flags = CB_HTTP_NO_RETRY };
	int before = httpd_count(server);

	(void)state;
	assert_int_equal(cb_http_do(client, &req, &resp, NULL), 0);
	assert_int_equal(httpd_count(server), before + 1);
	req.flags = 0;
	assert_int_equal(cb_http_do(client, &req, &resp, NULL), 0);
	assert_int_equal(httpd_count(server), before + 1 + 4);
}

struct raiser {
	struct cb_cancel *cancel;
	int after_ms;
};

static void *raise_later(void *arg)
{
	struct raiser *r = arg;

	usleep((useconds_t)r->after_ms * 1000);
	cb_cancel_raise(r->cancel);
	return NULL;
}

/* While waiting for an answer, in the pause before a retry, and before the start. */
static void cancellation(void **state)
{
	static const char *const paths[] = { "/stall", "/cancel-429", "/stall" };
	struct cb_http_options slow = { .backoff_ms = 4000 };
	CB_CLEANUP(cb_http_free) struct cb_http *patient = NULL;

	(void)state;
	assert_int_equal(cb_http_new(&slow, &patient, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
		cleanup_http_response struct cb_http_response resp = { 0 };
		cleanup_free char *url = i == 1 ? url_of("/reset-always") : url_of(paths[i]);
		cleanup_err struct cb_err *err = NULL;
		struct raiser raiser = { cancel, i == 2 ? 0 : 150 };
		struct cb_http_request req = { .url = url, .cancel = cancel };
		uint64_t start = cb_time_mono(), took;
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, raise_later, &raiser), 0);
		assert_int_equal(cb_http_do(patient, &req, &resp, &err), CB_ERR_CANCELED);
		took = cb_time_mono() - start;
		pthread_join(thread, NULL);
		assert_string_equal(cb_err_msg(err), "canceled");
		assert_true(took < 1000000000);
	}
}

/* 401 until the second credential is shown. */
static bool handle_login(struct httpd_request *req)
{
	char text[64] = "";

	httpd_header(req, "Authorization", text, sizeof(text));
	if (strcmp(text, "Bearer 2") != 0)
		return httpd_text(req, 401, "WWW-Authenticate: Bearer realm=\"x\"\r\n", "no");
	return httpd_ranged(req, NULL, body, BODY_SIZE, BODY_SIZE);
}

struct login {
	int level, max, asked;
};

static int login_value(void *userdata, struct cb_cancel *cancel CB_UNUSED, char **ret, struct cb_err **err CB_UNUSED)
{
	struct login *login = userdata;

	*ret = login->level ? cb_xasprintf("Bearer %d", login->level) : NULL;
	return 0;
}

static int login_challenged(void *userdata, const struct cb_http_response *resp, struct cb_cancel *cancel CB_UNUSED,
	struct cb_err **err CB_UNUSED)
{
	struct login *login = userdata;

	assert_string_equal(cb_http_header(resp, "www-authenticate"), "Bearer realm=\"x\"");
	login->asked++;
	return login->level++ < login->max ? 0 : 1;
}

static void challenges(void **state)
{
	CB_CLEANUP(httpd_stop) struct httpd *door = httpd_start(handle_login, NULL);
	cleanup_free char *url = cb_xasprintf("http://127.0.0.1:%d/", httpd_port(door));
	const struct {
		int max, status, asked;
	} cases[] = { { 5, 200, 2 }, { 1, 401, 2 }, { 0, 401, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		struct login login = { .max = cases[i].max };
		struct cb_http_authorizer auth = {
			.userdata = &login, .value = login_value, .challenged = login_challenged
		};
		struct cb_http_request req = { .url = url, .authorizer = &auth };

		assert_int_equal(cb_http_do(client, &req, &resp, NULL), 0);
		assert_int_equal(resp.status, cases[i].status);
		assert_int_equal(login.asked, cases[i].asked);
	}
}

static bool tell_connection(struct httpd_request *req)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", req->connection);
	return httpd_text(req, 200, NULL, text);
}

static void connections_are_reused(void **state)
{
	CB_CLEANUP(httpd_stop) struct httpd *one = httpd_start(tell_connection, NULL);
	cleanup_free char *url = cb_xasprintf("http://127.0.0.1:%d/", httpd_port(one));

	(void)state;
	for (int i = 0; i < 3; i++) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		struct cb_http_request req = { .url = url };

		assert_int_equal(cb_http_do(client, &req, &resp, NULL), 0);
		assert_string_equal(cb_buf_str(&resp.body), "0");
	}
}

static void *many_requests(void *arg)
{
	int *good = arg;

	for (int i = 0; i < 20; i++) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		cleanup_free char *url = url_of("/ok");
		struct cb_http_request req = { .url = url };

		*good += cb_http_do(client, &req, &resp, NULL) == 0 && resp.body.len == 5;
	}
	return NULL;
}

static void threads_share_a_client(void **state)
{
	pthread_t threads[8];
	int good[ARRAY_SIZE(threads)] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many_requests, &good[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(good[i], 20);
	}
}

static void nobody_there(void **state)
{
	struct httpd *gone = httpd_start(tell_connection, NULL);
	cleanup_free char *url = cb_xasprintf("http://127.0.0.1:%d/", httpd_port(gone));
	const char *const urls[] = { url, "http://no-such-host.invalid/" };

	(void)state;
	httpd_stop(gone);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		cleanup_err struct cb_err *err = NULL;
		struct cb_http_request req = { .url = urls[i] };

		assert_int_equal(cb_http_do(client, &req, &resp, &err), CB_ERR_NETWORK);
	}
}

static void bad_urls(void **state)
{
	static const char *const urls[] = { "", "ftp://host/", "file:///etc/passwd", "http://", "nonsense" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		cleanup_http_response struct cb_http_response resp = { 0 };
		struct cb_http_request req = { .url = urls[i] };

		assert_int_equal(cb_http_do(client, &req, &resp, NULL), CB_ERR_INPUT);
	}
}

static const struct {
	const char *host;
	bool want;
} loopbacks[] = {
	{ "localhost", true },
	{ "localhost:5000", true },
	{ "LocalHost", true },
	{ "x.localhost:1", true },
	{ "127.0.0.1", true },
	{ "127.9.8.7:80", true },
	{ "::1", true },
	{ "[::1]:5000", true },
	{ "[::1]x", false },
	{ "[::2]:5000", false },
	{ "::2", false },
	{ "127.evil.org", false },
	{ "127.0.0.1.evil.org", false },
	{ "localhost.evil.org", false },
	{ "128.0.0.1", false },
	{ "example.org", false },
};

static void loopback_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(loopbacks); i++) {
		print_message("# %s\n", loopbacks[i].host);
		assert_int_equal(cb_http_is_loopback(loopbacks[i].host), loopbacks[i].want);
	}
}

static const struct {
	const char *base, *ref, *want; /* want NULL: refused */
} joins[] = {
	{ "http://a/b/c?d", "e", "http://a/b/e" },
	{ "http://a/b/c", "/e?f=%20", "http://a/e?f=%20" },
	{ "https://a/b", "//other:8/x", "https://other:8/x" },
	{ "http://u:p@a/b", "c", "http://a/c" },
	{ "http://a/b", "http://u:p@c/d#frag", "http://c/d" },
	{ "http://a/b", "ftp://c/d", NULL },
	{ "http://a/b", "javascript:alert(1)", NULL },
	{ "http://a/b", "http://[::1", NULL },
};

static void url_joins(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(joins); i++) {
		cleanup_free char *got = NULL;
		int r = cb_http_url_join(joins[i].base, joins[i].ref, &got, NULL);

		print_message("# %s + %s\n", joins[i].base, joins[i].ref);
		assert_int_equal(r, joins[i].want ? 0 : CB_ERR_CORRUPT);
		if (joins[i].want)
			assert_string_equal(got, joins[i].want);
	}
}

static void url_texts(void **state)
{
	cleanup_free char *redacted = cb_http_url_redact("https://u:p@h:1/x?token=secret#f");
	cleanup_free char *origin = cb_http_url_origin("HTTPS://Host/x"), *none = cb_http_url_origin("ftp://host/");
	cleanup_buf struct cb_buf escaped = { 0 };

	(void)state;
	cb_http_url_escape(&escaped, "a b/\xc3\xa9~");
	assert_string_equal(redacted, "https://h:1/x");
	assert_string_equal(origin, "https://host:443");
	assert_null(none);
	assert_string_equal(cb_buf_str(&escaped), "a%20b%2F%C3%A9~");
}

static int set_up(void **state)
{
	struct cb_http_options options = { .backoff_ms = 2,
		.retries = 3,
		.retry_after_max_ms = 50,
		.stall_timeout_ms = 1000,
		.stall_bytes = 100,
		.max_redirects = 4,
		.total_timeout_ms = 4000 };

	(void)state;
	for (size_t i = 0; i < BODY_SIZE; i++)
		body[i] = (char)(i * 7 + i / 251);
	server = httpd_start(handle, NULL);
	other = httpd_start(handle_other, NULL);
	return cb_http_new(&options, &client, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	cb_http_free(client);
	httpd_stop(server);
	httpd_stop(other);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_requests),
		cmocka_unit_test(streamed_requests),
		cmocka_unit_test(failing_sink),
		cmocka_unit_test(status_errors),
		cmocka_unit_test(uploads),
		cmocka_unit_test(head_has_no_body),
		cmocka_unit_test(no_retry),
		cmocka_unit_test(cancellation),
		cmocka_unit_test(challenges),
		cmocka_unit_test(connections_are_reused),
		cmocka_unit_test(threads_share_a_client),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(bad_urls),
		cmocka_unit_test(loopback_hosts),
		cmocka_unit_test(url_joins),
		cmocka_unit_test(url_texts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
