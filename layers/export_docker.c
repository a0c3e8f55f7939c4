/* The archive of `docker save` since 25: an OCI layout with a manifest.json beside it, which older `docker load` reads.
 */
#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "layers/exportset.h"
#include "layers/ref.h"

static json_t *blob_path(const struct cb_digest *digest)
{
	cleanup_free char *path = cb_xasprintf("blobs/sha256/%s", cb_digest_hex(digest));

	return json_string(path);
}

/* docker load wants names as people type them: "busybox:1", not "docker.io/library/busybox:1". */
static int repo_tags(const struct cb_strv *names, json_t **ret, struct cb_err **err)
{
	cleanup_json json_t *tags = json_array();

	for (size_t i = 0; names && i < names->n; i++) {
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		cleanup_free char *name = NULL;
		int r = cb_ref_parse(names->v[i], &ref, err);

		if (r < 0)
			return r;
		ref->has_digest = false;
		name = cb_ref_familiar(ref, false);
		json_array_append_new(tags, json_string(name));
	}
	*ret = CB_TAKE_PTR(tags);
	return 0;
}

/* One image of manifest.json. */
static int add_image(struct cb_store *store, const struct cb_export *what, json_t *doc, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	json_t *image, *tags = NULL, *layers;
	int r;

	if (cb_media_kind(what->desc->media_type) == CB_MEDIA_KIND_INDEX)
		return cb_err_set(
			err, CB_ERR_UNSUPPORTED, "a docker archive holds one platform, this image has several");
	r = cb_blob_read(store, &what->desc->digest, CB_MANIFEST_BYTES_MAX, &text, err);
	if (r == 0)
		r = cb_manifest_parse(cb_buf_str(&text), text.len, &manifest, err);
	if (r == 0)
		r = repo_tags(what->names, &tags, err);
	if (r < 0)
		return r;
	assert(manifest);
	image = json_object();
	json_object_set_new(image, "Config", blob_path(&manifest->config.digest));
	json_object_set_new(image, "RepoTags", tags);
	layers = json_array();
	for (size_t i = 0; i < manifest->n_layers; i++)
		json_array_append_new(layers, blob_path(&manifest->layers[i].digest));
	json_object_set_new(image, "Layers", layers);
	json_array_append_new(doc, image);
	return 0;
}

int cb_export_docker_tar(struct cb_store *store, const struct cb_export *what, int fd, struct cb_err **err)
{
	cleanup_export_set struct cb_export_set set = { 0 };
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *tar = NULL;
	cleanup_json json_t *doc = json_array();
	cleanup_free char *text = NULL;
	int r = 0;

	for (const struct cb_export *one = what; r == 0 && one; one = one->next)
		r = add_image(store, one, doc, err);
	if (r == 0)
		r = cb_export_set_collect(store, what, &set, err);
	if (r < 0)
		return r;
	text = cb_json_dump_go(doc, false);
	tar = cb_tarwriter_new(cb_sink_fd(&fd));
	r = cb_export_set_tar(store, what, &set, tar, err);
	if (r >= 0)
		r = cb_tarwriter_file(tar, "manifest.json", 0644, 0, text, strlen(text), err);
	return r < 0 ? r : cb_tarwriter_finish(tar, err);
}
