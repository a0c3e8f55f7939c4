/* The result of a build: blobs of all layers, the final configuration, the chain of snapshots. */
#include "builder/result.h"

#include <stdlib.h>

#include "builder/build.h"
#include "builder/commit.h"
#include "builder/remotes.h"
#include "builder/squash.h"
#include "layers/image.h"

static void free_layers(struct cb_result *result)
{
	for (size_t i = 0; i < result->n_layers; i++) {
		cb_descriptor_done(&result->layers[i].blob);
		free(result->layers[i].snapshot);
	}
	free(result->layers);
	result->layers = NULL;
	result->n_layers = 0;
}

struct cb_result *cb_result_free(struct cb_result *result)
{
	if (!result)
		return NULL;
	free_layers(result);
	free(result->config_json);
	cb_image_config_free(result->config);
	cb_strv_done(&result->chain);
	json_decref(result->annotations);
	json_decref(result->descriptor_annotations);
	free(result);
	return NULL;
}

void cb_results_done(struct cb_results *results)
{
	for (size_t i = 0; i < results->n; i++)
		cb_result_free(results->v[i]);
	free(results->v);
	json_decref(results->annotations);
	json_decref(results->descriptor_annotations);
	*results = (struct cb_results){ 0 };
}

static bool commits_idle(void *ctx)
{
	return cb_commits_idle(((struct cb_build *)ctx)->commits);
}

struct fetch {
	struct cb_build *build;
	const struct cb_chain *layer;
};

static int fetch_blob(void *arg, struct cb_err **err)
{
	struct fetch *fetch = arg;
	struct cb_build *build = fetch->build;
	int r = cb_pull_blob(build->puller, fetch->layer->base->image, fetch->layer->base_at, NULL, NULL,
		build->scheduler.cancel, err);

	return r < 0 ? r : 0;
}

/* All blobs of the chain: base layers from where they come, the others from their commits. */
static int complete_layers(
	struct cb_build *build, const struct cb_chain *const *list, size_t n, bool base_blobs, struct cb_err **err)
{
	cleanup_free struct fetch *fetches = cb_xcalloc(n + 1, sizeof(*fetches));
	cleanup_free void **args = cb_xcalloc(n + 1, sizeof(*args));
	size_t n_fetches = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (!list[i]->base) {
			cb_commits_start(build->commits, list[i]);
			continue;
		}
		if (!base_blobs)
			continue;
		fetches[n_fetches] = (struct fetch){ build, list[i] };
		args[n_fetches] = &fetches[n_fetches];
		n_fetches++;
	}
	r = cb_scheduler_call(&build->scheduler, CB_LANE_NET, fetch_blob, args, n_fetches, err);
	return r < 0 ? r : cb_scheduler_wait(&build->scheduler, commits_idle, err);
}

static int fill_layer(struct cb_build *build, const struct cb_chain *chain, struct cb_result_layer *out,
	struct cb_image_layer_fact *fact, struct cb_err **err)
{
	const struct cb_layer *layer;
	int r;

	if (chain->base) {
		const struct cb_image_layer *base = &chain->base->image->layers[chain->base_at];

		out->base = fact->base = true;
		out->diff_id = fact->diff_id = base->diff_id;
		cb_descriptor_copy(&out->blob, &base->desc);
		out->image = chain->base->image;
		out->image_at = chain->base_at;
		return 0;
	}
	r = cb_commits_get(build->commits, chain, &layer, &fact->created, err);
	if (r < 0)
		return r;
	out->diff_id = fact->diff_id = layer->diff_id;
	cb_descriptor_copy(&out->blob, &layer->blob);
	if (build->layer_times != CB_TIMES_KEPT) {
		cleanup_free char *epoch = cb_xasprintf("%lld", (long long)build->made.seconds);

		cb_descriptor_annotate(&out->blob, CB_ANNOTATION_REWRITTEN, epoch);
	}
	return 0;
}

/* Records of the steps for --cache-to type=inline; those of a base image have nothing to say here. */
static void set_inline(struct cb_build *build, size_t at, struct cb_result *result)
{
	cleanup_free struct cb_digest *diff_ids = cb_xcalloc(result->n_layers + 1, sizeof(*diff_ids));
	json_t *records;

	for (size_t i = 0; i < result->n_layers; i++)
		diff_ids[i] = result->layers[i].diff_id;
	records = cb_remotes_inline(build->remotes, cb_build_chain(build, at), diff_ids, result->n_layers);
	if (result->config->extra)
		json_object_del(result->config->extra, CB_REMOTES_INLINE);
	if (!records)
		return;
	if (!result->config->extra)
		result->config->extra = json_object();
	json_object_set_new(result->config->extra, CB_REMOTES_INLINE, records);
}

static int fill_layers(
	struct cb_build *build, size_t at, struct cb_result *result, bool base_blobs, struct cb_err **err)
{
	const struct cb_chain *chain = cb_build_chain(build, at);
	struct cb_imagestate *image = build->plan->targets[at].image;
	cleanup_free const struct cb_chain **list = cb_chain_list(chain);
	size_t n = cb_chain_depth(chain);
	cleanup_free struct cb_image_layer_fact *facts = cb_xcalloc(n + 1, sizeof(*facts));
	int r = complete_layers(build, list, n, base_blobs, err);

	if (r < 0)
		return r;
	result->layers = cb_xcalloc(n + 1, sizeof(*result->layers));
	for (size_t i = 0; i < n; i++) {
		result->n_layers = i + 1;
		r = fill_layer(build, list[i], &result->layers[i], &facts[i], err);
		if (r < 0)
			return r;
	}
	cb_imagestate_finish(image, facts, n, result->has_epoch ? &result->epoch : NULL);
	cb_image_config_free(result->config);
	result->config = cb_image_config_copy(image->config);
	set_inline(build, at, result);
	result->config_json = cb_image_config_write(result->config, &result->config_len);
	cb_digest_of(result->config_json, result->config_len, &result->config_digest);
	return 0;
}

/* Layers that remote caches promised and do not give are made here after all. */
static int fill_layers_or_repair(
	struct cb_build *build, size_t at, struct cb_result *result, bool base_blobs, struct cb_err **err)
{
	for (;;) {
		struct cb_err *why = NULL;
		int code = fill_layers(build, at, result, base_blobs, &why), r;

		if (code >= 0)
			return code;
		r = code == CB_ERR_CANCELED ? 0 : cb_build_repair(build, err);
		if (r == 0)
			return cb_err_move(err, why);
		cb_err_free(why);
		if (r < 0)
			return r;
		free_layers(result);
	}
}

static int fill_files(struct cb_build *build, size_t at, struct cb_result *result, struct cb_err **err)
{
	const struct cb_chain *chain = cb_build_chain(build, at);
	cleanup_free const struct cb_chain **list = cb_chain_list(chain);

	for (size_t i = 0; i < cb_chain_depth(chain); i++) {
		const char *id;
		int r = cb_snapfds_id(build->snapfds, list[i], &id, err);

		if (r != 0)
			return r < 0 ? r : cb_err_set(err, CB_ERR_CORRUPT, "layer %zu is not in the store", i);
		cb_strv_add(&result->chain, id);
	}
	return 0;
}

int cb_build_result(struct cb_build *build, size_t at, unsigned int needs, const struct cb_compress_spec *compression,
	struct cb_result **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_result_free) struct cb_result *result = cb_new0(struct cb_result);
	const struct cb_plan_target *target = &build->plan->targets[at];
	int r = 0;

	result->store = build->store;
	result->registry = build->registry;
	result->puller = build->puller;
	result->pool = build->scheduler.pools[CB_LANE_CPU];
	result->cancel = build->scheduler.cancel;
	result->compression = *compression;
	result->config = cb_image_config_copy(target->image->config);
	/* As BuildKit: an index tells what was asked for, whatever a base image of another platform says. */
	result->platform = build->platforms > 1 && !cb_platform_equal(&target->platform, &result->config->platform)
				   ? target->platform
				   : result->config->platform;
	result->has_epoch = build->made.set;
	result->epoch.tv_sec = build->made.seconds;
	if (!build->commits)
		build->commits = cb_commits_new(build, compression);
	if (needs & CB_OUTPUT_LAYERS && build->settings->squash)
		needs |= CB_OUTPUT_BASE_BLOBS;
	if (needs & CB_OUTPUT_LAYERS)
		r = cb_remotes_settle(build->remotes, err);
	if (r == 0 && needs & CB_OUTPUT_LAYERS)
		r = fill_layers_or_repair(build, at, result, needs & CB_OUTPUT_BASE_BLOBS, err);
	if (r == 0 && needs & CB_OUTPUT_LAYERS && build->settings->squash)
		r = cb_squash_result(build, build->settings->squash, compression, result, err);
	if (r == 0 && needs & CB_OUTPUT_FILES)
		r = fill_files(build, at, result, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(result);
	return 0;
}
