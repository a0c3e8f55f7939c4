#include "builder/scheduler.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/timefmt.h"

#define TICK_NS 100000000u

struct job {
	struct run *run;
	struct cb_vertex *vertex;
};

/* One call of cb_scheduler_run. */
struct run {
	const struct cb_scheduler *s;
	struct cb_vertex **todo; /* vertices to look at again, a stack */
	size_t n_todo, cap_todo;
	size_t running;
	size_t waiting; /* vertices that wait for an answer */
	bool draining;  /* something is lost: nothing starts until no job is running */
	int code;       /* of the first failure */
	struct cb_err *err;
};

/* ---- waiting for the pools ---------------------------------------------------------------------------------- */

static void wait_for_news(const struct cb_scheduler *s, uint64_t *next_tick)
{
	struct pollfd fds[2] = {
		{ .fd = cb_queue_fd(s->queue), .events = POLLIN },
		{ .fd = s->signal_fd, .events = POLLIN },
	};
	uint64_t now = cb_time_mono();
	int timeout = *next_tick > now ? (int)((*next_tick - now) / 1000000u) + 1 : 0;

	if (poll(fds, 2, timeout) < 0 && errno != EINTR)
		abort();
	now = cb_time_mono();
	if (now >= *next_tick || fds[1].revents) {
		*next_tick = now + TICK_NS;
		s->ops->tick(s->ctx);
	}
}

struct calls {
	const struct cb_scheduler *s;
	int (*fn)(void *arg, struct cb_err **err);
};

struct call {
	const struct calls *calls;
	void *arg;
};

static void call_main(void *arg)
{
	struct call *call = arg;
	struct cb_msg msg = { .kind = CB_MSG_DONE, .subject = call };

	msg.result = call->calls->fn(call->arg, &msg.err);
	cb_queue_post(call->calls->s->queue, &msg);
}

int cb_scheduler_call(const struct cb_scheduler *s, enum cb_lane lane, int (*fn)(void *arg, struct cb_err **err),
	void *const *args, size_t n, struct cb_err **err)
{
	struct calls calls = { s, fn };
	cleanup_free struct call *list = cb_xcalloc(n + 1, sizeof(*list));
	uint64_t next_tick = cb_time_mono() + TICK_NS;
	size_t left = n;
	int code = 0;

	for (size_t i = 0; i < n; i++) {
		list[i] = (struct call){ &calls, args[i] };
		cb_pool_submit(s->pools[lane], CB_PRIORITY_HIGH, call_main, &list[i]);
	}
	while (left) {
		wait_for_news(s, &next_tick);
		for (struct cb_msg *msg = cb_queue_take(s->queue), *next; msg; msg = next) {
			next = msg->next;
			if (msg->kind == CB_MSG_DONE) {
				left--;
				if (msg->result < 0 && code == 0) {
					code = cb_err_move(err, CB_TAKE_PTR(msg->err));
					cb_cancel_raise(s->cancel);
				}
			} else {
				s->ops->message(s->ctx, msg);
			}
			cb_msg_free(msg);
		}
	}
	return code;
}

int cb_scheduler_wait(const struct cb_scheduler *s, bool (*ready)(void *ctx), struct cb_err **err)
{
	uint64_t next_tick = cb_time_mono() + TICK_NS;

	while (!ready(s->ctx)) {
		int r = cb_cancel_check(s->cancel, err);

		if (r < 0)
			return r;
		wait_for_news(s, &next_tick);
		for (struct cb_msg *msg = cb_queue_take(s->queue), *next; msg; msg = next) {
			next = msg->next;
			s->ops->message(s->ctx, msg);
			cb_msg_free(msg);
		}
	}
	return 0;
}

/* ---- the graph ------------------------------------------------------------------------------------------------ */

static void push(struct run *run, struct cb_vertex *vertex)
{
	CB_GROW(run->todo, run->cap_todo, run->n_todo + 1);
	run->todo[run->n_todo++] = vertex;
}

static void fail(struct run *run, int code, struct cb_err *err)
{
	if (run->code < 0) {
		cb_err_free(err);
		return;
	}
	run->code = code;
	run->err = err;
	cb_cancel_raise(run->s->cancel);
}

/* The key of @vertex is known: tells the vertices whose keys wait for it. */
static void spread_key(struct run *run, struct cb_vertex *vertex)
{
	struct cb_vertex **stack = NULL;
	size_t n = 0, cap = 0;

	CB_GROW(stack, cap, n + 1);
	stack[n++] = vertex;
	while (n) {
		struct cb_vertex *v = stack[--n];

		v->sched.keyed = true;
		run->s->ops->key(run->s->ctx, v);
		if (v->sched.wanted)
			push(run, v);
		for (size_t i = 0; i < v->sched.n_users; i++) {
			struct cb_vertex *user = v->sched.users[i];

			if (--user->sched.key_waits == 0 && !user->content_defined) {
				CB_GROW(stack, cap, n + 1);
				stack[n++] = user;
			}
		}
	}
	free(stack);
}

static void link_users(struct run *run)
{
	struct cb_graph *graph = run->s->graph;

	for (size_t i = 0; i < graph->n; i++) {
		struct cb_vertex *v = graph->v[i];

		for (size_t k = 0; k < v->n_inputs; k++) {
			struct cb_vertex *input = v->inputs[k].vertex;

			CB_GROW(input->sched.users, input->sched.cap_users, input->sched.n_users + 1);
			input->sched.users[input->sched.n_users++] = v;
		}
		v->sched.key_waits = v->n_inputs;
	}
	for (size_t i = 0; i < graph->n; i++)
		if (!graph->v[i]->n_inputs && !graph->v[i]->content_defined)
			spread_key(run, graph->v[i]);
}

static int by_id(const void *a, const void *b)
{
	const struct cb_vertex *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* All that a finished vertex was made of and that nobody had to look at: it came from the cache too. */
static void show_cached_inputs(struct run *run, struct cb_vertex *vertex)
{
	struct cb_vertex **list = NULL;
	size_t n = 0, cap = 0;

	CB_GROW(list, cap, n + 1);
	list[n++] = vertex;
	for (size_t at = 0; at < n; at++) {
		struct cb_vertex *v = list[at];

		for (size_t i = 0; i < v->n_inputs; i++) {
			struct cb_vertex *input = v->inputs[i].vertex;

			if (input->sched.wanted || input->sched.shown)
				continue;
			input->sched.shown = true;
			CB_GROW(list, cap, n + 1);
			list[n++] = input;
		}
	}
	/* In the order of the file. */
	qsort(list + 1, n - 1, sizeof(struct cb_vertex *), by_id);
	for (size_t at = 1; at < n; at++)
		run->s->ops->event(run->s->ctx, list[at], CB_EVENT_CACHED, NULL);
	free(list);
}

static void finish(struct run *run, struct cb_vertex *vertex, bool cached)
{
	vertex->sched.finished = true;
	if (!vertex->sched.shown || !cached) {
		vertex->sched.shown = true;
		run->s->ops->event(run->s->ctx, vertex, cached ? CB_EVENT_CACHED : CB_EVENT_DONE, NULL);
	}
	if (vertex->content_defined)
		spread_key(run, vertex);
	/* The list of what to do is a stack: last in, so that the first of the file comes out first. */
	for (size_t i = vertex->sched.n_users; i-- > 0;)
		if (vertex->sched.users[i]->sched.wanted)
			push(run, vertex->sched.users[i]);
}

static void job_main(void *arg)
{
	struct job *job = arg;
	const struct cb_scheduler *s = job->run->s;
	struct cb_msg msg = { .kind = CB_MSG_DONE, .subject = job };

	msg.result = s->ops->execute(s->ctx, job->vertex, &msg.err);
	cb_queue_post(s->queue, &msg);
}

static void start(struct run *run, struct cb_vertex *vertex)
{
	const struct cb_scheduler *s = run->s;
	enum cb_lane lane = s->ops->lane(s->ctx, vertex);
	struct job *job;

	vertex->sched.started = true;
	s->ops->event(s->ctx, vertex, CB_EVENT_STARTED, NULL);
	if (lane == CB_LANE_INLINE) {
		cleanup_err struct cb_err *err = NULL;
		int r = s->ops->execute(s->ctx, vertex, &err);

		if (r < 0) {
			s->ops->event(s->ctx, vertex, CB_EVENT_FAILED, err);
			fail(run, r, CB_TAKE_PTR(err));
		} else {
			finish(run, vertex, r > 0);
		}
		return;
	}
	job = cb_new0(struct job);
	*job = (struct job){ run, vertex };
	run->running++;
	cb_pool_submit(s->pools[lane], CB_PRIORITY_NORMAL, job_main, job);
}

static bool inputs_finished(const struct cb_vertex *vertex)
{
	for (size_t i = 0; i < vertex->n_inputs; i++)
		if (!vertex->inputs[i].known && !vertex->inputs[i].vertex->sched.finished)
			return false;
	return true;
}

static void want_inputs(struct run *run, struct cb_vertex *vertex)
{
	for (size_t i = vertex->n_inputs; i-- > 0;) {
		struct cb_vertex *input = vertex->inputs[i].vertex;

		if (input->sched.wanted || vertex->inputs[i].known || (vertex->inputs[i].late && !vertex->sched.probed))
			continue;
		input->sched.wanted = true;
		push(run, input);
	}
}

static void await_answer(struct run *run, struct cb_vertex *vertex)
{
	vertex->sched.waits = true;
	run->waiting++;
}

/* Looks @vertex up; true when there is nothing more to do for it now. */
static bool probe(struct run *run, struct cb_vertex *vertex)
{
	struct cb_err *err = NULL;
	int r = 0;

	if (!vertex->content_defined && !vertex->no_cache)
		r = run->s->ops->probe(run->s->ctx, vertex, &err);
	if (r == CB_SCHEDULER_LATER) {
		await_answer(run, vertex);
		return true;
	}
	vertex->sched.probed = true;
	if (r < 0) {
		run->s->ops->event(run->s->ctx, vertex, CB_EVENT_FAILED, err);
		fail(run, r, err);
	} else if (r > 0) {
		show_cached_inputs(run, vertex);
		finish(run, vertex, true);
	}
	return r != 0;
}

static void visit(struct run *run, struct cb_vertex *vertex)
{
	struct cb_vertex_sched *sched = &vertex->sched;

	if (sched->started || sched->finished || sched->waits || run->code < 0)
		return;
	if (!sched->probed && (sched->keyed || vertex->content_defined) && probe(run, vertex))
		return;
	want_inputs(run, vertex);
	if (!sched->probed || !inputs_finished(vertex))
		return;
	if (run->s->ops->ready && run->s->ops->ready(run->s->ctx, vertex) == CB_SCHEDULER_LATER)
		await_answer(run, vertex);
	else
		start(run, vertex);
}

static void job_done(struct run *run, struct cb_msg *msg)
{
	struct job *job = msg->subject;
	struct cb_vertex *vertex = job->vertex;
	struct cb_err *err = CB_TAKE_PTR(msg->err);

	free(job);
	run->running--;
	if (msg->result == CB_SCHEDULER_AGAIN) {
		vertex->sched.started = false;
		run->draining = true;
		cb_err_free(err);
	} else if (msg->result >= 0) {
		finish(run, vertex, msg->result > 0);
		cb_err_free(err);
	} else if (msg->result == CB_ERR_CANCELED) {
		run->s->ops->event(run->s->ctx, vertex, CB_EVENT_CANCELED, NULL);
		fail(run, msg->result, err);
	} else {
		run->s->ops->event(run->s->ctx, vertex, CB_EVENT_FAILED, err);
		fail(run, msg->result, err);
	}
}

static void answered(struct run *run, struct cb_vertex *vertex)
{
	if (!vertex->sched.waits)
		return;
	vertex->sched.waits = false;
	run->waiting--;
	push(run, vertex);
}

static void serve(struct run *run)
{
	const struct cb_scheduler *s = run->s;

	for (struct cb_msg *msg = cb_queue_take(s->queue), *next; msg; msg = next) {
		next = msg->next;
		if (msg->kind == CB_MSG_DONE)
			job_done(run, msg);
		else if (msg->kind == CB_MSG_ANSWER)
			answered(run, msg->subject);
		else
			s->ops->message(s->ctx, msg);
		cb_msg_free(msg);
	}
}

/* ---- results that are lost ------------------------------------------------------------------------------------ */

/* Only what was read from a lost result, or put together from it, goes with it: what was made on top of it stays. */
static bool made_of_lost(const struct cb_vertex *vertex)
{
	if (vertex->kind != CB_VERTEX_SELECT && vertex->kind != CB_VERTEX_MERGE)
		return false;
	for (size_t i = 0; i < vertex->n_inputs; i++)
		if (!vertex->inputs[i].known && !vertex->inputs[i].vertex->sched.finished)
			return true;
	return false;
}

/* Forgets what is lost, inputs before their users; false when nothing is. */
static bool forget_lost(const struct cb_scheduler *s)
{
	bool any = false;

	for (size_t i = 0; i < s->graph->n; i++) {
		struct cb_vertex *v = s->graph->v[i];

		if (!v->sched.finished || !s->ops->lost(s->ctx, v, made_of_lost(v)))
			continue;
		v->sched.finished = v->sched.started = v->sched.probed = v->sched.wanted = v->sched.shown = false;
		any = true;
	}
	return any;
}

static void recover(struct run *run, struct cb_vertex *const *targets, size_t n)
{
	struct cb_graph *graph = run->s->graph;
	struct cb_err *err = NULL;

	run->draining = false;
	if (!forget_lost(run->s)) {
		int r = cb_err_set(&err, CB_ERR_INTERNAL, "a step is to run again, but nothing is lost");

		fail(run, r, err);
		return;
	}
	for (size_t i = 0; i < n; i++)
		targets[i]->sched.wanted = true;
	for (size_t i = graph->n; i-- > 0;)
		if (graph->v[i]->sched.wanted && !graph->v[i]->sched.finished)
			push(run, graph->v[i]);
}

/*
 * The key of @target needs the content of all local files that it is made of, wherever they come in: those are wanted
 * from the start.
 */
static void want_contents(struct run *run, struct cb_vertex *target)
{
	struct cb_vertex **stack = NULL;
	size_t n = 0, cap = 0;

	CB_GROW(stack, cap, n + 1);
	if (!target->sched.reached)
		stack[n++] = target;
	target->sched.reached = true;
	while (n) {
		struct cb_vertex *v = stack[--n];

		if (v->content_defined && !v->sched.wanted) {
			v->sched.wanted = true;
			push(run, v);
		}
		for (size_t i = 0; i < v->n_inputs; i++) {
			struct cb_vertex *input = v->inputs[i].vertex;

			if (input->sched.reached)
				continue;
			input->sched.reached = true;
			CB_GROW(stack, cap, n + 1);
			stack[n++] = input;
		}
	}
	free(stack);
}

static bool all_finished(struct cb_vertex *const *targets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!targets[i]->sched.finished)
			return false;
	return true;
}

int cb_scheduler_run_all(const struct cb_scheduler *s, struct cb_vertex *const *targets, size_t n, struct cb_err **err)
{
	struct run run = { .s = s };
	uint64_t next_tick = cb_time_mono() + TICK_NS;

	if (!s->graph->linked)
		link_users(&run);
	s->graph->linked = true;
	/* The list of what to do is a stack: the first target comes out first. */
	for (size_t i = n; i-- > 0;) {
		targets[i]->sched.wanted = true;
		push(&run, targets[i]);
		want_contents(&run, targets[i]);
	}
	for (;;) {
		if (run.draining && !run.running && run.code == 0)
			recover(&run, targets, n);
		while (run.n_todo && !run.draining)
			visit(&run, run.todo[--run.n_todo]);
		if (!run.running && (run.code < 0 || all_finished(targets, n)))
			break;
		/* Everything that could start has started: were nothing running, nothing would ever happen. */
		assert(run.running || run.waiting);
		wait_for_news(s, &next_tick);
		if (cb_cancel_raised(s->cancel) && run.code == 0)
			run.code = cb_err_set(&run.err, CB_ERR_CANCELED, "canceled");
		serve(&run);
	}
	/* Answers that nobody waits for any more may still come. */
	for (size_t i = 0; run.waiting && i < s->graph->n; i++)
		s->graph->v[i]->sched.waits = false;
	free(run.todo);
	if (run.code < 0)
		cb_err_move(err, run.err);
	return run.code;
}

int cb_scheduler_run(const struct cb_scheduler *s, struct cb_vertex *target, struct cb_err **err)
{
	return target ? cb_scheduler_run_all(s, &target, 1, err) : 0;
}

int cb_scheduler_repair(const struct cb_scheduler *s, struct cb_vertex *const *targets, size_t n, struct cb_err **err)
{
	if (!forget_lost(s))
		return cb_err_set(err, CB_ERR_INTERNAL, "a result is to be made again, but nothing is lost");
	return cb_scheduler_run_all(s, targets, n, err);
}
