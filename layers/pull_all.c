#include <string.h>

#include "base/map.h"
#include "base/parallel.h"
#include "layers/index.h"
#include "layers/manifest.h"
#include "layers/pull.h"
#include "layers/pull_source.h"

/* Indexes within indexes. */
#define DEPTH_MAX 4
#define PARALLEL_DEFAULT 4

struct all {
	struct cb_pull_source src;
	struct cb_map *seen;
	struct cb_descriptor *blobs;
	size_t n, cap;
	cb_pull_progress progress;
	void *userdata;
};

static void all_done(struct all *all)
{
	cb_map_free(all->seen);
	for (size_t i = 0; i < all->n; i++)
		cb_descriptor_done(&all->blobs[i]);
	free(all->blobs);
}

static void add_blob(struct all *all, const struct cb_descriptor *desc)
{
	if (cb_map_has(all->seen, desc->digest.text) || (desc->urls.n && cb_media_is_foreign(desc->media_type)))
		return;
	cb_map_set(all->seen, desc->digest.text, all);
	CB_GROW(all->blobs, all->cap, all->n + 1);
	memset(&all->blobs[all->n], 0, sizeof(*all->blobs));
	cb_descriptor_copy(&all->blobs[all->n++], desc);
}

static int list_manifest(struct all *all, struct cb_buf *text, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	int r = cb_manifest_parse(cb_buf_str(text), text->len, &manifest, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < manifest->n_layers; i++)
		add_blob(all, &manifest->layers[i]);
	add_blob(all, &manifest->config);
	return 0;
}

/* Fetches the document @desc and those below it, and lists their blobs. */
static int list_document(struct all *all, const struct cb_descriptor *desc, unsigned int depth, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	int r;

	if (cb_map_has(all->seen, desc->digest.text))
		return 0;
	cb_map_set(all->seen, desc->digest.text, all);
	r = cb_pull_document(&all->src, desc, CB_INDEX_BYTES_MAX, &text, err);
	if (r < 0)
		return r;
	if (cb_media_sniff(desc->media_type, cb_buf_str(&text), text.len) != CB_MEDIA_KIND_INDEX)
		return list_manifest(all, &text, err);
	if (depth >= DEPTH_MAX)
		return cb_err_set(err, CB_ERR_CORRUPT, "indexes are nested too deeply");
	r = cb_index_parse(cb_buf_str(&text), text.len, &index, err);
	for (size_t i = 0; r == 0 && i < index->n_entries; i++)
		r = list_document(all, &index->entries[i], depth + 1, err);
	return r;
}

struct one {
	const struct all *all;
	size_t at;
	struct cb_blob_writer *writer;
	uint64_t got;
};

static int take_bytes(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct one *one = userdata;
	const struct all *all = one->all;
	int r = cb_blob_writer_write(one->writer, data, len, err);

	one->got += len;
	if (r == 0 && all->progress && one->got < all->blobs[one->at].size)
		all->progress(all->userdata, one->at, one->got, all->blobs[one->at].size);
	return r;
}

static int fetch(struct one *one, struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_blob_writer_free) struct cb_blob_writer *writer = NULL;
	const struct cb_descriptor *blob = &one->all->blobs[one->at];
	struct cb_pull_source src = one->all->src;
	int r = cb_blob_writer_open(src.puller->store, &writer, err);

	if (r < 0)
		return r;
	src.cancel = cancel;
	one->writer = writer;
	r = cb_pull_stream(&src, blob, take_bytes, one, err);
	if (r == 0)
		r = cb_blob_writer_finish(writer, &blob->digest, blob->size, NULL, err);
	return r < 0 && r != CB_ERR_CANCELED ? cb_err_wrap(err, r, "blob %s", blob->digest.text) : r;
}

static int fetch_one(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	struct all *all = userdata;
	struct one one = { .all = all, .at = at };
	int r = cb_blob_has(all->src.puller->store, &all->blobs[at].digest, NULL, err);

	if (r == 0)
		r = fetch(&one, cancel, err);
	if (r < 0)
		return r;
	if (all->progress)
		all->progress(all->userdata, at, all->blobs[at].size, all->blobs[at].size);
	return 0;
}

int cb_pull_all(struct cb_puller *puller, const char *name, unsigned int parallel, cb_pull_progress progress,
	void *userdata, struct cb_cancel *cancel, struct cb_descriptor *ret, struct cb_err **err)
{
	__attribute__((cleanup(all_done))) struct all all = { .progress = progress, .userdata = userdata };
	cleanup_descriptor struct cb_descriptor top = { 0 };
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	int r = cb_ref_parse(name, &ref, err);

	if (r < 0)
		return r;
	all.src = (struct cb_pull_source){ .puller = puller, .ref = ref, .cancel = cancel };
	all.seen = cb_map_new(NULL);
	r = cb_registry_resolve(puller->registry, ref, cancel, &top, err);
	if (r == 0)
		r = list_document(&all, &top, 0, err);
	if (r == 0)
		r = cb_parallel_each(
			"pull", parallel ? parallel : PARALLEL_DEFAULT, all.n, fetch_one, &all, cancel, err);
	if (r < 0)
		return r == CB_ERR_CANCELED ? r : cb_err_wrap(err, r, "%s", name);
	*ret = top;
	top = (struct cb_descriptor){ 0 };
	return 0;
}
