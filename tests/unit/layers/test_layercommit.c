/* layers/layercommit.h: snapshots to blobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/pool.h"
#include "layers/layercommit.h"
#include "layers/mediatype.h"
#include "unit/layers/treedump.h"

struct scene {
	char path[64];
	int dirfd, fs;
	struct cb_store *store;
};

static void scene_open(struct scene *s, const char *script)
{
	cleanup_free char *cmd = NULL, *root = NULL;

	s->dirfd = tmp_make(s->path);
	assert_true(s->dirfd >= 0);
	cmd = cb_xasprintf("cd %s && mkdir fs && cd fs && { %s\n}", s->path, script);
	assert_int_equal(system(cmd), 0);
	root = cb_xasprintf("%s/store", s->path);
	assert_int_equal(cb_store_open(root, CB_STORE_TRUSTED, &s->store, NULL), 0);
	s->fs = openat(s->dirfd, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void scene_close(struct scene *s)
{
	close(s->fs);
	cb_store_free(s->store);
	close(s->dirfd);
	tmp_remove(s->path);
}

static void commit(struct scene *s, enum cb_codec codec, size_t threads, struct cb_layer *ret)
{
	CB_CLEANUP(cb_pool_free) struct cb_pool *pool = threads ? cb_pool_new("test", threads) : NULL;
	const struct cb_diff_spec spec = { .fs_fd = s->fs, .flavour = CB_FLAVOUR_TRUSTED };
	const struct cb_compress_spec compression = { codec, CB_LEVEL_DEFAULT };
	cleanup_err struct cb_err *err = NULL;
	int r = cb_layer_commit(s->store, &spec, &compression, pool, ret, &err);

	assert_string_equal(cb_err_msg(err), "");
	assert_int_equal(r, 0);
}

/** The blob is what the descriptor says, and inside it is what the diff ID says. */
static void check_blob(struct scene *s, const struct cb_layer *layer, enum cb_codec codec)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *d = NULL;
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	cleanup_close int fd = -EBADF;
	struct cb_digest digest;
	uint64_t size = 0, tar = 0;
	char buf[65536];
	ssize_t n;

	assert_int_equal(cb_blob_open(s->store, &layer->blob.digest, &fd, &size, NULL), 0);
	assert_int_equal(size, layer->blob.size);
	assert_int_equal(cb_digest_of_fd(fd, &digest, NULL, NULL), 0);
	assert_string_equal(digest.text, layer->blob.digest.text);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(cb_decompressor_open(cb_source_fd(&fd), NULL, &d, NULL), 0);
	assert_int_equal(cb_decompressor_codec(d), codec);
	while ((n = cb_decompressor_read(d, buf, sizeof(buf), NULL)) > 0) {
		cb_hasher_add(hasher, buf, (size_t)n);
		tar += (uint64_t)n;
	}
	assert_int_equal(n, 0);
	cb_hasher_finish(hasher, &digest);
	assert_string_equal(digest.text, layer->diff_id.text);
	assert_int_equal(tar, layer->size);
	assert_string_equal(layer->blob.media_type, cb_media_layer_type(codec, false));
}

static void blobs(void **state)
{
	static const enum cb_codec codecs[] = { CB_CODEC_NONE, CB_CODEC_GZIP, CB_CODEC_ZSTD };
	struct cb_digest diff_id = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s, "mkdir -p a/b; seq 300000 >a/b/text; head -c 3000000 /dev/urandom >noise; truncate -s 5M holes; "
		       "ln -s x l; for i in $(seq 300); do echo $i >a/f$i; done");
	for (size_t c = 0; c < ARRAY_SIZE(codecs); c++) {
		struct cb_digest blob = { 0 };

		for (size_t threads = 0; threads <= 4; threads++) {
			struct cb_layer layer = { 0 };

			commit(&s, codecs[c], threads, &layer);
			check_blob(&s, &layer, codecs[c]);
			if (threads == 0)
				blob = layer.blob.digest;
			if (!cb_digest_is_set(&diff_id))
				diff_id = layer.diff_id;
			assert_string_equal(layer.blob.digest.text, blob.text);
			assert_string_equal(layer.diff_id.text, diff_id.text);
			cb_layer_done(&layer);
		}
	}
	scene_close(&s);
}

/* The tar of nothing is known everywhere. */
static void nothing(void **state)
{
	struct cb_layer layer = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s, ":");
	commit(&s, CB_CODEC_NONE, 0, &layer);
	assert_string_equal(
		layer.diff_id.text, "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
	assert_string_equal(layer.blob.digest.text, layer.diff_id.text);
	assert_int_equal(layer.size, 1024);
	cb_layer_done(&layer);
	scene_close(&s);
}

static void failures(void **state)
{
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	CB_CLEANUP(cb_pool_free) struct cb_pool *pool = cb_pool_new("test", 2);
	struct cb_diff_spec spec = { .flavour = CB_FLAVOUR_TRUSTED };
	const struct cb_compress_spec gzip = { CB_CODEC_GZIP, CB_LEVEL_DEFAULT }, bad = { CB_CODEC_GZIP, 10 };
	struct cb_layer layer = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s, "head -c 20000000 /dev/urandom >noise");
	spec.fs_fd = s.fs;
	assert_int_equal(cb_layer_commit(s.store, &spec, &bad, pool, &layer, NULL), CB_ERR_INPUT);
	spec.fs_fd = -1;
	assert_true(cb_layer_commit(s.store, &spec, &gzip, pool, &layer, NULL) < 0);
	spec.fs_fd = s.fs;
	spec.cancel = cancel;
	cb_cancel_raise(cancel);
	assert_int_equal(cb_layer_commit(s.store, &spec, &gzip, pool, &layer, NULL), CB_ERR_CANCELED);
	assert_null(layer.blob.media_type);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blobs),
		cmocka_unit_test(nothing),
		cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
