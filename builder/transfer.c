#include "builder/transfer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "builder/queue.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "builder/signals.h"
#include "builder/storecmd.h"

void cb_transfer_options_done(struct cb_transfer_options *options)
{
	free(options->root);
	cb_access_done(&options->access);
}

int cb_transfer_set(
	struct cb_transfer_options *options, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	switch (opt->id) {
	case CB_TRANSFER_PROGRESS:
		return cb_progress_mode_parse("--progress", value, &options->progress, err);
	case CB_TRANSFER_QUIET:
		options->quiet = cb_opt_bool(value);
		return 0;
	case CB_TRANSFER_ROOT:
		free(options->root);
		options->root = cb_xstrdup(value);
		return 0;
	default:
		return cb_access_set(&options->access, opt, value, err);
	}
}

static void message(void *ctx, struct cb_msg *msg)
{
	struct cb_transfer *t = ctx;

	if (msg->kind == CB_MSG_STATUS)
		cb_progress_status(t->progress, t->n_shown - 1, msg->data, msg->current, msg->total,
			msg->total && msg->current == msg->total);
}

static void tick(void *ctx)
{
	struct cb_transfer *t = ctx;

	if (cb_signals_take(t->scheduler.signal_fd, &t->signal))
		cb_cancel_raise(t->scheduler.cancel);
	cb_progress_tick(t->progress);
}

static const struct cb_scheduler_ops ops = { .message = message, .tick = tick };

static int open_all(struct cb_transfer *t, struct cb_err **err)
{
	struct cb_registry_options options = { 0 };
	int r;

	r = cb_storecmd_open(t->options->root, &t->store, err);
	if (r < 0)
		return r;
	r = cb_signals_open(&t->scheduler.signal_fd, err);
	if (r < 0)
		return r;
	cb_access_apply(&t->options->access, &options);
	r = cb_registry_new(&options, &t->registry, err);
	if (r < 0)
		return r;
	t->puller = cb_puller_new(t->registry, t->store);
	t->scheduler.pools[CB_LANE_NET] = cb_pool_new("transfer", 1);
	return 0;
}

int cb_transfer_open(
	struct cb_transfer *t, const struct cb_transfer_options *options, const char *title, struct cb_err **err)
{
	int r;

	*t = (struct cb_transfer){ .options = options };
	t->scheduler = (struct cb_scheduler){
		.ops = &ops, .ctx = t, .queue = cb_queue_new(), .cancel = cb_cancel_new(), .signal_fd = -1
	};
	r = open_all(t, err);
	if (r < 0) {
		cb_transfer_close(t);
		return r;
	}
	t->progress = cb_progress_new(options->quiet ? CB_PROGRESS_QUIET : options->progress, STDERR_FILENO, title);
	return 0;
}

void cb_transfer_close(struct cb_transfer *t)
{
	cb_pool_free(t->scheduler.pools[CB_LANE_NET]);
	cb_puller_free(t->puller);
	cb_registry_free(t->registry);
	cb_store_free(t->store);
	cb_progress_free(t->progress);
	cb_queue_free(t->scheduler.queue);
	cb_cancel_free(t->scheduler.cancel);
	cb_closep(&t->scheduler.signal_fd);
	memset(t, 0, sizeof(*t));
	t->scheduler.signal_fd = -1;
}

int cb_transfer_run(struct cb_transfer *t, const char *name, int (*fn)(void *arg, struct cb_err **err), void *arg,
	struct cb_err **err)
{
	uint32_t id = t->n_shown++;
	int r;

	cb_progress_added(t->progress, id, name);
	cb_progress_started(t->progress, id);
	r = cb_scheduler_call(&t->scheduler, CB_LANE_NET, fn, &arg, 1, err);
	if (r < 0)
		cb_progress_error(t->progress, id, err && *err ? cb_err_msg(*err) : "");
	else
		cb_progress_done(t->progress, id);
	return r < 0 ? r : 0;
}

void cb_transfer_status(struct cb_transfer *t, const char *line, uint64_t current, uint64_t total)
{
	struct cb_msg msg = { .kind = CB_MSG_STATUS,
		.subject = &t->vertex,
		.data = cb_xstrdup(line),
		.len = strlen(line),
		.current = current,
		.total = total };

	cb_queue_post(t->scheduler.queue, &msg);
}

int cb_transfer_conclude(struct cb_transfer *t, int code, struct cb_err *err)
{
	cb_progress_finish(t->progress, code >= 0);
	if (t->signal)
		return 128 + t->signal;
	return code < 0 ? cb_report_fail(err, NULL, NULL) : CB_EXIT_OK;
}
