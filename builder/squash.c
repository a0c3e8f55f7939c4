#include "builder/squash.h"

#include <stdlib.h>

#include "layers/image.h"
#include "layers/squash.h"

struct job {
	struct cb_build *build;
	const struct cb_compress_spec *compression;
	const struct cb_descriptor *blobs;
	size_t n, n_below;
	struct cb_layer layer;
};

static int join(void *arg, struct cb_err **err)
{
	struct job *job = arg;
	struct cb_build *build = job->build;

	return cb_layers_squash(build->store, job->blobs, job->n, job->n_below, job->compression,
		build->scheduler.pools[CB_LANE_CPU], build->scheduler.cancel, &job->layer, err);
}

/* Shown as a step of its own: it reads and writes all of them. */
static int run(struct job *job, struct cb_err **err)
{
	struct cb_build *build = job->build;
	cleanup_free char *title = cb_xasprintf("[internal] squashing %zu layers", job->n - job->n_below);
	uint32_t id = cb_build_show(build, title);
	void *arg = job;
	int r;

	cb_progress_started(build->progress, id);
	r = cb_scheduler_call(&build->scheduler, CB_LANE_NET, join, &arg, 1, err);
	if (r < 0)
		cb_progress_error(build->progress, id, err && *err ? cb_err_msg(*err) : "");
	else
		cb_progress_done(build->progress, id);
	return r;
}

static void change_history(struct cb_image_config *config, size_t n_below, size_t n_joined)
{
	cleanup_free char *comment = cb_xasprintf("%zu layers squashed into one", n_joined);
	size_t layer = 0;

	for (size_t i = 0; i < config->n_history; i++) {
		if (config->history[i].empty_layer)
			continue;
		if (layer++ >= n_below)
			config->history[i].empty_layer = true;
	}
	cb_image_config_add_history(config, config->created, NULL, NULL, comment, false);
}

static void change_result(struct cb_result *result, struct job *job, bool rewritten, int64_t epoch)
{
	struct cb_image_config *config = result->config;

	for (size_t i = job->n_below; i < result->n_layers; i++) {
		cb_descriptor_done(&result->layers[i].blob);
		free(result->layers[i].snapshot);
	}
	result->n_layers = job->n_below + 1;
	result->layers[job->n_below] = (struct cb_result_layer){ .diff_id = job->layer.diff_id };
	cb_descriptor_copy(&result->layers[job->n_below].blob, &job->layer.blob);
	if (rewritten) {
		cleanup_free char *text = cb_xasprintf("%lld", (long long)epoch);

		cb_descriptor_annotate(&result->layers[job->n_below].blob, CB_ANNOTATION_REWRITTEN, text);
	}
	config->n_diff_ids = job->n_below;
	cb_image_config_add_diff_id(config, &job->layer.diff_id);
	change_history(config, job->n_below, job->n - job->n_below);
	free(result->config_json);
	result->config_json = cb_image_config_write(config, &result->config_len);
	cb_digest_of(result->config_json, result->config_len, &result->config_digest);
}

int cb_squash_result(struct cb_build *build, enum cb_squash mode, const struct cb_compress_spec *compression,
	struct cb_result *result, struct cb_err **err)
{
	cleanup_free struct cb_descriptor *blobs = cb_xcalloc(result->n_layers + 1, sizeof(*blobs));
	struct job job = { .build = build, .compression = compression, .blobs = blobs, .n = result->n_layers };
	bool rewritten = build->layer_times != CB_TIMES_KEPT;
	int r;

	for (size_t i = 0; i < result->n_layers; i++)
		blobs[i] = result->layers[i].blob; /* borrowed */
	while (mode == CB_SQUASH_NEW && job.n_below < job.n && result->layers[job.n_below].base)
		job.n_below++;
	if (job.n - job.n_below < 2)
		return 0;
	/* The files of a base image keep their times. */
	rewritten = rewritten && !result->layers[job.n_below].base;
	r = run(&job, err);
	if (r >= 0)
		change_result(result, &job, rewritten, build->made.seconds);
	cb_layer_done(&job.layer);
	return r;
}
