/* layers/squash.h and layers/recompress.h: layers as one, and the same layer compressed otherwise. */
#include "unit/layers/tartext.h"

#include <errno.h>

#include "base/pool.h"
#include "layers/layertable.h"
#include "layers/recompress.h"
#include "layers/squash.h"
#include "unit/layers/storefix.h"

#define LAYERS_MAX 5

static const struct cb_compress_spec plain = { CB_CODEC_NONE, CB_LEVEL_DEFAULT };
static const struct cb_compress_spec gzip = { CB_CODEC_GZIP, CB_LEVEL_DEFAULT };
static const struct cb_compress_spec zstd = { CB_CODEC_ZSTD, CB_LEVEL_DEFAULT };

/* The layer of @text into the store. */
static void put_layer(
	struct fixture *fx, const char *text, const struct cb_compress_spec *compression, struct cb_layer *ret)
{
	cleanup_buf struct cb_buf tar = { 0 };
	struct cb_source_mem mem;

	tartext_make(text, &tar);
	mem = (struct cb_source_mem){ tar.data, tar.len, 0 };
	assert_ok(cb_layer_commit_tar(fx->store, cb_source_mem(&mem), compression, NULL, NULL, ret, &err));
}

static void blob_text(struct fixture *fx, const struct cb_descriptor *blob, struct cb_buf *out)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *d = NULL;
	int fd = -EBADF;

	assert_ok(cb_blob_open(fx->store, &blob->digest, &fd, NULL, &err));
	assert_ok(cb_decompressor_open(cb_source_fd(&fd), NULL, &d, &err));
	tartext_read(cb_decompressor_source(d), out);
	close(fd);
}

/* ---- several layers as one ------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	size_t below;
	const char *layers[LAYERS_MAX], *want;
} squashes[] = {
	{ "all of them: deletions are done", 0, { "f a =1;f b =2", "w a;f c =3" }, "f b =2;f c =3" },
	{ "a deletion below stays", 1, { "f a =1;f b =2", "w a;f c =3" }, "w a;f c =3" },
	{ "a deletion among them does not", 1, { "f x =1", "f a =1", "w a" }, "" },
	{ "one layer alone", 0, { "d a;f a/b =1" }, "d a;f a/b =1" },
	{ "the last version of a file", 1, { "f x =1", "f a =1", "f a =22", "f a =333" }, "f a =333" },
	{ "a file as it is below is left out", 1, { "f a =1;f b =1", "f a =2;f b =3", "f a =1" }, "f b =3" },
	{ "another mode is another file", 1, { "f a =1", "f a 600 =1" }, "f a 600 =1" },
	{ "another attribute, too", 1, { "f a =1", "f a +user.k:v =1" }, "f a +user.k:v =1" },
	{ "directories above what changed", 1, { "d d 700;d d/e;f d/e/a =1;d f", "f d/e/b =2" },
		"d d 700;d d/e;f d/e/b =2" },
	{ "a directory's mode", 1, { "d d;f d/a =1", "d d 700" }, "d d 700" },
	{ "a file in place of a directory", 1, { "d d;f d/a =1", "f d =x" }, "f d =x" },
	{ "a directory in place of a file", 1, { "f d =1", "d d;f d/a =x" }, "d d;f d/a =x" },
	{ "an opaque directory is one of deletions", 1,
		{ "d d;f d/a =1;f d/b =2;d d/s;f d/s/c =3", "d d;o d;f d/b =4" }, "d d;w d/a;f d/b =4;w d/s" },
	{ "a deleted directory is one deletion", 1, { "d d;f d/a =1;d d/s;f d/s/b =2", "w d" }, "w d" },
	{ "names of one file stay one", 1, { "f x =1", "f a =1", "h b >a" }, "f a =1;h b >a" },
	{ "a new name of a file below", 1, { "f a =1;f x =2", "h b >a" }, "h b >a" },
	{ "every kind", 0, { "d d", "l d/l >t;p d/p;c d/c >1.3;f d/e =" }, "d d;c d/c >1.3;f d/e;l d/l >t;p d/p" },
	{ "nothing changed", 1, { "f a =1", "f a =1" }, "" },
};

static void squash_rows(void **state)
{
	static const struct cb_compress_spec *const codecs[] = { &gzip, &zstd, &plain };
	CB_CLEANUP(cb_pool_free) struct cb_pool *pool = cb_pool_new("test", 2);
	struct fixture *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(squashes); i++) {
		struct cb_layer layers[LAYERS_MAX] = { 0 };
		struct cb_descriptor blobs[LAYERS_MAX];
		struct cb_digest diff_id = { 0 };
		size_t n = 0;

		print_message("# %s\n", squashes[i].name);
		for (; n < LAYERS_MAX && squashes[i].layers[n]; n++) {
			put_layer(fx, squashes[i].layers[n], codecs[(i + n) % 3], &layers[n]);
			blobs[n] = layers[n].blob;
		}
		/* The same whatever it is compressed with, and with how many threads. */
		for (size_t k = 0; k < 3; k++) {
			__attribute__((cleanup(cb_layer_done))) struct cb_layer one = { 0 };
			cleanup_descriptor struct cb_descriptor found = { 0 };
			cleanup_buf struct cb_buf text = { 0 };

			assert_ok(cb_layers_squash(
				fx->store, blobs, n, squashes[i].below, codecs[k], k ? pool : NULL, NULL, &one, &err));
			blob_text(fx, &one.blob, &text);
			assert_string_equal(cb_buf_str(&text), squashes[i].want);
			if (k == 0)
				diff_id = one.diff_id;
			assert_string_equal(one.diff_id.text, diff_id.text);
			assert_ok(cb_layer_find(fx->store, &one.diff_id, codecs[k]->codec, &found, &err));
			assert_string_equal(found.digest.text, one.blob.digest.text);
		}
		for (size_t k = 0; k < n; k++)
			cb_layer_done(&layers[k]);
	}
	assert_int_equal(count_entries(fx, "tmp/*/"), 0);
}

/* ---- the same layer, compressed otherwise ---------------------------------------------------------------------- */

static void recompress_rows(void **state)
{
	static const struct cb_compress_spec *const specs[] = { &plain, &gzip, &zstd };
	CB_CLEANUP(cb_pool_free) struct cb_pool *pool = cb_pool_new("test", 2);
	struct fixture *fx = *state;

	for (size_t from = 0; from < ARRAY_SIZE(specs); from++) {
		cleanup_free char *text = cb_xasprintf("d d;f d/a =%zu;l d/l >a", from);
		__attribute__((cleanup(cb_layer_done))) struct cb_layer layer = { 0 };

		put_layer(fx, text, specs[from], &layer);
		cb_descriptor_annotate(&layer.blob, "k", "v");
		for (size_t to = 0; to < ARRAY_SIZE(specs); to++) {
			cleanup_descriptor struct cb_descriptor ret = { 0 }, again = { 0 };
			cleanup_buf struct cb_buf got = { 0 };

			assert_ok(cb_layer_recompress(
				fx->store, &layer.diff_id, &layer.blob, specs[to], pool, NULL, &ret, &err));
			assert_string_equal(ret.media_type, cb_media_layer_type(specs[to]->codec, false));
			assert_string_equal(cb_descriptor_annotation(&ret, "k"), "v");
			blob_text(fx, &ret, &got);
			assert_string_equal(cb_buf_str(&got), text);
			/* It is found from then on: what it would be made of is not even looked at. */
			if (to != from)
				assert_ok(cb_blob_remove(fx->store, &layer.blob.digest, &err));
			assert_ok(cb_layer_recompress(
				fx->store, &layer.diff_id, &ret, specs[to], NULL, NULL, &again, &err));
			assert_string_equal(again.digest.text, ret.digest.text);
			cb_layer_done(&layer);
			layer = (struct cb_layer){ 0 };
			put_layer(fx, text, specs[from], &layer);
			cb_descriptor_annotate(&layer.blob, "k", "v");
		}
	}
	assert_int_equal(count_entries(fx, "tmp/*/"), 0);
}

/* Nobody knows the level of what is there, so one that was asked for is made, and not recorded. */
static void a_level(void **state)
{
	const struct cb_compress_spec nine = { CB_CODEC_GZIP, 9 };
	struct fixture *fx = *state;
	__attribute__((cleanup(cb_layer_done))) struct cb_layer layer = { 0 };
	cleanup_descriptor struct cb_descriptor found = { 0 }, ret = { 0 };
	cleanup_free char *text = NULL;
	char data[5001];

	for (size_t i = 0; i < sizeof(data) - 1; i++)
		data[i] = (char)('a' + i * i % 23);
	data[sizeof(data) - 1] = '\0';
	text = cb_xasprintf("f a =%s", data);
	put_layer(fx, text, &plain, &layer);
	assert_ok(cb_layer_recompress(fx->store, &layer.diff_id, &layer.blob, &nine, NULL, NULL, &ret, &err));
	assert_code(cb_layer_find(fx->store, &layer.diff_id, CB_CODEC_GZIP, &found, &err), 1);
}

/* ---- failures -------------------------------------------------------------------------------------------------- */

enum fault { MISSING, NO_TAR, CUT, OTHER, CANCELED, BAD_LEVEL };

static const struct {
	const char *name;
	enum fault fault;
	int squash, recompress;
} faults[] = {
	{ "the blob is not in the store", MISSING, CB_ERR_NOT_FOUND, CB_ERR_NOT_FOUND },
	{ "the blob is no tar", NO_TAR, CB_ERR_CORRUPT, CB_ERR_CORRUPT },
	{ "the blob ends too early", CUT, CB_ERR_CORRUPT, CB_ERR_CORRUPT },
	{ "the blob is another layer", OTHER, 0, CB_ERR_CORRUPT },
	{ "canceled", CANCELED, CB_ERR_CANCELED, CB_ERR_CANCELED },
	{ "a level that there is not", BAD_LEVEL, CB_ERR_INPUT, CB_ERR_INPUT },
};

/* A blob that is broken as @fault says, in place of @blob. */
static void break_blob(struct fixture *fx, enum fault fault, struct cb_descriptor *blob)
{
	cleanup_buf struct cb_buf data = { 0 };
	struct cb_layer other = { 0 };

	switch (fault) {
	case MISSING:
		assert_ok(cb_blob_remove(fx->store, &blob->digest, &err));
		break;
	case NO_TAR:
		for (unsigned int i = 0; i < 100; i++)
			cb_buf_adds(&data, "this is no tar. ");
		assert_ok(cb_blob_put(fx->store, data.data, data.len, &blob->digest, &err));
		break;
	case CUT:
		assert_ok(cb_blob_read(fx->store, &blob->digest, 1 << 20, &data, &err));
		assert_ok(cb_blob_put(fx->store, data.data, data.len - 9, &blob->digest, &err));
		break;
	case OTHER:
		put_layer(fx, "f other =x", &gzip, &other);
		blob->digest = other.blob.digest;
		cb_layer_done(&other);
		break;
	case CANCELED:
	case BAD_LEVEL:
		break;
	}
}

static void failures(void **state)
{
	struct fixture *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
		__attribute__((cleanup(cb_layer_done))) struct cb_layer below = { 0 }, layer = { 0 }, one = { 0 };
		const struct cb_compress_spec spec = { CB_CODEC_ZSTD,
			faults[i].fault == BAD_LEVEL ? 99 : CB_LEVEL_DEFAULT };
		cleanup_free char *text = cb_xasprintf("f a%zu =x", i);
		cleanup_descriptor struct cb_descriptor ret = { 0 };
		struct cb_descriptor blobs[2];

		print_message("# %s\n", faults[i].name);
		put_layer(fx, "f below =x", &gzip, &below);
		put_layer(fx, text, &gzip, &layer);
		break_blob(fx, faults[i].fault, &layer.blob);
		blobs[0] = below.blob;
		blobs[1] = layer.blob;
		if (faults[i].fault == CANCELED)
			cb_cancel_raise(cancel);
		/* Broken below or above, what is made is the same: nothing. */
		for (size_t k = 0; k < 2; k++) {
			struct cb_descriptor turned[2] = { blobs[k], blobs[!k] };

			assert_code(cb_layers_squash(fx->store, turned, 2, 1, &spec, NULL, cancel, &one, &err),
				faults[i].squash);
			cb_layer_done(&one);
			one = (struct cb_layer){ 0 };
		}
		assert_code(
			cb_layer_recompress(fx->store, &layer.diff_id, &layer.blob, &spec, NULL, cancel, &ret, &err),
			faults[i].recompress);
		/* Nothing says that there is such a blob. */
		assert_code(cb_layer_find(fx->store, &layer.diff_id, CB_CODEC_ZSTD, &ret, &err), 1);
		assert_int_equal(count_entries(fx, "tmp/*/"), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(squash_rows, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(recompress_rows, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_level, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(failures, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
