#include "layers/manifest.h"

#include <string.h>

#include "base/json.h"
#include "layers/jsondoc.h"
#include "layers/mediatype.h"

struct cb_manifest *cb_manifest_new(bool docker)
{
	struct cb_manifest *manifest = cb_new0(struct cb_manifest);

	manifest->docker = docker;
	return manifest;
}

struct cb_manifest *cb_manifest_free(struct cb_manifest *manifest)
{
	if (manifest) {
		cb_descriptor_done(&manifest->config);
		cb_descriptor_done(&manifest->subject);
		for (size_t i = 0; i < manifest->n_layers; i++)
			cb_descriptor_done(&manifest->layers[i]);
		free(manifest->layers);
		free(manifest->artifact_type);
		json_decref(manifest->annotations);
		free(manifest);
	}
	return NULL;
}

void cb_manifest_add_layer(struct cb_manifest *manifest, const struct cb_descriptor *layer)
{
	CB_GROW(manifest->layers, manifest->cap_layers, manifest->n_layers + 1);
	cb_descriptor_copy(&manifest->layers[manifest->n_layers++], layer);
}

const char *cb_manifest_media_type(const struct cb_manifest *manifest)
{
	return manifest->docker ? CB_MEDIA_DOCKER_MANIFEST : CB_MEDIA_OCI_MANIFEST;
}

static int check_kind(const json_t *doc, bool *ret_docker, struct cb_err **err)
{
	const char *type = NULL;
	int64_t version = 0;
	int r;

	if (!json_is_object(doc))
		return cb_err_set(err, CB_ERR_CORRUPT, "manifest is not a JSON object");
	r = cb_json_get_i64(doc, "schemaVersion", &version, err);
	if (r >= 0)
		r = cb_json_get_str(doc, "mediaType", &type, err);
	if (r < 0)
		return r;
	if (version == 1)
		return cb_err_set(err, CB_ERR_INPUT,
			"manifest has Docker schema 1, which is no longer supported: push the image again with a current tool");
	if (version != 2)
		return cb_err_set(err, CB_ERR_CORRUPT, "manifest has no schemaVersion 2");
	if (type && *type && cb_media_kind(type) != CB_MEDIA_KIND_MANIFEST)
		return cb_err_set(err, CB_ERR_CORRUPT, "document of type \"%.100s\" is not an image manifest", type);
	*ret_docker = cb_media_is_docker(type);
	return 0;
}

static int parse_layers(const json_t *doc, struct cb_manifest *manifest, struct cb_err **err)
{
	json_t *layers = NULL;
	int r = cb_json_get_arr(doc, "layers", &layers, err);

	if (r < 0)
		return r;
	if (r > 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "manifest has no layers");
	if (json_array_size(layers) > CB_MANIFEST_LAYERS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "manifest has %zu layers, more than %d", json_array_size(layers),
			CB_MANIFEST_LAYERS_MAX);

	CB_GROW(manifest->layers, manifest->cap_layers, json_array_size(layers));
	for (size_t i = 0; i < json_array_size(layers); i++) {
		r = cb_descriptor_parse(json_array_get(layers, i), &manifest->layers[i], err);
		if (r < 0)
			return cb_err_wrap(err, r, "layer %zu", i);
		manifest->n_layers++;
	}
	return 0;
}

int cb_manifest_parse(const char *data, size_t len, struct cb_manifest **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = cb_manifest_new(false);
	cleanup_json json_t *doc = NULL;
	json_t *part = NULL;
	int r;

	if (len > CB_MANIFEST_BYTES_MAX)
		return cb_err_set(
			err, CB_ERR_LIMIT, "manifest has %zu bytes, more than %zu", len, CB_MANIFEST_BYTES_MAX);
	r = cb_json_parse(data, len, &doc, err);
	if (r < 0)
		return cb_err_wrap(err, r, "manifest");
	r = check_kind(doc, &manifest->docker, err);
	if (r < 0)
		return r;

	r = cb_json_get_obj(doc, "config", &part, err);
	if (r < 0)
		return cb_err_wrap(err, r, "manifest");
	if (r > 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "manifest has no config");
	r = cb_descriptor_parse(part, &manifest->config, err);
	if (r < 0)
		return cb_err_wrap(err, r, "manifest: config");
	r = parse_layers(doc, manifest, err);
	if (r < 0)
		return cb_err_wrap(err, r, "manifest");

	r = cb_json_get_obj(doc, "subject", &part, err);
	if (r == 0) {
		manifest->has_subject = true;
		r = cb_descriptor_parse(part, &manifest->subject, err);
	}
	if (r >= 0)
		r = cb_jsondoc_get_text(doc, "artifactType", &manifest->artifact_type, err);
	if (r >= 0)
		r = cb_jsondoc_get_strings(doc, "annotations", &manifest->annotations, err);
	if (r < 0)
		return cb_err_wrap(err, r, "manifest");

	*ret = CB_TAKE_PTR(manifest);
	return 0;
}

char *cb_manifest_write(const struct cb_manifest *manifest, size_t *ret_len)
{
	cleanup_json json_t *doc = json_object();
	json_t *layers = json_array();

	json_object_set_new(doc, "schemaVersion", json_integer(2));
	json_object_set_new(doc, "mediaType", json_string(cb_manifest_media_type(manifest)));
	cb_jsondoc_set_text(doc, "artifactType", manifest->artifact_type);
	json_object_set_new(doc, "config", cb_descriptor_to_json(&manifest->config));
	for (size_t i = 0; i < manifest->n_layers; i++)
		json_array_append_new(layers, cb_descriptor_to_json(&manifest->layers[i]));
	json_object_set_new(doc, "layers", layers);
	if (manifest->has_subject)
		json_object_set_new(doc, "subject", cb_descriptor_to_json(&manifest->subject));
	cb_jsondoc_set_sorted(doc, "annotations", manifest->annotations);
	return cb_jsondoc_indent(doc, ret_len);
}
