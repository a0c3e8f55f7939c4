#include "layers/bytepipe.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

struct cb_bytepipe {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char *ring;
	size_t capacity, start, used;
	bool finished, closed;
	struct cb_err *why;
};

struct cb_bytepipe *cb_bytepipe_new(size_t capacity)
{
	struct cb_bytepipe *p = cb_new0(struct cb_bytepipe);

	p->ring = cb_xmalloc(capacity);
	p->capacity = capacity;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	return p;
}

struct cb_bytepipe *cb_bytepipe_free(struct cb_bytepipe *p)
{
	if (!p)
		return NULL;
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	cb_err_free(p->why);
	free(p->ring);
	free(p);
	return NULL;
}

/* Copies what fits without wrapping; the count. */
static size_t push(struct cb_bytepipe *p, const char *data, size_t len)
{
	size_t at = (p->start + p->used) % p->capacity;
	size_t n = CB_MIN(len, CB_MIN(p->capacity - p->used, p->capacity - at));

	memcpy(p->ring + at, data, n);
	p->used += n;
	return n;
}

int cb_bytepipe_write(struct cb_bytepipe *p, const void *data, size_t len, struct cb_err **err)
{
	const char *at = data;
	bool closed;

	pthread_mutex_lock(&p->lock);
	while (len && !p->closed) {
		size_t n;

		if (p->used == p->capacity) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		n = push(p, at, len);
		at += n;
		len -= n;
		pthread_cond_signal(&p->changed);
	}
	closed = p->closed;
	pthread_mutex_unlock(&p->lock);
	return closed ? cb_err_set(err, CB_ERR_CANCELED, "canceled") : 0;
}

void cb_bytepipe_finish(struct cb_bytepipe *p, const struct cb_err *why)
{
	pthread_mutex_lock(&p->lock);
	p->finished = true;
	p->why = why ? cb_err_copy(why) : NULL;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static ssize_t read_pipe(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct cb_bytepipe *p = arg;
	ssize_t r = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->used && !p->finished)
		pthread_cond_wait(&p->changed, &p->lock);
	if (p->used) {
		size_t n = CB_MIN(len, CB_MIN(p->used, p->capacity - p->start));

		memcpy(buf, p->ring + p->start, n);
		p->start = (p->start + n) % p->capacity;
		p->used -= n;
		pthread_cond_signal(&p->changed);
		r = (ssize_t)n;
	} else if (p->why) {
		r = cb_err_move(err, cb_err_copy(p->why));
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

struct cb_source cb_bytepipe_source(struct cb_bytepipe *p)
{
	return (struct cb_source){ .read = read_pipe, .arg = p };
}

void cb_bytepipe_close(struct cb_bytepipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}
