#include "builder/storedimage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/timefmt.h"

void cb_listing_done(struct cb_listing *listing)
{
	for (size_t i = 0; i < listing->n; i++) {
		cb_descriptor_done(&listing->v[i].desc);
		cb_strv_done(&listing->v[i].names);
		cb_strv_done(&listing->v[i].platforms);
		cb_stored_image_free(listing->v[i].image);
	}
	free(listing->v);
	memset(listing, 0, sizeof(*listing));
}

static time_t created(const struct cb_listed_image *image)
{
	const char *text = image->image ? image->image->config->created : NULL;
	struct timespec t;

	return text && cb_time_parse(text, &t) ? t.tv_sec : 0;
}

static int newer_first(const void *a, const void *b)
{
	const struct cb_listed_image *x = a, *y = b;
	time_t xt = created(x), yt = created(y);

	if (xt != yt)
		return xt > yt ? -1 : 1;
	return strcmp(x->names.n ? x->names.v[0] : "", y->names.n ? y->names.v[0] : "");
}

static void count(struct cb_map *seen, const struct cb_descriptor *blob, uint64_t *size)
{
	if (cb_map_has(seen, blob->digest.text))
		return;
	cb_map_set(seen, blob->digest.text, seen);
	*size += blob->size;
}

static void count_image(struct cb_map *seen, const struct cb_stored_image *image, uint64_t *size)
{
	count(seen, &image->desc, size);
	count(seen, &image->manifest->config, size);
	for (size_t i = 0; i < image->manifest->n_layers; i++)
		count(seen, &image->manifest->layers[i], size);
}

/* All platforms that are here; this host's stands for the image, else the first. */
static void read_index(struct cb_store *store, struct cb_listed_image *image, struct cb_map *seen)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	struct cb_platform host;

	cb_platform_host(&host);
	if (cb_blob_read(store, &image->desc.digest, CB_INDEX_BYTES_MAX, &text, NULL) < 0 ||
		cb_index_parse(cb_buf_str(&text), text.len, &index, NULL) < 0)
		return;
	for (size_t i = 0; i < index->n_entries; i++) {
		CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *one = NULL;
		char platform[CB_PLATFORM_TEXT_MAX];

		if (cb_media_kind(index->entries[i].media_type) == CB_MEDIA_KIND_INDEX ||
			cb_stored_image_load(store, &index->entries[i], NULL, &one, NULL) < 0)
			continue;
		cb_platform_format(&index->entries[i].platform, platform);
		if (index->entries[i].has_platform)
			cb_strv_add(&image->platforms, platform);
		count_image(seen, one, &image->size);
		if (!image->image || &index->entries[i] == cb_index_select(index, &host)) {
			cb_stored_image_free(image->image);
			image->image = CB_TAKE_PTR(one);
		}
	}
}

static void read_image(struct cb_store *store, struct cb_listed_image *image)
{
	CB_CLEANUP(cb_map_free) struct cb_map *seen = cb_map_new(NULL);

	count(seen, &image->desc, &image->size);
	if (cb_media_kind(image->desc.media_type) == CB_MEDIA_KIND_INDEX)
		read_index(store, image, seen);
	/* A damaged image is listed, too: it can be removed by its name. */
	else if (cb_stored_image_load(store, &image->desc, NULL, &image->image, NULL) == 0)
		count_image(seen, image->image, &image->size);
}

int cb_listing_read(struct cb_store *store, struct cb_listing *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	CB_CLEANUP(cb_map_free) struct cb_map *places = cb_map_new(free);
	int r = cb_tag_list(store, &index, err);

	for (size_t i = 0; r == 0 && i < index->n_entries; i++) {
		const struct cb_descriptor *entry = &index->entries[i];
		const char *name = cb_descriptor_annotation(entry, CB_ANNOTATION_REF_NAME);
		size_t *at = cb_map_get(places, entry->digest.text);

		if (!at) {
			CB_GROW(ret->v, ret->cap, ret->n + 1);
			ret->v[ret->n] = (struct cb_listed_image){ 0 };
			cb_descriptor_copy(&ret->v[ret->n].desc, entry);
			read_image(store, &ret->v[ret->n]);
			at = cb_new0(size_t);
			*at = ret->n++;
			cb_map_set(places, entry->digest.text, at);
		}
		if (name)
			cb_strv_add(&ret->v[*at].names, name);
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), newer_first);
	return r;
}

int cb_stored_find(struct cb_store *store, const char *text, struct cb_descriptor *ret, struct cb_err **err)
{
	int r = cb_tag_find(store, text, ret, err);

	if (r <= 0)
		return r;
	cb_err_set(err, CB_ERR_NOT_FOUND, "there is no image \"%s\" in the store %s", text, cb_store_path(store));
	return cb_err_hint(err, CB_ERR_NOT_FOUND, "cbuild images lists those that are there");
}

int cb_stored_open(struct cb_store *store, const char *text, const struct cb_platform *platform,
	struct cb_stored_image **ret, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	int r = cb_stored_find(store, text, &desc, err);

	return r < 0 ? r : cb_stored_image_load(store, &desc, platform, ret, err);
}

const char *cb_stored_id(const struct cb_digest *digest, bool whole, char *out)
{
	if (whole)
		snprintf(out, CB_DIGEST_TEXT_MAX, "%s", digest->text);
	else
		snprintf(out, CB_DIGEST_TEXT_MAX, "%.12s", cb_digest_hex(digest));
	return out;
}
