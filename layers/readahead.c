/* The thread behind cb_readahead (layers/stream.h): one producer, one consumer, a ring of blocks. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "layers/stream.h"

struct block {
	char *data;
	size_t len;
};

struct cb_readahead {
	struct cb_source src;
	size_t block_size, n_blocks;
	struct block *blocks;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t head, filled; /* of the ring, under lock */
	bool ended, stop;    /* under lock */
	int code;            /* why it ended: 0 or the failure, under lock */
	struct cb_err *failure;

	size_t at; /* consumer: read in the head block */
};

/** Fills one block. 1 at the end of the source. */
static int fill(struct cb_readahead *ra, struct block *block, struct cb_err **err)
{
	ssize_t n = cb_source_read_full(ra->src, block->data, ra->block_size, err);

	if (n < 0)
		return (int)n;
	block->len = (size_t)n;
	return block->len < ra->block_size;
}

static void *produce(void *arg)
{
	struct cb_readahead *ra = arg;

	for (;;) {
		cleanup_err struct cb_err *err = NULL;
		struct block *block;
		int r;

		pthread_mutex_lock(&ra->lock);
		while (ra->filled == ra->n_blocks && !ra->stop)
			pthread_cond_wait(&ra->changed, &ra->lock);
		block = &ra->blocks[(ra->head + ra->filled) % ra->n_blocks];
		if (ra->stop) {
			pthread_mutex_unlock(&ra->lock);
			return NULL;
		}
		pthread_mutex_unlock(&ra->lock);

		r = fill(ra, block, &err);

		pthread_mutex_lock(&ra->lock);
		if (r < 0) {
			ra->code = r;
			ra->failure = CB_TAKE_PTR(err);
		} else if (block->len > 0) {
			ra->filled++;
		}
		ra->ended = r != 0;
		pthread_cond_broadcast(&ra->changed);
		pthread_mutex_unlock(&ra->lock);
		if (r != 0)
			return NULL;
	}
}

struct cb_readahead *cb_readahead_new(struct cb_source src, size_t block, size_t blocks)
{
	struct cb_readahead *ra = cb_new0(struct cb_readahead);
	sigset_t all, before;

	assert(block > 0);
	assert(blocks > 0);

	ra->src = src;
	ra->block_size = block;
	ra->n_blocks = blocks;
	ra->blocks = cb_newa0(struct block, blocks);
	for (size_t i = 0; i < blocks; i++)
		ra->blocks[i].data = cb_xmalloc(block);
	pthread_mutex_init(&ra->lock, NULL);
	pthread_cond_init(&ra->changed, NULL);

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&ra->thread, NULL, produce, ra) != 0)
		abort();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ra;
}

struct cb_readahead *cb_readahead_free(struct cb_readahead *ra)
{
	if (!ra)
		return NULL;

	pthread_mutex_lock(&ra->lock);
	ra->stop = true;
	pthread_cond_broadcast(&ra->changed);
	pthread_mutex_unlock(&ra->lock);
	pthread_join(ra->thread, NULL);

	for (size_t i = 0; i < ra->n_blocks; i++)
		free(ra->blocks[i].data);
	free(ra->blocks);
	cb_err_free(ra->failure);
	pthread_mutex_destroy(&ra->lock);
	pthread_cond_destroy(&ra->changed);
	free(ra);
	return NULL;
}

static ssize_t ahead_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct cb_readahead *ra = arg;
	struct block *block;
	size_t n;
	bool any;

	pthread_mutex_lock(&ra->lock);
	while (ra->filled == 0 && !ra->ended)
		pthread_cond_wait(&ra->changed, &ra->lock);
	any = ra->filled > 0;
	pthread_mutex_unlock(&ra->lock);

	if (!any) {
		/* The thread has ended: its result is ours to read, more than once. */
		if (ra->code < 0 && err) {
			cb_err_free(*err);
			*err = cb_err_copy(ra->failure);
		}
		return ra->code;
	}

	block = &ra->blocks[ra->head];
	n = CB_MIN(len, block->len - ra->at);
	memcpy(buf, block->data + ra->at, n);
	ra->at += n;
	if (ra->at == block->len) {
		ra->at = 0;
		pthread_mutex_lock(&ra->lock);
		ra->head = (ra->head + 1) % ra->n_blocks;
		ra->filled--;
		pthread_cond_broadcast(&ra->changed);
		pthread_mutex_unlock(&ra->lock);
	}
	return (ssize_t)n;
}

struct cb_source cb_readahead_source(struct cb_readahead *ra)
{
	assert(ra);
	return (struct cb_source){ ahead_read, ra };
}
