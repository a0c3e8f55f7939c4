#include "layers/index.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "layers/jsondoc.h"

struct cb_index *cb_index_new(bool docker)
{
	struct cb_index *index = cb_new0(struct cb_index);

	index->docker = docker;
	return index;
}

struct cb_index *cb_index_free(struct cb_index *index)
{
	if (index) {
		for (size_t i = 0; i < index->n_entries; i++)
			cb_descriptor_done(&index->entries[i]);
		free(index->entries);
		free(index->artifact_type);
		json_decref(index->annotations);
		free(index);
	}
	return NULL;
}

void cb_index_add(struct cb_index *index, const struct cb_descriptor *entry)
{
	CB_GROW(index->entries, index->cap_entries, index->n_entries + 1);
	cb_descriptor_copy(&index->entries[index->n_entries++], entry);
}

void cb_index_remove(struct cb_index *index, size_t at)
{
	cb_descriptor_done(&index->entries[at]);
	memmove(&index->entries[at], &index->entries[at + 1], (index->n_entries - at - 1) * sizeof(*index->entries));
	index->n_entries--;
}

static int parse_entries(const json_t *doc, struct cb_index *index, struct cb_err **err)
{
	json_t *entries = NULL;
	int r = cb_json_get_arr(doc, "manifests", &entries, err);

	if (r < 0)
		return r;
	if (r > 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "index has no list of manifests");
	if (json_array_size(entries) > CB_INDEX_ENTRIES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "index has %zu entries, more than %d", json_array_size(entries),
			CB_INDEX_ENTRIES_MAX);

	CB_GROW(index->entries, index->cap_entries, json_array_size(entries));
	for (size_t i = 0; i < json_array_size(entries); i++) {
		r = cb_descriptor_parse(json_array_get(entries, i), &index->entries[i], err);
		if (r < 0)
			return cb_err_wrap(err, r, "index: entry %zu", i);
		index->n_entries++;
	}
	return 0;
}

int cb_index_parse(const char *data, size_t len, struct cb_index **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = cb_index_new(false);
	cleanup_json json_t *doc = NULL;
	const char *type = NULL;
	int64_t version = 0;
	int r;

	if (len > CB_INDEX_BYTES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "index has %zu bytes, more than %zu", len, CB_INDEX_BYTES_MAX);
	r = cb_json_parse(data, len, &doc, err);
	if (r < 0)
		return cb_err_wrap(err, r, "index");
	if (!json_is_object(doc))
		return cb_err_set(err, CB_ERR_CORRUPT, "index is not a JSON object");
	r = cb_json_get_i64(doc, "schemaVersion", &version, err);
	if (r >= 0)
		r = cb_json_get_str(doc, "mediaType", &type, err);
	if (r < 0)
		return cb_err_wrap(err, r, "index");
	if (version != 2)
		return cb_err_set(err, CB_ERR_CORRUPT, "index has no schemaVersion 2");
	if (type && *type && cb_media_kind(type) != CB_MEDIA_KIND_INDEX)
		return cb_err_set(err, CB_ERR_CORRUPT, "document of type \"%.100s\" is not an image index", type);
	index->docker = cb_media_is_docker(type);
	index->bare = !type || !*type;

	r = parse_entries(doc, index, err);
	if (r >= 0)
		r = cb_jsondoc_get_text(doc, "artifactType", &index->artifact_type, err);
	if (r >= 0)
		r = cb_jsondoc_get_strings(doc, "annotations", &index->annotations, err);
	if (r < 0)
		return r;

	*ret = CB_TAKE_PTR(index);
	return 0;
}

char *cb_index_write(const struct cb_index *index, size_t *ret_len)
{
	cleanup_json json_t *doc = json_object();
	json_t *entries = json_array();

	json_object_set_new(doc, "schemaVersion", json_integer(2));
	if (!index->bare)
		json_object_set_new(
			doc, "mediaType", json_string(index->docker ? CB_MEDIA_DOCKER_LIST : CB_MEDIA_OCI_INDEX));
	cb_jsondoc_set_text(doc, "artifactType", index->artifact_type);
	for (size_t i = 0; i < index->n_entries; i++)
		json_array_append_new(entries, cb_descriptor_to_json(&index->entries[i]));
	json_object_set_new(doc, "manifests", entries);
	cb_jsondoc_set_sorted(doc, "annotations", index->annotations);
	return cb_jsondoc_indent(doc, ret_len);
}

/* Attestations travel in indexes beside the images that they speak of. */
static bool is_image(const struct cb_descriptor *entry)
{
	if (cb_descriptor_annotation(entry, "vnd.docker.reference.type"))
		return false;
	return !entry->has_platform || strcmp(entry->platform.os, "unknown") != 0;
}

const struct cb_descriptor *cb_index_select(const struct cb_index *index, const struct cb_platform *want)
{
	const struct cb_descriptor *best = NULL, *bare = NULL;
	int best_score = 0;
	size_t images = 0;

	for (size_t i = 0; i < index->n_entries; i++) {
		const struct cb_descriptor *entry = &index->entries[i];
		int score;

		if (!is_image(entry))
			continue;
		images++;
		if (!entry->has_platform) {
			bare = entry;
			continue;
		}
		score = cb_platform_match(want, &entry->platform);
		if (score > best_score) {
			best = entry;
			best_score = score;
		}
	}
	if (!best && images == 1)
		return bare;
	return best;
}

char *cb_index_platforms(const struct cb_index *index)
{
	cleanup_buf struct cb_buf out = { 0 };

	for (size_t i = 0; i < index->n_entries; i++) {
		char text[CB_PLATFORM_TEXT_MAX];

		if (!is_image(&index->entries[i]) || !index->entries[i].has_platform)
			continue;
		cb_platform_format(&index->entries[i].platform, text);
		cb_buf_addf(&out, "%s%s", out.len ? ", " : "", text);
	}
	return cb_buf_take(&out);
}

enum cb_media_kind cb_media_sniff(const char *content_type, const char *data, size_t len)
{
	enum cb_media_kind kind = cb_media_kind(content_type);
	cleanup_json json_t *doc = NULL;
	const char *type;

	if (kind == CB_MEDIA_KIND_INDEX || kind == CB_MEDIA_KIND_MANIFEST)
		return kind;
	if (len > CB_INDEX_BYTES_MAX || cb_json_parse(data, len, &doc, NULL) < 0)
		return CB_MEDIA_KIND_UNKNOWN;

	type = json_string_value(json_object_get(doc, "mediaType"));
	kind = cb_media_kind(type);
	if (kind == CB_MEDIA_KIND_INDEX || kind == CB_MEDIA_KIND_MANIFEST)
		return kind;
	if (json_is_array(json_object_get(doc, "manifests")))
		return CB_MEDIA_KIND_INDEX;
	if (json_is_array(json_object_get(doc, "layers")) || json_is_array(json_object_get(doc, "fsLayers")))
		return CB_MEDIA_KIND_MANIFEST;
	return CB_MEDIA_KIND_UNKNOWN;
}
