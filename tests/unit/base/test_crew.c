#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crew.h"

struct job {
	struct cb_crew *crew;
	_Atomic size_t done, dropped;
	size_t fail_at; /* 0: never */
	struct cb_cancel *cancel;
};

/* Item n makes items n-1 and n-2, so fib(n) of them in all. */
static int work(void *userdata, void *item, struct cb_err **err)
{
	struct job *job = userdata;
	size_t n = (size_t)(uintptr_t)item;

	if (++job->done == job->fail_at)
		return cb_err_set(err, CB_ERR_LIMIT, "as told");
	if (job->cancel && job->done == 50)
		cb_cancel_raise(job->cancel);
	if (n > 2) {
		cb_crew_add(job->crew, (void *)(uintptr_t)(n - 1));
		cb_crew_add(job->crew, (void *)(uintptr_t)(n - 2));
	}
	return 0;
}

static void drop(void *userdata, void *item)
{
	struct job *job = userdata;

	(void)item;
	job->dropped++;
}

static int run(struct job *job, struct cb_pool *pool, size_t n, struct cb_err **err)
{
	static const struct cb_crew_ops ops = { work, drop };
	int r;

	job->crew = cb_crew_new(pool, 3, &ops, job);
	cb_crew_add(job->crew, (void *)(uintptr_t)n);
	r = cb_crew_run(job->crew, job->cancel, err);
	cb_crew_free(job->crew);
	return r;
}

static void alone(void **state)
{
	struct job job = { 0 };

	(void)state;
	assert_int_equal(run(&job, NULL, 15, NULL), 0);
	assert_int_equal(job.done, 1219);
	assert_int_equal(job.dropped, 0);
}

static void helped(void **state)
{
	struct cb_pool *pool = cb_pool_new("test", 4);

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct job job = { 0 };

		assert_int_equal(run(&job, pool, 15, NULL), 0);
		assert_int_equal(job.done, 1219);
	}
	cb_pool_free(pool);
}

static void fails(void **state)
{
	struct cb_pool *pool = cb_pool_new("test", 4);

	(void)state;
	for (size_t i = 1; i < 40; i++) {
		struct job job = { .fail_at = i };
		cleanup_err struct cb_err *err = NULL;

		assert_int_equal(run(&job, i % 2 ? pool : NULL, 15, &err), CB_ERR_LIMIT);
		assert_string_equal(cb_err_msg(err), "as told");
		/* Helpers may do the rest before the thread that failed gets to say so. */
		if (i % 2)
			assert_true(job.done >= i && job.done <= 1219);
		else
			assert_int_equal(job.done, i);
	}
	cb_pool_free(pool);
}

static void canceled(void **state)
{
	struct job job = { .cancel = cb_cancel_new() };
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	assert_int_equal(run(&job, NULL, 15, &err), CB_ERR_CANCELED);
	assert_int_equal(job.done, 50);
	assert_true(job.dropped > 0);
	cb_cancel_free(job.cancel);
}

/* A job of a pool of one asks that pool for help: it gets none, and goes on by itself. */
static void whole(void *arg)
{
	struct job *job = ((void **)arg)[0];

	run(job, ((void **)arg)[1], 15, NULL);
}

static void inside_the_pool(void **state)
{
	struct cb_pool *pool = cb_pool_new("test", 1);
	struct job jobs[4] = { 0 };
	void *args[4][2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		args[i][0] = &jobs[i];
		args[i][1] = pool;
		cb_pool_submit(pool, CB_PRIORITY_NORMAL, whole, args[i]);
	}
	cb_pool_free(pool);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		assert_int_equal(jobs[i].done, 1219);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone),
		cmocka_unit_test(helped),
		cmocka_unit_test(fails),
		cmocka_unit_test(canceled),
		cmocka_unit_test(inside_the_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
