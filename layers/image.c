#include "layers/image.h"

#include <string.h>

struct cb_stored_image *cb_stored_image_free(struct cb_stored_image *image)
{
	if (image) {
		cb_descriptor_done(&image->desc);
		cb_manifest_free(image->manifest);
		cb_image_config_free(image->config);
		free(image);
	}
	return NULL;
}

/* The layer's type in the family of the manifest that lists it; foreign layers keep theirs. */
static void add_layer(struct cb_manifest *manifest, const struct cb_descriptor *layer)
{
	struct cb_descriptor *added;

	cb_manifest_add_layer(manifest, layer);
	added = &manifest->layers[manifest->n_layers - 1];
	if (cb_media_kind(added->media_type) == CB_MEDIA_KIND_LAYER && !cb_media_is_foreign(added->media_type)) {
		enum cb_codec codec = cb_media_layer_codec(added->media_type);

		free(added->media_type);
		added->media_type = cb_xstrdup(cb_media_layer_type(codec, manifest->docker));
	}
	added->has_platform = false;
}

int cb_stored_image_put(struct cb_store *store, const struct cb_image_config *config,
	const struct cb_descriptor *layers, size_t n_layers, bool docker, const json_t *annotations,
	struct cb_descriptor *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = cb_manifest_new(docker);
	cleanup_free char *config_text = NULL;
	cleanup_free char *manifest_text = NULL;
	struct cb_digest digest;
	size_t len;
	int r;

	if (n_layers != config->n_diff_ids)
		return cb_err_set(
			err, CB_ERR_INTERNAL, "image with %zu layers and %zu diff IDs", n_layers, config->n_diff_ids);
	config_text = cb_image_config_write(config, &len);
	r = cb_blob_put(store, config_text, len, &digest, err);
	if (r < 0)
		return cb_err_wrap(err, r, "store image config");
	cb_descriptor_init(&manifest->config, docker ? CB_MEDIA_DOCKER_CONFIG : CB_MEDIA_OCI_CONFIG, &digest, len);
	for (size_t i = 0; i < n_layers; i++)
		add_layer(manifest, &layers[i]);
	manifest->annotations = json_deep_copy(annotations);

	manifest_text = cb_manifest_write(manifest, &len);
	r = cb_blob_put(store, manifest_text, len, &digest, err);
	if (r < 0)
		return cb_err_wrap(err, r, "store image manifest");
	cb_descriptor_init(ret, cb_manifest_media_type(manifest), &digest, len);
	ret->has_platform = true;
	ret->platform = config->platform;
	return 0;
}

/* Replaces the index that @desc describes by its entry for @want. */
static int resolve_index(
	struct cb_store *store, struct cb_descriptor *desc, const struct cb_platform *want, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	const struct cb_descriptor *entry;
	int r = cb_blob_read(store, &desc->digest, CB_INDEX_BYTES_MAX, &text, err);

	if (r == 0)
		r = cb_index_parse(cb_buf_str(&text), text.len, &index, err);
	if (r < 0)
		return cb_err_wrap(err, r, "image index %s", desc->digest.text);
	entry = cb_index_select(index, want);
	if (!entry) {
		char platform[CB_PLATFORM_TEXT_MAX];
		cleanup_free char *offered = cb_index_platforms(index);

		cb_platform_format(want, platform);
		cb_err_set(err, CB_ERR_NOT_FOUND, "image index %s has nothing for %s, only %s", desc->digest.text,
			platform, *offered ? offered : "unknown platforms");
		return cb_err_hint(err, CB_ERR_NOT_FOUND, "choose one of them with --platform");
	}
	cb_descriptor_done(desc);
	cb_descriptor_copy(desc, entry);
	return 0;
}

int cb_stored_image_load(struct cb_store *store, const struct cb_descriptor *desc, const struct cb_platform *platform,
	struct cb_stored_image **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = cb_new0(struct cb_stored_image);
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_buf struct cb_buf config = { 0 };
	struct cb_platform host;
	int r = 0;

	cb_platform_host(&host);
	cb_descriptor_copy(&image->desc, desc);
	if (cb_media_kind(desc->media_type) == CB_MEDIA_KIND_INDEX)
		r = resolve_index(store, &image->desc, platform ? platform : &host, err);
	if (r == 0)
		r = cb_blob_read(store, &image->desc.digest, CB_MANIFEST_BYTES_MAX, &text, err);
	if (r == 0)
		r = cb_manifest_parse(cb_buf_str(&text), text.len, &image->manifest, err);
	if (r == 0)
		r = cb_blob_read(store, &image->manifest->config.digest, CB_CONFIG_BYTES_MAX, &config, err);
	if (r == 0)
		r = cb_image_config_parse(cb_buf_str(&config), config.len, &image->config, err);
	if (r < 0)
		return cb_err_wrap(err, r, "image %s", image->desc.digest.text);
	if (image->manifest->n_layers != image->config->n_diff_ids)
		return cb_err_set(err, CB_ERR_CORRUPT, "image %s has %zu layers and %zu diff IDs",
			image->desc.digest.text, image->manifest->n_layers, image->config->n_diff_ids);

	*ret = CB_TAKE_PTR(image);
	return 0;
}
