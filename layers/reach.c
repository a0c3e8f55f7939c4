#include "layers/reach.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/config.h"
#include "layers/image.h"
#include "layers/storedb.h"

/* Indexes in indexes: deeper ones lead nowhere. */
#define DEPTH_MAX 4

void cb_reach_done(struct cb_reach *reach)
{
	cb_map_free(reach->blobs);
	cb_map_free(reach->diff_ids);
	reach->blobs = reach->diff_ids = NULL;
}

static bool mark(struct cb_map **map, const char *key)
{
	if (!*map)
		*map = cb_map_new(NULL);
	if (cb_map_has(*map, key))
		return false;
	cb_map_set(*map, key, map);
	return true;
}

/* Not cb_blob_read: looking who needs a blob is no use of it. */
static int read_document(
	struct cb_store *store, const struct cb_digest *digest, size_t max, struct cb_buf *out, struct cb_err **err)
{
	return cb_file_read_at(store->blobs, cb_digest_hex(digest), max, out, err);
}

static void add_config(struct cb_store *store, const struct cb_descriptor *desc, struct cb_reach *reach)
{
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *config = NULL;
	cleanup_buf struct cb_buf text = { 0 };

	if (!mark(&reach->blobs, desc->digest.text) ||
		read_document(store, &desc->digest, CB_CONFIG_BYTES_MAX, &text, NULL) < 0 ||
		cb_image_config_parse(cb_buf_str(&text), text.len, &config, NULL) < 0)
		return;
	for (size_t i = 0; i < config->n_diff_ids; i++)
		mark(&reach->diff_ids, config->diff_ids[i].text);
}

static void add_manifest(struct cb_store *store, const struct cb_descriptor *desc, struct cb_reach *reach)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_buf struct cb_buf text = { 0 };

	if (read_document(store, &desc->digest, CB_MANIFEST_BYTES_MAX, &text, NULL) < 0 ||
		cb_manifest_parse(cb_buf_str(&text), text.len, &manifest, NULL) < 0)
		return;
	add_config(store, &manifest->config, reach);
	for (size_t i = 0; i < manifest->n_layers; i++)
		mark(&reach->blobs, manifest->layers[i].digest.text);
}

/* The entries of an index go behind it in the list. */
static void add_index(struct cb_store *store, const struct cb_descriptor *desc, struct cb_index *list)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_buf struct cb_buf text = { 0 };

	if (read_document(store, &desc->digest, CB_INDEX_BYTES_MAX, &text, NULL) < 0 ||
		cb_index_parse(cb_buf_str(&text), text.len, &index, NULL) < 0)
		return;
	for (size_t i = 0; i < index->n_entries; i++)
		cb_index_add(list, &index->entries[i]);
}

void cb_reach_add(struct cb_store *store, const struct cb_descriptor *desc, struct cb_reach *reach)
{
	CB_CLEANUP(cb_index_free) struct cb_index *list = cb_index_new(false);
	size_t from = 0;

	cb_index_add(list, desc);
	for (int depth = 0; depth < DEPTH_MAX && from < list->n_entries; depth++) {
		size_t end = list->n_entries;

		for (; from < end; from++) {
			cleanup_descriptor struct cb_descriptor one = { 0 };

			cb_descriptor_copy(&one, &list->entries[from]); /* the list may move */
			if (!mark(&reach->blobs, one.digest.text))
				continue;
			if (cb_media_kind(one.media_type) == CB_MEDIA_KIND_INDEX)
				add_index(store, &one, list);
			else
				add_manifest(store, &one, reach);
		}
	}
}

int cb_reach_names(struct cb_store *store, struct cb_reach *reach, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	int r = cb_tag_list(store, &index, err);

	for (size_t i = 0; r == 0 && i < index->n_entries; i++)
		cb_reach_add(store, &index->entries[i], reach);
	return r;
}
