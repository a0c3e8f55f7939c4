#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/path.h"
#include "layers/mediatype.h"
#include "layers/registry.h"
#include "unit/layers/fakeregistry.h"

static char dir[] = "/tmp/cbuild-test-registry-XXXXXX";
static struct fake_registry fake;
static struct cb_registry *client;
static struct cb_digest manifest;

/* What the hook does with requests for manifests. */
enum {
	OK,
	HEAD_405,
	HEAD_BARE,
	HEAD_OTHER_DIGEST,
	GET_OTHER_BODY,
	GET_HTML,
	GET_EMPTY,
	GET_TYPELESS,
	HUGE_BODY,
	HUGE_LENGTH,
	FLAKY,
	RESET_ONCE,
	DENIED,
	TOO_MANY,
};
static int mode;

static const char huge_length[] =
	"HTTP/1.1 200 OK\r\nContent-Type: " CB_MEDIA_OCI_MANIFEST "\r\nContent-Length: 99999999999\r\n"
	"Docker-Content-Digest: sha256:0000000000000000000000000000000000000000000000000000000000000000\r\n\r\n";

static int manifest_fault(struct fake_registry *reg, struct httpd_request *req)
{
	bool head = strcmp(req->method, "HEAD") == 0;
	struct fake_item *item;

	if (!strstr(req->path, "/manifests/"))
		return -1;
	item = cb_map_get(reg->manifests, "app:1");
	switch (mode) {
	case HEAD_405:
		return head ? httpd_text(req, 405, NULL, "") : -1;
	case HEAD_BARE:
		return head ? httpd_text(req, 200, NULL, "x") : -1;
	case HEAD_OTHER_DIGEST:
		return head ? httpd_text(req, 200,
				      "Content-Type: " CB_MEDIA_OCI_MANIFEST "\r\nDocker-Content-Digest: sha256:"
				      "0000000000000000000000000000000000000000000000000000000000000000\r\n",
				      "12")
			    : -1;
	case GET_OTHER_BODY:
		return head ? -1 : httpd_text(req, 200, "Content-Type: " CB_MEDIA_OCI_MANIFEST "\r\n", "{}");
	case GET_HTML:
		return httpd_text(req, 200, "Content-Type: text/html\r\n", "<html>log in first</html>");
	case GET_EMPTY:
		return httpd_text(req, 200, "Content-Type: " CB_MEDIA_OCI_MANIFEST "\r\n", "");
	case GET_TYPELESS:
		return httpd_reply(req, 200, "Content-Type: application/json\r\n", item->data.data, item->data.len);
	case HUGE_BODY: {
		cleanup_free char *large = cb_xcalloc(1, 9 << 20);

		return httpd_reply(req, 200, "Content-Type: application/json\r\n", large, 9 << 20);
	}
	case HUGE_LENGTH:
		return httpd_raw(req, huge_length, sizeof(huge_length) - 1);
	case FLAKY:
		return reg->n++ % 3 < 2 ? httpd_text(req, 502, NULL, "") : -1;
	case RESET_ONCE:
		return reg->n++ % 2 == 0 ? httpd_reset(req) : -1;
	case DENIED:
		return httpd_text(req, 403, NULL, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not yours\"}]}");
	case TOO_MANY:
		return httpd_text(req, 429, "Retry-After: 100\r\n", "");
	default:
		return -1;
	}
}

static const struct {
	const char *name, *want;
	int mode, code;
} resolves[] = {
	{ "app:1", NULL, OK, 0 },
	{ "app:1", NULL, HEAD_405, 0 },
	{ "app:1", NULL, HEAD_BARE, 0 },
	{ "app:1", NULL, GET_TYPELESS, 0 },
	{ "app:1", NULL, FLAKY, 0 },
	{ "app:1", NULL, RESET_ONCE, 0 },
	{ "app@", NULL, OK, 0 },
	{ "app:none", "app:none: HTTP status 404 (not found)", OK, CB_ERR_NOT_FOUND },
	{ "app@", "the registry offers sha256:0000", HEAD_OTHER_DIGEST, CB_ERR_CORRUPT },
	{ "app:1", "neither an image manifest nor an index", GET_HTML, CB_ERR_CORRUPT },
	{ "app:1", "the manifest is empty", GET_EMPTY, CB_ERR_CORRUPT },
	{ "app:1", "larger than", HUGE_BODY, CB_ERR_LIMIT },
	{ "app:1", "a manifest of 99999999999 bytes", HUGE_LENGTH, CB_ERR_LIMIT },
	{ "app:1", "app:1: HTTP status 403 (access denied)", DENIED, CB_ERR_DENIED },
	{ "app:1", "app:1: HTTP status 429 (too many requests)", TOO_MANY, CB_ERR_NETWORK },
};

static void resolve(void **state)
{
	(void)state;
	fake.fault = manifest_fault;
	for (size_t i = 0; i < ARRAY_SIZE(resolves); i++) {
		cleanup_free char *name =
			cb_xasprintf("%s%s", resolves[i].name, cb_str_ends(resolves[i].name, "@") ? manifest.text : "");
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = fake_registry_ref(&fake, name);
		cleanup_descriptor struct cb_descriptor desc = { 0 };
		cleanup_err struct cb_err *err = NULL;
		int r;

		mode = resolves[i].mode;
		fake.n = 0;
		r = cb_registry_resolve(client, ref, NULL, &desc, &err);
		print_message("# %s, %d: %s\n", resolves[i].name, mode, cb_err_msg(err));
		assert_int_equal(r, resolves[i].code);
		if (r < 0) {
			assert_non_null(strstr(cb_err_msg(err), resolves[i].want));
			continue;
		}
		assert_string_equal(desc.digest.text, manifest.text);
		assert_string_equal(desc.media_type, CB_MEDIA_OCI_MANIFEST);
		assert_true(desc.size > 100);
	}
	fake.fault = NULL;
}

static void fetch_manifest(void **state)
{
	static const int modes[] = { OK, FLAKY, GET_OTHER_BODY, GET_EMPTY };
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = fake_registry_ref(&fake, "app:1");
	cleanup_descriptor struct cb_descriptor desc = { 0 };

	(void)state;
	cb_descriptor_init(&desc, CB_MEDIA_OCI_MANIFEST, &manifest, 0);
	fake.fault = manifest_fault;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		cleanup_buf struct cb_buf body = { 0 };
		struct cb_digest got;
		int r;

		mode = modes[i];
		fake.n = 0;
		r = cb_registry_manifest(client, ref, &desc, NULL, &body, NULL);
		assert_int_equal(r, i < 2 ? 0 : CB_ERR_CORRUPT);
		if (r < 0)
			continue;
		cb_digest_of(body.data, body.len, &got);
		assert_true(cb_digest_equal(&got, &manifest));
	}
	fake.fault = NULL;
}

/* Blobs: the hook sees the whole content and how often it was asked. */
enum { WHOLE, CUT, CUT_RESET, LONGER, SHORTER, SWAPPED, BUSY, GONE, LOOP, MID_401 };

static int blob_fault(struct fake_registry *reg, struct httpd_request *req)
{
	const char *digest = strstr(req->path, "/blobs/");
	struct fake_item *item = digest ? fake_blob(reg, digest + 7) : NULL;
	char auth[64] = "";

	if (!item)
		return -1;
	switch (mode) {
	case CUT:
		return httpd_ranged(req, NULL, item->data.data, item->data.len, reg->n++ < 3 ? 70000 : SIZE_MAX);
	case CUT_RESET:
		return httpd_ranged(req, NULL, item->data.data, item->data.len, reg->n++ < 2 ? 1000 : SIZE_MAX) ||
		       httpd_reset(req);
	case LONGER:
		cb_buf_addc(&item->data, 'x');
		httpd_ranged(req, NULL, item->data.data, item->data.len, SIZE_MAX);
		item->data.len--;
		return 0;
	case SHORTER:
		return httpd_ranged(req, NULL, item->data.data, item->data.len - 1, SIZE_MAX);
	case SWAPPED: {
		cleanup_free char *copy = cb_xmemdup(item->data.data, item->data.len);

		copy[item->data.len / 2] ^= 1;
		return httpd_ranged(req, NULL, copy, item->data.len, SIZE_MAX);
	}
	case BUSY:
		return reg->n++ < 2 ? httpd_text(req, 503, NULL, "") : -1;
	case GONE:
		return httpd_text(req, 404, NULL, "");
	case LOOP: {
		cleanup_free char *header = cb_xasprintf("Location: %s\r\n", req->path);

		return httpd_text(req, 307, header, "");
	}
	case MID_401:
		/* The first token runs out after the first piece. */
		httpd_header(req, "Authorization", auth, sizeof(auth));
		if ((reg->n == 0 && strcmp(auth, "Bearer 1") == 0) || strcmp(auth, "Bearer 2") == 0)
			return httpd_ranged(req, NULL, item->data.data, item->data.len, reg->n++ ? SIZE_MAX : 100000);
		{
			cleanup_free char *header =
				cb_xasprintf("WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%d/token\"\r\n",
					httpd_port(reg->server));

			return httpd_text(req, 401, header, "");
		}
	default:
		return -1;
	}
}

static int tokens;

static int blob_or_token(struct fake_registry *reg, struct httpd_request *req)
{
	char text[64];

	if (strcmp(req->path, "/token") != 0)
		return blob_fault(reg, req);
	snprintf(text, sizeof(text), "{\"token\":\"%d\"}", ++tokens);
	return httpd_text(req, 200, NULL, text);
}

static int append(void *userdata, const void *data, size_t len, struct cb_err **err CB_UNUSED)
{
	cb_buf_add(userdata, data, len);
	return 0;
}

static const struct {
	const char *want;
	int mode, code;
} blobs[] = {
	{ NULL, WHOLE, 0 },
	{ NULL, CUT, 0 },
	{ NULL, CUT_RESET, 0 },
	{ NULL, BUSY, 0 },
	{ NULL, MID_401, 0 },
	{ "larger than 400000 bytes", LONGER, CB_ERR_LIMIT },
	{ "ended after 399999 of 400000", SHORTER, CB_ERR_NETWORK },
	{ "has digest sha256:", SWAPPED, CB_ERR_CORRUPT },
	{ "HTTP status 404", GONE, CB_ERR_NOT_FOUND },
	{ "redirects", LOOP, CB_ERR_LIMIT },
};

static void fetch_blobs(void **state)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = fake_registry_ref(&fake, "app:1");
	cleanup_free char *data = cb_xmalloc(400000);
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	struct cb_digest digest;

	(void)state;
	for (int i = 0; i < 400000; i++)
		data[i] = (char)(i * 31 + i / 255);
	fake_put_blob(&fake, data, 400000, &digest);
	cb_descriptor_init(&desc, CB_MEDIA_OCI_LAYER, &digest, 400000);
	fake.fault = blob_or_token;
	for (size_t i = 0; i < ARRAY_SIZE(blobs); i++) {
		cleanup_buf struct cb_buf got = { 0 };
		cleanup_err struct cb_err *err = NULL;
		int r;

		mode = blobs[i].mode;
		fake.n = 0;
		r = cb_registry_blob(client, ref, &desc, append, &got, NULL, &err);
		print_message("# %d: %s\n", mode, cb_err_msg(err));
		assert_int_equal(r, blobs[i].code);
		if (r < 0) {
			assert_non_null(strstr(cb_err_msg(err), blobs[i].want));
			continue;
		}
		assert_int_equal(got.len, 400000);
		assert_memory_equal(got.data, data, got.len);
	}
	fake.fault = NULL;
	assert_int_equal(tokens, 2);
}

static void empty_and_large_blobs(void **state)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = fake_registry_ref(&fake, "app:1");
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	cleanup_buf struct cb_buf body = { 0 };
	cleanup_err struct cb_err *err = NULL;
	struct cb_digest digest;

	(void)state;
	fake_put_blob(&fake, "", 0, &digest);
	cb_descriptor_init(&desc, CB_MEDIA_OCI_LAYER, &digest, 0);
	assert_int_equal(cb_registry_blob_read(client, ref, &desc, 10, NULL, &body, NULL), 0);
	assert_int_equal(body.len, 0);
	desc.size = 11;
	assert_int_equal(cb_registry_blob_read(client, ref, &desc, 10, NULL, &body, &err), CB_ERR_LIMIT);
}

/* A mirror that is broken half-way hands over to the registry, which goes on where it stopped. */
static void mirrors(void **state)
{
	struct fake_registry mirror;
	CB_CLEANUP(cb_registry_free) struct cb_registry *own = NULL;
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *path = cb_xasprintf("%s/mirrors.conf", dir), *log = NULL, *conf = NULL;
	cleanup_descriptor struct cb_descriptor desc = { 0 }, top = { 0 };
	cleanup_buf struct cb_buf got = { 0 };
	struct cb_digest digest, ignored;
	cleanup_free char *data = cb_xcalloc(1, 200000);

	(void)state;
	fake_registry_start(&mirror);
	fake_put_blob(&mirror, data, 200000, &digest);
	fake_put_blob(&fake, data, 200000, &ignored);
	conf = cb_xasprintf("[[registry]]\nprefix=\"upstream.test\"\nlocation=\"127.0.0.1:%d\"\n"
			    "[[registry.mirror]]\nlocation=\"127.0.0.1:%d/cached\"\n"
			    "[[registry]]\nprefix=\"blocked.test\"\nblocked=true\n",
		httpd_port(fake.server), httpd_port(mirror.server));
	assert_int_equal(cb_atomic_write(AT_FDCWD, path, conf, strlen(conf), 0644, NULL), 0);
	setenv("CONTAINERS_REGISTRIES_CONF", path, 1);
	own = fake_registry_client(0);
	setenv("CONTAINERS_REGISTRIES_CONF", "/dev/null", 1);

	assert_int_equal(cb_ref_parse("upstream.test/app:1", &ref, NULL), 0);
	assert_int_equal(cb_registry_resolve(own, ref, NULL, &top, NULL), 0);
	assert_string_equal(top.digest.text, manifest.text);
	log = httpd_log(mirror.server);
	assert_non_null(strstr(log, "HEAD /v2/cached/app/manifests/1\n"));

	cb_descriptor_init(&desc, CB_MEDIA_OCI_LAYER, &digest, 200000);
	mode = CUT;
	mirror.n = -100; /* each attempt breaks off */
	mirror.fault = blob_fault;
	assert_int_equal(cb_registry_blob(own, ref, &desc, append, &got, NULL, NULL), 0);
	assert_int_equal(got.len, 200000);

	ref = cb_ref_free(ref);
	assert_int_equal(cb_ref_parse("blocked.test/app:1", &ref, NULL), 0);
	assert_int_equal(cb_registry_resolve(own, ref, NULL, &top, NULL), CB_ERR_DENIED);
	fake_registry_stop(&mirror);
}

static void ping(void **state)
{
	cleanup_free char *host = cb_xasprintf("127.0.0.1:%d", httpd_port(fake.server));
	CB_CLEANUP(cb_registry_free) struct cb_registry *fresh = fake_registry_client(0);
	struct httpd *gone = httpd_start(NULL, NULL);
	cleanup_free char *nobody = cb_xasprintf("127.0.0.1:%d", httpd_port(gone));
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	httpd_stop(gone);
	cb_registry_ping(fresh, host, NULL, &err);
	assert_string_equal(cb_err_msg(err), "");
	assert_int_equal(cb_registry_ping(fresh, nobody, NULL, &err), CB_ERR_NETWORK);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	setenv("HOME", dir, 1);
	setenv("CONTAINERS_REGISTRIES_CONF", "/dev/null", 1);
	unsetenv("REGISTRY_AUTH_FILE");
	unsetenv("DOCKER_AUTH_CONFIG");
	unsetenv("DOCKER_CONFIG");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_CONFIG_HOME");
	fake_registry_start(&fake);
	fake_put_image(&fake, "app", "1", "linux/amd64", 3, 1000, &manifest);
	client = fake_registry_client(0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cb_registry_free(client);
	fake_registry_stop(&fake);
	return cb_path_remove_tree(AT_FDCWD, dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolve),
		cmocka_unit_test(fetch_manifest),
		cmocka_unit_test(fetch_blobs),
		cmocka_unit_test(empty_and_large_blobs),
		cmocka_unit_test(mirrors),
		cmocka_unit_test(ping),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
