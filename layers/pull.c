#include "layers/pull.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/pull_source.h"

/* Indexes within indexes. */
#define INDEX_DEPTH_MAX 4

struct cb_puller *cb_puller_new(struct cb_registry *registry, struct cb_store *store)
{
	struct cb_puller *puller = cb_new0(struct cb_puller);

	puller->registry = registry;
	puller->store = store;
	return puller;
}

struct cb_puller *cb_puller_free(struct cb_puller *puller)
{
	free(puller);
	return NULL;
}

struct cb_image *cb_image_free(struct cb_image *image)
{
	if (!image)
		return NULL;
	for (size_t i = 0; i < image->n_layers; i++)
		cb_descriptor_done(&image->layers[i].desc);
	free(image->layers);
	cb_descriptor_done(&image->top);
	cb_descriptor_done(&image->manifest);
	cb_image_config_free(image->config);
	cb_ref_free(image->ref);
	free(image->config_json);
	free(image->layout);
	free(image->name);
	free(image);
	return NULL;
}

/* Where only the digest was known, the document says what it is. */
static void fill_type(struct cb_descriptor *desc, const char *type)
{
	if (desc->media_type && *desc->media_type)
		return;
	free(desc->media_type);
	desc->media_type = cb_xstrdup(type);
}

/* Reads the manifest that image->top leads to, through indexes. */
static int find_manifest(const struct cb_pull_source *src, const struct cb_platform *platform, struct cb_image *image,
	struct cb_manifest **ret, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor at = { 0 };
	int r;

	cb_descriptor_copy(&at, &image->top);
	for (int depth = 0; depth <= INDEX_DEPTH_MAX; depth++) {
		CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
		cleanup_buf struct cb_buf body = { 0 };
		const struct cb_descriptor *entry;
		enum cb_media_kind kind;

		r = cb_pull_document(src, &at, CB_INDEX_BYTES_MAX, &body, err);
		if (r < 0)
			return r;
		kind = cb_media_sniff(at.media_type, body.data ? body.data : "", body.len);
		if (kind != CB_MEDIA_KIND_INDEX) {
			r = cb_manifest_parse(body.data ? body.data : "", body.len, ret, err);
			if (r < 0)
				return r;
			fill_type(&at, cb_manifest_media_type(*ret));
			if (depth == 0)
				fill_type(&image->top, at.media_type);
			image->manifest = at;
			at = (struct cb_descriptor){ 0 };
			return 0;
		}
		r = cb_index_parse(body.data, body.len, &index, err);
		if (r < 0)
			return r;
		if (depth == 0)
			fill_type(&image->top, index->docker ? CB_MEDIA_DOCKER_LIST : CB_MEDIA_OCI_INDEX);
		entry = cb_index_select(index, platform);
		if (!entry) {
			char want[CB_PLATFORM_TEXT_MAX];
			cleanup_free char *have = cb_index_platforms(index);

			cb_platform_format(platform, want);
			return cb_err_set(err, CB_ERR_NOT_FOUND, "no match for platform %s (there are: %s)", want,
				*have ? have : "none");
		}
		cb_descriptor_done(&at);
		at = (struct cb_descriptor){ 0 };
		cb_descriptor_copy(&at, entry);
	}
	return cb_err_set(err, CB_ERR_CORRUPT, "indexes are nested too deeply");
}

static int read_config(const struct cb_pull_source *src, const struct cb_manifest *manifest, struct cb_image *image,
	struct cb_err **err)
{
	cleanup_buf struct cb_buf body = { 0 };
	int r;

	r = cb_pull_document(src, &manifest->config, CB_CONFIG_BYTES_MAX, &body, err);
	if (r == 0)
		r = cb_image_config_parse(body.data ? body.data : "", body.len, &image->config, err);
	if (r < 0)
		return r;
	if (image->config->n_diff_ids != manifest->n_layers)
		return cb_err_set(err, CB_ERR_CORRUPT, "the config names %zu layers, the manifest %zu",
			image->config->n_diff_ids, manifest->n_layers);
	image->config_len = body.len;
	image->config_json = cb_buf_take(&body);
	image->n_layers = manifest->n_layers;
	image->layers = cb_newa0(struct cb_image_layer, CB_MAX(manifest->n_layers, 1));
	for (size_t i = 0; i < manifest->n_layers; i++) {
		cb_descriptor_copy(&image->layers[i].desc, &manifest->layers[i]);
		image->layers[i].diff_id = image->config->diff_ids[i];
	}
	return 0;
}

/* The image behind @top in @src. */
static int read_image(const struct cb_pull_source *src, const struct cb_descriptor *top,
	const struct cb_platform *platform, struct cb_image **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_image_free) struct cb_image *image = cb_new0(struct cb_image);
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	int r;

	cb_descriptor_copy(&image->top, top);
	r = find_manifest(src, platform, image, &manifest, err);
	if (r < 0)
		return r;
	assert(manifest);
	r = read_config(src, manifest, image, err);
	if (r < 0)
		return r;
	image->ref = src->ref ? cb_ref_copy(src->ref) : NULL;
	image->layout = cb_xstrdup_null(src->layout);
	*ret = CB_TAKE_PTR(image);
	return 0;
}

static int resolve_layout(struct cb_puller *puller, const char *name, const struct cb_platform *platform,
	struct cb_cancel *cancel, struct cb_image **ret, struct cb_err **err)
{
	cleanup_free char *dir = NULL, *tag = NULL, *digest = NULL;
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	struct cb_pull_source src = { .puller = puller, .cancel = cancel };
	int r;

	cb_layout_split(name + strlen("oci-layout://"), &dir, &tag, &digest);
	src.layout = dir;
	r = cb_layout_find(dir, tag, digest, &desc, err);
	if (r < 0)
		return r;
	r = read_image(&src, &desc, platform, ret, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s", name);
	(*ret)->from = CB_IMAGE_LAYOUT;
	(*ret)->name = cb_xstrdup(name);
	return 0;
}

static char *other_platform(const struct cb_image *image)
{
	char text[CB_PLATFORM_TEXT_MAX];

	cb_platform_format(&image->config->platform, text);
	return cb_xasprintf("it is for %s", text);
}

/*
 * An image under its digest, or under a tag of the user's: 1 when the store has none that fits; *ret_other then says
 * why the one of that name does not.
 */
static int resolve_local(const struct cb_pull_source *src, const char *name, const struct cb_platform *platform,
	unsigned int flags, struct cb_image **ret, char **ret_other, struct cb_err **err)
{
	CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	struct cb_store *store = src->puller->store;
	struct cb_pull_source local = *src;
	cleanup_err struct cb_err *why = NULL;
	uint64_t size = 0;
	int r;

	if (src->ref->has_digest) {
		r = cb_blob_has(store, &src->ref->digest, &size, err);
		if (r <= 0)
			return r < 0 ? r : 1;
		/* The kind of document shows when it is read. */
		cb_descriptor_init(&desc, "", &src->ref->digest, size);
	} else if (flags & CB_PULL_ALWAYS) {
		return 1;
	} else {
		r = cb_tag_find(store, name, &desc, err);
		if (r != 0)
			return r;
	}
	local.store_only = true;
	r = read_image(&local, &desc, platform, &image, &why);
	/* Documents that are no longer there, or another platform's. */
	if (r == CB_ERR_NOT_FOUND || (r == CB_ERR_CORRUPT && src->ref->has_digest)) {
		*ret_other = cb_xstrdup(cb_err_msg(why));
		return 1;
	}
	if (r < 0) {
		cb_err_wrap(&why, r, "%s", name);
		return cb_err_move(err, CB_TAKE_PTR(why));
	}
	if (!src->ref->has_digest && !cb_platform_match(platform, &image->config->platform)) {
		*ret_other = other_platform(image);
		return 1;
	}
	image->from = CB_IMAGE_STORE;
	*ret = CB_TAKE_PTR(image);
	return 0;
}

static int resolve_remote(const struct cb_pull_source *src, const char *name, const struct cb_platform *platform,
	struct cb_image **ret, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	int r;

	r = cb_registry_resolve(src->puller->registry, src->ref, src->cancel, &desc, err);
	if (r == CB_ERR_NOT_FOUND)
		return cb_err_hint(err, r, "check name and tag; some registries say so of private images too");
	if (r < 0)
		return r;
	r = read_image(src, &desc, platform, ret, err);
	return r < 0 && r != CB_ERR_CANCELED ? cb_err_wrap(err, r, "%s", name) : r;
}

int cb_pull_resolve(struct cb_puller *puller, const char *name, const struct cb_platform *platform, unsigned int flags,
	struct cb_cancel *cancel, struct cb_image **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *full = NULL, *other = NULL;
	struct cb_pull_source src = { .puller = puller, .cancel = cancel };
	struct cb_image *image = NULL;
	int r;

	assert(platform);
	if (cb_str_starts(name, "oci-layout://"))
		return resolve_layout(puller, name, platform, cancel, ret, err);
	if (cb_str_starts(name, "docker-image://"))
		name += strlen("docker-image://");
	r = cb_ref_parse(name, &ref, err);
	if (r < 0)
		return r;
	full = cb_ref_format(ref);
	src.ref = ref;
	r = resolve_local(&src, full, platform, flags, &image, &other, err);
	if (r > 0 && (flags & CB_PULL_NEVER))
		return cb_err_set(err, CB_ERR_NOT_FOUND, "%s is not in the store", full);
	if (r > 0)
		r = resolve_remote(&src, full, platform, &image, err);
	if (r < 0 && r != CB_ERR_CANCELED && other)
		return cb_err_hint(err, r, "the image of that name in the store does not fit: %s", other);
	if (r < 0)
		return r;
	assert(image);
	image->name = CB_TAKE_PTR(full);
	*ret = image;
	return 0;
}
