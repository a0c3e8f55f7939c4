#include "layers/layercommit.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>

#include "layers/bytepipe.h"
#include "layers/mediatype.h"

/* Between the thread that walks and reads and the one that hashes: enough to smooth their steps. */
#define PIPE_SIZE ((size_t)4 << 20)
#define READ_SIZE ((size_t)256 << 10)

void cb_layer_done(struct cb_layer *layer)
{
	cb_descriptor_done(&layer->blob);
	*layer = (struct cb_layer){ 0 };
}

static int blob_write(void *arg, const void *data, size_t len, struct cb_err **err)
{
	return cb_blob_writer_write(arg, data, len, err);
}

/** The second half: hash, compress, store. */
int cb_layer_commit_tar(struct cb_store *store, struct cb_source tar, const struct cb_compress_spec *compression,
	struct cb_pool *pool, const struct cb_cancel *cancel, struct cb_layer *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_blob_writer_free) struct cb_blob_writer *writer = NULL;
	CB_CLEANUP(cb_compressor_free) struct cb_compressor *compressor = NULL;
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	cleanup_free char *buf = cb_xmalloc(READ_SIZE);
	struct cb_digest blob;
	uint64_t size = 0;
	ssize_t n;
	int r;

	assert(store);
	assert(compression);
	assert(ret);

	r = cb_blob_writer_open(store, &writer, err);
	if (r == 0)
		r = cb_compressor_open(compression, pool, (struct cb_sink){ blob_write, writer }, &compressor, err);
	if (r < 0)
		return r;
	while ((n = tar.read(tar.arg, buf, READ_SIZE, err)) > 0) {
		cb_hasher_add(hasher, buf, (size_t)n);
		size += (uint64_t)n;
		r = cb_compressor_write(compressor, buf, (size_t)n, err);
		if (r == 0)
			r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
	}
	if (n < 0)
		return (int)n;
	r = cb_compressor_finish(compressor, err);
	if (r == 0)
		r = cb_blob_writer_finish(writer, NULL, UINT64_MAX, &blob, err);
	if (r < 0)
		return r;

	*ret = (struct cb_layer){ .size = size };
	cb_hasher_finish(hasher, &ret->diff_id);
	cb_descriptor_init(
		&ret->blob, cb_media_layer_type(compression->codec, false), &blob, cb_blob_writer_size(writer));
	return 0;
}

/** The first half, in a thread of its own: walk, read, write tar. */
struct reader {
	int (*fn)(void *arg, struct cb_sink out, struct cb_err **err);
	void *arg;
	struct cb_bytepipe *pipe;
};

static int pipe_write(void *arg, const void *data, size_t len, struct cb_err **err)
{
	return cb_bytepipe_write(arg, data, len, err);
}

static void *read_main(void *arg)
{
	struct reader *reader = arg;
	cleanup_err struct cb_err *err = NULL;
	struct cb_sink sink = { pipe_write, reader->pipe };

	reader->fn(reader->arg, sink, &err);
	cb_bytepipe_finish(reader->pipe, err);
	return NULL;
}

int cb_layer_commit_with(struct cb_store *store, int (*fn)(void *arg, struct cb_sink out, struct cb_err **err),
	void *arg, const struct cb_compress_spec *compression, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_layer *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_bytepipe_free) struct cb_bytepipe *pipe = cb_bytepipe_new(PIPE_SIZE);
	struct reader reader = { fn, arg, pipe };
	sigset_t all, before;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, NULL, read_main, &reader);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return cb_err_errno(err, r, "start a thread");

	r = cb_layer_commit_tar(store, cb_bytepipe_source(pipe), compression, pool, cancel, ret, err);
	cb_bytepipe_close(pipe);
	pthread_join(thread, NULL);
	return r;
}

static int write_snapshot(void *arg, struct cb_sink out, struct cb_err **err)
{
	return cb_diff_tar(arg, out, NULL, err);
}

int cb_layer_commit(struct cb_store *store, const struct cb_diff_spec *spec, const struct cb_compress_spec *compression,
	struct cb_pool *pool, struct cb_layer *ret, struct cb_err **err)
{
	assert(spec);
	return cb_layer_commit_with(store, write_snapshot, (void *)spec, compression, pool, spec->cancel, ret, err);
}
