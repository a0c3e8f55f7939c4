/* The image in the store: manifest, config, names. Also the base of the archive drivers. */
#include <string.h>

#include "base/json.h"
#include "builder/output_drivers.h"
#include "layers/image.h"
#include "layers/mediatype.h"
#include "layers/recompress.h"

static json_t *image_facts(
	const struct cb_descriptor *desc, const struct cb_results *results, const struct cb_strv *names)
{
	json_t *meta = json_object();

	/* Several images have no configuration that stands for all. */
	if (results->n == 1)
		json_object_set_new(
			meta, "containerimage.config.digest", json_string(results->v[0]->config_digest.text));
	json_object_set_new(meta, "containerimage.descriptor", cb_descriptor_to_json(desc));
	json_object_set_new(meta, "containerimage.digest", json_string(desc->digest.text));
	if (names->n) {
		cleanup_free char *list = cb_strv_join(names, ",");

		json_object_set_new(meta, "image.name", json_string(list));
	}
	return meta;
}

static void annotate(struct cb_descriptor *desc, json_t *annotations)
{
	const char *key;
	json_t *value;

	json_object_foreach(annotations, key, value) cb_descriptor_annotate(desc, key, json_string_value(value));
}

/* The layer as this output wants it compressed: there is one compression for all steps, that of the first output. */
static int take_blob(const struct cb_output_request *request, const struct cb_result *result, size_t at,
	struct cb_descriptor *ret, struct cb_err **err)
{
	const struct cb_result_layer *layer = &result->layers[at];
	const struct cb_compress_spec *want = &request->compression;
	bool fits = cb_media_layer_codec(layer->blob.media_type) == want->codec &&
		    (want->level == CB_LEVEL_DEFAULT || (!layer->base && want->level == result->compression.level));

	if (fits || !request->own_compression || (layer->base && !request->force_compression) ||
		cb_media_is_foreign(layer->blob.media_type)) {
		cb_descriptor_copy(ret, &layer->blob);
		return 0;
	}
	return cb_layer_recompress(
		result->store, &layer->diff_id, &layer->blob, want, result->pool, result->cancel, ret, err);
}

static int store_one(const struct cb_output_request *request, const struct cb_result *result, struct cb_descriptor *ret,
	struct cb_err **err)
{
	/* Docker's manifests cannot carry annotations. */
	bool docker = !request->oci_mediatypes && !result->annotations;
	struct cb_descriptor *layers = cb_newa0(struct cb_descriptor, result->n_layers);
	int r = 0;

	for (size_t i = 0; r == 0 && i < result->n_layers; i++) {
		const char *type;

		r = take_blob(request, result, i, &layers[i], err);
		if (r < 0)
			break;
		/* Only the family of a layer's media type follows the manifest's. */
		type = layers[i].media_type;
		if (cb_media_is_docker(type) != docker && !cb_media_is_foreign(type)) {
			type = cb_media_layer_type(cb_media_layer_codec(type), docker);
			free(layers[i].media_type);
			layers[i].media_type = cb_xstrdup(type);
		}
		if (docker)
			cb_descriptor_annotate(&layers[i], CB_ANNOTATION_REWRITTEN, NULL);
	}
	if (r == 0)
		r = cb_stored_image_put(
			result->store, result->config, layers, result->n_layers, docker, result->annotations, ret, err);
	for (size_t i = 0; i < result->n_layers; i++)
		cb_descriptor_done(&layers[i]);
	free(layers);
	if (r < 0)
		return cb_err_wrap(err, r, "store the image");
	ret->platform = result->platform;
	annotate(ret, result->descriptor_annotations);
	return 0;
}

static int store_index(const struct cb_output_request *request, const struct cb_results *results,
	struct cb_descriptor *ret, struct cb_err **err)
{
	bool docker = !request->oci_mediatypes && !results->annotations;
	CB_CLEANUP(cb_index_free) struct cb_index *index = cb_index_new(docker);
	cleanup_free char *text = NULL;
	struct cb_digest digest;
	size_t len;
	int r = 0;

	for (size_t i = 0; r == 0 && i < results->n; i++) {
		cleanup_descriptor struct cb_descriptor desc = { 0 };

		r = store_one(request, results->v[i], &desc, err);
		if (r == 0)
			cb_index_add(index, &desc);
	}
	if (r < 0)
		return r;
	index->annotations = json_incref(results->annotations);
	text = cb_index_write(index, &len);
	r = cb_blob_put(results->v[0]->store, text, len, &digest, err);
	if (r < 0)
		return cb_err_wrap(err, r, "store the image index");
	cb_descriptor_init(ret, docker ? CB_MEDIA_DOCKER_LIST : CB_MEDIA_OCI_INDEX, &digest, len);
	annotate(ret, results->descriptor_annotations);
	return 0;
}

int cb_output_store_image(const struct cb_output_request *request, const struct cb_results *results,
	struct cb_descriptor *ret, json_t **ret_meta, struct cb_err **err)
{
	int r = results->n > 1 ? store_index(request, results, ret, err) : store_one(request, results->v[0], ret, err);

	if (r == 0)
		*ret_meta = image_facts(ret, results, &request->names);
	return r;
}

int cb_output_image(const struct cb_output_request *request, const struct cb_results *results, struct cb_cancel *cancel,
	const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	cleanup_json json_t *meta = NULL;
	int r;

	r = cb_cancel_check(cancel, err);
	if (r == 0)
		r = cb_output_store_image(request, results, &desc, &meta, err);
	if (r < 0)
		return r;
	for (size_t i = 0; request->type == CB_OUTPUT_STORE && i < request->names.n; i++) {
		cleanup_free char *line = cb_xasprintf("naming to %s", request->names.v[i]);

		r = cb_tag_set(results->v[0]->store, request->names.v[i], &desc, err);
		/* The store is at fault, not the Buildfile. */
		if (r == CB_ERR_CORRUPT)
			r = cb_err_recode(err, CB_ERR_IO);
		if (r < 0)
			return r;
		cb_output_status(progress, line, 1, 1);
	}
	if (request->push) {
		r = cb_output_push(request, results, &desc, cancel, progress, err);
		if (r < 0)
			return r;
	}
	*ret_meta = CB_TAKE_PTR(meta);
	return 0;
}
