#include "builder/imagesource.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/compress.h"
#include "layers/import.h"
#include "layers/ref.h"

void cb_image_source_done(struct cb_image_source *source)
{
	if (source->text)
		cb_closep(&source->dirfd);
	cb_buf_done(&source->config_json);
	cb_image_config_free(source->config);
	json_decref(source->annotations);
	for (size_t i = 0; i < source->n_layers; i++)
		cb_descriptor_done(&source->layers[i].desc);
	free(source->layers);
	cb_image_free(source->image);
}

const char *cb_image_source_step(const struct cb_image_source *source, size_t at)
{
	const struct cb_image_config *config = source->config;

	for (size_t i = 0; config && i < config->n_history; i++) {
		const struct cb_history *item = &config->history[i];

		if (!item->empty_layer && at-- == 0)
			return item->created_by ? item->created_by : item->comment;
	}
	return NULL;
}

bool cb_image_source_same_files(const struct cb_image_source *a, const struct cb_image_source *b)
{
	if (!a->config || !b->config || a->n_layers != b->n_layers)
		return false;
	for (size_t i = 0; i < a->n_layers; i++)
		if (!cb_digest_equal(&a->layers[i].diff_id, &b->layers[i].diff_id))
			return false;
	return true;
}

/* ---- finding -------------------------------------------------------------------------------------------------- */

static int take_layers(struct cb_image_source *ret, const struct cb_descriptor *layers, size_t n, struct cb_err **err)
{
	if (n != ret->config->n_diff_ids)
		return cb_err_set(err, CB_ERR_CORRUPT, "%s: %zu layers, and %zu diff IDs in its configuration",
			ret->text, n, ret->config->n_diff_ids);
	ret->layers = cb_xcalloc(n + 1, sizeof(*ret->layers));
	for (size_t i = 0; i < n; i++) {
		cb_descriptor_copy(&ret->layers[i].desc, &layers[i]);
		ret->layers[i].diff_id = ret->config->diff_ids[i];
	}
	ret->n_layers = n;
	return 0;
}

static int take_stored(struct cb_transfer *t, const struct cb_descriptor *desc, const struct cb_platform *platform,
	struct cb_image_source *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	int r = cb_stored_image_load(t->store, desc, platform, &image, err);

	if (r == 0)
		r = cb_blob_read(
			t->store, &image->manifest->config.digest, CB_CONFIG_BYTES_MAX, &ret->config_json, err);
	if (r < 0)
		return r;
	ret->digest = image->desc.digest;
	ret->config = CB_TAKE_PTR(image->config);
	ret->annotations = json_incref(image->manifest->annotations);
	return take_layers(ret, image->manifest->layers, image->manifest->n_layers, err);
}

/* From a registry or a layout. */
static int take_pulled(struct cb_transfer *t, const char *name, const struct cb_platform *platform,
	struct cb_image_source *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	struct cb_platform want;
	int r;

	cb_platform_host(&want);
	if (platform)
		want = *platform;
	r = cb_pull_resolve(t->puller, name, &want, 0, t->scheduler.cancel, &ret->image, err);
	if (r < 0)
		return r;
	cb_buf_add(&ret->config_json, ret->image->config_json, ret->image->config_len);
	ret->config = cb_image_config_copy(ret->image->config);
	ret->digest = ret->image->manifest.digest;
	ret->layers = cb_xcalloc(ret->image->n_layers + 1, sizeof(*ret->layers));
	for (; ret->n_layers < ret->image->n_layers; ret->n_layers++) {
		cb_descriptor_copy(&ret->layers[ret->n_layers].desc, &ret->image->layers[ret->n_layers].desc);
		ret->layers[ret->n_layers].diff_id = ret->image->layers[ret->n_layers].diff_id;
	}
	/* Pulling keeps documents in the store. */
	r = cb_blob_read(t->store, &ret->digest, CB_MANIFEST_BYTES_MAX, &text, err);
	if (r == 0)
		r = cb_manifest_parse(cb_buf_str(&text), text.len, &manifest, err);
	if (r == 0)
		ret->annotations = json_incref(manifest->annotations);
	return r;
}

static int take_directory(const char *path, struct cb_image_source *ret, struct cb_err **err)
{
	ret->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return ret->dirfd < 0 ? cb_err_errno(err, errno, "directory %s", path) : 0;
}

/* ---- archives ------------------------------------------------------------------------------------------------- */

/* "FILE:NAME" where FILE exists; both may have colons. */
static char *split_name(const char *text, const char **ret_name)
{
	struct stat st;

	*ret_name = NULL;
	for (const char *end = text + strlen(text); end; end = memrchr(text, ':', (size_t)(end - text))) {
		cleanup_free char *file = cb_xstrndup(text, (size_t)(end - text));

		if (end > text && stat(file, &st) == 0) {
			*ret_name = *end ? end + 1 : NULL;
			return CB_TAKE_PTR(file);
		}
	}
	return cb_xstrdup(text);
}

static bool has_name(const struct cb_import_image *image, const char *name)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *full = NULL;

	if (cb_ref_parse(name, &ref, NULL) == 0) {
		if (!ref->tag)
			ref->tag = cb_xstrdup("latest");
		full = cb_ref_format(ref);
	}
	for (size_t i = 0; i < image->names.n; i++) {
		const char *tag = strrchr(image->names.v[i], ':');

		if ((full && !strcmp(image->names.v[i], full)) || (tag && !strcmp(tag + 1, name)))
			return true;
	}
	return false;
}

static int take_archive(struct cb_transfer *t, const char *text, const struct cb_platform *platform,
	struct cb_image_source *ret, struct cb_err **err)
{
	cleanup_import struct cb_import import = { 0 };
	const struct cb_import_image *found = NULL;
	cleanup_close int fd = -EBADF;
	const char *name;
	cleanup_free char *file = split_name(text, &name);
	struct cb_pool *pool;
	int r;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cb_err_errno(err, errno, "archive %s", file);
	pool = cb_pool_new("read", cb_cpu_count());
	r = cb_import_tar(t->store, cb_source_fd(&fd), pool, t->scheduler.cancel, &import, err);
	cb_pool_free(pool);
	if (r < 0)
		return cb_err_wrap(err, r, "archive %s", file);
	for (size_t i = 0; i < import.n && !found; i++)
		if (name ? has_name(&import.v[i], name) : import.n == 1)
			found = &import.v[i];
	if (!found && name)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "archive %s has no image %s", file, name);
	if (!found) {
		cb_err_set(err, CB_ERR_INPUT, "archive %s has %zu images", file, import.n);
		return cb_err_hint(err, CB_ERR_INPUT, "name one of them: %s:NAME", text);
	}
	return take_stored(t, &found->desc, platform, ret, err);
}

/* ---- what the text means -------------------------------------------------------------------------------------- */

static const char *after(const char *text, const char *prefix)
{
	return cb_str_starts(text, prefix) ? text + strlen(prefix) : NULL;
}

static int take_path(struct cb_transfer *t, const char *text, const struct cb_platform *platform,
	struct cb_image_source *ret, struct cb_err **err)
{
	const char *name;
	cleanup_free char *path = split_name(text, &name);
	cleanup_free char *mark = cb_xasprintf("%s/oci-layout", path);
	cleanup_free char *layout = cb_xasprintf("oci-layout://%s", text);
	struct stat st;

	if (stat(path, &st) < 0)
		return cb_err_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return take_archive(t, text, platform, ret, err);
	return access(mark, F_OK) == 0 ? take_pulled(t, layout, platform, ret, err) : take_directory(text, ret, err);
}

static int take_name(struct cb_transfer *t, const char *text, const struct cb_platform *platform,
	struct cb_image_source *ret, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	int r = cb_tag_find(t->store, text, &desc, err);

	if (r <= 0)
		return r < 0 ? r : take_stored(t, &desc, platform, ret, err);
	return take_pulled(t, text, platform, ret, err);
}

int cb_image_source_open(struct cb_transfer *t, const char *text, const struct cb_platform *platform,
	struct cb_image_source *ret, struct cb_err **err)
{
	const char *rest;

	assert(text);
	*ret = (struct cb_image_source){ .text = text, .dirfd = -EBADF };
	if ((rest = after(text, "dir:")))
		return take_directory(rest, ret, err);
	if ((rest = after(text, "oci-archive:")) || (rest = after(text, "docker-archive:")))
		return take_archive(t, rest, platform, ret, err);
	if ((rest = after(text, "oci:"))) {
		cleanup_free char *layout = cb_xasprintf("oci-layout://%s", rest);

		return take_pulled(t, layout, platform, ret, err);
	}
	if ((rest = after(text, "docker://"))) {
		cleanup_free char *name = cb_xasprintf("docker-image://%s", rest);

		return take_pulled(t, name, platform, ret, err);
	}
	if (*text == '/' || cb_str_starts(text, "./") || cb_str_starts(text, "../") || !strcmp(text, ".") ||
		!strcmp(text, ".."))
		return take_path(t, text, platform, ret, err);
	return take_name(t, text, platform, ret, err);
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

struct fetching {
	struct cb_transfer *transfer;
	const struct cb_image_source *source;
};

static void fetched(void *userdata, size_t layer, uint64_t bytes, uint64_t total)
{
	const struct fetching *f = userdata;

	cb_transfer_status(f->transfer, f->source->layers[layer].desc.digest.text, bytes, total);
}

static int add_layer(struct cb_transfer *t, const struct cb_image_source *source, size_t at, struct cb_filetable *table,
	struct cb_filetable_sums *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *plain = NULL;
	struct fetching fetching = { t, source };
	cleanup_close int fd = -EBADF;
	int r = 0;

	if (source->image)
		r = cb_pull_blob(t->puller, source->image, at, fetched, &fetching, t->scheduler.cancel, err);
	if (r >= 0)
		r = cb_blob_open(t->store, &source->layers[at].desc.digest, &fd, NULL, err);
	if (r == 0)
		r = cb_decompressor_open(cb_source_fd(&fd), NULL, &plain, err);
	if (r == 0)
		r = cb_filetable_add_tar(table, cb_decompressor_source(plain), t->scheduler.cancel, ret, err);
	return r < 0 ? cb_err_wrap(err, r, "%s: layer %zu", source->text, at + 1) : 0;
}

int cb_image_source_files(struct cb_transfer *t, const struct cb_image_source *source, struct cb_filetable *table,
	struct cb_filetable_sums *sums, struct cb_err **err)
{
	struct cb_filetable_sums unused;
	int r = 0;

	if (source->dirfd >= 0) {
		r = cb_filetable_add_dir(table, source->dirfd, t->scheduler.cancel, sums ? sums : &unused, err);
		return r < 0 ? cb_err_wrap(err, r, "%s", source->text) : 0;
	}
	for (size_t i = 0; i < source->n_layers && r == 0; i++)
		r = add_layer(t, source, i, table, sums ? &sums[i] : &unused, err);
	return r;
}
