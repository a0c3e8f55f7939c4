#include "builder/build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "builder/cached.h"
#include "builder/cachemounts.h"
#include "builder/commit.h"
#include "builder/include.h"
#include "builder/policy.h"
#include "builder/remotes.h"
#include "builder/secret.h"
#include "builder/settings_security.h"
#include "builder/signals.h"
#include "builder/step_trust.h"
#include "builder/turn.h"

/* RUN steps at once when --jobs does not say: they wait more than they compute. */
#define JOBS_DEFAULT 64

enum cb_isolation cb_build_isolation(const struct cb_settings *settings)
{
	enum cb_isolation isolation = CB_ISOLATION_AUTO;

	/* The settings have checked the name. */
	(void)cb_isolation_find(settings->isolation, &isolation);
	return isolation;
}

/* What was asked for is refused at once where it cannot be had; the best that there is can wait for the first step. */
static bool may_wait(const struct cb_runtime_options *options)
{
	const struct cb_limits *l = &options->limits;

	return options->isolation == CB_ISOLATION_AUTO && !l->memory && !l->memory_swap && !l->cpu_shares &&
	       !l->cpu_period && !l->cpu_quota && !l->cpuset_cpus && !l->cpuset_mems && !l->pids && !l->cgroup_parent;
}

static int open_runtime(struct cb_build *build, struct cb_err **err)
{
	struct cb_runtime_options options = { .isolation = cb_build_isolation(build->settings) };

	options.scratch_fd = cb_store_tmpfd(build->store);
	options.store_fd = cb_store_dirfd(build->store);
	options.limits = build->settings->limits;
	options.lazy = may_wait(&options);
	return cb_runtime_open(&options, &build->runtime, err);
}

int cb_build_ready(struct cb_build *build, struct cb_err **err)
{
	int r = cb_runtime_ready(build->runtime, err);

	if (r <= 0)
		return r;
	const struct cb_strv *told = &cb_runtime_info(build->runtime)->warnings;
	for (size_t i = 0; i < told->n; i++)
		cb_build_note(build, NULL, told->v[i]);
	return 0;
}

static int open_registry(struct cb_build *build, struct cb_err **err)
{
	const struct cb_settings *settings = build->settings;
	struct cb_registry_options options = { 0 };
	int r;

	cb_access_apply(&settings->access, &options);
	r = cb_http_new(&options.http, &build->http, err);
	if (r == 0)
		r = cb_registry_new(&options, &build->registry, err);
	if (r == 0)
		build->puller = cb_puller_new(build->registry, build->store);
	if (r == 0)
		r = cb_remotes_new(build, &build->remotes, err);
	return r < 0 ? r : cb_cachemounts_new(build, &build->cachemounts, err);
}

static void start_pools(struct cb_build *build)
{
	size_t cpus = cb_cpu_count();
	struct cb_scheduler *s = &build->scheduler;

	s->pools[CB_LANE_RUN] = cb_pool_new("run", build->settings->jobs ? build->settings->jobs : JOBS_DEFAULT);
	s->pools[CB_LANE_CPU] = cb_pool_new("work", CB_MAX(cpus, (size_t)2));
	s->pools[CB_LANE_NET] = cb_pool_new("net", 8);
}

static int build_open(struct cb_build *build, bool runs, struct cb_err **err)
{
	const struct cb_settings *settings = build->settings;
	enum cb_progress_mode mode = !runs             ? CB_PROGRESS_NONE
				     : settings->quiet ? CB_PROGRESS_QUIET
						       : settings->progress;
	unsigned char random[16];
	int r;

	/* Every layer of a build is held open. */
	cb_fd_raise_limit();
	r = cb_store_open(
		settings->root, cb_runtime_trusted_xattrs() ? CB_STORE_TRUSTED : CB_STORE_USER, &build->store, err);
	/* Whatever is wrong with the store, it is not the Buildfile's fault. */
	if (r < 0)
		return cb_err_recode(err, r == CB_ERR_NO_SPACE ? r : CB_ERR_IO);
	r = cb_policy_of(build->store, &build->policy, err);
	if (r == 0)
		cb_store_set_quota(build->store, build->policy.quota);
	if (r == 0 && runs && settings->access.ca_cert)
		r = cb_trust_load(settings->access.ca_cert, &build->trust, err);
	if (r == 0 && runs)
		r = cb_security_filter(&settings->security, &build->filter, &build->security_warnings, err);
	if (r == 0 && runs)
		r = open_runtime(build, err);
	if (r == 0)
		r = cb_signals_open(&build->scheduler.signal_fd, err);
	if (r == 0)
		r = cb_contexts_new(settings, &build->contexts, err);
	if (r < 0)
		return r;
	if (getrandom(random, sizeof(random), 0) < 0)
		return cb_err_errno(err, errno, "getrandom");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(build->salt + 2 * i, 3, "%02x", random[i]);
	build->snapfds = cb_snapfds_new(build->store);
	build->cached = cb_cached_set_new();
	build->turns = cb_turns_new();
	build->progress = cb_progress_new(mode, STDERR_FILENO, "Building");
	build->shown_needles = cb_secrets_shown(settings);
	build->kept_needles = cb_secrets_kept(settings);
	cb_progress_redact(build->progress, build->shown_needles);
	start_pools(build);
	return open_registry(build, err);
}

static int open_for(const struct cb_settings *settings, bool runs, struct cb_build **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_build_close) struct cb_build *build = cb_new0(struct cb_build);
	int r;

	build->settings = settings;
	if (settings->timeout)
		build->deadline = cb_time_mono() + (uint64_t)settings->timeout;
	build->scheduler = (struct cb_scheduler){
		.ops = &cb_build_ops, .ctx = build, .queue = cb_queue_new(), .cancel = cb_cancel_new(), .signal_fd = -1
	};
	r = build_open(build, runs, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(build);
	return 0;
}

int cb_build_open(const struct cb_settings *settings, struct cb_build **ret, struct cb_err **err)
{
	return open_for(settings, true, ret, err);
}

int cb_build_open_reading(const struct cb_settings *settings, struct cb_build **ret, struct cb_err **err)
{
	return open_for(settings, false, ret, err);
}

static void free_plan(struct cb_build *build)
{
	struct cb_plan *plan = build->plan;

	if (!plan)
		return;
	for (size_t i = 0; i < plan->graph.n; i++) {
		struct cb_step_note *note = plan->graph.v[i]->note;

		free(plan->graph.v[i]->result);
		if (!note)
			continue;
		json_decref(note->inputs);
		cb_buf_done(&note->files);
		free(note);
	}
	cb_plan_free(plan);
}

struct cb_build *cb_build_close(struct cb_build *build)
{
	if (!build)
		return NULL;
	cb_queue_open_gates(build->scheduler.queue);
	for (size_t i = 0; i < CB_LANE_N; i++)
		cb_pool_free(build->scheduler.pools[i]);
	cb_turns_free(build->turns);
	cb_commits_free(build->commits);
	cb_remotes_free(build->remotes);
	cb_cachemounts_free(build->cachemounts);
	free_plan(build);
	cb_findings_done(&build->findings);
	cb_buildfile_free(build->parsed);
	cb_includes_free(build->includes);
	cb_context_file_done(&build->file);
	cb_contexts_free(build->contexts);
	cb_cached_set_free(build->cached);
	cb_snapfds_free(build->snapfds);
	cb_puller_free(build->puller);
	cb_registry_free(build->registry);
	cb_http_free(build->http);
	cb_runtime_close(build->runtime);
	cb_store_free(build->store);
	cb_progress_free(build->progress);
	cb_needles_free(build->shown_needles);
	cb_needles_free(build->kept_needles);
	cb_queue_free(build->scheduler.queue);
	cb_cancel_free(build->scheduler.cancel);
	cb_closep(&build->scheduler.signal_fd);
	cb_buf_done(&build->trust);
	cb_buf_done(&build->filter);
	cb_strv_done(&build->security_warnings);
	free(build->shown);
	free(build);
	return NULL;
}
