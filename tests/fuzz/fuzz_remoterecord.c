/* library: builder */
/* Records of remote caches and of images, what explains with them, and the options that name caches. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "builder/explain.h"
#include "builder/inputs.h"
#include "builder/remotes_inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int no_files(void *ctx, size_t at, struct cb_buf *ret, struct cb_err **err)
{
	(void)ctx, (void)at, (void)ret, (void)err;
	return 1;
}

/* A hostile record beside inputs of ours. */
static void explain(json_t *inputs)
{
	static const char ours[] =
		"{\"name\":\"RUN x\",\"text\":\"RUN x\",\"kind\":\"run\",\"stage\":\"a\",\"index\":1,\"fields\":"
		"[[\"argv\",[\"x\"]],[\"env\",\"A=1\"],[\"env\",\"B=2\"],[\"parent\",\"p\"]],\"args\":[\"A\"],\"parent\":"
		"{\"name\":\"base\",\"digest\":\"d\"},\"ignore\":[[\"f\",\"d\"]]}";
	struct cb_explain_record candidate = { .inputs = inputs };
	struct cb_explain_source source = { .v = &candidate, .n = 1, .files = no_files };
	cleanup_differences struct cb_differences differences = { 0 };
	cleanup_free char *place = cb_inputs_place(inputs), *slot = cb_inputs_slot(inputs);
	cleanup_buf struct cb_buf nothing = { 0 };
	cleanup_json json_t *now = NULL;

	assert(place && slot);
	assert(cb_json_parse(ours, strlen(ours), &now, NULL) == 0);
	(void)!cb_explain(now, &nothing, &source, &differences, NULL);
	for (size_t i = 0; i < differences.n; i++) {
		cleanup_buf struct cb_buf text = { 0 };

		cb_difference_text(&differences.v[i], &text);
		json_decref(cb_difference_json(&differences.v[i]));
	}
}

static void try_record(const char *data, size_t size)
{
	struct cb_remote_record record = { 0 }, again = { 0 };

	if (cb_remote_record_parse(data, size, &record, NULL) == 0) {
		cleanup_free char *first = cb_remote_record_write(&record), *second = NULL;

		assert(cb_remote_record_parse(first, strlen(first), &again, NULL) == 0);
		second = cb_remote_record_write(&again);
		assert(strcmp(first, second) == 0);
		if (record.inputs)
			explain(record.inputs);
	}
	cb_remote_record_done(&record);
	cb_remote_record_done(&again);
}

static void try_image(const char *data, size_t size)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = cb_manifest_new(false);
	CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = cb_cachedoc_new();
	cleanup_descriptor struct cb_descriptor blob = { 0 };
	struct cb_digest digest;

	cb_digest_of("", 0, &digest);
	cb_descriptor_init(&blob, "a/b", &digest, 0);
	cb_manifest_add_layer(manifest, &blob);
	cb_manifest_add_layer(manifest, &blob);
	(void)!cb_remote_inline_read(manifest, data, size, doc, NULL);
}

static void try_spec(const char *data, size_t size)
{
	cleanup_free char *text = cb_xstrndup(data, size);

	for (int to = 0; to < 2; to++) {
		__attribute__((cleanup(cb_remote_spec_done))) struct cb_remote_spec spec = { 0 };

		(void)!cb_remote_spec_parse(text, to, &spec, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_record((const char *)data, size);
	try_image((const char *)data, size);
	try_spec((const char *)data, size);
	return 0;
}
