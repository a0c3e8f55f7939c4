#include "builder/build.h"

#include <unistd.h>

#include "base/timefmt.h"
#include "builder/cachekey.h"
#include "builder/commit.h"
#include "builder/remotes.h"
#include "builder/signals.h"

static enum cb_lane lane(void *ctx, const struct cb_vertex *vertex)
{
	(void)ctx;
	switch (vertex->kind) {
	case CB_VERTEX_IMAGE:
		return CB_LANE_NET;
	case CB_VERTEX_CONTEXT:
		return ((const struct cb_op_context *)vertex->op)->context->remote ? CB_LANE_NET : CB_LANE_CPU;
	case CB_VERTEX_RUN:
		return CB_LANE_RUN;
	case CB_VERTEX_MERGE:
		return CB_LANE_INLINE;
	default:
		return CB_LANE_CPU;
	}
}

static void key(void *ctx, struct cb_vertex *vertex)
{
	const struct cb_build *build = ctx;

	cb_cachekey_definition(vertex, build->salt);
	cb_remotes_ask(build->remotes, vertex);
}

static int probe(void *ctx, struct cb_vertex *vertex, struct cb_err **err)
{
	return cb_step_probe(ctx, vertex, err);
}

static int ready(void *ctx, struct cb_vertex *vertex)
{
	return cb_step_ready(ctx, vertex);
}

static int execute(void *ctx, struct cb_vertex *vertex, struct cb_err **err)
{
	return cb_step_execute(ctx, vertex, err);
}

uint32_t cb_build_show(struct cb_build *build, const char *name)
{
	uint32_t id = build->n_shown++;

	cb_progress_added(build->progress, id, name);
	return id;
}

static uint32_t shown_id(const struct cb_build *build, const struct cb_vertex *vertex)
{
	return build->shown && vertex ? build->shown[vertex->id] : UINT32_MAX;
}

/* What was shown as cached is shown once more, now that it runs. */
static bool lost(void *ctx, struct cb_vertex *vertex, bool inputs)
{
	struct cb_build *build = ctx;

	if (!cb_step_lost(build, vertex, inputs))
		return false;
	if (shown_id(build, vertex) != UINT32_MAX)
		build->shown[vertex->id] = cb_build_show(build, vertex->name);
	return true;
}

void cb_build_stand_in(struct cb_build *build, enum cb_stand_in which, struct cb_vertex *vertex, uint32_t id)
{
	*vertex = (struct cb_vertex){ .id = (unsigned int)build->plan->graph.n + which };
	build->shown[vertex->id] = id;
}

static void start_commit(struct cb_build *build, const struct cb_vertex *vertex)
{
	const struct cb_step_result *result = vertex->result;

	if (build->commits && vertex->in_target && result && result->chain)
		cb_commits_start(build->commits, result->chain);
}

static void event(void *ctx, const struct cb_vertex *vertex, enum cb_event event, const struct cb_err *err)
{
	struct cb_build *build = ctx;
	uint32_t id = shown_id(build, vertex);

	if (event == CB_EVENT_FAILED) {
		/* What is hidden fails in the name of the step that wants it. */
		while (id == UINT32_MAX && vertex->sched.n_users) {
			vertex = vertex->sched.users[0];
			id = shown_id(build, vertex);
		}
		if (!build->failed)
			build->failed = (struct cb_vertex *)vertex;
	}
	if (event == CB_EVENT_DONE) {
		start_commit(build, vertex);
		cb_remotes_made(build->remotes, vertex);
	}
	if (id == UINT32_MAX)
		return;
	switch (event) {
	case CB_EVENT_STARTED:
		cb_progress_started(build->progress, id);
		break;
	case CB_EVENT_CACHED:
		cb_progress_cached(build->progress, id);
		break;
	case CB_EVENT_DONE:
		cb_progress_done(build->progress, id);
		break;
	case CB_EVENT_FAILED:
		cb_progress_error(build->progress, id, cb_err_msg(err));
		break;
	case CB_EVENT_CANCELED:
		cb_progress_canceled(build->progress, id);
		break;
	}
}

static void message(void *ctx, struct cb_msg *msg)
{
	struct cb_build *build = ctx;
	uint32_t id = msg->kind == CB_MSG_TASK ? UINT32_MAX : shown_id(build, msg->subject);

	switch (msg->kind) {
	case CB_MSG_LOG:
		if (id != UINT32_MAX)
			cb_progress_log(build->progress, id, msg->fd, msg->data, msg->len);
		break;
	case CB_MSG_STATUS:
		if (id != UINT32_MAX)
			cb_progress_status(build->progress, id, msg->data, msg->current, msg->total,
				msg->total && msg->current == msg->total);
		break;
	case CB_MSG_NOTE:
		cb_progress_warning(build->progress, id, msg->data);
		break;
	case CB_MSG_TASK:
		if (!cb_remotes_message(build->remotes, msg))
			cb_remotes_committed(build->remotes, cb_commits_message(build->commits, msg));
		break;
	case CB_MSG_DONE:
	case CB_MSG_BEGIN:
	case CB_MSG_ANSWER:
		break;
	}
}

static void tick(void *ctx)
{
	struct cb_build *build = ctx;

	if (cb_signals_take(build->scheduler.signal_fd, &build->signal)) {
		cb_cancel_raise(build->scheduler.cancel);
		cb_queue_open_gates(build->scheduler.queue);
	}
	if (build->deadline && !build->timed_out && !build->signal && cb_time_mono() >= build->deadline) {
		build->timed_out = true;
		cb_cancel_raise(build->scheduler.cancel);
		cb_queue_open_gates(build->scheduler.queue);
	}
	cb_remotes_tick(build->remotes);
	cb_progress_tick(build->progress);
}

const struct cb_scheduler_ops cb_build_ops = {
	.lane = lane,
	.key = key,
	.probe = probe,
	.ready = ready,
	.lost = lost,
	.execute = execute,
	.event = event,
	.message = message,
	.tick = tick,
};
