/* Image references, platforms, digests, media types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "layers/mediatype.h"
#include "layers/platform.h"
#include "layers/ref.h"

#define HEX64 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A128 A32 A32 A32 A32

static const struct {
	const char *in, *full, *familiar; /* full NULL: familiar is a part of the error */
} refs[] = {
	{ "busybox", "docker.io/library/busybox:latest", "busybox" },
	{ "busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36" },
	{ "library/busybox", "docker.io/library/busybox:latest", "busybox" },
	{ "docker.io/busybox", "docker.io/library/busybox:latest", "busybox" },
	{ "index.docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x" },
	{ "user/app", "docker.io/user/app:latest", "user/app" },
	{ "docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b" },
	{ "docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c" },
	{ "docker.io/" HEX64, "docker.io/library/" HEX64 ":latest", "docker.io/" HEX64 },
	{ "localhost/app", "localhost/app:latest", "localhost/app" },
	{ "localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1" },
	{ "LOCAL/app", "LOCAL/app:latest", "LOCAL/app" },
	{ "[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app" },
	{ "ghcr.io/a/b_c/d__e-f--g.h:T_1.2-3", "ghcr.io/a/b_c/d__e-f--g.h:T_1.2-3",
		"ghcr.io/a/b_c/d__e-f--g.h:T_1.2-3" },
	{ "busybox@sha256:" HEX64, "docker.io/library/busybox@sha256:" HEX64, "busybox@sha256:" HEX64 },
	{ "busybox:1@sha256:" HEX64, "docker.io/library/busybox:1@sha256:" HEX64, "busybox:1@sha256:" HEX64 },
	{ "a:" A128, "docker.io/library/a:" A128, "a:" A128 },
	{ "", NULL, "image reference is empty" },
	{ "Busybox", NULL, "must be in lower case" },
	{ "localhost:5000/App", NULL, "must be in lower case" },
	{ "a/", NULL, "repository is malformed" },
	{ "/a", NULL, "is malformed" },
	{ "a//b", NULL, "repository is malformed" },
	{ "a_", NULL, "repository is malformed" },
	{ "a___b", NULL, "repository is malformed" },
	{ "a..b", NULL, "repository is malformed" },
	{ "-a", NULL, "repository is malformed" },
	{ "a b", NULL, "repository is malformed" },
	{ "a:", NULL, "tag is empty" },
	{ "a:.x", NULL, "tag is malformed" },
	{ "a:-x", NULL, "tag is malformed" },
	{ "a:" A128 "a", NULL, "tag is malformed" },
	{ "a:x y", NULL, "tag is malformed" },
	{ "a@", NULL, "digest must be" },
	{ "a@sha256:12", NULL, "digest must be" },
	{ "a@sha256:" HEX64 "0", NULL, "digest must be" },
	{ "a@sha512:" HEX64, NULL, "digest must be" },
	{ HEX64, NULL, "64 hex digits" },
	{ "my.host:port/a", NULL, "registry is malformed" },
	{ "my..host/a", NULL, "registry is malformed" },
	{ "-h.x/a", NULL, "registry is malformed" },
	{ "[::1/a", NULL, "is malformed" },
	{ "x.y:/a", NULL, "registry is malformed" },
	{ A128 "/" A128, NULL, "longer than 255" },
	{ "a\n", NULL, "malformed" },
	{ "https://docker.io/a", NULL, "malformed" },
};

static void references(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		CB_CLEANUP(cb_ref_free) struct cb_ref *again = NULL;
		cleanup_err struct cb_err *err = NULL;
		cleanup_free char *full = NULL;
		cleanup_free char *familiar = NULL;
		int r = cb_ref_parse(refs[i].in, &ref, &err);

		print_message("# %s\n", refs[i].in);
		if (!refs[i].full) {
			assert_int_equal(r, CB_ERR_INPUT);
			assert_null(ref);
			if (!strstr(cb_err_msg(err), refs[i].familiar))
				fail_msg("\"%s\" lacks \"%s\"", cb_err_msg(err), refs[i].familiar);
			continue;
		}
		assert_int_equal(r, 0);
		full = cb_ref_format(ref);
		familiar = cb_ref_familiar(ref, true);
		assert_string_equal(full, refs[i].full);
		assert_string_equal(familiar, refs[i].familiar);
		assert_int_equal(cb_ref_parse(familiar, &again, NULL), 0);
		assert_true(cb_ref_equal(ref, again));
	}
}

static void very_long_reference(void **state)
{
	cleanup_free char *text = cb_xcalloc(1, CB_REF_MAX + 2);
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;

	(void)state;
	memset(text, 'a', CB_REF_MAX + 1);
	assert_int_equal(cb_ref_parse(text, &ref, NULL), CB_ERR_INPUT);
}

static const struct {
	const char *in, *want; /* NULL: an error */
} platforms[] = {
	{ "linux/amd64", "linux/amd64" },
	{ "Linux/X86_64", "linux/amd64" },
	{ "linux/amd64/v1", "linux/amd64" },
	{ "linux/amd64/v3", "linux/amd64/v3" },
	{ "linux/arm64/v8", "linux/arm64" },
	{ "linux/aarch64", "linux/arm64" },
	{ "linux/arm64/v9", "linux/arm64/v9" },
	{ "linux/arm", "linux/arm/v7" },
	{ "linux/arm/6", "linux/arm/v6" },
	{ "linux/armhf", "linux/arm/v7" },
	{ "linux/armel", "linux/arm/v6" },
	{ "linux/i386", "linux/386" },
	{ "linux/riscv64", "linux/riscv64" },
	{ "arm64", "linux/arm64" },
	{ "s390x", "linux/s390x" },
	{ "macos/arm64", "darwin/arm64" },
	{ "windows(10.0.17763.1)/amd64", "windows/amd64" },
	{ "", NULL },
	{ "linux/", NULL },
	{ "/amd64", NULL },
	{ "linux//v7", NULL },
	{ "linux/arm/v7/x", NULL },
	{ "bogus", NULL },
	{ "linux amd64", NULL },
	{ "lin$ux/amd64", NULL },
	{ "windows(/amd64", NULL },
	{ "linux/" A32, NULL },
};

static void platform_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++) {
		struct cb_platform p = { 0 };
		char text[CB_PLATFORM_TEXT_MAX];
		int r = cb_platform_parse(platforms[i].in, &p, NULL);

		print_message("# %s\n", platforms[i].in);
		assert_int_equal(r, platforms[i].want ? 0 : CB_ERR_INPUT);
		if (!platforms[i].want)
			continue;
		cb_platform_format(&p, text);
		assert_string_equal(text, platforms[i].want);
	}
}

static void platform_of_host(void **state)
{
	struct cb_platform host, p;
	char text[CB_PLATFORM_TEXT_MAX];

	(void)state;
	cb_platform_host(&host);
	cb_platform_format(&host, text);
	assert_int_equal(cb_platform_parse(text, &p, NULL), 0);
	assert_true(cb_platform_equal(&host, &p));
	assert_int_equal(cb_platform_parse("linux", &p, NULL), 0);
	assert_true(cb_platform_equal(&host, &p));
}

static const struct {
	const char *want, *better, *worse; /* worse NULL: better does not match at all */
} matches[] = {
	{ "linux/amd64/v3", "linux/amd64/v3", "linux/amd64/v2" },
	{ "linux/amd64/v3", "linux/amd64/v2", "linux/amd64" },
	{ "linux/arm/v7", "linux/arm/v7", "linux/arm/v6" },
	{ "linux/arm/v7", "linux/arm/v6", "linux/arm/v5" },
	{ "linux/arm64/v9", "linux/arm64/v9", "linux/arm64" },
	{ "linux/amd64", "linux/amd64/v2", NULL },
	{ "linux/arm/v6", "linux/arm/v7", NULL },
	{ "linux/amd64", "linux/386", NULL },
	{ "linux/arm64", "linux/arm/v7", NULL },
	{ "linux/amd64", "windows/amd64", NULL },
	{ "linux/riscv64", "linux/riscv64/rva22", NULL },
};

static void platform_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(matches); i++) {
		struct cb_platform want, a, b;

		print_message("# %s %s\n", matches[i].want, matches[i].better);
		assert_int_equal(cb_platform_parse(matches[i].want, &want, NULL), 0);
		assert_int_equal(cb_platform_parse(matches[i].better, &a, NULL), 0);
		if (!matches[i].worse) {
			assert_int_equal(cb_platform_match(&want, &a), 0);
			continue;
		}
		assert_int_equal(cb_platform_parse(matches[i].worse, &b, NULL), 0);
		assert_true(cb_platform_match(&want, &b) > 0);
		assert_true(cb_platform_match(&want, &a) > cb_platform_match(&want, &b));
	}
}

static void digests(void **state)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	struct cb_digest a, b, c = { .text = "x" };
	uint8_t bytes[CB_DIGEST_SIZE];

	(void)state;
	cb_digest_of("hello", 5, &a);
	assert_string_equal(a.text, "sha256:" HEX64);
	assert_string_equal(cb_digest_hex(&a), HEX64);
	cb_hasher_add(hasher, "he", 2);
	cb_hasher_peek(hasher, &c);
	cb_hasher_add(hasher, "llo", 3);
	cb_hasher_finish(hasher, &b);
	assert_true(cb_digest_equal(&a, &b));
	assert_false(cb_digest_equal(&a, &c));
	cb_hasher_finish(hasher, &b);
	cb_digest_of("", 0, &c);
	assert_true(cb_digest_equal(&b, &c));

	cb_digest_to_bytes(&a, bytes);
	cb_digest_from_bytes(bytes, &b);
	assert_true(cb_digest_equal(&a, &b));

	/* Neighbours cannot run together. */
	cb_hasher_adds(hasher, "ab");
	cb_hasher_adds(hasher, "c");
	cb_hasher_finish(hasher, &b);
	cb_hasher_adds(hasher, "a");
	cb_hasher_adds(hasher, "bc");
	cb_hasher_finish(hasher, &c);
	assert_false(cb_digest_equal(&b, &c));

	assert_true(cb_digest_parse("sha256:" HEX64, &b));
	assert_false(cb_digest_parse("sha256:" A32 A32 "a", &b));
	assert_false(cb_digest_parse("sha256:" A32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &b));
	assert_false(cb_digest_parse("sha256:" A32, &b));
	assert_false(cb_digest_parse(HEX64, &b));
	assert_false(cb_digest_parse("sha256:../" A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &b));
	assert_string_equal(b.text, "sha256:" HEX64);
}

static void media_types(void **state)
{
	(void)state;
	assert_int_equal(cb_media_kind(CB_MEDIA_OCI_INDEX), CB_MEDIA_KIND_INDEX);
	assert_int_equal(cb_media_kind(CB_MEDIA_DOCKER_MANIFEST "; charset=utf-8"), CB_MEDIA_KIND_MANIFEST);
	assert_int_equal(cb_media_kind("application/json"), CB_MEDIA_KIND_UNKNOWN);
	assert_int_equal(cb_media_kind(NULL), CB_MEDIA_KIND_UNKNOWN);
	assert_true(cb_media_is_docker(CB_MEDIA_DOCKER_LAYER_GZIP));
	assert_false(cb_media_is_docker(CB_MEDIA_OCI_LAYER_GZIP));
	assert_true(cb_media_is_foreign("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
	assert_int_equal(cb_media_layer_codec(CB_MEDIA_DOCKER_LAYER_ZSTD), CB_CODEC_ZSTD);
	assert_string_equal(cb_media_layer_type(CB_CODEC_GZIP, true), CB_MEDIA_DOCKER_LAYER_GZIP);
	assert_string_equal(cb_media_layer_type(CB_CODEC_NONE, false), CB_MEDIA_OCI_LAYER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references),
		cmocka_unit_test(very_long_reference),
		cmocka_unit_test(platform_forms),
		cmocka_unit_test(platform_of_host),
		cmocka_unit_test(platform_matches),
		cmocka_unit_test(digests),
		cmocka_unit_test(media_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
