#include "layers/exportset.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "layers/image.h"
#include "layers/ref.h"

#define COPY_BLOCK ((size_t)1 << 20)
#define DEPTH_MAX 4 /* indexes within indexes */

static const char layout_text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

void cb_export_set_done(struct cb_export_set *set)
{
	free(set->blobs);
	cb_map_free(set->seen);
	memset(set, 0, sizeof(*set));
}

/* 1 when it was listed before. */
static int add(struct cb_store *store, struct cb_export_set *set, const struct cb_descriptor *desc, struct cb_err **err)
{
	uint64_t size = 0;
	int r;

	if (cb_map_has(set->seen, desc->digest.text))
		return 1;
	r = cb_blob_has(store, &desc->digest, &size, err);
	if (r == 0 && desc->urls.n && cb_media_is_foreign(desc->media_type))
		return 1;
	if (r < 0)
		return r;
	if (r == 0)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "blob %s is not in the store", desc->digest.text);
	if (size != desc->size)
		return cb_err_set(err, CB_ERR_CORRUPT, "blob %s has %llu bytes, its descriptor says %llu",
			desc->digest.text, (unsigned long long)size, (unsigned long long)desc->size);

	cb_map_set(set->seen, desc->digest.text, set);
	CB_GROW(set->blobs, set->cap, set->n + 1);
	set->blobs[set->n++] = (struct cb_export_blob){ desc->digest, size };
	set->total += size;
	return 0;
}

static int add_manifest(
	struct cb_store *store, struct cb_export_set *set, const struct cb_descriptor *desc, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	int r = cb_blob_read(store, &desc->digest, CB_MANIFEST_BYTES_MAX, &text, err);

	if (r >= 0)
		r = cb_manifest_parse(cb_buf_str(&text), text.len, &manifest, err);
	if (r < 0)
		return cb_err_wrap(err, r, "manifest %s", desc->digest.text);
	r = add(store, set, &manifest->config, err);
	for (size_t i = 0; r >= 0 && i < manifest->n_layers; i++)
		r = add(store, set, &manifest->layers[i], err);
	if (r < 0)
		return cb_err_wrap(err, r, "image %s", desc->digest.text);
	return 0;
}

static int add_tree(struct cb_store *store, struct cb_export_set *set, const struct cb_descriptor *desc,
	unsigned int depth, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	int r = add(store, set, desc, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (cb_media_kind(desc->media_type) != CB_MEDIA_KIND_INDEX)
		return add_manifest(store, set, desc, err);
	if (depth >= DEPTH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "image index %s is nested too deep", desc->digest.text);

	r = cb_blob_read(store, &desc->digest, CB_INDEX_BYTES_MAX, &text, err);
	if (r == 0)
		r = cb_index_parse(cb_buf_str(&text), text.len, &index, err);
	if (r < 0)
		return cb_err_wrap(err, r, "image index %s", desc->digest.text);
	for (size_t i = 0; r == 0 && i < index->n_entries; i++)
		r = add_tree(store, set, &index->entries[i], depth + 1, err);
	return r;
}

int cb_export_set_collect(
	struct cb_store *store, const struct cb_export *what, struct cb_export_set *set, struct cb_err **err)
{
	int r = 0;

	set->seen = cb_map_new(NULL);
	for (; r == 0 && what; what = what->next)
		r = add_tree(store, set, what->desc, 0, err);
	return r;
}

static void add_entry(struct cb_index *index, const struct cb_export *what, const char *name)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_descriptor struct cb_descriptor entry = { 0 };

	cb_descriptor_copy(&entry, what->desc);
	cb_descriptor_annotate(&entry, CB_ANNOTATION_REF_NAME, NULL);
	cb_descriptor_annotate(&entry, CB_ANNOTATION_IMAGE_NAME, NULL);
	if (name) {
		cb_descriptor_annotate(&entry, CB_ANNOTATION_IMAGE_NAME, name);
		if (cb_ref_parse(name, &ref, NULL) == 0 && ref->tag)
			cb_descriptor_annotate(&entry, CB_ANNOTATION_REF_NAME, ref->tag);
	}
	if (what->created)
		cb_descriptor_annotate(&entry, CB_ANNOTATION_CREATED, what->created);
	cb_index_add(index, &entry);
}

struct cb_index *cb_export_set_index(const struct cb_export *what)
{
	struct cb_index *index = cb_index_new(false);

	for (; what; what = what->next) {
		for (size_t i = 0; what->names && i < what->names->n; i++)
			add_entry(index, what, what->names->v[i]);
		if (!what->names || !what->names->n)
			add_entry(index, what, NULL);
	}
	return index;
}

int cb_export_set_advance(const struct cb_export *what, struct cb_export_set *set, uint64_t n, struct cb_err **err)
{
	set->done += n;
	if (what->progress)
		what->progress(what->progress_ctx, set->done, set->total);
	return cb_cancel_check(what->cancel, err);
}

static int write_blob(struct cb_store *store, const struct cb_export *what, struct cb_export_set *set,
	const struct cb_export_blob *blob, struct cb_tarwriter *tar, struct cb_err **err)
{
	cleanup_free char *path = cb_xasprintf("blobs/sha256/%s", cb_digest_hex(&blob->digest));
	cleanup_free char *block = cb_xmalloc(COPY_BLOCK);
	struct cb_tar_entry entry = { .path = path, .type = CB_TAR_FILE, .mode = 0444, .size = blob->size };
	cleanup_close int fd = -EBADF;
	uint64_t left = blob->size;
	int r = cb_blob_open(store, &blob->digest, &fd, NULL, err);

	if (r == 0)
		r = cb_tarwriter_entry(tar, &entry, err);
	while (r == 0 && left) {
		ssize_t n = cb_fd_read_full(fd, block, CB_MIN(left, (uint64_t)COPY_BLOCK));

		if (n < 0)
			return cb_err_errno(err, errno, "read blob %s", blob->digest.text);
		if (n == 0)
			return cb_err_set(err, CB_ERR_CORRUPT, "blob %s became shorter", blob->digest.text);
		r = cb_tarwriter_data(tar, block, (size_t)n, err);
		if (r == 0)
			r = cb_export_set_advance(what, set, (uint64_t)n, err);
		left -= (uint64_t)n;
	}
	return r;
}

int cb_export_set_tar(struct cb_store *store, const struct cb_export *what, struct cb_export_set *set,
	struct cb_tarwriter *tar, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = cb_export_set_index(what);
	size_t len;
	cleanup_free char *text = cb_index_write(index, &len);
	int r = cb_tarwriter_dir(tar, "blobs", 0, err);

	if (r == 0)
		r = cb_tarwriter_dir(tar, "blobs/sha256", 0, err);
	for (size_t i = 0; r == 0 && i < set->n; i++)
		r = write_blob(store, what, set, &set->blobs[i], tar, err);
	if (r == 0)
		r = cb_tarwriter_file(tar, "index.json", 0644, 0, text, len, err);
	if (r == 0)
		r = cb_tarwriter_file(tar, "oci-layout", 0444, 0, layout_text, strlen(layout_text), err);
	return r;
}
