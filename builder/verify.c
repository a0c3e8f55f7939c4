#include "builder/verify.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/strv.h"
#include "builder/diffdoc.h"
#include "builder/report.h"
#include "layers/compress.h"
#include "layers/config.h"
#include "layers/index.h"
#include "layers/layerdiff.h"
#include "layers/manifest.h"

/* Differing files of one layer that are named. */
#define SHOWN_MAX 20
/* Of the text of a step, how much is shown. */
#define STEP_MAX 300

/* An image in a layout. */
struct image {
	int dirfd;
	struct cb_digest digest;
	struct cb_manifest *manifest;
	struct cb_image_config *config;
	struct cb_buf config_json;
};

static void image_done(struct image *image)
{
	cb_closep(&image->dirfd);
	cb_manifest_free(image->manifest);
	cb_image_config_free(image->config);
	cb_buf_done(&image->config_json);
}
#define cleanup_image __attribute__((cleanup(image_done)))

static int read_blob(
	const struct image *image, const struct cb_digest *digest, size_t max, struct cb_buf *out, struct cb_err **err)
{
	cleanup_free char *path = cb_xasprintf("blobs/sha256/%s", cb_digest_hex(digest));

	return cb_file_read_at(image->dirfd, path, max, out, err);
}

static int open_image(const char *path, struct image *image, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_buf struct cb_buf text = { 0 }, manifest = { 0 };
	int r;

	image->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (image->dirfd < 0)
		return cb_err_errno(err, errno, "result of a build in %s", path);
	r = cb_file_read_at(image->dirfd, "index.json", CB_INDEX_BYTES_MAX, &text, err);
	if (r == 0)
		r = cb_index_parse(cb_buf_str(&text), text.len, &index, err);
	if (r < 0)
		return r;
	assert(index);
	if (index->n_entries != 1)
		return cb_err_set(err, CB_ERR_INTERNAL, "a build made %zu images", index->n_entries);
	image->digest = index->entries[0].digest;
	r = read_blob(image, &image->digest, CB_MANIFEST_BYTES_MAX, &manifest, err);
	if (r == 0)
		r = cb_manifest_parse(cb_buf_str(&manifest), manifest.len, &image->manifest, err);
	if (r == 0)
		r = read_blob(image, &image->manifest->config.digest, CB_MANIFEST_BYTES_MAX, &image->config_json, err);
	return r < 0 ? r
		     : cb_image_config_parse(
			       cb_buf_str(&image->config_json), image->config_json.len, &image->config, err);
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

/* What made layer @at, or NULL. */
static const char *step_of(const struct cb_image_config *config, size_t at)
{
	for (size_t i = 0; i < config->n_history; i++)
		if (!config->history[i].empty_layer && at-- == 0)
			return config->history[i].created_by;
	return NULL;
}

static void add_step(struct cb_buf *out, const struct image *image, size_t at)
{
	const char *step = step_of(image->config, at);
	cleanup_free char *label = cb_xasprintf("layer %zu of %zu differs: ", at + 1, image->config->n_diff_ids);
	cleanup_free char *text = cb_xasprintf("%.*s%s", STEP_MAX, step ? step : "a layer without history",
		step && strlen(step) > STEP_MAX ? "..." : "");

	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	cb_report_text(out, label, text);
}

/* ---- layers --------------------------------------------------------------------------------------------------- */

static int open_layer(
	const struct image *image, size_t at, int *ret_fd, struct cb_decompressor **ret, struct cb_err **err)
{
	const struct cb_digest *digest = &image->manifest->layers[at].digest;
	cleanup_free char *path = cb_xasprintf("blobs/sha256/%s", cb_digest_hex(digest));

	*ret_fd = openat(image->dirfd, path, O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0)
		return cb_err_errno(err, errno, "layer %s", digest->text);
	return cb_decompressor_open(cb_source_fd(ret_fd), NULL, ret, err);
}

static int compare_layer(const struct image *a, const struct image *b, size_t at, const struct cb_cancel *cancel,
	struct cb_buf *out, struct cb_err **err)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *first = NULL, *second = NULL;
	cleanup_close int fd_a = -EBADF, fd_b = -EBADF;
	cleanup_strv struct cb_strv found = { 0 };
	int r = open_layer(a, at, &fd_a, &first, err);

	if (r == 0)
		r = open_layer(b, at, &fd_b, &second, err);
	if (r == 0)
		r = cb_layer_compare(
			cb_decompressor_source(first), cb_decompressor_source(second), SHOWN_MAX, cancel, &found, err);
	if (r < 0)
		return cb_err_wrap(err, r, "layer %zu", at + 1);
	for (size_t i = 0; i < found.n; i++)
		cb_report_text(out, "  /", found.v[i]);
	if ((size_t)r > found.n)
		cb_buf_addf(out, "  and %zu more\n", (size_t)r - found.n);
	if (r == 0)
		cb_buf_adds(out, "  the same files in another order\n");
	return 0;
}

static size_t n_layers(const struct image *image)
{
	return CB_MIN(image->config->n_diff_ids, image->manifest->n_layers);
}

/* Differing layers above the first one, which may differ only because that one does. */
static void add_later(const struct image *a, const struct image *b, size_t first, struct cb_buf *out)
{
	size_t n = 0;

	for (size_t i = first + 1; i < CB_MIN(n_layers(a), n_layers(b)); i++)
		n += !cb_digest_equal(&a->config->diff_ids[i], &b->config->diff_ids[i]);
	if (n)
		cb_buf_addf(out, "%zu later %s, too, perhaps because of it\n", n,
			n == 1 ? "layer differs" : "layers differ");
}

/* The same layers: what the documents say differently. */
static void add_documents(const struct image *a, const struct image *b, struct cb_buf *out)
{
	cleanup_json json_t *x = NULL, *y = NULL;
	cleanup_json json_t *found = json_array();

	if (!cb_digest_equal(&a->manifest->config.digest, &b->manifest->config.digest) &&
		cb_json_parse(cb_buf_str((struct cb_buf *)&a->config_json), a->config_json.len, &x, NULL) == 0 &&
		cb_json_parse(cb_buf_str((struct cb_buf *)&b->config_json), b->config_json.len, &y, NULL) == 0) {
		cb_diff_config(x, y, true, found);
		cb_buf_adds(out, json_array_size(found) ? "the layers are the same; the configurations differ\n"
							: "the layers are the same; the histories differ\n");
		cb_diff_print_config(out, found);
		return;
	}
	cb_buf_adds(out, "the files are the same; the compressed layers differ\n");
}

int cb_verify_compare(
	const char *first, const char *second, const struct cb_cancel *cancel, struct cb_buf *out, struct cb_err **err)
{
	cleanup_image struct image a = { .dirfd = -EBADF }, b = { .dirfd = -EBADF };
	int r = open_image(first, &a, err);
	size_t at = 0, n;

	if (r == 0)
		r = open_image(second, &b, err);
	if (r < 0)
		return r;
	assert(a.config && a.manifest && b.config && b.manifest);
	if (cb_digest_equal(&a.digest, &b.digest)) {
		cb_buf_addf(out, "the same image twice: %s\n", a.digest.text);
		return 0;
	}
	n = CB_MIN(n_layers(&a), n_layers(&b));
	while (at < n && cb_digest_equal(&a.config->diff_ids[at], &b.config->diff_ids[at]))
		at++;
	cb_buf_addf(out, "the two images differ: %s and %s\n", a.digest.text, b.digest.text);
	if (at < n) {
		add_step(out, &a, at);
		r = compare_layer(&a, &b, at, cancel, out, err);
		add_later(&a, &b, at, out);
	} else if (n_layers(&a) != n_layers(&b)) {
		cb_buf_addf(out, "one has %zu layers, the other %zu\n", n_layers(&a), n_layers(&b));
	} else {
		add_documents(&a, &b, out);
	}
	return r < 0 ? r : 1;
}
