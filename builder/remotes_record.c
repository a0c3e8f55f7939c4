/*
 * Records as remote caches have them: JSON that does not depend on the store that made it.
 *
 * {"version":1, "layers":[{"diff_id", "base":true} | {"diff_id", "created", "mediaType", "digest", "size"}],
 *  "duration", "inputs":{}, "files":{"mediaType", "digest", "size"}}
 */
#include <stdlib.h>

#include "base/json.h"
#include "builder/remotes_inner.h"

void cb_remote_record_done(struct cb_remote_record *record)
{
	for (size_t i = 0; i < record->n_layers; i++)
		cb_descriptor_done(&record->layers[i].blob);
	free(record->layers);
	cb_descriptor_done(&record->files);
	json_decref(record->inputs);
	*record = (struct cb_remote_record){ 0 };
}

static int parse_layer(struct cb_remote_record *record, const json_t *layer, struct cb_err **err)
{
	const char *diff_id = NULL;
	size_t at = record->n_layers;
	int r = json_is_object(layer) ? cb_json_get_str(layer, "diff_id", &diff_id, err) : 1;

	if (r == 0)
		r = cb_json_get_bool(layer, "base", &record->layers[at].base, err);
	if (r < 0)
		return r;
	if (!diff_id || !cb_digest_parse(diff_id, &record->layers[at].diff_id))
		return cb_err_set(err, CB_ERR_CORRUPT, "a layer has no diff ID");
	record->n_layers++;
	if (record->layers[at].base)
		return 0;
	record->layers[at].created = json_integer_value(json_object_get(layer, "created"));
	return cb_descriptor_parse(layer, &record->layers[at].blob, err);
}

static int parse(const json_t *doc, struct cb_remote_record *ret, struct cb_err **err)
{
	const json_t *layers = json_object_get(doc, "layers"), *files = json_object_get(doc, "files");
	json_t *inputs = json_object_get(doc, "inputs");
	int r = 0;

	if (json_integer_value(json_object_get(doc, "version")) != 1 || !json_is_array(layers))
		return cb_err_set(err, CB_ERR_CORRUPT, "it is of another version");
	if (json_array_size(layers) > CB_REMOTE_LAYERS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "it has too many layers");
	ret->layers = cb_xcalloc(json_array_size(layers) + 1, sizeof(*ret->layers));
	for (size_t i = 0; i < json_array_size(layers) && r == 0; i++)
		r = parse_layer(ret, json_array_get(layers, i), err);
	if (r == 0 && json_is_object(files)) {
		r = cb_descriptor_parse(files, &ret->files, err);
		ret->has_files = r == 0;
	}
	if (json_is_object(inputs))
		ret->inputs = json_incref(inputs);
	ret->duration_ns = json_integer_value(json_object_get(doc, "duration"));
	return r;
}

int cb_remote_record_parse(const char *data, size_t len, struct cb_remote_record *ret, struct cb_err **err)
{
	cleanup_json json_t *doc = NULL;
	int r = cb_json_parse(data, len, &doc, err);

	if (r == 0)
		r = parse(doc, ret, err);
	if (r < 0) {
		cb_remote_record_done(ret);
		return cb_err_wrap(err, r, "cache record");
	}
	return 0;
}

char *cb_remote_record_write(const struct cb_remote_record *record)
{
	cleanup_json json_t *doc = json_object();
	json_t *layers = json_array();

	for (size_t i = 0; i < record->n_layers; i++) {
		json_t *layer = record->layers[i].base ? json_object() : cb_descriptor_to_json(&record->layers[i].blob);

		json_object_set_new(layer, "diff_id", json_string(record->layers[i].diff_id.text));
		if (record->layers[i].base)
			json_object_set_new(layer, "base", json_true());
		else
			json_object_set_new(layer, "created", json_integer(record->layers[i].created));
		json_array_append_new(layers, layer);
	}
	json_object_set_new(doc, "version", json_integer(1));
	json_object_set_new(doc, "layers", layers);
	json_object_set_new(doc, "duration", json_integer(record->duration_ns));
	if (record->inputs)
		json_object_set(doc, "inputs", record->inputs);
	if (record->has_files)
		json_object_set_new(doc, "files", cb_descriptor_to_json(&record->files));
	return cb_json_dump(doc, false);
}
