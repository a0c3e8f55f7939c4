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
	unsigned int flags = build->offline ? CB_PULL_NEVER : build->settings->pull ? CB_PULL_ALWAYS : 0;
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
		char platform[CB_PLATFORM_TEXT_MAX];
		cleanup_free char *name = NULL;

		cb_platform_format(&bases[i]->platform, platform);
		name = cb_xasprintf("[%s%sinternal] load metadata for %s", build->platforms > 1 ? platform : "",
			build->platforms > 1 ? " " : "", bases[i]->name);

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

/* Another process may remove a layer between its unpacking and our use of it; that it does so each time is no accident.
 */
#define PULLS_MAX 16

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

/* Holds the unpacked layers for the rest of the build. 1 when one was removed meanwhile. */
static int hold_layers(struct cb_build *build, const struct cb_chain *chain, struct cb_err **err)
{
	for (const struct cb_chain *at = chain; at; at = at->below) {
		int fd, r = cb_snapfds_get(build->snapfds, at, &fd, err);

		if (r != 0)
			return r;
	}
	return 0;
}

int cb_step_image(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	const struct cb_op_image *op = vertex->op;
	struct pulling pulling = { build, vertex, op->base->image };
	int r = 1;

	/* What the image is was known before: vertex->result is from the plan. */
	for (int i = 0; r > 0 && i < PULLS_MAX; i++) {
		cleanup_strv struct cb_strv ids = { 0 };

		r = cb_pull_layers(
			build->puller, op->base->image, 0, pull_progress, &pulling, build->scheduler.cancel, &ids, err);
		if (r == 0)
			r = hold_layers(build, op->base->chain, err);
		for (size_t k = 0; r == 0 && k < ids.n; k++)
			cb_build_count(build, ids.v[k]);
	}
	return r > 0 ? cb_err_set(
			       err, CB_ERR_IO, "layers of %s are removed as soon as they are unpacked", op->base->name)
		     : r;
}
