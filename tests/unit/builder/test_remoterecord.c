/* --cache-from and --cache-to as written, records of caches, and records in images. Well-formed and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "builder/remotes_inner.h"

#define HEX "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define DIGEST "sha256:" HEX
#define BLOB "\"mediaType\":\"a/b\",\"digest\":\"" DIGEST "\",\"size\":5"

static const struct {
	const char *name, *in;
	bool to;
	int code;
	const char *want; /* in the message or, of what is right, "TYPE KEY=VALUE" */
} specs[] = {
	{ "a bare name", "example.com/x:1", false, 0, "registry ref=example.com/x:1" },
	{ "capitals of attributes", "TYPE=local,Src=/x", false, 0, "local src=/x" },
	{ "a comma in quotes", "type=local,\"src=/a,b\"", false, 0, "local src=/a,b" },
	{ "twice: the last", "type=local,src=/a,src=/b", false, 0, "local src=/b" },
	{ "max", "type=http,url=http://x,mode=max,ignore-error=false", true, 0, "http mode=max" },
	{ "time", "type=http,url=http://x,timeout=2s", false, 0, "http timeout=2s" },
	{ "s3", "type=s3,bucket=b,region=r,prefix=p/,endpoint_url=http://x,use_path_style=false", true, 0,
		"s3 prefix=p/" },
	{ "inline", "type=inline", true, 0, "inline type=inline" },
	{ "nothing", "", true, CB_ERR_USAGE, "nothing is named" },
	{ "no type", "ref=x", true, CB_ERR_USAGE, "type= is missing" },
	{ "an unknown type", "type=gha", true, CB_ERR_USAGE, "there is no such type" },
	{ "no value", "type=local,dest", true, CB_ERR_USAGE, "list of key=value" },
	{ "no key", "type=local,=x", true, CB_ERR_USAGE, "list of key=value" },
	{ "a quote without an end", "type=local,\"src=/x", false, CB_ERR_USAGE, "--cache-from" },
	{ "an unknown attribute", "type=local,dest=/x,zone=1", true, CB_ERR_USAGE, "unknown attribute \"zone\"" },
	{ "an attribute of another type", "type=local,dest=/x,bucket=b", true, CB_ERR_USAGE, "unknown attribute" },
	{ "what only --cache-to has", "type=local,src=/x,mode=max", false, CB_ERR_USAGE, "unknown attribute \"mode\"" },
	{ "what only --cache-from has", "type=local,dest=/x,timeout=1s", true, CB_ERR_USAGE, "unknown attribute" },
	{ "a missing attribute", "type=s3", true, CB_ERR_USAGE, "bucket= is missing" },
	{ "a mode that is none", "type=local,dest=/x,mode=most", true, CB_ERR_USAGE, "mode is min or max" },
	{ "an answer that is none", "type=local,dest=/x,ignore-error=maybe", true, CB_ERR_USAGE, "true or false" },
	{ "a time that is none", "type=local,src=/x,timeout=never", false, CB_ERR_USAGE, "timeout is a duration" },
	{ "a time too short", "type=local,src=/x,timeout=0", false, CB_ERR_USAGE, "timeout is a duration" },
	{ "inline of all steps", "type=inline,mode=max", true, CB_ERR_USAGE, "mode=max is not possible" },
	{ "inline with a name", "type=inline,ref=x", true, CB_ERR_USAGE, "unknown attribute" },
	{ "what is the case anyway",
		"type=registry,ref=x,oci-mediatypes=true,image-manifest=true,force-compression=false", true, 0,
		"registry ref=x" },
	{ "what is not", "type=registry,ref=x,oci-mediatypes=false", true, CB_ERR_USAGE, "oci-mediatypes=true only" },
	{ "nor an index", "type=registry,ref=x,image-manifest=false", true, CB_ERR_USAGE, "image-manifest=true only" },
	{ "of a registry only", "type=local,dest=/x,oci-mediatypes=true", true, CB_ERR_USAGE, "unknown attribute" },
	{ "of what is written only", "type=registry,ref=x,oci-mediatypes=true", false, CB_ERR_USAGE,
		"unknown attribute" },
	{ "compression", "type=local,dest=/x,compression=zstd", true, CB_ERR_USAGE,
		"compressed as those of the image" },
	{ "its level", "type=s3,bucket=b,compression-level=3", true, CB_ERR_USAGE, "compressed as those of the image" },
	{ "forced", "type=registry,ref=x,force-compression=true", true, CB_ERR_USAGE, "force-compression=false only" },
	{ "inline has the image's", "type=inline,compression=zstd", true, CB_ERR_USAGE, "unknown attribute" },
	{ "inline is not read so", "type=inline", false, CB_ERR_USAGE, "where the image is" },
};

static void spec_rows(void **state)
{
	static const char *const types[] = { "local", "http", "registry", "s3", "inline" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		__attribute__((cleanup(cb_remote_spec_done))) struct cb_remote_spec spec = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_free char *got = NULL;
		int r = cb_remote_spec_parse(specs[i].in, specs[i].to, &spec, &err);

		print_message("# %s\n", specs[i].name);
		assert_int_equal(r, specs[i].code);
		if (r == 0) {
			const char *want = strchr(specs[i].want, ' ') + 1;
			cleanup_free char *key = cb_xstrndup(want, strcspn(want, "="));

			got = cb_xasprintf("%s %s=%s", types[spec.type], key, cb_remote_spec_get(&spec, key));
			assert_string_equal(got, specs[i].want);
		} else if (!strstr(cb_err_msg(err), specs[i].want)) {
			fail_msg("%s", cb_err_msg(err));
		}
	}
}

static const struct {
	const char *name, *in;
	int code;
	size_t layers;
} records[] = {
	{ "base and layer",
		"{\"version\":1,\"layers\":[{\"diff_id\":\"" DIGEST "\",\"base\":true},{\"diff_id\":\"" DIGEST
		"\",\"created\":7," BLOB "}],\"duration\":9,\"inputs\":{\"a\":[1]},\"files\":{" BLOB "}}",
		0, 2 },
	{ "no layers", "{\"version\":1,\"layers\":[]}", 0, 0 },
	{ "members of other types are as good as none",
		"{\"version\":1,\"layers\":[],\"inputs\":7,\"files\":[],\"duration\":\"x\"}", 0, 0 },
	{ "duplicate members: the last", "{\"version\":3,\"version\":1,\"layers\":7,\"layers\":[]}", 0, 0 },
	{ "nothing", "", CB_ERR_CORRUPT, 0 },
	{ "an array", "[1]", CB_ERR_CORRUPT, 0 },
	{ "another version", "{\"version\":2,\"layers\":[]}", CB_ERR_CORRUPT, 0 },
	{ "layers of another type", "{\"version\":1,\"layers\":{}}", CB_ERR_CORRUPT, 0 },
	{ "a layer of another type", "{\"version\":1,\"layers\":[7]}", CB_ERR_CORRUPT, 0 },
	{ "a layer without a diff ID", "{\"version\":1,\"layers\":[{\"base\":true}]}", CB_ERR_CORRUPT, 0 },
	{ "a diff ID that is a path", "{\"version\":1,\"layers\":[{\"diff_id\":\"../../x\",\"base\":true}]}",
		CB_ERR_CORRUPT, 0 },
	{ "a base of another type", "{\"version\":1,\"layers\":[{\"diff_id\":\"" DIGEST "\",\"base\":\"yes\"}]}",
		CB_ERR_CORRUPT, 0 },
	{ "a layer without a blob", "{\"version\":1,\"layers\":[{\"diff_id\":\"" DIGEST "\"}]}", CB_ERR_CORRUPT, 0 },
	{ "the second layer is wrong",
		"{\"version\":1,\"layers\":[{\"diff_id\":\"" DIGEST "\"," BLOB "},{\"diff_id\":\"" DIGEST "\"}]}",
		CB_ERR_CORRUPT, 0 },
	{ "files without a digest", "{\"version\":1,\"layers\":[],\"files\":{\"size\":1}}", CB_ERR_CORRUPT, 0 },
};

static void record_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		struct cb_remote_record record = { 0 }, again = { 0 };
		cleanup_free char *text = NULL, *second = NULL;
		int r = cb_remote_record_parse(records[i].in, strlen(records[i].in), &record, NULL);

		print_message("# %s\n", records[i].name);
		assert_int_equal(r, records[i].code);
		assert_int_equal(record.n_layers, r < 0 ? 0 : records[i].layers);
		if (r == 0) {
			text = cb_remote_record_write(&record);
			assert_int_equal(cb_remote_record_parse(text, strlen(text), &again, NULL), 0);
			second = cb_remote_record_write(&again);
			assert_string_equal(text, second);
		}
		cb_remote_record_done(&record);
		cb_remote_record_done(&again);
	}
}

static void too_many_layers(void **state)
{
	cleanup_buf struct cb_buf text = { 0 };
	struct cb_remote_record record = { 0 };

	(void)state;
	cb_buf_adds(&text, "{\"version\":1,\"layers\":[");
	for (size_t i = 0; i <= CB_REMOTE_LAYERS_MAX; i++)
		cb_buf_addf(&text, "%s{\"diff_id\":\"" DIGEST "\",\"base\":true}", i ? "," : "");
	cb_buf_adds(&text, "]}");
	assert_int_equal(cb_remote_record_parse(text.data, text.len, &record, NULL), CB_ERR_LIMIT);
}

/* ---- records in images ---------------------------------------------------------------------------------------- */

#define CONFIG(records)                                                                                                \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\""  \
	"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"" DIGEST                          \
	"\"]},\"history\":[{\"created\":\"1970-01-01T00:00:01Z\"},{\"empty_layer\":true},{\"created\":"                \
	"\"1970-01-01T00:00:09Z\"}],\"cbuild.cache.v1\":" records "}"
#define ONE(layers) CONFIG("{\"version\":1,\"base\":[0],\"records\":[{\"layers\":" layers ",\"key\":\"" HEX "\"}]}")

static const struct {
	const char *name, *in;
	int code;
	const char *want; /* in the record of the key; "": there is none */
} images[] = {
	{ "the first two", ONE("2"), 0, "},{\"created\":9," },
	{ "a list", ONE("[1]"), 0, "\"layers\":[{\"created\":9," },
	{ "none", ONE("0"), 0, "\"layers\":[]" },
	{ "no records", CONFIG("null"), 0, "" },
	{ "another version", CONFIG("{\"version\":9,\"records\":7}"), 0, "" },
	{ "an empty list", CONFIG("{\"version\":1,\"base\":[],\"records\":[]}"), 0, "" },
	{ "members of other types", CONFIG("{\"version\":1,\"base\":7,\"records\":{}}"), 0, "" },
	{ "more layers than there are", ONE("3"), CB_ERR_CORRUPT, NULL },
	{ "a negative number", ONE("-1"), CB_ERR_CORRUPT, NULL },
	{ "a huge number", ONE("9223372036854775807"), CB_ERR_CORRUPT, NULL },
	{ "a layer that is not there", ONE("[2]"), CB_ERR_CORRUPT, NULL },
	{ "a negative layer", ONE("[-1]"), CB_ERR_CORRUPT, NULL },
	{ "a layer of another type", ONE("[\"0\"]"), CB_ERR_CORRUPT, NULL },
	{ "more than all layers", ONE("[0,0,0]"), CB_ERR_CORRUPT, NULL },
	{ "layers of another type", ONE("{}"), CB_ERR_CORRUPT, NULL },
	{ "a base that is not there", CONFIG("{\"version\":1,\"base\":[5],\"records\":[]}"), CB_ERR_CORRUPT, NULL },
	{ "a record of another type", CONFIG("{\"version\":1,\"base\":[],\"records\":[7]}"), CB_ERR_CORRUPT, NULL },
	{ "no key", CONFIG("{\"version\":1,\"base\":[],\"records\":[{\"layers\":1}]}"), CB_ERR_CORRUPT, NULL },
	{ "a key that is a path", CONFIG("{\"version\":1,\"base\":[],\"records\":[{\"layers\":1,\"key\":\"../x\"}]}"),
		CB_ERR_CORRUPT, NULL },
	{ "a config that is none", "[]", CB_ERR_CORRUPT, NULL },
};

static void image_rows(void **state)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = cb_manifest_new(false);
	struct cb_descriptor blob = { 0 };
	struct cb_digest key;

	(void)state;
	assert_true(cb_digest_parse(DIGEST, &key));
	cb_descriptor_init(&blob, "a/b", &key, 5);
	cb_manifest_add_layer(manifest, &blob);
	cb_manifest_add_layer(manifest, &blob);
	cb_descriptor_done(&blob);
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = cb_cachedoc_new();
		int r = cb_remote_inline_read(manifest, images[i].in, strlen(images[i].in), doc, NULL);
		const char *record = cb_cachedoc_get(doc, &key);

		print_message("# %s\n", images[i].name);
		assert_int_equal(r, images[i].code);
		if (r < 0)
			continue;
		if (*images[i].want)
			assert_non_null(record);
		if (!strstr(record ? record : "", images[i].want))
			fail_msg("%s", record ? record : "");
	}
	manifest->n_layers--;
	{
		CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = cb_cachedoc_new();

		assert_int_equal(
			cb_remote_inline_read(manifest, ONE("1"), strlen(ONE("1")), doc, NULL), CB_ERR_CORRUPT);
	}
	manifest->n_layers++;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_rows),
		cmocka_unit_test(record_rows),
		cmocka_unit_test(too_many_layers),
		cmocka_unit_test(image_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
