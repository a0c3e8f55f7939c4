#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/parallel.h"
#include "layers/apply.h"
#include "layers/bytepipe.h"
#include "layers/compress.h"
#include "layers/layertable.h"
#include "layers/pull.h"
#include "layers/pull_source.h"
#include "layers/snapshot.h"

/* Bytes under way between downloading, decompressing and unpacking: memory for each layer that is being pulled. */
#define PIPE_SIZE (4 * 1024 * 1024)
#define AHEAD_BLOCK (256 * 1024)
#define AHEAD_BLOCKS 8
#define PARALLEL_DEFAULT 4

/* One layer on its way. */
struct layer_job {
	struct cb_pull_source src;
	const struct cb_image_layer *layer;
	size_t at;
	cb_pull_progress progress;
	void *userdata;

	/* Shared with the downloading thread */
	struct cb_bytepipe *pipe;
	struct cb_blob_writer *writer; /* NULL when the bytes come out of the store */
	int fd;                        /* of the blob in the store */
	uint64_t bytes;
	struct cb_err *why; /* its failure */

	/* The reader's */
	struct cb_decompressor *decompressor;
	struct cb_hasher *hasher; /* of the uncompressed stream */
	uint64_t size;
};

static void report(const struct layer_job *job, bool done)
{
	uint64_t total = job->layer->desc.size;

	if (!job->progress)
		return;
	if (done)
		job->progress(job->userdata, job->at, total, total);
	else if (job->bytes < total)
		job->progress(job->userdata, job->at, job->bytes, total);
}

static int take_bytes(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct layer_job *job = userdata;
	int r = 0;

	if (job->writer)
		r = cb_blob_writer_write(job->writer, data, len, err);
	if (r == 0 && job->pipe)
		r = cb_bytepipe_write(job->pipe, data, len, err);
	if (r < 0)
		return r;
	job->bytes += len;
	report(job, false);
	return 0;
}

/* The blob's bytes, from wherever they are, into the pipe. */
static void *download(void *arg)
{
	struct layer_job *job = arg;

	cb_pull_stream(&job->src, &job->layer->desc, take_bytes, job, &job->why);
	cb_bytepipe_finish(job->pipe, job->why);
	return NULL;
}

/* What comes out of the decompressor, hashed on its way. */
static ssize_t read_hashed(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct layer_job *job = arg;
	ssize_t n = cb_decompressor_read(job->decompressor, buf, len, err);

	if (n > 0) {
		cb_hasher_add(job->hasher, buf, (size_t)n);
		job->size += (uint64_t)n;
	}
	return n;
}

/* Decompresses and unpacks @in; the diff ID must come out. */
static int unpack(struct layer_job *job, struct cb_source in, int dirfd, struct cb_err **err)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *decompressor = NULL;
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	struct cb_store *store = job->src.puller->store;
	bool user = cb_store_flavour(store) == CB_STORE_USER;
	struct cb_apply_spec spec = {
		.dirfd = dirfd,
		.flavour = user ? CB_FLAVOUR_USER : CB_FLAVOUR_TRUSTED,
		.layer = true,
		.no_devices = user && !cb_owner_recorded(),
		.cancel = job->src.cancel,
	};
	struct cb_readahead *ahead;
	struct cb_digest digest;
	int r;

	r = cb_decompressor_open(in, NULL, &decompressor, err);
	if (r < 0)
		return r;
	job->decompressor = decompressor;
	job->hasher = hasher;
	ahead = cb_readahead_new((struct cb_source){ .read = read_hashed, .arg = job }, AHEAD_BLOCK, AHEAD_BLOCKS);
	r = cb_apply(&spec, cb_readahead_source(ahead), NULL, err);
	if (r < 0 && job->pipe)
		cb_bytepipe_close(job->pipe);
	cb_readahead_free(ahead); /* its thread is done with the decompressor from here on */
	if (r < 0)
		return r;
	cb_hasher_finish(hasher, &digest);
	if (!cb_digest_equal(&digest, &job->layer->diff_id))
		return cb_err_set(err, CB_ERR_CORRUPT, "its content has diff ID %s, not %s", digest.text,
			job->layer->diff_id.text);
	return 0;
}

/* Downloads on a thread of its own while this one unpacks. */
static int fetch_and_unpack(struct layer_job *job, int dirfd, struct cb_err **err)
{
	CB_CLEANUP(cb_bytepipe_free) struct cb_bytepipe *pipe = cb_bytepipe_new(PIPE_SIZE);
	CB_CLEANUP(cb_blob_writer_free) struct cb_blob_writer *writer = NULL;
	const struct cb_descriptor *desc = &job->layer->desc;
	pthread_t thread;
	int r;

	r = cb_blob_writer_open(job->src.puller->store, &writer, err);
	if (r < 0)
		return r;
	job->writer = writer;
	job->pipe = pipe;
	r = pthread_create(&thread, NULL, download, job);
	if (r != 0)
		return cb_err_errno(err, r, "start a thread");
	r = unpack(job, cb_bytepipe_source(pipe), dirfd, err);
	cb_bytepipe_close(pipe);
	pthread_join(thread, NULL);
	job->pipe = NULL;
	job->writer = NULL;
	/* The download's own failure is the cause of whatever unpacking made of it. */
	if (job->why && (r == 0 || job->why->code != CB_ERR_CANCELED))
		return cb_err_move(err, CB_TAKE_PTR(job->why));
	cb_err_free(CB_TAKE_PTR(job->why));
	if (r < 0)
		return r;
	return cb_blob_writer_finish(writer, &desc->digest, desc->size, NULL, err);
}

/* A blob of the layer that is in the store already: 0 with *ret_fd, or 1. */
static int find_blob(struct layer_job *job, int *ret_fd, struct cb_err **err)
{
	struct cb_store *store = job->src.puller->store;
	cleanup_descriptor struct cb_descriptor other = { 0 };
	int r;

	/* One that was thrown away meanwhile is fetched again. */
	if (cb_blob_open(store, &job->layer->desc.digest, ret_fd, NULL, NULL) == 0)
		return 0;
	r = cb_layer_find_any(store, &job->layer->diff_id, &other, err);
	if (r != 0)
		return r;
	return cb_blob_open(store, &other.digest, ret_fd, NULL, NULL) < 0 ? 1 : 0;
}

/* Unpacks the layer into a new snapshot, from the blob job->fd if there is one, and publishes it. */
static int unpack_snapshot(struct layer_job *job, char **ret_id, struct cb_err **err)
{
	CB_CLEANUP(cb_snapshot_free) struct cb_snapshot *snapshot = NULL;
	struct cb_store *store = job->src.puller->store;
	struct cb_snapshot_info info = { .kind = (char *)"image", .diff_id = job->layer->diff_id };
	bool stored = job->fd >= 0;
	int r;

	r = cb_snapshot_new(store, &snapshot, err);
	if (r < 0)
		return r;
	job->size = 0;
	r = stored ? unpack(job, cb_source_fd(&job->fd), cb_snapshot_fs(snapshot), err)
		   : fetch_and_unpack(job, cb_snapshot_fs(snapshot), err);
	if (r < 0)
		return r;
	info.size = job->size;
	r = cb_snapshot_commit(snapshot, &info, err);
	if (r == 0 && !stored)
		r = cb_layer_put(store, &job->layer->diff_id, job->size, &job->layer->desc, err);
	if (r < 0)
		return r;
	*ret_id = cb_xstrdup(cb_snapshot_id(snapshot));
	return 0;
}

/* Makes the snapshot; the caller holds the layer's lock. */
static int make_snapshot(struct layer_job *job, char **ret_id, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	cleanup_close int fd = -EBADF;
	int r;

	r = find_blob(job, &fd, err);
	if (r < 0)
		return r;
	job->fd = fd;
	r = unpack_snapshot(job, ret_id, &why);
	if (r == CB_ERR_CORRUPT && fd >= 0 && (job->src.ref || job->src.layout || job->src.cache)) {
		/* The stored blob is damaged: the source has it still. */
		cb_err_free(CB_TAKE_PTR(why));
		job->fd = -EBADF;
		r = cb_blob_remove(job->src.puller->store, &job->layer->desc.digest, &why);
		if (r == 0)
			r = unpack_snapshot(job, ret_id, &why);
	}
	return r < 0 ? cb_err_move(err, CB_TAKE_PTR(why)) : 0;
}

static struct cb_pull_source source_of(struct cb_puller *puller, const struct cb_image *image, struct cb_cancel *cancel)
{
	return (struct cb_pull_source){
		.puller = puller, .ref = image->ref, .layout = image->layout, .cache = image->cache, .cancel = cancel
	};
}

int cb_pull_layer(struct cb_puller *puller, const struct cb_image *image, size_t at, cb_pull_progress progress,
	void *userdata, struct cb_cancel *cancel, char **ret_id, struct cb_err **err)
{
	struct layer_job job = { .src = source_of(puller, image, cancel),
		.at = at,
		.progress = progress,
		.userdata = userdata,
		.fd = -EBADF };
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	cleanup_free char *key = NULL, *id = NULL;
	int r;

	assert(at < image->n_layers);
	job.layer = &image->layers[at];
	r = cb_snapshot_find(puller->store, &job.layer->diff_id, &id, err);
	if (r == 1) {
		key = cb_xasprintf("layer %s", job.layer->diff_id.text);
		r = cb_lock_wait(puller->store, key, cancel, &lock, err);
		if (r == 0)
			r = cb_snapshot_find(puller->store, &job.layer->diff_id, &id, err);
	}
	if (r == 1) {
		r = make_snapshot(&job, &id, err);
		if (r < 0)
			return r == CB_ERR_CANCELED ? r : cb_err_wrap(err, r, "layer %s", job.layer->desc.digest.text);
	} else if (r == 0) {
		r = 1;
	}
	if (r < 0)
		return r;
	report(&job, true);
	*ret_id = CB_TAKE_PTR(id);
	return r;
}

int cb_pull_blob(struct cb_puller *puller, const struct cb_image *image, size_t at, cb_pull_progress progress,
	void *userdata, struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_blob_writer_free) struct cb_blob_writer *writer = NULL;
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	struct layer_job job = { .src = source_of(puller, image, cancel),
		.at = at,
		.progress = progress,
		.userdata = userdata,
		.fd = -EBADF };
	const struct cb_descriptor *desc;
	cleanup_free char *key = NULL;
	int r;

	assert(at < image->n_layers);
	job.layer = &image->layers[at];
	desc = &job.layer->desc;
	/* The lock of cb_pull_layer, so that the two do not fetch one blob side by side. */
	key = cb_xasprintf("layer %s", job.layer->diff_id.text);
	r = cb_lock_wait(puller->store, key, cancel, &lock, err);
	if (r == 0)
		r = cb_blob_has(puller->store, &desc->digest, NULL, err);
	if (r != 0) {
		if (r > 0)
			report(&job, true);
		return r;
	}
	r = cb_blob_writer_open(puller->store, &writer, err);
	if (r < 0)
		return r;
	job.writer = writer;
	r = cb_pull_stream(&job.src, desc, take_bytes, &job, err);
	if (r == 0)
		r = cb_blob_writer_finish(writer, &desc->digest, desc->size, NULL, err);
	if (r < 0)
		return r == CB_ERR_CANCELED ? r : cb_err_wrap(err, r, "layer %s", desc->digest.text);
	report(&job, true);
	return 0;
}

/* All layers of an image */

struct all_job {
	struct cb_puller *puller;
	const struct cb_image *image;
	cb_pull_progress progress;
	void *userdata;
	char **ids;
};

static int pull_one(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	const struct all_job *all = userdata;

	return cb_pull_layer(all->puller, all->image, at, all->progress, all->userdata, cancel, &all->ids[at], err);
}

int cb_pull_layers(struct cb_puller *puller, const struct cb_image *image, unsigned int parallel,
	cb_pull_progress progress, void *userdata, struct cb_cancel *cancel, struct cb_strv *ret_ids,
	struct cb_err **err)
{
	cleanup_free char **ids = cb_newa0(char *, CB_MAX(image->n_layers, 1));
	struct all_job all = {
		.puller = puller, .image = image, .progress = progress, .userdata = userdata, .ids = ids
	};
	int r = cb_parallel_each(
		"pull", parallel ? parallel : PARALLEL_DEFAULT, image->n_layers, pull_one, &all, cancel, err);

	for (size_t i = 0; i < image->n_layers; i++) {
		if (r == 0)
			cb_strv_take(ret_ids, CB_TAKE_PTR(ids[i]));
		free(ids[i]);
	}
	return r;
}
