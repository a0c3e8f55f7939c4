#include "builder/build.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "builder/cached.h"
#include "builder/check_source.h"
#include "builder/include.h"
#include "builder/report.h"
#include "layers/tree.h"

/*
 * Builds that took at least this long are made durable at their end, beside the export. What is lost with a reboot
 * after a shorter one costs no more than that to make again.
 */
#define SYNC_AFTER_NS 2000000000u

/* What the checks find is warned of; with check=error=true it ends the build. */
static int check(struct cb_build *build, struct cb_err **err)
{
	struct cb_check_source source = {
		.settings = build->settings, .contexts = build->contexts, .file = build->parsed, .plan = build->plan
	};
	cleanup_free char *failure = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < build->plan->n_targets; i++) {
		source.target_at = i;
		source.target = build->plan->targets[i].platform;
		r = cb_check_run(&source, &build->findings, err);
	}
	cb_findings_unique(&build->findings);
	for (size_t i = 0; i < build->findings.n; i++) {
		cleanup_free char *text = cb_check_warning(&build->findings.v[i]);

		cb_progress_warning(build->progress, UINT32_MAX, text);
	}
	failure = cb_findings_failure(&build->findings);
	if (r == 0 && failure)
		r = cb_err_set(err, CB_ERR_INPUT, "%s", failure);
	return r;
}

struct opening {
	struct cb_build *build;
	struct cb_context *context;
};

static int open_context(void *arg, struct cb_err **err)
{
	struct opening *opening = arg;
	int r = cb_step_fetch(opening->build, NULL, opening->context, err);

	return r < 0 ? r : 0;
}

/* For the plan: fetches @context with a line of its own in the progress. */
static int fetch_now(void *ctx, struct cb_context *context, struct cb_err **err)
{
	struct cb_build *build = ctx;
	struct opening opening = { build, context };
	void *arg = &opening;
	cleanup_free char *name = context == build->contexts->main
					  ? cb_xasprintf("[internal] load remote build context %s", context->shown)
					  : cb_xasprintf("[internal] load metadata for %s", context->shown);
	uint32_t id = cb_build_show(build, name);
	int r;

	cb_progress_started(build->progress, id);
	r = cb_scheduler_call(&build->scheduler, CB_LANE_NET, open_context, &arg, 1, err);
	if (r < 0)
		cb_progress_error(build->progress, id, err && *err ? cb_err_msg(*err) : "");
	else
		cb_progress_done(build->progress, id);
	return r;
}

/* -f URL: as ADD would fetch it. */
static int read_url(struct cb_build *build, struct cb_err **err)
{
	const char *url = build->settings->file;
	struct cb_remote_source source = { .text = url };
	struct cb_context *context;
	int r = cb_contexts_add_remote(build->contexts, &source, &context, err);

	if (r == 0)
		r = fetch_now(build, context, err);
	if (r == 0)
		r = cb_tree_read_file(context->tree, context->file_name, CB_BUILDFILE_MAX, &build->file.data, err);
	if (r != 0)
		return r < 0 ? r : cb_err_set(err, CB_ERR_INTERNAL, "%s is gone", context->file_name);
	build->file.shown = cb_xstrdup(context->shown);
	return 0;
}

/* Of a context that has to be fetched the Buildfile is read there, otherwise from the disk. */
static int read_buildfile(struct cb_build *build, struct cb_err **err)
{
	struct cb_context *context = build->contexts->main;
	const char *inside = NULL;
	int r = 0;

	if (context->remote != CB_REMOTE_NONE)
		r = fetch_now(build, context, err);
	if (r < 0)
		return r;
	if (cb_context_file_is_url(build->settings)) {
		r = read_url(build, err);
	} else if (context->remote == CB_REMOTE_NONE) {
		r = cb_context_read_file(build->settings, &build->file, err);
		if (r == 0 && build->file.path)
			cb_contexts_note_file(build->contexts, build->file.path);
	} else {
		r = cb_context_read_remote_file(build->settings, context, &build->file, err);
		inside = build->file.shown;
	}
	if (r < 0)
		return r;
	build->includes = context->remote == CB_REMOTE_NONE
				  ? cb_includes_new(build->settings->context, build->file.path)
				  : cb_includes_new_at(context->dirfd, inside);
	return 0;
}

/* A misspelt stage would quietly use what it should not. */
static void warn_of_filters(struct cb_build *build)
{
	const struct cb_strv *filters = &build->settings->no_cache_filter;

	for (size_t i = 0; i < filters->n; i++) {
		cleanup_free char *text = NULL;
		bool found = false;

		for (size_t k = 0; k < build->parsed->n_stages && !found; k++) {
			const char *name = build->parsed->stages[k].name;
			char label[32];

			snprintf(label, sizeof(label), "stage-%zu", k);
			found = (name && cb_str_ieq(name, filters->v[i])) || cb_str_ieq(label, filters->v[i]);
		}
		if (found)
			continue;
		text = cb_xasprintf("--no-cache-filter: no stage is called \"%s\"", filters->v[i]);
		cb_progress_warning(build->progress, UINT32_MAX, text);
	}
}

int cb_build_read(struct cb_build *build, struct cb_err **err)
{
	cleanup_free char *name = NULL;
	uint32_t id;
	int r = read_buildfile(build, err);

	if (r < 0)
		return r;
	name = cb_xasprintf("[internal] load build definition from %s", build->file.shown);
	id = cb_build_show(build, name);
	cb_progress_started(build->progress, id);
	r = cb_parse_files(cb_buf_str(&build->file.data), build->file.data.len, cb_includes_reader(build->includes),
		&build->parsed, err);
	if (r < 0)
		cb_progress_error(build->progress, id, err && *err ? cb_err_msg(*err) : "");
	else
		cb_progress_done(build->progress, id);
	return r;
}

static bool wants_network(const struct cb_graph *graph)
{
	for (size_t i = 0; i < graph->n; i++)
		if (graph->v[i]->kind == CB_VERTEX_RUN &&
			((const struct cb_op_run *)graph->v[i]->op)->network == CB_NETWORK_DEFAULT)
			return true;
	return false;
}

int cb_build_plan(struct cb_build *build, struct cb_err **err)
{
	cleanup_free struct cb_platform *platforms = NULL;
	struct cb_plan_options options = { .settings = build->settings,
		.contexts = build->contexts,
		.resolve = cb_step_resolve,
		.fetch = fetch_now,
		.ctx = build };
	int r = cb_build_read(build, err);

	if (r < 0)
		return r;
	options.file = build->parsed;
	warn_of_filters(build);
	cb_platform_host(&options.build);
	r = cb_settings_platforms(build->settings, &platforms, &options.n_targets, err);
	options.targets = platforms;
	build->platforms = options.n_targets;
	if (r == 0)
		r = cb_plan_new(&options, &build->plan, err);
	if (r == 0)
		build->wants_network = wants_network(&build->plan->graph);
	if (r < 0)
		return r;
	build->epoch = build->made = build->plan->epoch;
	return check(build, err);
}

/* The layers of the target's image: its own steps and those of the stages it stands on. */
static void mark_target(struct cb_vertex *vertex)
{
	while (vertex && !vertex->in_target) {
		vertex->in_target = true;
		for (size_t i = 0; vertex->kind == CB_VERTEX_MERGE && i < vertex->n_inputs; i++)
			vertex->inputs[i].vertex->in_target |= vertex->inputs[i].role == CB_INPUT_SOURCE;
		vertex = cb_vertex_parent(vertex);
	}
}

/* Images are known from the plan; they are executed only for what reads them. */
static void preset_images(struct cb_build *build)
{
	for (size_t i = 0; i < build->plan->graph.n; i++) {
		struct cb_vertex *vertex = build->plan->graph.v[i];
		struct cb_step_result *result;

		if (vertex->kind != CB_VERTEX_IMAGE || vertex->result)
			continue;
		result = cb_new0(struct cb_step_result);
		result->chain = ((const struct cb_op_image *)vertex->op)->base->chain;
		vertex->result = result;
	}
}

static void show_vertices(struct cb_build *build)
{
	const struct cb_graph *graph = &build->plan->graph;

	build->shown = cb_xcalloc(graph->n + CB_STAND_INS, sizeof(*build->shown));
	for (size_t i = 0; i < graph->n; i++)
		build->shown[i] = graph->v[i]->name ? cb_build_show(build, graph->v[i]->name) : UINT32_MAX;
}

/* Base images whose files nothing had to read. */
static void show_untouched(struct cb_build *build)
{
	const struct cb_graph *graph = &build->plan->graph;

	for (size_t i = 0; i < graph->n; i++) {
		const struct cb_vertex *vertex = graph->v[i];

		if (vertex->kind == CB_VERTEX_IMAGE && !vertex->sched.started && !vertex->sched.shown)
			cb_build_ops.event(build, vertex, CB_EVENT_CACHED, NULL);
	}
}

const struct cb_chain *cb_build_chain(const struct cb_build *build, size_t at)
{
	const struct cb_vertex *fs = build->plan->targets[at].fs;

	return fs ? ((const struct cb_step_result *)fs->result)->chain : NULL;
}

static size_t list_targets(const struct cb_plan *plan, struct cb_vertex **list)
{
	size_t n = 0;

	/* Images are known without executing anything. */
	for (size_t i = 0; i < plan->n_targets; i++)
		if (plan->targets[i].fs && plan->targets[i].fs->kind != CB_VERTEX_IMAGE)
			list[n++] = plan->targets[i].fs;
	return n;
}

int cb_build_repair(struct cb_build *build, struct cb_err **err)
{
	const struct cb_plan *plan = build->plan;
	cleanup_free struct cb_vertex **list = cb_xcalloc(plan->n_targets, sizeof(*list));
	size_t n = list_targets(plan, list);
	bool lost = false;
	int r;

	for (size_t i = 0; i < plan->n_targets && !lost; i++)
		lost = cb_cached_lost(build, cb_build_chain(build, i));
	if (!lost || !n)
		return 0;
	r = cb_scheduler_repair(&build->scheduler, list, n, err);
	return r < 0 ? r : 1;
}

struct fetching_all {
	struct cb_build *build;
	size_t target;
	struct cb_err *err; /* kept here: a layer that is lost must not end the build */
};

static int fetch_cached(void *arg, struct cb_err **err)
{
	struct fetching_all *fetching = arg;

	(void)err;
	cb_cached_fetch(fetching->build, cb_build_chain(fetching->build, fetching->target), &fetching->err);
	return 0;
}

static int fetch_all(struct cb_build *build, size_t target, struct cb_err **err)
{
	int r;

	do {
		struct fetching_all fetching = { .build = build, .target = target };
		void *arg = &fetching;

		r = cb_scheduler_call(&build->scheduler, CB_LANE_NET, fetch_cached, &arg, 1, err);
		if (r == 0 && fetching.err)
			r = cb_build_repair(build, err);
		if (r == 0 && fetching.err)
			return cb_err_move(err, fetching.err);
		cb_err_free(fetching.err);
	} while (r == 1);
	return r;
}

/* Output of files reads the base images too, which a cached build does not. */
static int unpack_target(struct cb_build *build, size_t target, struct cb_err **err)
{
	for (const struct cb_chain *at = cb_build_chain(build, target); at; at = at->below) {
		struct cb_vertex *image = at->base ? at->base->vertex : NULL;
		int r;

		if (!image || image->sched.finished)
			continue;
		r = cb_scheduler_run(&build->scheduler, image, err);
		if (r < 0)
			return r;
	}
	return fetch_all(build, target, err);
}

static void sync_main(void *arg)
{
	cleanup_err struct cb_err *err = NULL;

	/* Without it, a reboot costs results of this build: no reason to fail. */
	if (cb_store_sync(arg, &err) < 0)
		cb_log_debug("sync: %s", cb_err_msg(err));
}

static int run_targets(struct cb_build *build, struct cb_err **err)
{
	cleanup_free struct cb_vertex **list = cb_xcalloc(build->plan->n_targets, sizeof(*list));
	size_t n = list_targets(build->plan, list);

	return n ? cb_scheduler_run_all(&build->scheduler, list, n, err) : 0;
}

int cb_build_run(struct cb_build *build, unsigned int needs, struct cb_err **err)
{
	const struct cb_plan *plan = build->plan;
	uint64_t start = cb_time_mono();
	int r;

	build->scheduler.graph = &build->plan->graph;
	show_vertices(build);
	preset_images(build);
	for (size_t i = 0; i < plan->n_targets; i++)
		mark_target(plan->targets[i].fs);
	r = run_targets(build, err);
	for (size_t i = 0; r == 0 && needs & CB_OUTPUT_FILES && i < plan->n_targets; i++)
		r = unpack_target(build, i, err);
	if (r == 0)
		show_untouched(build);
	if (r == 0 && cb_time_mono() - start >= SYNC_AFTER_NS)
		cb_pool_submit(build->scheduler.pools[CB_LANE_NET], CB_PRIORITY_LOW, sync_main, build->store);
	for (size_t i = 0; r == 0 && i < build->contexts->n_named; i++)
		if (build->contexts->named[i].dir)
			r = cb_context_flush(build->contexts->named[i].dir, err);
	if (r == 0)
		r = cb_context_flush(build->contexts->main, err);
	return r;
}

void cb_build_collect(struct cb_build *build)
{
	cleanup_err struct cb_err *err = NULL;
	struct cb_gc_result result;

	if (build->signal || !atomic_load(&build->wrote))
		return;
	/* The build is done: what cannot be removed now is left to the next one. */
	if (cb_gc_auto(build->store, &build->policy, NULL, &result, &err) < 0)
		cb_log_debug("gc: %s", cb_err_msg(err));
	else if (result.items)
		cb_log_debug("gc: %zu items of %llu bytes removed, %llu left", result.items,
			(unsigned long long)result.bytes, (unsigned long long)result.left);
}
