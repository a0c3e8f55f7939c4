#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct job {
	void (*fn)(void *arg);
	void *arg;
	struct job *next;
};

struct queue {
	struct job *head, **tail;
};

struct cb_pool {
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct queue queues[CB_PRIORITY_N];
	pthread_t *threads;
	size_t n_threads, max_threads;
	size_t queued, running, waiting;
	bool stop;
	char name[16];
};

static struct job *take(struct cb_pool *pool)
{
	for (size_t i = 0; i < CB_PRIORITY_N; i++) {
		struct queue *queue = &pool->queues[i];
		struct job *job = queue->head;

		if (!job)
			continue;
		queue->head = job->next;
		if (!queue->head)
			queue->tail = &queue->head;
		pool->queued--;
		return job;
	}
	return NULL;
}

static void *thread_main(void *arg)
{
	struct cb_pool *pool = arg;

	pthread_setname_np(pthread_self(), pool->name);
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct job *job = take(pool);

		if (!job) {
			if (pool->stop)
				break;
			pool->waiting++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->waiting--;
			continue;
		}
		pool->running++;
		pthread_mutex_unlock(&pool->lock);
		job->fn(job->arg);
		free(job);
		pthread_mutex_lock(&pool->lock);
		pool->running--;
		if (!pool->running && !pool->queued)
			pthread_cond_broadcast(&pool->idle);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct cb_pool *cb_pool_new(const char *name, size_t threads)
{
	struct cb_pool *pool = cb_new0(struct cb_pool);

	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->idle, NULL);
	for (size_t i = 0; i < CB_PRIORITY_N; i++)
		pool->queues[i].tail = &pool->queues[i].head;
	pool->max_threads = CB_MAX(threads, (size_t)1);
	pool->threads = cb_newa0(pthread_t, pool->max_threads);
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	return pool;
}

struct cb_pool *cb_pool_free(struct cb_pool *pool)
{
	if (!pool)
		return NULL;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->idle);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
	return NULL;
}

/* With the lock held. Signals stay with the thread that waits for them. */
static void add_thread(struct cb_pool *pool)
{
	sigset_t all, saved;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	r = pthread_create(&pool->threads[pool->n_threads], NULL, thread_main, pool);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (r == 0)
		pool->n_threads++;
	else if (!pool->n_threads)
		abort(); /* not even one thread: no job could ever run */
}

void cb_pool_submit(struct cb_pool *pool, enum cb_priority priority, void (*fn)(void *arg), void *arg)
{
	struct job *job = cb_new0(struct job);
	struct queue *queue = &pool->queues[priority];

	job->fn = fn;
	job->arg = arg;
	pthread_mutex_lock(&pool->lock);
	*queue->tail = job;
	queue->tail = &job->next;
	pool->queued++;
	if (pool->queued > pool->waiting && pool->n_threads < pool->max_threads)
		add_thread(pool);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

void cb_pool_drain(struct cb_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->queued || pool->running)
		pthread_cond_wait(&pool->idle, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

size_t cb_pool_threads(const struct cb_pool *pool)
{
	return pool->max_threads;
}

size_t cb_cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		return (size_t)CPU_COUNT(&set);
	return (size_t)CB_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
}
