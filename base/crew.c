#include "base/crew.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

struct cb_crew {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct cb_crew_ops ops;
	void *userdata;
	struct cb_pool *pool;
	void **items;
	size_t n_items, cap_items;
	size_t max_helpers, helpers; /* allowed; queued in the pool or running */
	size_t busy;                 /* items being worked on */
	size_t refs;                 /* the owner and each helper */
	bool running, stopped, ended;
	struct cb_err *err;
	int code;
};

struct cb_crew *cb_crew_new(struct cb_pool *pool, size_t helpers, const struct cb_crew_ops *ops, void *userdata)
{
	struct cb_crew *crew = cb_new0(struct cb_crew);

	assert(ops && ops->work && ops->drop);
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->changed, NULL);
	crew->ops = *ops;
	crew->userdata = userdata;
	crew->pool = pool;
	crew->max_helpers = pool ? helpers : 0;
	crew->refs = 1;
	return crew;
}

/* Called with the lock held; a helper that starts late must still find the object. */
static void unref_unlock(struct cb_crew *crew)
{
	bool last = --crew->refs == 0;

	pthread_mutex_unlock(&crew->lock);
	if (!last)
		return;
	pthread_cond_destroy(&crew->changed);
	pthread_mutex_destroy(&crew->lock);
	free(crew->items);
	cb_err_free(crew->err);
	free(crew);
}

struct cb_crew *cb_crew_free(struct cb_crew *crew)
{
	if (!crew)
		return NULL;
	pthread_mutex_lock(&crew->lock);
	assert(crew->busy == 0);
	crew->ended = true;
	while (crew->n_items > 0)
		crew->ops.drop(crew->userdata, crew->items[--crew->n_items]);
	unref_unlock(crew);
	return NULL;
}

/* Takes one item and does it. Called and returns with the lock held; false when there is none to take. */
static bool work_one(struct cb_crew *crew)
{
	struct cb_err *err = NULL;
	void *item;
	int r;

	if (crew->ended || crew->stopped || crew->n_items == 0)
		return false;
	item = crew->items[--crew->n_items];
	crew->busy++;
	pthread_mutex_unlock(&crew->lock);
	r = crew->ops.work(crew->userdata, item, &err);
	pthread_mutex_lock(&crew->lock);
	crew->busy--;
	if (r < 0 && !crew->stopped) {
		crew->stopped = true;
		crew->code = r;
		crew->err = CB_TAKE_PTR(err);
	}
	cb_err_free(err);
	if (crew->busy == 0 || crew->stopped)
		pthread_cond_broadcast(&crew->changed);
	return true;
}

static void help(void *arg)
{
	struct cb_crew *crew = arg;

	pthread_mutex_lock(&crew->lock);
	while (work_one(crew))
		;
	crew->helpers--;
	unref_unlock(crew);
}

/* Asks the pool for one more thread when there is work to share. Called with the lock held. */
static bool wants_helper(struct cb_crew *crew)
{
	if (!crew->running || crew->helpers >= crew->max_helpers || crew->n_items < 2)
		return false;
	crew->helpers++;
	crew->refs++;
	return true;
}

void cb_crew_add(struct cb_crew *crew, void *item)
{
	bool ask;

	pthread_mutex_lock(&crew->lock);
	CB_GROW(crew->items, crew->cap_items, crew->n_items + 1);
	crew->items[crew->n_items++] = item;
	ask = wants_helper(crew);
	pthread_cond_signal(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
	if (ask)
		cb_pool_submit(crew->pool, CB_PRIORITY_HIGH, help, crew);
}

int cb_crew_run(struct cb_crew *crew, const struct cb_cancel *cancel, struct cb_err **err)
{
	int r;

	pthread_mutex_lock(&crew->lock);
	crew->running = true;
	while (wants_helper(crew)) {
		pthread_mutex_unlock(&crew->lock);
		cb_pool_submit(crew->pool, CB_PRIORITY_HIGH, help, crew);
		pthread_mutex_lock(&crew->lock);
	}
	for (;;) {
		if (cb_cancel_raised(cancel) && !crew->stopped) {
			crew->stopped = true;
			crew->code = cb_cancel_check(cancel, &crew->err);
		}
		if (work_one(crew))
			continue;
		if (crew->busy == 0)
			break;
		pthread_cond_wait(&crew->changed, &crew->lock);
	}
	crew->running = false;
	r = crew->stopped ? crew->code : 0;
	if (r < 0) {
		cb_err_move(err, CB_TAKE_PTR(crew->err));
		while (crew->n_items > 0)
			crew->ops.drop(crew->userdata, crew->items[--crew->n_items]);
	}
	crew->stopped = false;
	crew->code = 0;
	pthread_mutex_unlock(&crew->lock);
	return r;
}
