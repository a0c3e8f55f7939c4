#include "base/parallel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/pool.h"

struct parallel {
	cb_parallel_fn fn;
	void *userdata;
	struct cb_cancel *cancel; /* ours: raised by the first failure, or when the caller's is */
	pthread_mutex_t lock;
	struct cb_err *why; /* of the first failure */
	size_t next, left;
	int done; /* eventfd: nothing is left */
};

static void work(void *arg)
{
	struct parallel *all = arg;
	cleanup_err struct cb_err *why = NULL;
	uint64_t n = 1;
	size_t at;
	bool last;

	pthread_mutex_lock(&all->lock);
	at = all->next++;
	pthread_mutex_unlock(&all->lock);
	if (cb_cancel_check(all->cancel, &why) == 0)
		all->fn(all->userdata, at, all->cancel, &why);
	pthread_mutex_lock(&all->lock);
	if (why && !all->why) {
		all->why = CB_TAKE_PTR(why);
		cb_cancel_raise(all->cancel);
	}
	last = --all->left == 0;
	pthread_mutex_unlock(&all->lock);
	if (last)
		(void)!write(all->done, &n, sizeof(n));
}

/* Until all are done, handing on a cancellation. */
static void wait_for_all(struct parallel *all, struct cb_cancel *cancel)
{
	struct pollfd p[2] = { { .fd = all->done, .events = POLLIN },
		{ .fd = cb_cancel_fd(cancel), .events = POLLIN } };

	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			return;
		if (p[1].revents) {
			cb_cancel_raise(all->cancel);
			p[1].fd = -1;
		}
	}
}

int cb_parallel_each(const char *name, size_t threads, size_t n, cb_parallel_fn fn, void *userdata,
	struct cb_cancel *cancel, struct cb_err **err)
{
	struct parallel all = { .fn = fn, .userdata = userdata, .left = n };
	cleanup_close int done = -EBADF;
	struct cb_pool *pool;

	if (!n)
		return 0;
	done = eventfd(0, EFD_CLOEXEC);
	if (done < 0)
		return cb_err_errno(err, errno, "eventfd");
	all.done = done;
	all.cancel = cb_cancel_new();
	pthread_mutex_init(&all.lock, NULL);
	pool = cb_pool_new(name, CB_MIN(threads, n));
	for (size_t i = 0; i < n; i++)
		cb_pool_submit(pool, CB_PRIORITY_NORMAL, work, &all);
	wait_for_all(&all, cancel);
	cb_pool_free(pool);
	pthread_mutex_destroy(&all.lock);
	cb_cancel_free(all.cancel);
	return all.why ? cb_err_move(err, all.why) : 0;
}
