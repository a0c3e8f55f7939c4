/* `cbuild inspect` and `cbuild history`: what is known of an image of the store. */
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/storecmd.h"
#include "builder/storedimage.h"
#include "layers/layertable.h"
#include "layers/ref.h"

#define CREATED_BY_MAX 60

enum { OPT_FORMAT = 1, OPT_NO_TRUNC, OPT_PLATFORM, OPT_RAW, OPT_ROOT };

const struct cb_opt cb_inspect_options[] = {
	{ "platform", 0, CB_OPT_VALUE, OPT_PLATFORM, "OS/ARCH", "of an image of several platforms this one", NULL },
	{ "raw", 0, CB_OPT_VALUE, OPT_RAW, "DOCUMENT", "the bytes of a document: manifest, config, or index",
		"manifest|config|index" },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};
const struct cb_opt cb_history_options[] = {
	{ "format", 0, CB_OPT_VALUE, OPT_FORMAT, "FORMAT", "text or json", "text|json" },
	{ "no-trunc", 0, CB_OPT_FLAG, OPT_NO_TRUNC, NULL, "whole lines", NULL },
	{ "platform", 0, CB_OPT_VALUE, OPT_PLATFORM, "OS/ARCH", "of an image of several platforms this one", NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};

struct request {
	bool json, whole, has_platform;
	const char *root, *raw;
	struct cb_platform platform;
	struct cb_strv operands;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_FORMAT:
		return cb_storecmd_format(value, &request->json, err);
	case OPT_NO_TRUNC:
		request->whole = cb_opt_bool(value);
		return 0;
	case OPT_PLATFORM:
		request->has_platform = true;
		return cb_storecmd_platform(value, &request->platform, err);
	case OPT_RAW:
		request->raw = value;
		if (strcmp(value, "manifest") != 0 && strcmp(value, "config") != 0 && strcmp(value, "index") != 0)
			return cb_err_set(err, CB_ERR_USAGE, "--raw is manifest, config or index, not \"%s\"", value);
		return 0;
	default:
		request->root = value;
		return 0;
	}
}

static const struct cb_platform *platform_of(const struct request *request)
{
	return request->has_platform ? &request->platform : NULL;
}

/* ---- inspect -------------------------------------------------------------------------------------------------- */

static void add_names(struct cb_store *store, const struct cb_descriptor *top, json_t *obj)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	json_t *tags = json_array(), *digests = json_array();
	cleanup_strv struct cb_strv seen = { 0 };

	if (cb_tag_list(store, &index, NULL) < 0)
		index = cb_index_new(false);
	for (size_t i = 0; i < index->n_entries; i++) {
		const char *name = cb_descriptor_annotation(&index->entries[i], CB_ANNOTATION_REF_NAME);
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		cleanup_free char *familiar = NULL, *repository = NULL, *pinned = NULL;

		if (!name || !cb_digest_equal(&index->entries[i].digest, &top->digest) ||
			cb_ref_parse(name, &ref, NULL) < 0)
			continue;
		familiar = cb_ref_familiar(ref, false);
		json_array_append_new(tags, json_string(familiar));
		free(ref->tag);
		ref->tag = NULL;
		repository = cb_ref_familiar(ref, true);
		pinned = cb_xasprintf("%s@%s", repository, top->digest.text);
		if (!cb_strv_has(&seen, pinned))
			json_array_append_new(digests, json_string(pinned));
		cb_strv_add(&seen, pinned);
	}
	json_object_set_new(obj, "RepoTags", tags);
	json_object_set_new(obj, "RepoDigests", digests);
}

static json_t *layers_json(const struct cb_manifest *manifest, uint64_t *ret_size)
{
	json_t *layers = json_array();

	*ret_size = manifest->config.size;
	for (size_t i = 0; i < manifest->n_layers; i++) {
		json_array_append_new(layers, cb_descriptor_to_json(&manifest->layers[i]));
		*ret_size += manifest->layers[i].size;
	}
	return layers;
}

/* As `docker image inspect` has it, with the manifest's side of it. */
static int describe(struct cb_store *store, const struct cb_descriptor *top, const struct cb_stored_image *image,
	json_t *list, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_json json_t *config = NULL;
	json_t *obj = json_object(), *layers, *rootfs;
	static const char *const taken[][2] = { { "created", "Created" }, { "author", "Author" },
		{ "architecture", "Architecture" }, { "variant", "Variant" }, { "os", "Os" },
		{ "os.version", "OsVersion" }, { "config", "Config" }, { "history", "History" } };
	uint64_t size;
	int r;

	json_array_append_new(list, obj);
	r = cb_blob_read(store, &image->manifest->config.digest, CB_CONFIG_BYTES_MAX, &text, err);
	if (r == 0)
		r = cb_json_parse(cb_buf_str(&text), text.len, &config, err);
	if (r < 0)
		return r;
	json_object_set_new(obj, "Id", json_string(image->manifest->config.digest.text));
	add_names(store, top, obj);
	json_object_set_new(obj, "Digest", json_string(image->desc.digest.text));
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		json_t *value = json_object_get(config, taken[i][0]);

		if (value)
			json_object_set(obj, taken[i][1], value);
	}
	layers = layers_json(image->manifest, &size);
	json_object_set_new(obj, "Size", json_integer((json_int_t)size));
	rootfs = json_object();
	json_object_set_new(rootfs, "Type", json_string("layers"));
	json_object_set(rootfs, "Layers", json_object_get(json_object_get(config, "rootfs"), "diff_ids"));
	json_object_set_new(obj, "RootFS", rootfs);
	json_object_set_new(obj, "MediaType", json_string(cb_manifest_media_type(image->manifest)));
	if (image->manifest->annotations)
		json_object_set(obj, "Annotations", image->manifest->annotations);
	json_object_set_new(obj, "Blobs", layers);
	return 0;
}

static int print_raw(struct cb_store *store, const struct request *request, const char *name, struct cb_buf *out,
	struct cb_err **err)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	int r = cb_stored_find(store, name, &desc, err);

	if (r < 0)
		return r;
	if (!strcmp(request->raw, "index"))
		return cb_blob_read(store, &desc.digest, CB_INDEX_BYTES_MAX, out, err);
	r = cb_stored_image_load(store, &desc, platform_of(request), &image, err);
	if (r < 0)
		return r;
	return cb_blob_read(store,
		!strcmp(request->raw, "config") ? &image->manifest->config.digest : &image->desc.digest,
		CB_CONFIG_BYTES_MAX, out, err);
}

static int inspect(const struct request *request, struct cb_buf *out, struct cb_err **err)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_json json_t *list = json_array();
	char *text;
	int r;

	if (!request->operands.n)
		return cb_err_set(err, CB_ERR_USAGE, "inspect needs the name of an image");
	if (request->raw && request->operands.n > 1)
		return cb_err_set(err, CB_ERR_USAGE, "--raw shows one image");
	r = cb_storecmd_open(request->root, &store, err);
	if (r == 0 && request->raw)
		return print_raw(store, request, request->operands.v[0], out, err);
	for (size_t i = 0; r == 0 && i < request->operands.n; i++) {
		CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
		cleanup_descriptor struct cb_descriptor desc = { 0 };

		r = cb_stored_find(store, request->operands.v[i], &desc, err);
		if (r == 0)
			r = cb_stored_image_load(store, &desc, platform_of(request), &image, err);
		if (r == 0)
			r = describe(store, &desc, image, list, err);
	}
	if (r < 0)
		return r;
	text = json_dumps(list, JSON_INDENT(4));
	cb_buf_addf(out, "%s\n", text);
	free(text);
	return 0;
}

int cb_cmd_inspect(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct request request = { 0 };
	const struct cb_opt_reader reader = { .command = "inspect",
		.tables = { cb_inspect_options },
		.option = take_option,
		.arg = &request,
		.operands = &request.operands };
	int r = cb_opt_read(&reader, argc, argv, &err);

	if (r == 0)
		r = inspect(&request, &out, &err);
	cb_strv_done(&request.operands);
	if (r > 0)
		return cb_help_command("inspect");
	return r < 0 ? cb_storecmd_fail(err) : cb_storecmd_print(&out);
}

/* ---- history -------------------------------------------------------------------------------------------------- */

static json_t *entry_json(const struct cb_history *entry, const struct cb_descriptor *layer, uint64_t size)
{
	json_t *obj = json_object();

	if (entry && entry->created)
		json_object_set_new(obj, "created", json_string(entry->created));
	if (entry && entry->created_by)
		json_object_set_new(obj, "createdBy", json_string(entry->created_by));
	if (entry && entry->comment)
		json_object_set_new(obj, "comment", json_string(entry->comment));
	if (layer)
		json_object_set_new(obj, "layer", json_string(layer->digest.text));
	json_object_set_new(obj, "size", json_integer((json_int_t)size));
	return obj;
}

static void add_entry(
	struct cb_buf *out, const struct request *request, const struct cb_history *entry, uint64_t size, int64_t now)
{
	cleanup_buf struct cb_buf bytes = { 0 }, age = { 0 }, by = { 0 }, comment = { 0 };
	struct timespec t;

	cb_num_format_size(&bytes, size);
	if (entry && entry->created && cb_time_parse(entry->created, &t))
		cb_storecmd_age(&age, now, t.tv_sec);
	cb_storecmd_cut(&by, entry && entry->created_by ? entry->created_by : "<unknown>",
		request->whole ? SIZE_MAX : CREATED_BY_MAX);
	cb_storecmd_cut(&comment, entry && entry->comment ? entry->comment : "", SIZE_MAX);
	cb_buf_addf(out, "%-14s  %9s  %s", cb_buf_str(&age), cb_buf_str(&bytes), cb_buf_str(&by));
	if (comment.len)
		cb_buf_addf(out, "  # %s", cb_buf_str(&comment));
	cb_buf_addc(out, '\n');
}

/* Bytes of a layer: unpacked when that is known, else those of its blob. */
static uint64_t layer_bytes(struct cb_store *store, const struct cb_stored_image *image, size_t at)
{
	uint64_t size = 0;

	if (cb_layer_size(store, &image->config->diff_ids[at], &size, NULL) == 0)
		return size;
	return image->manifest->layers[at].size;
}

/* The newest first, as docker prints it. Layers that the history does not tell of come before the first entry. */
static void print_history(
	struct cb_store *store, const struct request *request, const struct cb_stored_image *image, struct cb_buf *out)
{
	const struct cb_image_config *config = image->config;
	cleanup_json json_t *list = json_array();
	cleanup_free char *text = NULL;
	int64_t now = cb_time_now().tv_sec;
	size_t layer = image->manifest->n_layers;

	if (!request->json)
		cb_buf_addf(out, "%-14s  %9s  %s\n", "CREATED", "SIZE", "CREATED BY");
	for (size_t i = config->n_history; i-- > 0 || layer;) {
		const struct cb_history *entry = i < config->n_history ? &config->history[i] : NULL;
		bool has_layer = layer && (!entry || !entry->empty_layer);
		uint64_t size = 0;

		if (has_layer)
			size = layer_bytes(store, image, --layer);
		if (request->json)
			json_array_append_new(
				list, entry_json(entry, has_layer ? &image->manifest->layers[layer] : NULL, size));
		else
			add_entry(out, request, entry, size, now);
		if (i >= config->n_history)
			i = 0; /* the history is told: only layers are left */
	}
	if (request->json) {
		text = cb_json_dump(list, false);
		cb_buf_addf(out, "%s\n", text);
	}
}

static int history(const struct request *request, struct cb_buf *out, struct cb_err **err)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	int r;

	if (request->operands.n != 1)
		return cb_err_set(err, CB_ERR_USAGE, "history needs the name of one image");
	r = cb_storecmd_open(request->root, &store, err);
	if (r == 0)
		r = cb_stored_open(store, request->operands.v[0], platform_of(request), &image, err);
	if (r == 0)
		print_history(store, request, image, out);
	return r;
}

int cb_cmd_history(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct request request = { 0 };
	const struct cb_opt_reader reader = { .command = "history",
		.tables = { cb_history_options },
		.option = take_option,
		.arg = &request,
		.operands = &request.operands };
	int r = cb_opt_read(&reader, argc, argv, &err);

	if (r == 0)
		r = history(&request, &out, &err);
	cb_strv_done(&request.operands);
	if (r > 0)
		return cb_help_command("history");
	return r < 0 ? cb_storecmd_fail(err) : cb_storecmd_print(&out);
}
