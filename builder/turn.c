#include "builder/turn.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* How often a wait looks whether the build was canceled. */
#define LOOK_NS 50000000

struct cb_turns {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned int running, waiting_alone;
	bool alone; /* the one that runs is */
};

struct cb_turns *cb_turns_new(void)
{
	struct cb_turns *turns = cb_new0(struct cb_turns);

	pthread_mutex_init(&turns->mutex, NULL);
	pthread_cond_init(&turns->changed, NULL);
	return turns;
}

struct cb_turns *cb_turns_free(struct cb_turns *turns)
{
	if (!turns)
		return NULL;
	pthread_cond_destroy(&turns->changed);
	pthread_mutex_destroy(&turns->mutex);
	free(turns);
	return NULL;
}

static bool must_wait(const struct cb_turns *turns, bool alone)
{
	return alone ? turns->running > 0 : turns->alone || turns->waiting_alone > 0;
}

static void wait_a_while(struct cb_turns *turns)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LOOK_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&turns->changed, &turns->mutex, &until);
}

int cb_turn_begin(struct cb_turns *turns, bool alone, const struct cb_cancel *cancel, struct cb_err **err)
{
	int r = 0;

	pthread_mutex_lock(&turns->mutex);
	turns->waiting_alone += alone;
	while (r == 0 && must_wait(turns, alone)) {
		wait_a_while(turns);
		r = cb_cancel_check(cancel, err);
	}
	turns->waiting_alone -= alone;
	if (r == 0) {
		turns->running++;
		turns->alone = alone;
	}
	/* One less may wait to be alone. */
	pthread_cond_broadcast(&turns->changed);
	pthread_mutex_unlock(&turns->mutex);
	return r;
}

void cb_turn_end(struct cb_turns *turns, bool alone)
{
	pthread_mutex_lock(&turns->mutex);
	turns->running--;
	turns->alone = turns->alone && !alone;
	pthread_cond_broadcast(&turns->changed);
	pthread_mutex_unlock(&turns->mutex);
}
