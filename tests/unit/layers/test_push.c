#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layers/image.h"
#include "layers/mediatype.h"
#include "layers/pull.h"
#include "layers/push.h"
#include "layers/push_upload.h"
#include "unit/layers/fakeregistry.h"
#include "unit/layers/storefix.h"

#define SIZE (3 << 20)

static struct fake_registry fake;
static char *bytes;
static struct cb_digest digest;

enum mode {
	OK,
	HEAD_403,
	HEAD_OTHER_SIZE,
	MOUNT_403,
	POST_401,
	POST_404,
	POST_502,
	NO_LOCATION,
	BAD_LOCATION,
	FTP_LOCATION,
	PUT_RESET,
	PUT_LOST,
	PUT_500,
	PUT_429,
	PUT_500_ALWAYS,
	PUT_413,
	PUT_413_ALWAYS,
	PUT_DIGEST_INVALID,
	PUT_OTHER_DIGEST,
	PUT_SILENT,
	PATCH_RESET_HALF,
	PATCH_503,
	PATCH_SHORT,
	PATCH_LONG,
	PATCH_LOST,
	PATCH_404,
	PATCH_405,
	PATCH_BARE,
	SESSIONS_DIE,
};
static enum mode mode;

/* Appends the body, or a part of it, to the only open session: what a server keeps of a broken request. */
static void keep_bytes(struct fake_registry *reg, const struct httpd_request *req, size_t len)
{
	const char *number = strrchr(req->path, '/') + 1;
	struct fake_item *session = cb_map_get(reg->sessions, number);

	if (session)
		cb_buf_add(&session->data, req->body.data, len);
}

static int put_fault(struct fake_registry *reg, struct httpd_request *req)
{
	bool first = reg->n++ == 0;

	switch (mode) {
	case PUT_RESET:
		return first ? httpd_reset(req) : -1;
	case PUT_LOST: {
		struct cb_digest kept;

		pthread_mutex_unlock(&reg->lock);
		fake_put_blob(reg, req->body.data, req->body.len, &kept);
		pthread_mutex_lock(&reg->lock);
		return httpd_reset(req);
	}
	case PUT_500:
		return first ? httpd_text(req, 500, NULL, "") : -1;
	case PUT_429:
		return first ? httpd_text(req, 429, "Retry-After: 1\r\n", "") : -1;
	case PUT_500_ALWAYS:
		return httpd_text(req, 500, NULL, "");
	case PUT_413:
		return req->body.len > 2 << 20 ? httpd_text(req, 413, NULL, "") : -1;
	case PUT_413_ALWAYS:
		return httpd_text(req, 413, NULL, "");
	case PUT_DIGEST_INVALID:
		return httpd_text(req, 400, NULL, "{\"errors\":[{\"code\":\"DIGEST_INVALID\"}]}");
	case PUT_OTHER_DIGEST:
		return httpd_text(req, 201,
			"Docker-Content-Digest: sha256:"
			"0000000000000000000000000000000000000000000000000000000000000000\r\n",
			"");
	case PUT_SILENT:
		pthread_mutex_unlock(&reg->lock);
		if (first)
			usleep(2500000);
		pthread_mutex_lock(&reg->lock);
		return first ? httpd_reset(req) : -1;
	default:
		return -1;
	}
}

static int patch_fault(struct fake_registry *reg, struct httpd_request *req)
{
	int n;

	if (mode == PUT_413 || mode == PUT_413_ALWAYS)
		return put_fault(reg, req);
	if (mode < PATCH_RESET_HALF)
		return -1;
	n = reg->n++;
	switch (mode) {
	case PATCH_RESET_HALF:
		if (n != 1)
			return -1;
		keep_bytes(reg, req, req->body.len / 2);
		return httpd_reset(req);
	case PATCH_503:
		return n == 1 ? httpd_text(req, 503, "Retry-After: 0\r\n", "") : -1;
	case PATCH_SHORT: {
		cleanup_free char *range = NULL;

		if (n != 0)
			return -1;
		keep_bytes(reg, req, 1000);
		range = cb_xasprintf("Range: bytes=0-999\r\n");
		return httpd_text(req, 202, range, "");
	}
	case PATCH_LONG:
		return n == 0 ? httpd_text(req, 202, "Range: 0-99999999\r\n", "") : -1;
	case PATCH_LOST:
		if (n != 1)
			return -1;
		keep_bytes(reg, req, req->body.len);
		return httpd_reset(req);
	case PATCH_404:
		return n == 1 ? httpd_text(req, 404, NULL, "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\"}]}") : -1;
	case PATCH_405:
		return httpd_text(req, 405, NULL, "");
	case PATCH_BARE:
		keep_bytes(reg, req, req->body.len);
		return httpd_text(req, 202, NULL, "");
	case SESSIONS_DIE:
		cb_map_del(reg->sessions, strrchr(req->path, '/') + 1);
		return httpd_reset(req);
	default:
		return -1;
	}
}

static int post_fault(struct fake_registry *reg, struct httpd_request *req)
{
	switch (mode) {
	case MOUNT_403:
		return *req->query ? httpd_text(req, 403, NULL, "") : -1;
	case POST_401:
		return httpd_text(req, 401, NULL, "{\"errors\":[{\"message\":\"who are you\"}]}");
	case POST_404:
		return httpd_text(req, 404, NULL, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}");
	case POST_502:
		return reg->n++ ? -1 : httpd_text(req, 502, NULL, "");
	case NO_LOCATION:
		return httpd_text(req, 202, NULL, "");
	case BAD_LOCATION:
		return httpd_text(req, 202, "Location: http://[::\r\n", "");
	case FTP_LOCATION:
		return httpd_text(req, 202, "Location: ftp://127.0.0.1/x\r\n", "");
	default:
		return -1;
	}
}

static int fault(struct fake_registry *reg, struct httpd_request *req)
{
	if (!strstr(req->path, "/blobs/"))
		return -1;
	if (strcmp(req->method, "PUT") == 0)
		return put_fault(reg, req);
	if (strcmp(req->method, "PATCH") == 0)
		return patch_fault(reg, req);
	if (strcmp(req->method, "POST") == 0)
		return post_fault(reg, req);
	if (strcmp(req->method, "HEAD") == 0 && mode == HEAD_403)
		return httpd_text(req, 403, NULL, "");
	if (strcmp(req->method, "HEAD") == 0 && mode == HEAD_OTHER_SIZE && reg->n++ == 0)
		return httpd_text(req, 200, NULL, "short");
	return -1;
}

static const struct {
	const char *name;
	enum mode mode;
	uint64_t chunk;
	const char *mount; /* a repository to mount from */
	bool there;        /* the blob is in the registry */
	int result;
	/*
	 * Initials of the requests for blobs: O is POST, T is PATCH; NULL: not looked at. A request that is reset on a
	 * connection used before is sent once more by libcurl itself.
	 */
	const char *methods;
	const char *message;
} uploads[] = {
	{ "whole", OK, 0, NULL, false, CB_UPLOAD_SENT, "HOP", NULL },
	{ "there already", OK, 0, NULL, true, CB_UPLOAD_THERE, "H", NULL },
	{ "in pieces", OK, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTTTP", NULL },
	{ "a piece larger than it all", OK, 1 << 23, NULL, false, CB_UPLOAD_SENT, "HOP", NULL },
	{ "may not look", HEAD_403, 0, NULL, false, CB_ERR_DENIED, "H", "access denied" },
	{ "there with another size", HEAD_OTHER_SIZE, 0, NULL, false, CB_UPLOAD_SENT, "HOP", NULL },
	{ "mount unknown to the other", OK, 0, "other", false, CB_UPLOAD_SENT, "HOP", NULL },
	{ "mount from itself", OK, 0, "app", false, CB_UPLOAD_SENT, "HOP", NULL },
	{ "mount refused", MOUNT_403, 0, "other", false, CB_UPLOAD_SENT, "HOOP", NULL },
	{ "not allowed", POST_401, 0, NULL, false, CB_ERR_DENIED, "HO", "who are you" },
	{ "no such repository", POST_404, 0, NULL, false, CB_ERR_NOT_FOUND, "HO", "NAME_UNKNOWN" },
	{ "POST fails once", POST_502, 0, NULL, false, CB_UPLOAD_SENT, "HOOP", NULL },
	{ "no address", NO_LOCATION, 0, NULL, false, CB_ERR_CORRUPT, "HO", "did not say where" },
	{ "a bad address", BAD_LOCATION, 0, NULL, false, CB_ERR_CORRUPT, "HO", "address" },
	{ "another protocol", FTP_LOCATION, 0, NULL, false, CB_ERR_CORRUPT, "HO", "address" },
	{ "PUT reset", PUT_RESET, 0, NULL, false, CB_UPLOAD_SENT, "HOPP", NULL },
	{ "PUT taken, its answer lost", PUT_LOST, 0, NULL, false, CB_UPLOAD_SENT, "HOPPH", NULL },
	{ "PUT fails once", PUT_500, 0, NULL, false, CB_UPLOAD_SENT, "HOPHOP", NULL },
	{ "PUT too early", PUT_429, 0, NULL, false, CB_UPLOAD_SENT, "HOPHOP", NULL },
	{ "PUT fails always", PUT_500_ALWAYS, 0, NULL, false, CB_ERR_NETWORK, "HOPHOPHOPHOP", "internal server" },
	{ "the last PUT of pieces fails", PUT_500, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTTTPGP", NULL },
	{ "too large as a whole", PUT_413, 0, NULL, false, CB_UPLOAD_SENT, "HOPDHOTTP", NULL },
	{ "too large whatever it is", PUT_413_ALWAYS, 0, NULL, false, CB_ERR_CORRUPT, NULL, "413" },
	{ "damaged on the way, always", PUT_DIGEST_INVALID, 0, NULL, false, CB_ERR_CORRUPT, "HOPHOPHOP",
		"DIGEST_INVALID" },
	{ "stored as something else", PUT_OTHER_DIGEST, 0, NULL, false, CB_ERR_CORRUPT, "HOP", "stored it as" },
	{ "PUT without an answer", PUT_SILENT, 0, NULL, false, CB_UPLOAD_SENT, "HOPHOP", NULL },
	{ "PATCH reset half-way goes on", PATCH_RESET_HALF, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTTTGTTP", NULL },
	{ "PATCH fails once", PATCH_503, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTTGTTP", NULL },
	{ "PATCH takes a part", PATCH_SHORT, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTTTTP", NULL },
	{ "PATCH takes more than there is", PATCH_LONG, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTHOTTTP", NULL },
	{ "PATCH taken, its answer lost", PATCH_LOST, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTTTGTP", NULL },
	{ "the session is forgotten", PATCH_404, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTTHOTTTP", NULL },
	{ "pieces refused though asked for", PATCH_405, 1 << 20, NULL, false, CB_ERR_CORRUPT, "HOT", "405" },
	{ "PATCH answers nothing", PATCH_BARE, 1 << 20, NULL, false, CB_UPLOAD_SENT, "HOTTTP", NULL },
	{ "sessions die", SESSIONS_DIE, 1 << 20, NULL, false, CB_ERR_NETWORK, NULL, NULL },
};

static int open_file(void *userdata, int *ret_fd, struct cb_err **err)
{
	*ret_fd = open(userdata, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? cb_err_errno(err, errno, "open") : 0;
}

/* The initials of all requests. */
static char *methods_of(const char *log)
{
	cleanup_buf struct cb_buf out = { 0 };

	for (const char *line = log; *line; line = strchr(line, '\n') + 1) {
		if (cb_str_starts(line, "GET /v2/\n"))
			continue; /* which protocol is spoken */
		cb_buf_addc(&out, cb_str_starts(line, "POST") ? 'O' : cb_str_starts(line, "PATCH") ? 'T' : *line);
	}
	return cb_buf_take(&out);
}

static void upload_rows(void **state)
{
	char path[] = "/tmp/cbuild-test-push-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, SIZE), SIZE);
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(uploads); i++) {
		cleanup_err struct cb_err *err = NULL;
		cleanup_free char *log = NULL, *methods = NULL;
		cleanup_strv struct cb_strv mounts = { 0 };
		CB_CLEANUP(cb_registry_free) struct cb_registry *client = NULL;
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		struct cb_upload upload = { .digest = digest, .size = SIZE, .mount_from = &mounts };
		struct fake_item *item;
		int r;

		print_message("# %s\n", uploads[i].name);
		fake_registry_start(&fake);
		mode = uploads[i].mode;
		fake.fault = fault;
		if (uploads[i].there)
			fake_put_blob(&fake, bytes, SIZE, &digest);
		if (uploads[i].mount)
			cb_strv_add(&mounts, uploads[i].mount);
		/* From memory and from a file in turns. */
		if (i % 2) {
			upload.data = bytes;
		} else {
			upload.open = open_file;
			upload.userdata = path;
		}
		client = fake_registry_client(uploads[i].chunk);
		ref = fake_registry_ref(&fake, "app:1");
		r = cb_registry_upload(client, ref, &upload, NULL, &err);
		if (r < 0)
			print_message("  %s\n", cb_err_msg(err));
		assert_int_equal(r, uploads[i].result);
		log = httpd_log(fake.server);
		methods = methods_of(log);
		if (uploads[i].methods)
			assert_string_equal(methods, uploads[i].methods);
		if (uploads[i].message)
			assert_non_null(strstr(cb_err_msg(err), uploads[i].message));
		if (r >= 0) {
			item = fake_blob(&fake, digest.text);
			assert_non_null(item);
			assert_int_equal(item->data.len, SIZE);
			assert_memory_equal(item->data.data, bytes, SIZE);
		}
		fake_registry_stop(&fake);
	}
	unlink(path);
}

/* Mounting, and that a mounted blob is not sent. */
static void mounts(void **state)
{
	CB_CLEANUP(cb_registry_free) struct cb_registry *client = NULL;
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_strv struct cb_strv from = { 0 };
	struct cb_upload upload = { .digest = digest, .size = SIZE, .data = bytes, .mount_from = &from };
	cleanup_free char *log = NULL;
	struct cb_digest put;

	(void)state;
	fake_registry_start(&fake);
	mode = HEAD_OTHER_SIZE;
	fake.fault = fault;
	fake_put_blob(&fake, bytes, SIZE, &put);
	cb_strv_add(&from, "base/os");
	client = fake_registry_client(0);
	ref = fake_registry_ref(&fake, "app:1");
	assert_int_equal(cb_registry_upload(client, ref, &upload, NULL, NULL), CB_UPLOAD_MOUNTED);
	log = httpd_log(fake.server);
	assert_non_null(strstr(log, "&from=base%2Fos\n"));
	assert_null(strstr(log, "PUT"));
	fake_registry_stop(&fake);
}

static void permission(void **state)
{
	static const struct {
		enum mode mode;
		int code;
		const char *methods;
	} rows[] = { { OK, 0, "OD" }, { POST_401, CB_ERR_DENIED, "O" }, { POST_404, CB_ERR_NOT_FOUND, "O" },
		{ NO_LOCATION, CB_ERR_CORRUPT, "O" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CB_CLEANUP(cb_registry_free) struct cb_registry *client = NULL;
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		cleanup_free char *log = NULL, *methods = NULL;

		fake_registry_start(&fake);
		mode = rows[i].mode;
		fake.fault = fault;
		client = fake_registry_client(0);
		ref = fake_registry_ref(&fake, "team/app:1");
		assert_int_equal(cb_registry_may_push(client, ref, NULL, NULL), rows[i].code);
		log = httpd_log(fake.server);
		methods = methods_of(log);
		assert_string_equal(methods, rows[i].methods);
		assert_int_equal(fake.n_sessions, rows[i].code == 0);
		fake_registry_stop(&fake);
	}
}

/* An image pulled from one repository and pushed to another is the same to the byte. */
static void whole_images(void **state)
{
	struct fixture *fx = *state;
	CB_CLEANUP(cb_registry_free) struct cb_registry *client = NULL;
	CB_CLEANUP(cb_puller_free) struct cb_puller *puller = NULL;
	CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
	CB_CLEANUP(cb_ref_free) struct cb_ref *to = NULL;
	cleanup_free char *from = NULL, *key = NULL;
	cleanup_strv struct cb_strv tags = { 0 };
	struct cb_platform platform;
	struct cb_digest want;
	const struct fake_item *item;
	struct cb_push push = { .store = fx->store, .tags = &tags };

	fake_registry_start(&fake);
	fake_put_image(&fake, "src", "1", "linux/amd64", 5, 10000, &want);
	client = fake_registry_client(0);
	puller = cb_puller_new(client, fx->store);
	from = fake_registry_name(&fake, "src:1");
	assert_ok(cb_platform_parse("linux/amd64", &platform, &err));
	assert_ok(cb_pull_resolve(puller, from, &platform, 0, NULL, &image, &err));
	for (size_t i = 0; i < image->n_layers; i++)
		assert_ok(cb_pull_blob(puller, image, i, NULL, NULL, NULL, &err));
	/* As if it were another registry. */
	for (size_t i = 0; i < image->n_layers; i++)
		cb_map_del(fake.blobs, image->layers[i].desc.digest.text);
	to = fake_registry_ref(&fake, "dest/app");
	cb_strv_add(&tags, "one");
	cb_strv_add(&tags, "two");
	push.registry = client;
	push.desc = &image->top;
	push.ref = to;
	assert_ok(cb_push_image(&push, &err));
	item = cb_map_get(fake.manifests, "dest/app:two");
	assert_non_null(item);
	assert_string_equal(item->type, CB_MEDIA_OCI_MANIFEST);
	key = cb_xasprintf("dest/app@%s", want.text);
	assert_non_null(cb_map_get(fake.manifests, key));
	for (size_t i = 0; i < image->n_layers; i++)
		assert_non_null(fake_blob(&fake, image->layers[i].desc.digest.text));
	fake_registry_stop(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upload_rows),
		cmocka_unit_test(mounts),
		cmocka_unit_test(permission),
		cmocka_unit_test_setup_teardown(whole_images, fixture_setup, fixture_teardown),
	};
	int r;

	setenv("HOME", "/nonexistent", 1);
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_CONFIG_HOME");
	bytes = cb_xmalloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)((i * 2654435761U) >> 13);
	cb_digest_of(bytes, SIZE, &digest);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	free(bytes);
	return r;
}
