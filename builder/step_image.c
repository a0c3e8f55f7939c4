/* Base images: configs before the plan, layers when a step reads them. */
#include <stdlib.h>

#include "builder/build.h"

/* ---- configs -------------------------------------------------------------------------------------------------- */

struct resolve {
	struct cb_build *build;
	struct cb_base *base;
	struct cb_image *image;
	uint32_t id;
};

static int resolve_one(void *arg, struct cb_err **err)
{
	struct resolve *job = arg;
	struct cb_build *build = job->build;
	unsigned int flags = build->settings->pull ? CB_PULL_ALWAYS : 0;
	int r = cb_pull_resolve(
		build->puller, job->base->name, &job->base->platform, flags, build->scheduler.cancel, &job->image, err);

	if (r >= 0 || r == CB_ERR_CANCELED)
		return r;
	return cb_err_locate(err, r, job->base->line, job->base->col, job->base->line);
}

int cb_step_resolve(void *ctx, struct cb_base **bases, size_t n, struct cb_err **err)
{
	struct cb_build *build = ctx;
	cleanup_free struct resolve *jobs = cb_xcalloc(n, sizeof(*jobs));
	cleanup_free void **args = cb_xcalloc(n, sizeof(*args));
	int r;

	for (size_t i = 0; i < n; i++) {
		cleanup_free char *name = cb_xasprintf("[internal] load metadata for %s", bases[i]->name);

		jobs[i] = (struct resolve){ .build = build, .base = bases[i], .id = cb_build_show(build, name) };
		args[i] = &jobs[i];
		cb_progress_started(build->progress, jobs[i].id);
	}
	r = cb_scheduler_call(&build->scheduler, CB_LANE_NET, resolve_one, args, n, err);
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].image)
			cb_progress_done(build->progress, jobs[i].id);
		else
			cb_progress_error(build->progress, jobs[i].id, err && *err ? cb_err_msg(*err) : "failed");
		bases[i]->image = jobs[i].image;
	}
	return r;
}

/* ---- layers --------------------------------------------------------------------------------------------------- */

struct pulling {
	struct cb_build *build;
	struct cb_vertex *vertex;
	const struct cb_image *image;
};

static void pull_progress(void *userdata, size_t layer, uint64_t bytes, uint64_t total)
{
	struct pulling *pulling = userdata;

	cb_build_status(pulling->build, pulling->vertex, pulling->image->layers[layer].desc.digest.text, bytes, total);
}

int cb_step_image(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	const struct cb_op_image *op = vertex->op;
	struct pulling pulling = { build, vertex, op->base->image };
	cleanup_strv struct cb_strv ids = { 0 };

	/* What the image is was known before: vertex->result is from the plan. */
	return cb_pull_layers(
		build->puller, op->base->image, 0, pull_progress, &pulling, build->scheduler.cancel, &ids, err);
}
