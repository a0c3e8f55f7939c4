#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/fetch_url.h"
#include "unit/layers/httpd.h"

static struct httpd *server;
static struct cb_http *client;

static bool handle(struct httpd_request *req)
{
	char text[128];

	if (strcmp(req->path, "/etag") == 0 && httpd_header(req, "If-None-Match", text, sizeof(text)) &&
		strcmp(text, "\"v1\"") == 0)
		return httpd_text(req, 304, NULL, "");
	if (strcmp(req->path, "/etag") == 0)
		return httpd_text(
			req, 200, "ETag: \"v1\"\r\nLast-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\n", "content");
	if (strcmp(req->path, "/moved") == 0)
		return httpd_text(req, 302, "Location: /dir/final.tar.gz?sig=secret\r\n", "");
	if (strcmp(req->path, "/auth") == 0)
		return httpd_text(
			req, 200, NULL, httpd_header(req, "Authorization", text, sizeof(text)) ? text : "none");
	if (strcmp(req->path, "/404") == 0)
		return httpd_text(req, 404, NULL, "");
	return httpd_text(req, 200, NULL, "content");
}

static const struct {
	const char *url, *name;
} names[] = {
	{ "http://h/a/b.txt", "b.txt" },
	{ "http://h/a/b.txt?x=/y#z/w", "b.txt" },
	{ "http://h/a%20b", "a b" },
	{ "http://h/a%zz", "a%zz" },
	{ "http://h", "__unnamed__" },
	{ "http://h/", "__unnamed__" },
	{ "http://h/dir/", "dir" },
	{ "http://h?x=/y", "__unnamed__" },
	{ "http://h/..", "__unnamed__" },
	{ "http://h/%2e%2e", "__unnamed__" },
	{ "http://h/a%2fb", "b" },
	{ "http://h/a%00b", "__unnamed__" },
	{ "http://h/.", "__unnamed__" },
};

static void name_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *got = cb_fetch_url_name(names[i].url);

		print_message("# %s\n", names[i].url);
		assert_string_equal(got, names[i].name);
	}
}

#define SUM "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73" /* of "content" */
#define SUM384                                                                                                         \
	"sha384:5406ebea1618e9b73a7290c5d716f0b47b4f1fbc5d8c5e78"                                                      \
	"c9010a3e01c18d8594aa942e3536f7e01574245d34647523"
#define SUM512                                                                                                         \
	"sha512:b2d1d285b5199c85f988d03649c37e44fd3dde01e5d69c50fef90651962f4811"                                      \
	"0e9340b60d49a479c4c0b53f5f07d690686dd87d2481937a512e8b85ee7c617f"

static const struct {
	const char *path, *etag, *authorization, *checksum;
	uint64_t max;
	int code;
	const char *want; /* content, or part of the error */
	int64_t mtime;
} cases[] = {
	{ "/file", NULL, NULL, NULL, 0, 0, "content", 0 },
	{ "/file", NULL, NULL, SUM, 0, 0, "content", 0 },
	{ "/file", NULL, NULL, NULL, 7, 0, "content", 0 },
	{ "/file", NULL, NULL, NULL, 6, CB_ERR_LIMIT, "larger than 6B", 0 },
	{ "/etag", NULL, NULL, NULL, 0, 0, "content", 1000000000 },
	{ "/etag", "\"v0\"", NULL, NULL, 0, 0, "content", 1000000000 },
	{ "/etag", "\"v1\"", NULL, NULL, 0, CB_FETCH_UNCHANGED, "", 0 },
	{ "/file", NULL, NULL, SUM384, 0, 0, "content", 0 },
	{ "/file", NULL, NULL, SUM512, 0, 0, "content", 0 },
	{ "/auth", NULL, NULL, SUM512, 0, CB_ERR_CORRUPT, "digest mismatch sha512:", 0 },
	{ "/moved", NULL, NULL, SUM, 0, 0, "content", 0 },
	{ "/auth", NULL, "token x", NULL, 0, 0, "token x", 0 },
	{ "/auth", NULL, NULL, NULL, 0, 0, "none", 0 },
	{ "/auth", NULL, NULL, SUM, 0, CB_ERR_CORRUPT, "digest mismatch sha256:", 0 },
	{ "/404", NULL, NULL, NULL, 0, CB_ERR_NOT_FOUND, "/404: HTTP status 404", 0 },
};

static void fetch(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_free char *url = cb_xasprintf("http://127.0.0.1:%d%s?q=1", httpd_port(server), cases[i].path);
		cleanup_close int fd = memfd_create("fetch", MFD_CLOEXEC);
		cleanup_fetched struct cb_fetched got = { 0 };
		cleanup_err struct cb_err *err = NULL;
		struct cb_checksum checksum = { 0 };
		struct cb_fetch_url req = { .url = url,
			.etag = cases[i].etag,
			.authorization = cases[i].authorization,
			.max_size = cases[i].max };
		char text[64] = "";
		int r;

		if (cases[i].checksum) {
			assert_int_equal(cb_checksum_parse(cases[i].checksum, &checksum, &err), 0);
			req.checksum = &checksum;
		}
		r = cb_fetch_url(client, &req, fd, &got, &err);
		print_message("# %s: %s\n", cases[i].path, cb_err_msg(err));
		assert_int_equal(r, cases[i].code);
		if (r < 0) {
			assert_non_null(strstr(cb_err_msg(err), cases[i].want));
			assert_null(strstr(cb_err_msg(err), "q=1"));
			continue;
		}
		assert_true(pread(fd, text, sizeof(text) - 1, 0) >= 0);
		assert_string_equal(text, cases[i].want);
		if (r == CB_FETCH_UNCHANGED)
			continue;
		assert_string_equal(got.name, cases[i].path + 1);
		assert_int_equal(got.size, strlen(cases[i].want));
		assert_int_equal(got.mtime.tv_sec, cases[i].mtime);
		assert_null(strstr(got.url, "secret"));
	}
}

#define X32 "0123456789abcdef0123456789abcdef"

static const struct {
	const char *text, *error; /* the latter NULL: it is one */
} sums[] = {
	{ SUM, NULL },
	{ SUM384, NULL },
	{ SUM512, NULL },
	{ "", "invalid checksum \"\": it has no algorithm" },
	{ X32 X32, "invalid checksum \"" X32 X32 "\": it has no algorithm" },
	{ "md5:" X32, "unsupported digest algorithm \"md5\" in checksum \"md5:" X32 "\"" },
	{ "sha1:" X32, "unsupported digest algorithm \"sha1\" in checksum \"sha1:" X32 "\"" },
	{ "SHA256:" X32 X32, "unsupported digest algorithm \"SHA256\" in checksum \"SHA256:" X32 X32 "\"" },
	{ ":" X32, "unsupported digest algorithm \"\" in checksum \":" X32 "\"" },
	{ "sha256:", "invalid checksum \"sha256:\": sha256 has 64 hex digits, these are 0" },
	{ "sha256:" X32, "invalid checksum \"sha256:" X32 "\": sha256 has 64 hex digits, these are 32" },
	{ "sha384:" X32 X32, "invalid checksum \"sha384:" X32 X32 "\": sha384 has 96 hex digits, these are 64" },
	{ "sha512:" X32 X32 X32,
		"invalid checksum \"sha512:" X32 X32 X32 "\": sha512 has 128 hex digits, these are 96" },
	{ "sha256:" X32 "0123456789ABCDEF0123456789ABCDEF",
		"invalid checksum \"sha256:" X32 "0123456789ABCDEF0123456789ABCDEF\": only 0-9 and a-f are digits" },
};

static void checksums(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
		cleanup_err struct cb_err *err = NULL;
		struct cb_checksum sum = { 0 };
		int r = cb_checksum_parse(sums[i].text, &sum, &err);

		print_message("# %s\n", sums[i].text);
		assert_int_equal(r, sums[i].error ? CB_ERR_INPUT : 0);
		assert_string_equal(r ? cb_err_msg(err) : sum.text, r ? sums[i].error : sums[i].text);
	}
}

static int set_up(void **state)
{
	struct cb_http_options options = { .backoff_ms = 2, .retries = 2 };

	(void)state;
	server = httpd_start(handle, NULL);
	return cb_http_new(&options, &client, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	cb_http_free(client);
	httpd_stop(server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_rule),
		cmocka_unit_test(fetch),
		cmocka_unit_test(checksums),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
