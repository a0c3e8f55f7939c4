/* Turns of steps: who is alone is alone, others may be many, who waits to be alone comes first, a canceled wait ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "builder/turn.h"

#define THREADS 8
#define ROUNDS 200

struct shared {
	struct cb_turns *turns;
	atomic_int inside, alone, together, wrong;
};

struct worker {
	struct shared *shared;
	bool alone;
};

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct shared *s = worker->shared;

	for (int i = 0; i < ROUNDS; i++) {
		if (cb_turn_begin(s->turns, worker->alone, NULL, NULL) < 0)
			atomic_fetch_add(&s->wrong, 1);
		int n = atomic_fetch_add(&s->inside, 1) + 1;
		atomic_fetch_add(&s->alone, worker->alone);
		if (n > 1)
			atomic_store(&s->together, 1);
		if (n > 1 && atomic_load(&s->alone) > 0)
			atomic_fetch_add(&s->wrong, 1);
		usleep(50);
		atomic_fetch_sub(&s->alone, worker->alone);
		atomic_fetch_sub(&s->inside, 1);
		cb_turn_end(s->turns, worker->alone);
	}
	return NULL;
}

static void many(void **state)
{
	struct shared shared = { .turns = cb_turns_new() };
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ &shared, i % 4 == 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(shared.wrong, 0);
	assert_int_equal(shared.together, 1);
	cb_turns_free(shared.turns);
}

static void *cancel_soon(void *arg)
{
	usleep(100000);
	cb_cancel_raise(arg);
	return NULL;
}

static void canceled(void **state)
{
	struct cb_turns *turns = cb_turns_new();
	struct cb_cancel *cancel = cb_cancel_new();
	cleanup_err struct cb_err *err = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(cb_turn_begin(turns, false, NULL, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancel), 0);
	assert_int_equal(cb_turn_begin(turns, true, cancel, &err), CB_ERR_CANCELED);
	pthread_join(thread, NULL);
	/* Nobody waits to be alone any more. */
	assert_int_equal(cb_turn_begin(turns, false, NULL, NULL), 0);
	cb_turn_end(turns, false);
	cb_turn_end(turns, false);
	assert_int_equal(cb_turn_begin(turns, true, NULL, NULL), 0);
	cb_turn_end(turns, true);
	cb_cancel_free(cancel);
	cb_turns_free(turns);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(many), cmocka_unit_test(canceled) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
