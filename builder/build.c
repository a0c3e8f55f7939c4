#include "builder/build.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "builder/cachekey.h"
#include "builder/check_source.h"
#include "builder/commit.h"
#include "builder/include.h"
#include "builder/report.h"

/* RUN steps at once when --jobs does not say: they wait more than they compute. */
#define JOBS_DEFAULT 64
/*
 * Builds that took at least this long are made durable at their end, beside the export. What is lost with a reboot
 * after a shorter one costs no more than that to make again.
 */
#define SYNC_AFTER_NS 2000000000u

/* ---- for jobs ------------------------------------------------------------------------------------------------- */

struct timespec cb_build_time(const struct cb_build *build)
{
	return build->has_epoch ? build->epoch : cb_time_now();
}

void cb_build_log(struct cb_build *build, const struct cb_vertex *vertex, int fd, const void *data, size_t len)
{
	struct cb_msg msg = { .kind = CB_MSG_LOG, .subject = (void *)vertex, .fd = fd, .len = len };

	msg.data = cb_xmalloc(len + 1);
	memcpy(msg.data, data, len);
	msg.data[len] = '\0';
	cb_queue_post(build->scheduler.queue, &msg);
}

void cb_build_status(
	struct cb_build *build, const struct cb_vertex *vertex, const char *what, uint64_t current, uint64_t total)
{
	struct cb_msg msg = { .kind = CB_MSG_STATUS, .subject = (void *)vertex, .current = current, .total = total };

	msg.data = cb_xstrdup(what);
	cb_queue_post(build->scheduler.queue, &msg);
}

void cb_build_note(struct cb_build *build, const struct cb_vertex *vertex, const char *text)
{
	struct cb_msg msg = { .kind = CB_MSG_NOTE, .subject = (void *)vertex };

	msg.data = cb_xstrdup(text);
	cb_queue_post(build->scheduler.queue, &msg);
}

int cb_build_fds(struct cb_build *build, const struct cb_chain *chain, int **ret, struct cb_err **err)
{
	cleanup_free const struct cb_chain **list = cb_chain_list(chain);
	size_t n = cb_chain_depth(chain);
	cleanup_free int *fds = cb_xcalloc(n + 1, sizeof(*fds));

	for (size_t i = 0; i < n; i++) {
		int r = cb_snapfds_get(build->snapfds, list[i], &fds[i], err);

		if (r != 0)
			return r < 0 ? r : cb_err_set(err, CB_ERR_CORRUPT, "layer %zu is not in the store", i);
	}
	*ret = CB_TAKE_PTR(fds);
	return 0;
}

enum cb_flavour cb_build_flavour(const struct cb_build *build)
{
	return cb_store_flavour(build->store) == CB_STORE_USER ? CB_FLAVOUR_USER : CB_FLAVOUR_TRUSTED;
}

int cb_build_tree(struct cb_build *build, const struct cb_chain *chain, struct cb_tree **ret, struct cb_err **err)
{
	cleanup_free int *fds = NULL;
	int r = cb_build_fds(build, chain, &fds, err);

	if (r < 0)
		return r;
	return cb_tree_new_layers(fds, cb_chain_depth(chain), cb_build_flavour(build), ret, err);
}

int cb_build_source_tree(
	struct cb_build *build, const struct cb_vertex *vertex, struct cb_tree **ret, struct cb_err **err)
{
	if (vertex && vertex->kind == CB_VERTEX_CONTEXT) {
		*ret = cb_tree_ref(((const struct cb_op_context *)vertex->op)->context->tree);
		return 0;
	}
	return cb_build_tree(build, vertex ? ((const struct cb_step_result *)vertex->result)->chain : NULL, ret, err);
}

/* ---- the scheduler's view ------------------------------------------------------------------------------------- */

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
}

static int probe(void *ctx, struct cb_vertex *vertex, struct cb_err **err)
{
	return cb_step_probe(ctx, vertex, err);
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

void cb_build_stand_in(struct cb_build *build, struct cb_vertex *vertex, uint32_t id)
{
	*vertex = (struct cb_vertex){ .id = (unsigned int)build->plan->graph.n };
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
	if (event == CB_EVENT_DONE)
		start_commit(build, vertex);
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
		cb_commits_message(build->commits, msg);
		break;
	case CB_MSG_DONE:
	case CB_MSG_BEGIN:
		break;
	}
}

static void tick(void *ctx)
{
	struct cb_build *build = ctx;
	struct signalfd_siginfo info;

	while (build->signal_fd >= 0 && read(build->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		/* The second time somebody means it. */
		if (build->signal)
			_exit(128 + (int)info.ssi_signo);
		build->signal = (int)info.ssi_signo;
		cb_cancel_raise(build->scheduler.cancel);
		cb_queue_open_gates(build->scheduler.queue);
	}
	cb_progress_tick(build->progress);
}

static const struct cb_scheduler_ops ops = {
	.lane = lane,
	.key = key,
	.probe = probe,
	.execute = execute,
	.event = event,
	.message = message,
	.tick = tick,
};

/* ---- opening and closing -------------------------------------------------------------------------------------- */

/* Every layer of a build is held open. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int catch_signals(struct cb_build *build, struct cb_err **err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	build->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (build->signal_fd < 0)
		return cb_err_errno(err, errno, "signalfd");
	build->scheduler.signal_fd = build->signal_fd;
	return 0;
}

static int read_epoch(struct cb_build *build, struct cb_err **err)
{
	const char *text = cb_env_get(&build->settings->build_args, "SOURCE_DATE_EPOCH");
	int64_t seconds;

	if (!text || !*text)
		return 0;
	if (!cb_num_i64(text, &seconds) || seconds < 0)
		return cb_err_set(err, CB_ERR_INPUT, "invalid SOURCE_DATE_EPOCH: %s", text);
	build->has_epoch = true;
	build->epoch.tv_sec = seconds;
	return 0;
}

enum cb_isolation cb_build_isolation(const struct cb_settings *settings)
{
	static const enum cb_isolation all[] = { CB_ISOLATION_ROOT_USERNS, CB_ISOLATION_ROOT, CB_ISOLATION_RANGES,
		CB_ISOLATION_SINGLE };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (cb_str_eq(settings->isolation, cb_isolation_name(all[i])))
			return all[i];
	return CB_ISOLATION_AUTO;
}

static int open_runtime(struct cb_build *build, struct cb_err **err)
{
	struct cb_runtime_options options = { .isolation = cb_build_isolation(build->settings) };

	options.scratch_fd = cb_store_tmpfd(build->store);
	return cb_runtime_open(&options, &build->runtime, err);
}

static int open_registry(struct cb_build *build, struct cb_err **err)
{
	const struct cb_settings *settings = build->settings;
	struct cb_registry_options options = { 0 };
	int r;

	options.http.ca_file = settings->ca_cert;
	options.insecure_hosts = (const char *const *)settings->insecure_registries.v;
	r = cb_http_new(&options.http, &build->http, err);
	if (r == 0)
		r = cb_registry_new(&options, &build->registry, err);
	if (r == 0)
		build->puller = cb_puller_new(build->registry, build->store);
	return r;
}

static void start_pools(struct cb_build *build)
{
	size_t cpus = cb_cpu_count();
	struct cb_scheduler *s = &build->scheduler;

	s->pools[CB_LANE_RUN] = cb_pool_new("run", build->settings->jobs ? build->settings->jobs : JOBS_DEFAULT);
	s->pools[CB_LANE_CPU] = cb_pool_new("work", CB_MAX(cpus, (size_t)2));
	s->pools[CB_LANE_NET] = cb_pool_new("net", 8);
}

static int build_open(struct cb_build *build, struct cb_err **err)
{
	const struct cb_settings *settings = build->settings;
	enum cb_progress_mode mode = settings->quiet ? CB_PROGRESS_QUIET : settings->progress;
	unsigned char random[16];
	int r;

	raise_file_limit();
	r = cb_store_open(
		settings->root, cb_runtime_trusted_xattrs() ? CB_STORE_TRUSTED : CB_STORE_USER, &build->store, err);
	/* Whatever is wrong with the store, it is not the Buildfile's fault. */
	if (r < 0)
		return cb_err_recode(err, CB_ERR_IO);
	if (r == 0)
		r = open_runtime(build, err);
	if (r == 0)
		r = catch_signals(build, err);
	if (r == 0)
		r = read_epoch(build, err);
	if (r == 0)
		r = cb_contexts_new(settings, &build->contexts, err);
	if (r < 0)
		return r;
	if (getrandom(random, sizeof(random), 0) < 0)
		return cb_err_errno(err, errno, "getrandom");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(build->salt + 2 * i, 3, "%02x", random[i]);
	build->snapfds = cb_snapfds_new(build->store);
	build->progress = cb_progress_new(mode, STDERR_FILENO, "Building");
	start_pools(build);
	return open_registry(build, err);
}

int cb_build_open(const struct cb_settings *settings, struct cb_build **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_build_close) struct cb_build *build = cb_new0(struct cb_build);
	int r;

	build->settings = settings;
	build->signal_fd = -EBADF;
	build->scheduler = (struct cb_scheduler){
		.ops = &ops, .ctx = build, .queue = cb_queue_new(), .cancel = cb_cancel_new(), .signal_fd = -1
	};
	r = build_open(build, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(build);
	return 0;
}

static void free_plan(struct cb_build *build)
{
	struct cb_plan *plan = build->plan;

	if (!plan)
		return;
	for (size_t i = 0; i < plan->graph.n; i++)
		free(plan->graph.v[i]->result);
	cb_plan_free(plan);
}

struct cb_build *cb_build_close(struct cb_build *build)
{
	if (!build)
		return NULL;
	cb_queue_open_gates(build->scheduler.queue);
	for (size_t i = 0; i < CB_LANE_N; i++)
		cb_pool_free(build->scheduler.pools[i]);
	cb_commits_free(build->commits);
	free_plan(build);
	cb_findings_done(&build->findings);
	cb_buildfile_free(build->parsed);
	cb_includes_free(build->includes);
	cb_context_file_done(&build->file);
	cb_contexts_free(build->contexts);
	cb_snapfds_free(build->snapfds);
	cb_puller_free(build->puller);
	cb_registry_free(build->registry);
	cb_http_free(build->http);
	cb_runtime_close(build->runtime);
	cb_store_free(build->store);
	cb_progress_free(build->progress);
	cb_queue_free(build->scheduler.queue);
	cb_cancel_free(build->scheduler.cancel);
	cb_closep(&build->signal_fd);
	free(build->shown);
	free(build);
	return NULL;
}

/* ---- the build ------------------------------------------------------------------------------------------------ */

static int platforms(const struct cb_settings *settings, struct cb_plan_options *options, struct cb_err **err)
{
	cb_platform_host(&options->build);
	options->target = options->build;
	if (settings->platforms.n > 1)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "more than one --platform is not supported yet");
	if (settings->platforms.n == 1 && cb_platform_parse(settings->platforms.v[0], &options->target, err) < 0)
		return cb_err_wrap(err, CB_ERR_USAGE, "--platform");
	return 0;
}

/* What the checks find is warned of; with check=error=true it ends the build. */
static int check(struct cb_build *build, const struct cb_plan_options *options, struct cb_err **err)
{
	struct cb_check_source source = {
		.settings = build->settings, .contexts = build->contexts, .file = build->parsed, .plan = build->plan
	};
	cleanup_free char *failure = NULL;
	int r;

	source.target = options->target;
	r = cb_check_run(&source, &build->findings, err);
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

static int open_main(void *arg, struct cb_err **err)
{
	struct opening *opening = arg;
	int r = cb_step_fetch(opening->build, NULL, opening->context, err);

	return r < 0 ? r : 0;
}

/* Of a context that has to be fetched the Buildfile is read there, otherwise from the disk. */
static int read_buildfile(struct cb_build *build, struct cb_err **err)
{
	struct cb_context *context = build->contexts->main;
	struct opening opening = { build, context };
	void *arg = &opening;
	cleanup_free char *name = NULL;
	uint32_t id;
	int r;

	if (context->remote == CB_REMOTE_NONE) {
		r = cb_context_read_file(build->settings, &build->file, err);
		if (r == 0 && build->file.path)
			cb_contexts_note_file(build->contexts, build->file.path);
		return r;
	}
	name = cb_xasprintf("[internal] load remote build context %s", context->shown);
	id = cb_build_show(build, name);
	cb_progress_started(build->progress, id);
	r = cb_scheduler_call(&build->scheduler, CB_LANE_NET, open_main, &arg, 1, err);
	if (r < 0)
		cb_progress_error(build->progress, id, err && *err ? cb_err_msg(*err) : "");
	else
		cb_progress_done(build->progress, id);
	return r < 0 ? r : cb_context_read_remote_file(build->settings, context, &build->file, err);
}

int cb_build_plan(struct cb_build *build, struct cb_err **err)
{
	struct cb_plan_options options = {
		.settings = build->settings, .contexts = build->contexts, .resolve = cb_step_resolve, .ctx = build
	};
	cleanup_free char *name = NULL;
	uint32_t id;
	int r = read_buildfile(build, err);

	if (r < 0)
		return r;
	name = cb_xasprintf("[internal] load build definition from %s", build->file.shown);
	id = cb_build_show(build, name);
	cb_progress_started(build->progress, id);
	build->includes = cb_includes_new(build->settings->context, build->file.path);
	r = cb_parse_files(cb_buf_str(&build->file.data), build->file.data.len, cb_includes_reader(build->includes),
		&build->parsed, err);
	if (r < 0) {
		cb_progress_error(build->progress, id, err && *err ? cb_err_msg(*err) : "");
		return r;
	}
	cb_progress_done(build->progress, id);
	options.file = build->parsed;
	r = platforms(build->settings, &options, err);
	if (r == 0)
		r = cb_plan_new(&options, &build->plan, err);
	return r < 0 ? r : check(build, &options, err);
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

	build->shown = cb_xcalloc(graph->n + 1, sizeof(*build->shown));
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
			event(build, vertex, CB_EVENT_CACHED, NULL);
	}
}

const struct cb_chain *cb_build_chain(const struct cb_build *build)
{
	const struct cb_vertex *target = build->plan->target;

	return target ? ((const struct cb_step_result *)target->result)->chain : NULL;
}

/* Output of files reads the base images too, which a cached build does not. */
static int unpack_target(struct cb_build *build, struct cb_err **err)
{
	for (const struct cb_chain *at = cb_build_chain(build); at; at = at->below) {
		struct cb_vertex *image = at->base ? at->base->vertex : NULL;
		int r;

		if (!image || image->sched.finished)
			continue;
		r = cb_scheduler_run(&build->scheduler, image, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void sync_main(void *arg)
{
	cleanup_err struct cb_err *err = NULL;

	/* Without it, a reboot costs results of this build: no reason to fail. */
	if (cb_store_sync(arg, &err) < 0)
		cb_log_debug("sync: %s", cb_err_msg(err));
}

int cb_build_run(struct cb_build *build, unsigned int needs, struct cb_err **err)
{
	struct cb_vertex *target = build->plan->target;
	uint64_t start = cb_time_mono();
	int r = 0;

	build->scheduler.graph = &build->plan->graph;
	show_vertices(build);
	preset_images(build);
	mark_target(target);
	if (target && target->kind != CB_VERTEX_IMAGE)
		r = cb_scheduler_run(&build->scheduler, target, err);
	if (r == 0 && needs & CB_OUTPUT_FILES)
		r = unpack_target(build, err);
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
