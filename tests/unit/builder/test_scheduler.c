/* The scheduler with a fake executor: order, concurrency, demand, failure, keys that wait for content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "base/timefmt.h"
#include "builder/scheduler.h"

/* What the fake does with a vertex, by name. */
struct plan {
	const char *name;
	unsigned int sleep_ms;
	int fails;  /* code */
	bool hit;   /* by definition key */
	bool stuck; /* until canceled */
	bool content;
	unsigned int later_ms; /* looking up takes so long */
	unsigned int ready_ms; /* and so does whether it can be executed */
	const char *loses;     /* the result of that vertex is lost when this one first wants it */
};

struct world {
	struct cb_scheduler s;
	struct cb_graph graph;
	const struct plan *plans;
	size_t n_plans;
	pthread_mutex_t mutex;
	struct cb_strv log; /* executed, in order of their ends */
	struct cb_strv events;
	unsigned int running, most;
	struct cb_strv lost;     /* vertices whose results were lost */
	struct cb_strv answered; /* what was asked for */
	struct cb_pool *answers;
};

struct answer {
	struct world *w;
	struct cb_vertex *v;
	unsigned int ms;
};

static void answer_main(void *arg)
{
	cleanup_free struct answer *answer = arg;
	struct cb_msg msg = { .kind = CB_MSG_ANSWER, .subject = answer->v };

	usleep(answer->ms * 1000);
	cb_queue_post(answer->w->s.queue, &msg);
}

/* CB_SCHEDULER_LATER for the first time, 0 from then on. */
static int wait_for(struct world *w, struct cb_vertex *v, const char *what, unsigned int ms)
{
	cleanup_free char *key = cb_xasprintf("%s %s", what, v->name);
	struct answer *answer;

	if (!ms || cb_strv_has(&w->answered, key))
		return 0;
	cb_strv_add(&w->answered, key);
	answer = cb_new0(struct answer);
	*answer = (struct answer){ w, v, ms };
	cb_pool_submit(w->answers, CB_PRIORITY_NORMAL, answer_main, answer);
	return CB_SCHEDULER_LATER;
}

static const struct plan *plan_of(const struct world *w, const struct cb_vertex *v)
{
	for (size_t i = 0; i < w->n_plans; i++)
		if (!strcmp(w->plans[i].name, v->name))
			return &w->plans[i];
	return NULL;
}

static enum cb_lane lane(void *ctx, const struct cb_vertex *v)
{
	(void)ctx;
	return v->kind == CB_VERTEX_MERGE ? CB_LANE_INLINE : CB_LANE_RUN;
}

static void key(void *ctx, struct cb_vertex *v)
{
	(void)ctx;
	for (size_t i = 0; i < v->n_inputs; i++)
		assert_true(v->inputs[i].vertex->sched.keyed);
}

static int probe(void *ctx, struct cb_vertex *v, struct cb_err **err)
{
	const struct plan *plan = plan_of(ctx, v);
	struct world *w = ctx;

	(void)err;
	assert_true(v->sched.keyed);
	if (plan && wait_for(w, v, "probe", plan->later_ms) != 0)
		return CB_SCHEDULER_LATER;
	return plan && plan->hit && !cb_strv_has(&w->lost, v->name);
}

static int ready(void *ctx, struct cb_vertex *v)
{
	const struct plan *plan = plan_of(ctx, v);

	for (size_t i = 0; i < v->n_inputs; i++)
		assert_true(v->inputs[i].known || v->inputs[i].vertex->sched.finished);
	return plan ? wait_for(ctx, v, "ready", plan->ready_ms) : 0;
}

/* What was hit and is lost; it is not lost again once it was made. */
static bool lost(void *ctx, struct cb_vertex *v, bool inputs)
{
	struct world *w = ctx;

	assert_int_equal(w->running, 0);
	return inputs || (cb_strv_has(&w->lost, v->name) && !cb_strv_has(&w->log, v->name));
}

static bool loses(struct world *w, const struct plan *plan)
{
	bool now;

	pthread_mutex_lock(&w->mutex);
	now = plan && plan->loses && !cb_strv_has(&w->lost, plan->loses);
	if (now)
		cb_strv_add(&w->lost, plan->loses);
	w->running -= now;
	pthread_mutex_unlock(&w->mutex);
	return now;
}

static int execute(void *ctx, struct cb_vertex *v, struct cb_err **err)
{
	struct world *w = ctx;
	const struct plan *plan = plan_of(w, v);
	int r = 0;

	pthread_mutex_lock(&w->mutex);
	w->running++;
	w->most = CB_MAX(w->most, w->running);
	pthread_mutex_unlock(&w->mutex);
	for (size_t i = 0; i < v->n_inputs; i++)
		assert_true(v->inputs[i].known || v->inputs[i].vertex->sched.finished);
	if (plan && plan->sleep_ms)
		usleep(plan->sleep_ms * 1000);
	if (loses(w, plan))
		return CB_SCHEDULER_AGAIN;
	while (plan && plan->stuck && r == 0) {
		r = cb_cancel_check(w->s.cancel, err);
		usleep(1000);
	}
	if (plan && plan->fails)
		r = cb_err_set(err, plan->fails, "%s broke", v->name);
	pthread_mutex_lock(&w->mutex);
	w->running--;
	cb_strv_add(&w->log, v->name);
	pthread_mutex_unlock(&w->mutex);
	return r;
}

static void event(void *ctx, const struct cb_vertex *v, enum cb_event e, const struct cb_err *err)
{
	static const char *const names[] = { "started", "cached", "done", "failed", "canceled" };
	struct world *w = ctx;

	(void)err;
	if (e != CB_EVENT_STARTED)
		cb_strv_addf(&w->events, "%s %s", v->name, names[e]);
}

static void message(void *ctx, struct cb_msg *msg)
{
	(void)ctx;
	(void)msg;
}

static void tick(void *ctx)
{
	(void)ctx;
}

static const struct cb_scheduler_ops ops = { lane, key, probe, ready, execute, lost, event, message, tick };

static struct world *world_new(const struct plan *plans, size_t n)
{
	struct world *w = cb_new0(struct world);

	w->plans = plans;
	w->n_plans = n;
	pthread_mutex_init(&w->mutex, NULL);
	cb_graph_init(&w->graph);
	w->s = (struct cb_scheduler){ .ops = &ops, .ctx = w, .graph = &w->graph, .signal_fd = -1 };
	w->s.queue = cb_queue_new();
	w->s.cancel = cb_cancel_new();
	w->s.pools[CB_LANE_RUN] = cb_pool_new("test", 16);
	w->answers = cb_pool_new("answers", 16);
	return w;
}

static void world_free(struct world *w)
{
	cb_pool_free(w->s.pools[CB_LANE_RUN]);
	cb_pool_free(w->answers);
	cb_queue_free(w->s.queue);
	cb_cancel_free(w->s.cancel);
	cb_graph_done(&w->graph);
	cb_strv_done(&w->log);
	cb_strv_done(&w->events);
	cb_strv_done(&w->lost);
	cb_strv_done(&w->answered);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

/* A vertex called @name; the inputs are names of earlier ones, "~x" late, "=x" known. */
static struct cb_vertex *add(struct world *w, enum cb_vertex_kind kind, const char *name, const char *inputs)
{
	struct cb_input list[16];
	cleanup_strv struct cb_strv names = { 0 };
	struct cb_vertex_spec spec = { .kind = kind, .name = name, .inputs = list };
	const struct plan *plan;

	cb_digest_of(name, strlen(name), &spec.operands);
	if (*inputs)
		cb_strv_split(&names, inputs, ' ');
	for (size_t i = 0; i < names.n; i++) {
		const char *want = names.v[i] + (strchr("~=", names.v[i][0]) ? 1 : 0);

		for (size_t k = 0; k < w->graph.n; k++) {
			if (strcmp(w->graph.v[k]->name, want) != 0)
				continue;
			list[spec.n_inputs++] = (struct cb_input){
				.vertex = w->graph.v[k],
				.role = spec.n_inputs ? CB_INPUT_FILES : CB_INPUT_PARENT,
				.late = names.v[i][0] == '~',
				.known = names.v[i][0] == '=',
			};
		}
	}
	assert_int_equal(spec.n_inputs, names.n);
	for (size_t i = 0; i < w->n_plans; i++) {
		plan = &w->plans[i];
		if (!strcmp(plan->name, name))
			spec.content_defined = plan->content;
	}
	return cb_graph_add(&w->graph, &spec, NULL);
}

static char *joined(struct cb_strv *sv, bool sorted)
{
	if (sorted)
		cb_strv_sort(sv);
	return cb_strv_join(sv, ",");
}

struct node {
	enum cb_vertex_kind kind;
	const char *name, *inputs;
};

#define RUN CB_VERTEX_RUN

static const struct {
	const char *what;
	struct node nodes[8];
	struct plan plans[4];
	const char *executed; /* sorted */
	int code;
} cases[] = {
	{ "a chain", { { RUN, "a", "" }, { RUN, "b", "a" }, { RUN, "c", "b" } }, { { 0 } }, "a,b,c", 0 },
	{ "a diamond runs its corners once",
		{ { RUN, "a", "" }, { RUN, "b", "a" }, { RUN, "c", "a" }, { RUN, "d", "b c" } }, { { 0 } }, "a,b,c,d",
		0 },
	{ "only what the target needs", { { RUN, "a", "" }, { RUN, "x", "" }, { RUN, "b", "a" } }, { { 0 } }, "a,b",
		0 },
	{ "a hit at the end runs nothing", { { RUN, "a", "" }, { RUN, "b", "a" } }, { { "b", .hit = true } }, "", 0 },
	{ "a hit in the middle runs the rest", { { RUN, "a", "" }, { RUN, "b", "a" }, { RUN, "c", "b" } },
		{ { "b", .hit = true } }, "c", 0 },
	{ "a late input is not asked for on a hit", { { RUN, "img", "" }, { RUN, "b", "~img" } },
		{ { "b", .hit = true } }, "", 0 },
	{ "a late input comes before the work", { { RUN, "img", "" }, { RUN, "b", "~img" } }, { { 0 } }, "b,img", 0 },
	{ "a known input is never executed", { { RUN, "img", "" }, { RUN, "b", "=img" } }, { { 0 } }, "b", 0 },
	{ "content is hashed for the key even when all hits", { { RUN, "ctx", "" }, { RUN, "b", "ctx" } },
		{ { "ctx", .content = true }, { "b", .hit = true } }, "ctx", 0 },
	{ "content behind a late input",
		{ { RUN, "ctx", "" }, { RUN, "a", "ctx" }, { RUN, "sel", "~a" }, { RUN, "b", "~sel" } },
		{ { "ctx", .content = true }, { "b", .hit = true } }, "ctx", 0 },
	{ "content behind a late input, missed",
		{ { RUN, "ctx", "" }, { RUN, "a", "ctx" }, { RUN, "sel", "~a" }, { RUN, "b", "~sel" } },
		{ { "ctx", .content = true } }, "a,b,ctx,sel", 0 },
	{ "work that needs no content does not wait for its key's users",
		{ { RUN, "ctx", "" }, { RUN, "a", "" }, { RUN, "b", "a ctx" } }, { { "ctx", .content = true } },
		"a,b,ctx", 0 },
	{ "a failure ends it", { { RUN, "a", "" }, { RUN, "b", "a" } }, { { "a", .fails = CB_ERR_STEP } }, "a",
		CB_ERR_STEP },
	{ "a failure cancels the others", { { RUN, "a", "" }, { RUN, "s", "" }, { RUN, "b", "a s" } },
		{ { "a", .fails = CB_ERR_STEP }, { "s", .stuck = true } }, "a,s", CB_ERR_STEP },
	{ "joining happens in the coordinator", { { RUN, "a", "" }, { RUN, "b", "" }, { CB_VERTEX_MERGE, "m", "a b" } },
		{ { 0 } }, "a,b,m", 0 },
	{ "answers that come later", { { RUN, "a", "" }, { RUN, "b", "a" }, { RUN, "c", "b" } },
		{ { "a", .later_ms = 5, .ready_ms = 5 }, { "b", .later_ms = 10, .hit = true }, { "c", .later_ms = 1 } },
		"c", 0 },
	{ "a failure does not wait for answers", { { RUN, "a", "" }, { RUN, "s", "" }, { RUN, "b", "a s" } },
		{ { "a", .fails = CB_ERR_STEP }, { "s", .later_ms = 100 } }, "a", CB_ERR_STEP },
	{ "what is lost is made", { { RUN, "a", "" }, { RUN, "b", "a" }, { RUN, "c", "b" } },
		{ { "b", .hit = true }, { "c", .loses = "b" } }, "a,b,c", 0 },
	{ "what is not lost stays", { { RUN, "a", "" }, { RUN, "b", "a" }, { RUN, "c", "b" } },
		{ { "a", .hit = true }, { "b", .hit = true }, { "c", .loses = "b" } }, "b,c", 0 },
	{ "a selection of files that are lost is made again",
		{ { RUN, "a", "" }, { CB_VERTEX_SELECT, "s", "a" }, { RUN, "base", "" }, { RUN, "c", "base s" } },
		{ { "a", .hit = true }, { "base", .hit = true }, { "c", .loses = "a" } }, "a,c,s,s", 0 },
	{ "others go on while something is lost",
		{ { RUN, "a", "" }, { RUN, "b", "a" }, { RUN, "x", "" }, { RUN, "y", "x" }, { RUN, "end", "b y" } },
		{ { "a", .hit = true }, { "b", .loses = "a" }, { "x", .sleep_ms = 30 } }, "a,b,end,x,y", 0 },
	{ "two that lose the same", { { RUN, "a", "" }, { RUN, "b", "a" }, { RUN, "c", "a" }, { RUN, "end", "b c" } },
		{ { "a", .hit = true }, { "b", .loses = "a", .sleep_ms = 10 }, { "c", .loses = "a", .sleep_ms = 10 } },
		"a,b,c,end", 0 },
};

static void tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n_plans = 0;
		struct world *w;
		struct cb_vertex *target = NULL;
		cleanup_err struct cb_err *err = NULL;
		cleanup_free char *log = NULL;
		int r;

		print_message("# %s\n", cases[i].what);
		while (n_plans < ARRAY_SIZE(cases[i].plans) && cases[i].plans[n_plans].name)
			n_plans++;
		w = world_new(cases[i].plans, n_plans);
		for (size_t k = 0; k < ARRAY_SIZE(cases[i].nodes) && cases[i].nodes[k].name; k++)
			target = add(w, cases[i].nodes[k].kind, cases[i].nodes[k].name, cases[i].nodes[k].inputs);
		r = cb_scheduler_run(&w->s, target, &err);
		assert_int_equal(r, cases[i].code);
		assert_true(r == 0 || err);
		log = joined(&w->log, true);
		assert_string_equal(log, cases[i].executed);
		assert_int_equal(cb_cancel_raised(w->s.cancel), r < 0);
		world_free(w);
	}
}

static void independent_steps_overlap(void **state)
{
	static const struct plan plans[] = { { "a", .sleep_ms = 200 }, { "b", .sleep_ms = 200 },
		{ "c", .sleep_ms = 200 }, { "d", .sleep_ms = 200 } };
	struct world *w = world_new(plans, ARRAY_SIZE(plans));
	struct cb_vertex *end;
	uint64_t start = cb_time_mono();

	(void)state;
	add(w, RUN, "a", "");
	add(w, RUN, "b", "");
	add(w, RUN, "c", "");
	add(w, RUN, "d", "");
	end = add(w, RUN, "end", "a b c d");
	assert_int_equal(cb_scheduler_run(&w->s, end, NULL), 0);
	assert_int_equal(w->most, 4);
	assert_true(cb_time_mono() - start < 600000000u);
	world_free(w);
}

static void slow_answers_hold_up_nobody(void **state)
{
	static const struct plan plans[] = { { "slow", .later_ms = 300 }, { "a", .sleep_ms = 100 },
		{ "b", .sleep_ms = 100 } };
	struct world *w = world_new(plans, ARRAY_SIZE(plans));
	struct cb_vertex *end;
	cleanup_free char *log = NULL;
	uint64_t start = cb_time_mono();

	(void)state;
	add(w, RUN, "slow", "");
	add(w, RUN, "a", "");
	add(w, RUN, "b", "a");
	end = add(w, RUN, "end", "slow b");
	assert_int_equal(cb_scheduler_run(&w->s, end, NULL), 0);
	log = joined(&w->log, false);
	assert_string_equal(log, "a,b,slow,end");
	assert_true(cb_time_mono() - start < 600000000u);
	world_free(w);
}

static void repair_after_a_run(void **state)
{
	static const struct plan plans[] = { { "b", .hit = true } };
	struct world *w = world_new(plans, 1);
	struct cb_vertex *target;
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *log = NULL;

	(void)state;
	add(w, RUN, "a", "");
	target = add(w, RUN, "b", "a");
	assert_int_equal(cb_scheduler_run(&w->s, target, NULL), 0);
	assert_int_equal(cb_scheduler_repair(&w->s, &target, 1, &err), CB_ERR_INTERNAL);
	cb_strv_add(&w->lost, "b");
	assert_int_equal(cb_scheduler_repair(&w->s, &target, 1, NULL), 0);
	log = joined(&w->log, false);
	assert_string_equal(log, "a,b");
	world_free(w);
}

static void cached_ancestors_are_told(void **state)
{
	static const struct plan plans[] = { { "c", .hit = true } };
	struct world *w = world_new(plans, 1);
	struct cb_vertex *target;
	cleanup_free char *events = NULL;

	(void)state;
	add(w, RUN, "a", "");
	add(w, RUN, "b", "a");
	target = add(w, RUN, "c", "b");
	assert_int_equal(cb_scheduler_run(&w->s, target, NULL), 0);
	events = joined(&w->events, false);
	assert_string_equal(events, "a cached,b cached,c cached");
	world_free(w);
}

static void *raise_soon(void *arg)
{
	usleep(50000);
	cb_cancel_raise(arg);
	return NULL;
}

static void outside_cancel(void **state)
{
	static const struct plan plans[] = { { "a", .stuck = true } };
	struct world *w = world_new(plans, 1);
	cleanup_err struct cb_err *err = NULL;
	struct cb_vertex *target = add(w, RUN, "a", "");
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, raise_soon, w->s.cancel), 0);
	assert_int_equal(cb_scheduler_run(&w->s, target, &err), CB_ERR_CANCELED);
	pthread_join(thread, NULL);
	world_free(w);
}

static void deep_chain(void **state)
{
	struct world *w = world_new(NULL, 0);
	char names[3000][8];
	struct cb_vertex *target = NULL;
	struct cb_input input = { .role = CB_INPUT_PARENT };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct cb_vertex_spec spec = {
			.kind = RUN, .name = names[i], .inputs = &input, .n_inputs = target != NULL
		};

		snprintf(names[i], sizeof(names[i]), "%zu", i);
		cb_digest_of(names[i], strlen(names[i]), &spec.operands);
		input.vertex = target;
		target = cb_graph_add(&w->graph, &spec, NULL);
	}
	assert_int_equal(cb_scheduler_run(&w->s, target, NULL), 0);
	assert_int_equal(w->log.n, ARRAY_SIZE(names));
	world_free(w);
}

static void equal_vertices_are_one(void **state)
{
	struct world *w = world_new(NULL, 0);
	struct cb_vertex *a = add(w, RUN, "a", ""), *again = add(w, RUN, "a", "");

	(void)state;
	assert_ptr_equal(a, again);
	assert_int_equal(w->graph.n, 1);
	assert_ptr_not_equal(add(w, RUN, "b", "a"), add(w, RUN, "b", ""));
	world_free(w);
}

static int call_one(void *arg, struct cb_err **err)
{
	int *value = arg;

	*value += 1;
	return *value == 8 ? cb_err_set(err, CB_ERR_IO, "eight") : 0;
}

static void calls_in_a_pool(void **state)
{
	struct world *w = world_new(NULL, 0);
	cleanup_err struct cb_err *err = NULL;
	int values[3] = { 1, 2, 3 };
	void *args[] = { &values[0], &values[1], &values[2] };

	(void)state;
	assert_int_equal(cb_scheduler_call(&w->s, CB_LANE_RUN, call_one, args, 3, &err), 0);
	assert_int_equal(values[0] + values[1] + values[2], 9);
	values[1] = 7;
	assert_int_equal(cb_scheduler_call(&w->s, CB_LANE_RUN, call_one, args, 3, &err), CB_ERR_IO);
	assert_string_equal(cb_err_msg(err), "eight");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(independent_steps_overlap),
		cmocka_unit_test(slow_answers_hold_up_nobody),
		cmocka_unit_test(repair_after_a_run),
		cmocka_unit_test(cached_ancestors_are_told),
		cmocka_unit_test(outside_cancel),
		cmocka_unit_test(deep_chain),
		cmocka_unit_test(equal_vertices_are_one),
		cmocka_unit_test(calls_in_a_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
