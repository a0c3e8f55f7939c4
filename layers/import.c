#include "layers/import.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/map.h"
#include "base/path.h"
#include "layers/image.h"
#include "layers/layercommit.h"
#include "layers/layertable.h"
#include "layers/reach.h"
#include "layers/ref.h"
#include "layers/tarread.h"

/* Files that may be documents or small layers are kept until the list of images says what they are. */
#define SMALL_MAX ((uint64_t)8 << 20)
#define SMALL_TOTAL_MAX ((uint64_t)64 << 20)
#define FILES_MAX 20000
#define IMAGES_MAX 10000
#define LINKS_MAX 8

/* A file of the archive: in memory, in the store, or another name. */
struct file {
	struct cb_buf data;
	char *link;
	bool stored;
	struct cb_layer layer; /* of what is stored: blob, and the diff ID if it was made here */
};

struct reading {
	struct cb_store *store;
	struct cb_pool *pool;
	const struct cb_cancel *cancel;
	struct cb_tarreader *tar;
	struct cb_map *files; /* path -> struct file */
	uint64_t small;
	struct cb_import *out;
	/* What is left of the piece that cb_tarreader_data gave. */
	const char *piece;
	size_t piece_len;
};

void cb_import_done(struct cb_import *import)
{
	for (size_t i = 0; i < import->n; i++) {
		cb_descriptor_done(&import->v[i].desc);
		cb_strv_done(&import->v[i].names);
	}
	free(import->v);
	memset(import, 0, sizeof(*import));
}

static void file_free(void *value)
{
	struct file *file = value;

	cb_buf_done(&file->data);
	cb_layer_done(&file->layer);
	free(file->link);
	free(file);
}

static struct cb_import_image *add_image(struct cb_import *import)
{
	CB_GROW(import->v, import->cap, import->n + 1);
	import->v[import->n] = (struct cb_import_image){ 0 };
	return &import->v[import->n++];
}

/* Names that cannot be used are left out: the image has its digest. */
static void add_name(struct cb_import_image *image, const char *name)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *full = NULL;

	if (!name || cb_ref_parse(name, &ref, NULL) < 0)
		return;
	ref->has_digest = false;
	if (!ref->tag)
		ref->tag = cb_xstrdup("latest");
	full = cb_ref_format(ref);
	if (!cb_strv_has(&image->names, full))
		cb_strv_add(&image->names, full);
}

/* ---- reading the archive -------------------------------------------------------------------------------------- */

static ssize_t read_entry(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct reading *in = arg;
	size_t n;

	if (!in->piece_len) {
		const void *piece;
		uint64_t at;
		ssize_t got = cb_tarreader_data(in->tar, &piece, &at, err);

		if (got <= 0)
			return got;
		in->piece = piece;
		in->piece_len = (size_t)got;
	}
	n = CB_MIN(len, in->piece_len);
	memcpy(buf, in->piece, n);
	in->piece += n;
	in->piece_len -= n;
	return (ssize_t)n;
}

/* The entry's bytes as a blob; @want may be NULL. */
static int store_blob(struct reading *in, const struct cb_digest *want, struct file *file, struct cb_err **err)
{
	CB_CLEANUP(cb_blob_writer_free) struct cb_blob_writer *writer = NULL;
	struct cb_digest digest;
	const void *piece;
	uint64_t at;
	ssize_t n;
	int r = cb_blob_writer_open(in->store, &writer, err);

	while (r == 0 && (n = cb_tarreader_data(in->tar, &piece, &at, err)) != 0) {
		r = n < 0 ? (int)n : cb_blob_writer_write(writer, piece, (size_t)n, err);
		if (r == 0)
			r = cb_cancel_check(in->cancel, err);
	}
	if (r == 0)
		r = cb_blob_writer_finish(writer, want, UINT64_MAX, &digest, err);
	if (r < 0)
		return r;
	cb_descriptor_init(&file->layer.blob, "", &digest, cb_blob_writer_size(writer));
	file->stored = true;
	return 0;
}

/* A large file that is no blob of a layout can only be a layer. */
static int store_layer(struct reading *in, struct cb_source source, struct file *file, struct cb_err **err)
{
	struct cb_compress_spec spec = { .codec = CB_CODEC_GZIP, .level = CB_LEVEL_DEFAULT };
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *plain = NULL;
	/* Some tools put compressed layers into docker archives. */
	int r = cb_decompressor_open(source, NULL, &plain, err);

	if (r == 0)
		r = cb_layer_commit_tar(
			in->store, cb_decompressor_source(plain), &spec, in->pool, in->cancel, &file->layer, err);
	if (r == 0)
		r = cb_layer_put(in->store, &file->layer.diff_id, file->layer.size, &file->layer.blob, err);
	if (r == 0) {
		file->stored = true;
		cb_buf_done(&file->data);
	}
	return r;
}

static int read_file(struct reading *in, const char *path, uint64_t size, struct file *file, struct cb_err **err)
{
	cleanup_free char *text = NULL;
	struct cb_digest digest;
	const void *piece;
	uint64_t at;
	ssize_t n;

	in->piece_len = 0;
	if (cb_str_starts(path, "blobs/sha256/")) {
		text = cb_xasprintf("sha256:%s", path + strlen("blobs/sha256/"));
		if (cb_digest_parse(text, &digest))
			return store_blob(in, &digest, file, err);
	}
	if (size > SMALL_MAX || in->small + size > SMALL_TOTAL_MAX)
		return store_layer(in, (struct cb_source){ read_entry, in }, file, err);
	in->small += size;
	while ((n = cb_tarreader_data(in->tar, &piece, &at, err)) > 0)
		cb_buf_add(&file->data, piece, (size_t)n);
	return n < 0 ? (int)n : 0;
}

/* "./a/b" and "a//b" are a/b. */
static char *clean(const char *path)
{
	cleanup_free char *abs = cb_path_abs(path);

	return cb_xstrdup(abs + 1);
}

static int read_item(struct reading *in, const struct cb_tar_item *item, struct cb_err **err)
{
	cleanup_free char *path = clean(item->path);
	struct file *file;
	int r = 0;

	if (item->type != CB_TAR_FILE && item->type != CB_TAR_SYMLINK && item->type != CB_TAR_HARDLINK)
		return 0;
	if (cb_map_len(in->files) >= FILES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "more than %d files", FILES_MAX);
	file = cb_new0(struct file);
	if (item->type == CB_TAR_SYMLINK) {
		cleanup_free char *dir = cb_path_dir(path);
		cleanup_free char *target = cb_path_join(dir, item->link);

		file->link = clean(target);
	} else if (item->type == CB_TAR_HARDLINK) {
		file->link = clean(item->link);
	} else {
		r = read_file(in, path, item->size, file, err);
	}
	cb_map_set(in->files, path, file);
	return r < 0 ? cb_err_wrap(err, r, "%s", path) : 0;
}

static int read_archive(struct reading *in, struct cb_err **err)
{
	const struct cb_tar_item *item;
	int r;

	while ((r = cb_tarreader_next(in->tar, &item, err)) == 0) {
		r = read_item(in, item, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : cb_tarreader_drain(in->tar, err);
}

/* ---- docker archives ------------------------------------------------------------------------------------------ */

static struct file *find(struct reading *in, const char *path)
{
	cleanup_free char *name = clean(path);
	struct file *file = cb_map_get(in->files, name);

	for (int i = 0; file && file->link && i < LINKS_MAX; i++)
		file = cb_map_get(in->files, file->link);
	return file && !file->link ? file : NULL;
}

static int document(struct reading *in, const char *path, size_t max, struct cb_buf *out, struct cb_err **err)
{
	const struct file *file = find(in, path);

	if (!file)
		return cb_err_set(err, CB_ERR_CORRUPT, "the archive has no %s", path);
	if (file->stored)
		return cb_blob_read(in->store, &file->layer.blob.digest, max, out, err);
	if (file->data.len > max)
		return cb_err_set(err, CB_ERR_LIMIT, "%s is larger than %zu bytes", path, max);
	cb_buf_add(out, file->data.data, file->data.len);
	return 0;
}

/* Layer @path as a blob of the store whose content is @diff_id. */
static int add_layer(struct reading *in, const char *path, const struct cb_digest *diff_id,
	struct cb_manifest *manifest, struct cb_err **err)
{
	struct file *file = find(in, path);
	struct cb_source_mem mem = { 0 };
	cleanup_close int fd = -EBADF;
	int r = 0;

	if (!file)
		return cb_err_set(err, CB_ERR_CORRUPT, "the archive has no %s", path);
	if (!file->stored) {
		mem = (struct cb_source_mem){ .data = cb_buf_str(&file->data), .len = file->data.len };
		r = store_layer(in, cb_source_mem(&mem), file, err);
	} else if (!cb_digest_is_set(&file->layer.diff_id)) {
		/* A blob of a layout with a manifest.json and without index.json: uncompressed, as a rule. */
		cleanup_descriptor struct cb_descriptor raw = file->layer.blob;

		file->layer.blob = (struct cb_descriptor){ 0 };
		r = cb_blob_open(in->store, &raw.digest, &fd, NULL, err);
		if (r == 0)
			r = store_layer(in, cb_source_fd(&fd), file, err);
	}
	if (r < 0)
		return cb_err_wrap(err, r, "layer %s", path);
	if (!cb_digest_equal(&file->layer.diff_id, diff_id))
		return cb_err_set(err, CB_ERR_CORRUPT, "layer %s has diff ID %s, the config says %s", path,
			file->layer.diff_id.text, diff_id->text);
	cb_manifest_add_layer(manifest, &file->layer.blob);
	return 0;
}

static int make_manifest(struct reading *in, const char *config_path, const struct cb_strv *layers,
	struct cb_import_image *image, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = cb_manifest_new(false);
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *config = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *doc = NULL;
	struct cb_digest digest;
	size_t len;
	int r = document(in, config_path, CB_CONFIG_BYTES_MAX, &text, err);

	if (r == 0)
		r = cb_image_config_parse(cb_buf_str(&text), text.len, &config, err);
	if (r < 0)
		return r;
	assert(config);
	if (config->n_diff_ids != layers->n)
		return cb_err_set(err, CB_ERR_CORRUPT, "%zu layers, and %zu diff IDs in %s", layers->n,
			config->n_diff_ids, config_path);
	r = cb_blob_put(in->store, text.data, text.len, &digest, err);
	if (r < 0)
		return r;
	cb_descriptor_init(&manifest->config, CB_MEDIA_OCI_CONFIG, &digest, text.len);
	for (size_t i = 0; i < layers->n; i++) {
		r = add_layer(in, layers->v[i], &config->diff_ids[i], manifest, err);
		if (r < 0)
			return r;
	}
	doc = cb_manifest_write(manifest, &len);
	r = cb_blob_put(in->store, doc, len, &digest, err);
	if (r < 0)
		return r;
	cb_descriptor_init(&image->desc, cb_manifest_media_type(manifest), &digest, len);
	image->desc.has_platform = true;
	image->desc.platform = config->platform;
	return 0;
}

static int read_docker(struct reading *in, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_json json_t *doc = NULL;
	json_t *entry;
	size_t i;
	int r = document(in, "manifest.json", CB_INDEX_BYTES_MAX, &text, err);

	if (r == 0)
		r = cb_json_parse(cb_buf_str(&text), text.len, &doc, err);
	if (r < 0)
		return cb_err_wrap(err, r, "manifest.json");
	if (!json_is_array(doc) || json_array_size(doc) > IMAGES_MAX)
		return cb_err_set(err, CB_ERR_CORRUPT, "manifest.json is no list of images");
	json_array_foreach(doc, i, entry)
	{
		struct cb_import_image *image = add_image(in->out);
		cleanup_strv struct cb_strv tags = { 0 }, layers = { 0 };
		const char *config = NULL;

		r = cb_json_get_str(entry, "Config", &config, err);
		if (r >= 0)
			r = cb_json_get_strv(entry, "RepoTags", &tags, err);
		if (r >= 0)
			r = cb_json_get_strv(entry, "Layers", &layers, err);
		if (r >= 0 && !config)
			r = cb_err_set(err, CB_ERR_CORRUPT, "an image without config");
		if (r >= 0)
			r = make_manifest(in, config, &layers, image, err);
		if (r < 0)
			return cb_err_wrap(err, r, "manifest.json");
		for (size_t k = 0; k < tags.n; k++)
			add_name(image, tags.v[k]);
	}
	return 0;
}

/* ---- OCI layouts ---------------------------------------------------------------------------------------------- */

/*
 * What other tools write as name: the whole reference in io.containerd.image.name, or only a tag in ref.name, which
 * names nothing by itself. A tool that knows ref.name alone copies the other from the image that it started from.
 */
static void name_entry(struct cb_import_image *image, const struct cb_descriptor *entry)
{
	const char *full = cb_descriptor_annotation(entry, CB_ANNOTATION_IMAGE_NAME);
	const char *tag = cb_descriptor_annotation(entry, CB_ANNOTATION_REF_NAME);
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;

	if (full && tag && cb_ref_tag_valid(tag) && cb_ref_parse(full, &ref, NULL) == 0) {
		cleanup_free char *repository = cb_ref_name(ref);
		cleanup_free char *name = cb_xasprintf("%s:%s", repository, tag);

		add_name(image, name);
	} else if (full) {
		add_name(image, full);
	} else if (tag && strpbrk(tag, "/:")) {
		add_name(image, tag);
	}
}

static struct cb_import_image *image_of(struct cb_import *import, const struct cb_descriptor *entry)
{
	struct cb_import_image *image;

	for (size_t i = 0; i < import->n; i++)
		if (cb_digest_equal(&import->v[i].desc.digest, &entry->digest))
			return &import->v[i];
	image = add_image(import);
	cb_descriptor_copy(&image->desc, entry);
	cb_descriptor_annotate(&image->desc, CB_ANNOTATION_REF_NAME, NULL);
	cb_descriptor_annotate(&image->desc, CB_ANNOTATION_IMAGE_NAME, NULL);
	cb_descriptor_annotate(&image->desc, CB_ANNOTATION_CREATED, NULL);
	return image;
}

static int take_index(struct cb_import *out, const char *text, size_t len, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	int r = cb_index_parse(text, len, &index, err);

	if (r < 0)
		return cb_err_wrap(err, r, "index.json");
	if (index->n_entries > IMAGES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "more than %d images", IMAGES_MAX);
	for (size_t i = 0; i < index->n_entries; i++)
		name_entry(image_of(out, &index->entries[i]), &index->entries[i]);
	return 0;
}

/* An image must be whole; of an index of several platforms one is enough. */
static int check_images(struct cb_store *store, const struct cb_import *out, struct cb_err **err)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct cb_descriptor *desc = &out->v[i].desc;
		cleanup_reach struct cb_reach reach = { 0 };
		const char *digest;
		size_t at = 0;

		if (cb_media_kind(desc->media_type) == CB_MEDIA_KIND_INDEX) {
			if (cb_blob_has(store, &desc->digest, NULL, err) <= 0)
				return cb_err_set(err, CB_ERR_CORRUPT, "index %s is missing", desc->digest.text);
			continue;
		}
		cb_reach_add(store, desc, &reach);
		while (cb_map_next(reach.blobs, &at, &digest, NULL)) {
			struct cb_digest want;
			int r = cb_digest_parse(digest, &want) ? cb_blob_has(store, &want, NULL, err) : 0;

			if (r <= 0)
				return r < 0 ? r
					     : cb_err_set(err, CB_ERR_CORRUPT, "image %s: blob %s is missing",
						       desc->digest.text, digest);
		}
	}
	return 0;
}

int cb_import_tar(struct cb_store *store, struct cb_source in, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_import *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *plain = NULL;
	CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *tar = NULL;
	CB_CLEANUP(cb_map_free) struct cb_map *files = cb_map_new(file_free);
	struct reading reading = { .store = store, .pool = pool, .cancel = cancel, .files = files, .out = ret };
	cleanup_buf struct cb_buf index = { 0 };
	int r = cb_decompressor_open(in, NULL, &plain, err);

	if (r < 0)
		return r;
	tar = cb_tarreader_new(cb_decompressor_source(plain));
	reading.tar = tar;
	r = read_archive(&reading, err);
	if (r < 0)
		return r;
	if (find(&reading, "index.json")) {
		r = document(&reading, "index.json", CB_INDEX_BYTES_MAX, &index, err);
		if (r == 0)
			r = take_index(ret, cb_buf_str(&index), index.len, err);
		return r < 0 ? r : check_images(store, ret, err);
	}
	if (find(&reading, "manifest.json"))
		return read_docker(&reading, err);
	cb_err_set(err, CB_ERR_INPUT, "neither a docker archive nor an OCI layout: no manifest.json and no index.json");
	return cb_err_hint(err, CB_ERR_INPUT, "a tar of a root file system becomes an image by FROM scratch and ADD");
}

/* ---- directories ---------------------------------------------------------------------------------------------- */

static int copy_blob(struct cb_store *store, int dirfd, const struct cb_digest *digest, const struct cb_cancel *cancel,
	struct cb_err **err)
{
	CB_CLEANUP(cb_blob_writer_free) struct cb_blob_writer *writer = NULL;
	cleanup_free char *path = cb_xasprintf("blobs/sha256/%s", cb_digest_hex(digest));
	cleanup_free char *block = NULL;
	cleanup_close int fd = -EBADF;
	ssize_t n = 0;
	int r = cb_blob_has(store, digest, NULL, err);

	if (r != 0)
		return r < 0 ? r : 0;
	fd = cb_path_open_beneath(dirfd, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return cb_err_errno(err, errno, "%s", path);
	block = cb_xmalloc((size_t)1 << 20);
	r = cb_blob_writer_open(store, &writer, err);
	while (r == 0 && (n = cb_fd_read_full(fd, block, (size_t)1 << 20)) > 0) {
		r = cb_blob_writer_write(writer, block, (size_t)n, err);
		if (r == 0)
			r = cb_cancel_check(cancel, err);
	}
	if (r == 0 && n < 0)
		r = cb_err_errno(err, errno, "%s", path);
	return r < 0 ? r : cb_blob_writer_finish(writer, digest, UINT64_MAX, NULL, err);
}

/* Documents show what they need once they are in the store: copied until nothing new comes up. */
static int copy_image(struct cb_store *store, int dirfd, const struct cb_descriptor *desc,
	const struct cb_cancel *cancel, struct cb_err **err)
{
	bool index = cb_media_kind(desc->media_type) == CB_MEDIA_KIND_INDEX;
	size_t before = 0;

	for (int round = 0; round < 8; round++) {
		cleanup_reach struct cb_reach reach = { 0 };
		const char *text;
		size_t at = 0;

		cb_reach_add(store, desc, &reach);
		while (cb_map_next(reach.blobs, &at, &text, NULL)) {
			cleanup_err struct cb_err *why = NULL;
			struct cb_digest digest;
			int r = cb_digest_parse(text, &digest) ? copy_blob(store, dirfd, &digest, cancel, &why) : 0;

			/* Other platforms of an index need not be there. */
			if (r < 0 && !(index && r == CB_ERR_NOT_FOUND))
				return cb_err_move(err, CB_TAKE_PTR(why));
		}
		if (cb_map_len(reach.blobs) == before)
			break;
		before = cb_map_len(reach.blobs);
	}
	return 0;
}

int cb_import_dir(
	struct cb_store *store, int dirfd, const struct cb_cancel *cancel, struct cb_import *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	int r = cb_file_read_at(dirfd, "index.json", CB_INDEX_BYTES_MAX, &text, err);

	if (r == CB_ERR_NOT_FOUND)
		return cb_err_recode(err, CB_ERR_INPUT);
	if (r == 0)
		r = take_index(ret, cb_buf_str(&text), text.len, err);
	for (size_t i = 0; r == 0 && i < ret->n; i++)
		r = copy_image(store, dirfd, &ret->v[i].desc, cancel, err);
	return r < 0 ? r : check_images(store, ret, err);
}
