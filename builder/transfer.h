/*
 * Work on registries and the store outside of a build, shown while it runs: `cbuild push`, `pull` and `index`.
 *
 * It has what a build has (store, registry, queue, progress, signals), without graph and runtime. The coordinator opens
 * it, runs jobs with cb_transfer_run, and closes it.
 */
#ifndef CB_BUILDER_TRANSFER_H
#define CB_BUILDER_TRANSFER_H

#include "builder/access.h"
#include "builder/graph.h"
#include "builder/progress.h"
#include "builder/scheduler.h"
#include "layers/pull.h"
#include "layers/store.h"

struct cb_transfer_options {
	char *root; /* of the store; owned */
	struct cb_access access;
	enum cb_progress_mode progress;
	bool quiet;
};
void cb_transfer_options_done(struct cb_transfer_options *options);
/** The options --progress, --quiet and --root, for tables of commands; their ids are below CB_ACCESS_ID. */
#define CB_TRANSFER_PROGRESS 400
#define CB_TRANSFER_QUIET 401
#define CB_TRANSFER_ROOT 402
#define CB_TRANSFER_OPTS                                                                                               \
	{ "progress", 0, CB_OPT_VALUE, CB_TRANSFER_PROGRESS, "MODE", "how progress is shown",                          \
		"auto|tty|plain|rawjson|quiet|none" },                                                                 \
		{ "quiet", 'q', CB_OPT_FLAG, CB_TRANSFER_QUIET, NULL, "show no progress", NULL },                      \
	{                                                                                                              \
		"root", 0, CB_OPT_VALUE, CB_TRANSFER_ROOT, "DIR", "the store", "dir"                                   \
	}
/** Takes one of these, or of cb_access_options. */
int cb_transfer_set(
	struct cb_transfer_options *options, const struct cb_opt *opt, const char *value, struct cb_err **err);

struct cb_transfer {
	const struct cb_transfer_options *options;
	struct cb_store *store;
	struct cb_registry *registry;
	struct cb_puller *puller;
	struct cb_scheduler scheduler;
	struct cb_progress *progress;
	struct cb_vertex vertex; /* stands for the job in messages */
	uint32_t n_shown;
	int signal; /* that was received, or 0 */
};

/** Opens store and registry. On failure everything is closed again. */
int cb_transfer_open(struct cb_transfer *transfer, const struct cb_transfer_options *options, const char *title,
	struct cb_err **err);
void cb_transfer_close(struct cb_transfer *transfer);

/** Runs fn(arg) on a thread of its own, shown as @name, while signals and messages are served. */
int cb_transfer_run(struct cb_transfer *transfer, const char *name, int (*fn)(void *arg, struct cb_err **err),
	void *arg, struct cb_err **err);
/** A line below the running job, from any thread; @current == @total ends it. */
void cb_transfer_status(struct cb_transfer *transfer, const char *line, uint64_t current, uint64_t total);
/** Ends the progress display and reports @code: the exit status. */
int cb_transfer_conclude(struct cb_transfer *transfer, int code, struct cb_err *err);

#endif
