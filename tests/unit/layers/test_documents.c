/* Image config, manifest and index: exact bytes out, hostile bytes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "layers/config.h"
#include "layers/index.h"
#include "layers/manifest.h"

#define HEX64 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define DIGEST "sha256:" HEX64
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]}"
#define NO_ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null}"

/* What goes in and what comes out. */
static const struct {
	const char *name, *in, *want;
} round_trips[] = {
	{ "as BuildKit writes it",
		"{\"architecture\":\"amd64\",\"config\":{\"User\":\"u:g\",\"ExposedPorts\":{\"80/tcp\":{},\"9/udp\":{}},"
		"\"Env\":[\"PATH=/bin\",\"A=b\"],\"Entrypoint\":[\"/e\"],\"Cmd\":[\"x\"],\"Volumes\":{\"/v\":{}},"
		"\"WorkingDir\":\"/w\",\"Labels\":{\"a\":\"1\",\"b\":\"\"},\"StopSignal\":\"SIGINT\",\"ArgsEscaped\":true,"
		"\"Healthcheck\":{\"Test\":[\"CMD\",\"t\"],\"Interval\":1000000000,\"Timeout\":2,\"StartPeriod\":3,"
		"\"StartInterval\":4,\"Retries\":5},\"OnBuild\":[\"RUN x\"],\"Shell\":[\"/bin/sh\",\"-c\"]},"
		"\"created\":\"2024-01-02T03:04:05.6Z\",\"history\":[{\"created\":\"2024-01-02T03:04:05Z\","
		"\"created_by\":\"RUN x # buildkit\",\"comment\":\"buildkit.dockerfile.v0\"},{\"created_by\":\"ENV\","
		"\"author\":\"me\",\"empty_layer\":true}],\"os\":\"linux\"," ROOTFS ",\"variant\":\"v2\"}",
		NULL },
	{ "unknown top-level keys stay, sorted among the others",
		"{\"zzz\":{\"b\":1,\"a\":[true,null]},\"os\":\"linux\",\"moby.x\":\"y\",\"architecture\":\"arm64\","
		"\"config\":{}," ROOTFS ",\"history\":null}",
		"{\"architecture\":\"arm64\",\"config\":{},\"history\":null,\"moby.x\":\"y\",\"os\":\"linux\"," ROOTFS
		",\"zzz\":{\"b\":1,\"a\":[true,null]}}" },
	{ "what only the classic builder wrote goes",
		"{\"architecture\":\"amd64\",\"container\":\"abc\",\"container_config\":{\"Cmd\":[\"x\"]},"
		"\"docker_version\":\"20\",\"id\":\"x\",\"parent\":\"y\",\"config\":{\"Hostname\":\"h\",\"Tty\":false,"
		"\"Image\":\"sha256:1\",\"Cmd\":null,\"Env\":[]},\"os\":\"linux\"," ROOTFS "}",
		"{\"architecture\":\"amd64\",\"config\":{},\"history\":null,\"os\":\"linux\"," ROOTFS "}" },
	{ "sets and labels are sorted",
		"{\"config\":{\"ExposedPorts\":{\"9/tcp\":{},\"80/tcp\":{},\"80/tcp\":{}},\"Labels\":{\"b\":\"2\",\"A\":\"1\"},"
		"\"Volumes\":{\"/b\":{},\"/a\":{}}}," NO_ROOTFS "}",
		"{\"architecture\":\"\",\"config\":{\"ExposedPorts\":{\"80/tcp\":{},\"9/tcp\":{}},\"Volumes\":{\"/a\":{},\"/b\":{}},"
		"\"Labels\":{\"A\":\"1\",\"b\":\"2\"}},\"history\":null,\"os\":\"\"," NO_ROOTFS "}" },
	{ "Go's escapes",
		"{\"config\":{\"Cmd\":[\"a<b>&\\u0001\\u001b\\n\\t\\\"\\\\u001B\\u2028\xc3\xa9\xf0\x9f\x98\x80\"]}," NO_ROOTFS
		"}",
		"{\"architecture\":\"\",\"config\":{\"Cmd\":[\"a\\u003cb\\u003e\\u0026\\u0001\\u001b\\n\\t\\\"\\\\u001B\\u2028"
		"\xc3\xa9\xf0\x9f\x98\x80\"]},\"history\":null,\"os\":\"\"," NO_ROOTFS "}" },
	{ "times in Go's form",
		"{\"created\":\"2024-01-02T03:04:05.600000Z\",\"history\":[{\"created\":\"2024-01-02T03:04:05.000Z\"}]," NO_ROOTFS
		"}",
		"{\"architecture\":\"\",\"config\":{},\"created\":\"2024-01-02T03:04:05.6Z\","
		"\"history\":[{\"created\":\"2024-01-02T03:04:05Z\"}],\"os\":\"\"," NO_ROOTFS "}" },
	{ "windows", "{\"os\":\"windows\",\"os.version\":\"10.0\",\"os.features\":[\"win32k\"]," NO_ROOTFS "}",
		"{\"architecture\":\"\",\"config\":{},\"history\":null,\"os\":\"windows\",\"os.features\":[\"win32k\"],"
		"\"os.version\":\"10.0\"," NO_ROOTFS "}" },
};

static void config_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(round_trips); i++) {
		CB_CLEANUP(cb_image_config_free) struct cb_image_config *config = NULL;
		CB_CLEANUP(cb_image_config_free) struct cb_image_config *copy = NULL;
		cleanup_err struct cb_err *err = NULL;
		cleanup_free char *out = NULL;
		cleanup_free char *again = NULL;
		size_t len = 0;

		print_message("# %s\n", round_trips[i].name);
		if (cb_image_config_parse(round_trips[i].in, strlen(round_trips[i].in), &config, &err) < 0)
			fail_msg("%s", cb_err_msg(err));
		out = cb_image_config_write(config, &len);
		assert_string_equal(out, round_trips[i].want ? round_trips[i].want : round_trips[i].in);
		assert_int_equal(len, strlen(out));
		copy = cb_image_config_copy(config);
		again = cb_image_config_write(copy, NULL);
		assert_string_equal(again, out);
	}
}

static const struct {
	const char *in, *message;
	int code;
} bad_configs[] = {
	{ "", "image config", CB_ERR_CORRUPT },
	{ "[]", "is not a JSON object", CB_ERR_CORRUPT },
	{ "{}", "has no rootfs", CB_ERR_CORRUPT },
	{ "{" ROOTFS, "image config", CB_ERR_CORRUPT },
	{ "{\"rootfs\":[]}", "rootfs", CB_ERR_CORRUPT },
	{ "{\"rootfs\":{\"diff_ids\":[1]}}", "diff ID 0", CB_ERR_CORRUPT },
	{ "{\"rootfs\":{\"diff_ids\":[\"sha256:12\"]}}", "diff ID 0", CB_ERR_CORRUPT },
	{ "{\"os\":1," ROOTFS "}", "os", CB_ERR_CORRUPT },
	{ "{\"os\":\"" HEX64 "\"," ROOTFS "}", "longer than", CB_ERR_LIMIT },
	{ "{\"created\":\"yesterday\"," ROOTFS "}", "not a time", CB_ERR_CORRUPT },
	{ "{\"config\":{\"Env\":\"A=b\"}," ROOTFS "}", "Env", CB_ERR_CORRUPT },
	{ "{\"config\":{\"Env\":[1]}," ROOTFS "}", "Env", CB_ERR_CORRUPT },
	{ "{\"config\":{\"Labels\":{\"a\":1}}," ROOTFS "}", "\"a\" of \"Labels\"", CB_ERR_CORRUPT },
	{ "{\"config\":{\"Healthcheck\":{\"Interval\":\"1s\"}}," ROOTFS "}", "healthcheck", CB_ERR_CORRUPT },
	{ "{\"history\":[1]," ROOTFS "}", "history entry 0", CB_ERR_CORRUPT },
	{ "{\"history\":[{\"empty_layer\":\"x\"}]," ROOTFS "}", "history entry 0", CB_ERR_CORRUPT },
};

static void config_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_configs); i++) {
		struct cb_image_config *config = NULL;
		cleanup_err struct cb_err *err = NULL;
		int r = cb_image_config_parse(bad_configs[i].in, strlen(bad_configs[i].in), &config, &err);

		print_message("# %s\n", bad_configs[i].in);
		assert_int_equal(r, bad_configs[i].code);
		assert_null(config);
		if (!strstr(cb_err_msg(err), bad_configs[i].message))
			fail_msg("\"%s\" lacks \"%s\"", cb_err_msg(err), bad_configs[i].message);
	}
}

static void config_limits(void **state)
{
	cleanup_buf struct cb_buf buf = { 0 };
	struct cb_image_config *config = NULL;

	(void)state;
	cb_buf_adds(&buf, "{\"rootfs\":{\"diff_ids\":[");
	for (size_t i = 0; i <= CB_CONFIG_LAYERS_MAX; i++)
		cb_buf_addf(&buf, "%s\"" DIGEST "\"", i ? "," : "");
	cb_buf_adds(&buf, "]}}");
	assert_int_equal(cb_image_config_parse(buf.data, buf.len, &config, NULL), CB_ERR_LIMIT);

	cb_buf_clear(&buf);
	cb_buf_adds(&buf, "{" ROOTFS ",\"history\":[");
	for (size_t i = 0; i <= CB_CONFIG_HISTORY_MAX; i++)
		cb_buf_adds(&buf, i ? ",{}" : "{}");
	cb_buf_adds(&buf, "]}");
	assert_int_equal(cb_image_config_parse(buf.data, buf.len, &config, NULL), CB_ERR_LIMIT);

	cb_buf_clear(&buf);
	while (buf.len <= CB_CONFIG_BYTES_MAX)
		cb_buf_adds(&buf, "                                                                ");
	assert_int_equal(cb_image_config_parse(buf.data, buf.len, &config, NULL), CB_ERR_LIMIT);
}

/* A Buildfile may hold bytes that are not UTF-8: Go writes U+FFFD for each. */
static void config_of_odd_bytes(void **state)
{
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *config = cb_image_config_new(NULL);
	cleanup_free char *out = NULL;

	(void)state;
	cb_image_config_set_label(config, "k\xff", "caf\xe9");
	cb_image_config_set_label(config, "", "\xc3\xa9");
	cb_image_config_set(&config->user, "u");
	cb_image_config_set(&config->user, "");
	assert_null(config->user);
	assert_string_equal(cb_image_config_label(config, ""), "\xc3\xa9");
	out = cb_image_config_write(config, NULL);
	assert_string_equal(out,
		"{\"architecture\":\"\",\"config\":{\"Labels\":{\"\":\"\xc3\xa9\",\"k\xef\xbf\xbd\":\"caf\xef\xbf\xbd\"}},"
		"\"history\":null,\"os\":\"\"," NO_ROOTFS "}");
}

static const char manifest_text[] = "{\n"
				    "  \"schemaVersion\": 2,\n"
				    "  \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n"
				    "  \"config\": {\n"
				    "    \"mediaType\": \"application/vnd.oci.image.config.v1+json\",\n"
				    "    \"digest\": \"" DIGEST "\",\n"
				    "    \"size\": 7\n"
				    "  },\n"
				    "  \"layers\": [\n"
				    "    {\n"
				    "      \"mediaType\": \"application/vnd.oci.image.layer.v1.tar+gzip\",\n"
				    "      \"digest\": \"" DIGEST "\",\n"
				    "      \"size\": 9007199254740993,\n"
				    "      \"annotations\": {\n"
				    "        \"a\": \"x: {[,\\\"\\u003c\",\n"
				    "        \"b\": \"\"\n"
				    "      }\n"
				    "    }\n"
				    "  ],\n"
				    "  \"annotations\": {\n"
				    "    \"k\": \"v\"\n"
				    "  }\n"
				    "}";

static void manifest_round_trip(void **state)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *out = NULL;
	size_t len = 0;

	(void)state;
	if (cb_manifest_parse(manifest_text, strlen(manifest_text), &manifest, &err) < 0)
		fail_msg("%s", cb_err_msg(err));
	assert_false(manifest->docker);
	assert_int_equal(manifest->n_layers, 1);
	assert_int_equal(manifest->layers[0].size, 9007199254740993);
	assert_string_equal(cb_descriptor_annotation(&manifest->layers[0], "a"), "x: {[,\"<");
	out = cb_manifest_write(manifest, &len);
	assert_string_equal(out, manifest_text);
	assert_int_equal(len, strlen(manifest_text));
}

#define DESC "{\"mediaType\":\"x\",\"digest\":\"" DIGEST "\",\"size\":1}"
static const struct {
	const char *in, *message;
	int code;
} bad_manifests[] = {
	{ "", "manifest", CB_ERR_CORRUPT },
	{ "[]", "not a JSON object", CB_ERR_CORRUPT },
	{ "{}", "schemaVersion", CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":1,\"fsLayers\":[]}", "schema 1", CB_ERR_INPUT },
	{ "{\"schemaVersion\":2,\"mediaType\":\"text/html\"}", "text/html", CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"mediaType\":\"" CB_MEDIA_OCI_INDEX "\",\"manifests\":[]}", "not an image manifest",
		CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"layers\":[]}", "no config", CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}", "no digest", CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:../../x\",\"size\":1},\"layers\":[]}", "bad digest",
		CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"config\":{\"digest\":\"" DIGEST "\"},\"layers\":[]}", "no valid size",
		CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"config\":{\"digest\":\"" DIGEST "\",\"size\":-1},\"layers\":[]}", "no valid size",
		CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"config\":{\"digest\":\"" DIGEST "\",\"size\":1.5},\"layers\":[]}", "size",
		CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"config\":" DESC "}", "no layers", CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"config\":" DESC ",\"layers\":[1]}", "layer 0", CB_ERR_CORRUPT },
	{ "{\"schemaVersion\":2,\"config\":" DESC ",\"layers\":[" DESC "],\"annotations\":{\"a\":[]}}", "annotations",
		CB_ERR_CORRUPT },
};

static void manifest_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_manifests); i++) {
		struct cb_manifest *manifest = NULL;
		cleanup_err struct cb_err *err = NULL;
		int r = cb_manifest_parse(bad_manifests[i].in, strlen(bad_manifests[i].in), &manifest, &err);

		print_message("# %s\n", bad_manifests[i].in);
		assert_int_equal(r, bad_manifests[i].code);
		assert_null(manifest);
		if (!strstr(cb_err_msg(err), bad_manifests[i].message))
			fail_msg("\"%s\" lacks \"%s\"", cb_err_msg(err), bad_manifests[i].message);
	}
}

static char *digest_number(unsigned int n)
{
	return cb_xasprintf("sha256:%064u", n);
}

static void add_entry(struct cb_index *index, unsigned int n, const char *platform, const char *annotation)
{
	cleanup_descriptor struct cb_descriptor entry = { 0 };
	cleanup_free char *text = digest_number(n);
	struct cb_digest digest;

	assert_true(cb_digest_parse(text, &digest));
	cb_descriptor_init(&entry, CB_MEDIA_OCI_MANIFEST, &digest, n);
	if (platform) {
		entry.has_platform = true;
		sscanf(platform, "%31[^/]/%31[^/]/%31s", entry.platform.os, entry.platform.arch,
			entry.platform.variant);
	}
	cb_descriptor_annotate(&entry, "vnd.docker.reference.type", annotation);
	cb_index_add(index, &entry);
}

static const struct {
	const char *want;
	int chosen; /* size of the entry, 0: none */
} choices[] = {
	{ "linux/amd64", 1 },
	{ "linux/amd64/v3", 2 },
	{ "linux/amd64/v2", 1 },
	{ "linux/arm/v7", 4 },
	{ "linux/arm/v6", 3 },
	{ "linux/arm64", 0 },
	{ "linux/s390x", 0 },
};

static void index_selects(void **state)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = cb_index_new(false);
	CB_CLEANUP(cb_index_free) struct cb_index *again = NULL;
	cleanup_free char *platforms = NULL;
	cleanup_free char *text = NULL;
	cleanup_free char *same = NULL;
	size_t len;

	(void)state;
	add_entry(index, 9, "linux/amd64", "attestation-manifest");
	add_entry(index, 1, "linux/amd64", NULL);
	add_entry(index, 2, "linux/amd64/v3", NULL);
	add_entry(index, 3, "linux/arm/v6", NULL);
	add_entry(index, 4, "linux/arm/v7", NULL);
	add_entry(index, 8, "unknown/unknown", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		const struct cb_descriptor *got;
		struct cb_platform want;

		print_message("# %s\n", choices[i].want);
		assert_int_equal(cb_platform_parse(choices[i].want, &want, NULL), 0);
		got = cb_index_select(index, &want);
		assert_int_equal(got ? got->size : 0, choices[i].chosen);
	}
	platforms = cb_index_platforms(index);
	assert_string_equal(platforms, "linux/amd64, linux/amd64/v3, linux/arm/v6, linux/arm/v7");

	text = cb_index_write(index, &len);
	assert_int_equal(cb_media_sniff("application/json", text, len), CB_MEDIA_KIND_INDEX);
	assert_int_equal(cb_index_parse(text, len, &again, NULL), 0);
	same = cb_index_write(again, NULL);
	assert_string_equal(text, same);
	cb_index_remove(again, 0);
	assert_int_equal(again->n_entries, 5);
	assert_int_equal(again->entries[0].size, 1);
}

static void index_without_platform(void **state)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = cb_index_new(false);
	struct cb_platform want;

	(void)state;
	assert_int_equal(cb_platform_parse("linux/riscv64", &want, NULL), 0);
	add_entry(index, 1, NULL, NULL);
	assert_int_equal(cb_index_select(index, &want)->size, 1);
	add_entry(index, 2, NULL, NULL);
	assert_null(cb_index_select(index, &want));
}

static void sniffing(void **state)
{
	static const struct {
		const char *type, *text;
		enum cb_media_kind want;
	} cases[] = {
		{ CB_MEDIA_DOCKER_LIST, "", CB_MEDIA_KIND_INDEX },
		{ NULL, manifest_text, CB_MEDIA_KIND_MANIFEST },
		{ "text/plain", "{\"layers\":[]}", CB_MEDIA_KIND_MANIFEST },
		{ "text/plain", "{\"manifests\":[]}", CB_MEDIA_KIND_INDEX },
		{ "text/plain", "{\"fsLayers\":[]}", CB_MEDIA_KIND_MANIFEST },
		{ CB_MEDIA_OCI_CONFIG, "{}", CB_MEDIA_KIND_UNKNOWN },
		{ NULL, "<html>", CB_MEDIA_KIND_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cb_media_sniff(cases[i].type, cases[i].text, strlen(cases[i].text)), cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_round_trips),
		cmocka_unit_test(config_refuses),
		cmocka_unit_test(config_limits),
		cmocka_unit_test(config_of_odd_bytes),
		cmocka_unit_test(manifest_round_trip),
		cmocka_unit_test(manifest_refuses),
		cmocka_unit_test(index_selects),
		cmocka_unit_test(index_without_platform),
		cmocka_unit_test(sniffing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
