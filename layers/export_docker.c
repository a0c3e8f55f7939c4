/* The archive of `docker save` since 25: an OCI layout with a manifest.json beside it, which older `docker load` reads.
 */
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

static int manifest_json(const struct cb_export *what, const struct cb_export_set *set, char **ret, struct cb_err **err)
{
	cleanup_json json_t *doc = json_array();
	json_t *image, *tags = NULL, *layers;
	int r = repo_tags(what->names, &tags, err);

	if (r < 0)
		return r;
	image = json_object();
	json_object_set_new(image, "Config", blob_path(&set->manifest->config.digest));
	json_object_set_new(image, "RepoTags", tags);
	layers = json_array();
	for (size_t i = 0; i < set->manifest->n_layers; i++)
		json_array_append_new(layers, blob_path(&set->manifest->layers[i].digest));
	json_object_set_new(image, "Layers", layers);
	json_array_append_new(doc, image);
	*ret = cb_json_dump_go(doc, false);
	return 0;
}

int cb_export_docker_tar(struct cb_store *store, const struct cb_export *what, int fd, struct cb_err **err)
{
	cleanup_export_set struct cb_export_set set = { 0 };
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *tar = NULL;
	cleanup_free char *text = NULL;
	int r;

	if (cb_media_kind(what->desc->media_type) == CB_MEDIA_KIND_INDEX)
		return cb_err_set(
			err, CB_ERR_UNSUPPORTED, "a docker archive holds one platform, this image has several");
	r = cb_export_set_collect(store, what, &set, err);
	if (r >= 0)
		r = manifest_json(what, &set, &text, err);
	if (r < 0)
		return r;
	tar = cb_tarwriter_new(cb_sink_fd(&fd));
	r = cb_export_set_tar(store, what, &set, tar, err);
	if (r >= 0)
		r = cb_tarwriter_file(tar, "manifest.json", 0644, 0, text, strlen(text), err);
	return r < 0 ? r : cb_tarwriter_finish(tar, err);
}
