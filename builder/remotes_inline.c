/*
 * Records in the config of an image: --cache-to type=inline, and reading them with --cache-from type=registry.
 *
 * {"version":1, "base":[INDEX], "records":[{"layers":N or [INDEX], "key":"<hex of the definition key>"}]}
 *
 * Indexes count the layers of the image from the bottom, from 0; "layers" says which of them are the result of a step
 * (N: the first N), "base" which are those of the base image. Nothing else is written: no times, no inputs and no
 * content keys, which are known only of steps that were looked at. So equal images stay equal, also when all came from
 * a cache, and an image tells no more of its build than its history does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/timefmt.h"
#include "builder/cache.h"
#include "builder/commit.h"
#include "builder/remotes_inner.h"
#include "layers/config.h"

/* ---- writing -------------------------------------------------------------------------------------------------- */

/* The diff ID of the layer on top of @chain: 0, or 1 when it is not known. */
static int diff_id_of(struct cb_build *build, const struct cb_chain *chain, struct cb_digest *ret)
{
	__attribute__((cleanup(cb_snapshot_info_done))) struct cb_snapshot_info info = { 0 };
	struct timespec created;
	const struct cb_layer *layer;

	*ret = chain->diff_id;
	if (chain->base)
		return 0;
	if (cb_commits_get(build->commits, chain, &layer, &created, NULL) == 0) {
		*ret = layer->diff_id;
		return 0;
	}
	/* A layer of COPY --link was committed on top of others. */
	if (!*chain->snapshot)
		return 0;
	if (cb_snapshot_stat(build->store, chain->snapshot, &info, NULL) != 0 || !cb_digest_is_set(&info.diff_id))
		return 1;
	*ret = info.diff_id;
	return 0;
}

/* Which layers of the image are those of @chain: an array or a count; NULL when they are not in it. */
static json_t *places(struct cb_build *build, const struct cb_chain *chain, const struct cb_digest *diff_ids, size_t n)
{
	cleanup_free const struct cb_chain **list = cb_chain_list(chain);
	cleanup_json json_t *ret = json_array();
	size_t depth = cb_chain_depth(chain), at = 0;

	for (size_t i = 0; i < depth; i++, at++) {
		struct cb_digest diff_id;

		if (diff_id_of(build, list[i], &diff_id) != 0)
			return NULL;
		while (at < n && !cb_digest_equal(&diff_ids[at], &diff_id))
			at++;
		if (at == n)
			return NULL;
		json_array_append_new(ret, json_integer((json_int_t)at));
	}
	return at == depth ? json_integer((json_int_t)depth) : json_incref(ret);
}

static json_t *key_of(struct cb_remotes *remotes, const struct cb_vertex *vertex)
{
	struct cb_digest key;

	cb_remotes_key(remotes, vertex->lasting.text, &key);
	return json_string(cb_digest_hex(&key));
}

/* The layers that are the result of @vertex, also when nobody had to look at it. */
static const struct cb_chain *chain_of(struct cb_remotes *remotes, const struct cb_vertex *vertex)
{
	const struct cb_step_result *result = vertex->result;
	const struct cb_remote_record *record;
	struct cb_step_result *found = NULL;
	const struct cb_chain *chain = NULL;

	if (result)
		return result->chain;
	if (cb_cache_find(remotes->build, &vertex->lasting, &found, NULL) > 0)
		chain = found->chain;
	else if (cb_remotes_peek(remotes, vertex, &record, &chain) != 0)
		chain = NULL;
	free(found);
	return chain;
}

static bool is_recorded(const struct cb_vertex *vertex)
{
	return vertex->in_target && vertex->sched.keyed &&
	       (vertex->kind == CB_VERTEX_RUN || vertex->kind == CB_VERTEX_COPY || vertex->kind == CB_VERTEX_ADD ||
		       vertex->kind == CB_VERTEX_WORKDIR);
}

static bool answers_are_there(void *ctx)
{
	return cb_remotes_asking_idle(((struct cb_build *)ctx)->remotes);
}

int cb_remotes_settle(struct cb_remotes *remotes, struct cb_err **err)
{
	if (!remotes || (!remotes->n_to && !remotes->inlined))
		return 0;
	remotes->settling = true;
	return cb_scheduler_wait(&remotes->build->scheduler, answers_are_there, err);
}

json_t *cb_remotes_inline(
	struct cb_remotes *remotes, const struct cb_chain *target, const struct cb_digest *diff_ids, size_t n)
{
	const struct cb_graph *graph;
	cleanup_free const struct cb_chain **list = NULL;
	json_t *records, *base;

	if (!remotes || !remotes->inlined)
		return NULL;
	graph = &remotes->build->plan->graph;
	list = cb_chain_list(target);
	records = json_array();
	base = json_array();
	for (size_t i = 0; i < cb_chain_depth(target); i++)
		if (list[i]->base)
			json_array_append_new(base, json_integer((json_int_t)i));
	for (size_t i = 0; i < graph->n; i++) {
		const struct cb_vertex *vertex = graph->v[i];
		const struct cb_chain *chain = is_recorded(vertex) ? chain_of(remotes, vertex) : NULL;
		json_t *layers = chain ? places(remotes->build, chain, diff_ids, n) : NULL;

		if (layers)
			json_array_append_new(
				records, json_pack("{s:o, s:o}", "layers", layers, "key", key_of(remotes, vertex)));
	}
	return json_pack("{s:i, s:o, s:o}", "version", 1, "base", base, "records", records);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* An image whose config has records. */
struct reading {
	const struct cb_manifest *manifest;
	struct cb_image_config *config;
	int64_t *created; /* of the layers */
	bool *base;
	struct cb_cachedoc *doc;
};

static void read_created(struct reading *reading)
{
	const struct cb_image_config *config = reading->config;
	size_t at = 0;

	for (size_t i = 0; i < config->n_history && at < config->n_diff_ids; i++) {
		struct timespec time;

		if (config->history[i].empty_layer)
			continue;
		if (config->history[i].created && cb_time_parse(config->history[i].created, &time))
			reading->created[at] = time.tv_sec;
		at++;
	}
}

/* Number @i of @layers, which is a count or a list: SIZE_MAX when it is no layer of the image. */
static size_t layer_at(const struct reading *reading, const json_t *layers, size_t i)
{
	const json_t *item = json_is_array(layers) ? json_array_get(layers, i) : NULL;
	json_int_t at = item ? json_integer_value(item) : (json_int_t)i;

	if ((json_is_array(layers) && !json_is_integer(item)) || at < 0 || (size_t)at >= reading->config->n_diff_ids)
		return SIZE_MAX;
	return (size_t)at;
}

static int read_layers(
	const struct reading *reading, const json_t *layers, struct cb_remote_record *ret, struct cb_err **err)
{
	size_t n = json_is_array(layers) ? json_array_size(layers) : 0;

	if (json_is_integer(layers))
		n = (size_t)json_integer_value(layers); /* negative is more than there are */
	if (n > reading->config->n_diff_ids || !(json_is_array(layers) || json_is_integer(layers)))
		return cb_err_set(err, CB_ERR_CORRUPT, "a record does not say which layers");
	ret->layers = cb_xcalloc(n + 1, sizeof(*ret->layers));
	for (size_t i = 0; i < n; i++) {
		size_t at = layer_at(reading, layers, i);

		if (at == SIZE_MAX)
			return cb_err_set(err, CB_ERR_CORRUPT, "a record names a layer that the image does not have");
		ret->layers[i].diff_id = reading->config->diff_ids[at];
		ret->layers[i].base = reading->base[at];
		ret->layers[i].created = reading->created[at];
		cb_descriptor_copy(&ret->layers[i].blob, &reading->manifest->layers[at]);
		ret->n_layers++;
	}
	return 0;
}

static int read_record(const struct reading *reading, const json_t *item, struct cb_err **err)
{
	__attribute__((cleanup(cb_remote_record_done))) struct cb_remote_record record = { 0 };
	cleanup_free char *text = NULL;
	const char *hex = json_string_value(json_object_get(item, "key"));
	cleanup_free char *name = cb_xasprintf("sha256:%s", hex ? hex : "");
	struct cb_digest key;
	int r = read_layers(reading, json_object_get(item, "layers"), &record, err);

	if (r < 0)
		return r;
	if (!cb_digest_parse(name, &key))
		return cb_err_set(err, CB_ERR_CORRUPT, "a record has no key");
	text = cb_remote_record_write(&record);
	return cb_cachedoc_put(reading->doc, &key, text, strlen(text), 0, NULL, 0, err);
}

static int read_records(struct reading *reading, const json_t *doc, struct cb_err **err)
{
	const json_t *base = json_object_get(doc, "base"), *records = json_object_get(doc, "records"), *value;
	size_t i;
	int r = 0;

	if (json_array_size(records) > CB_CACHEDOC_RECORDS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "there are too many records");
	json_array_foreach(base, i, value)
	{
		size_t at = layer_at(reading, base, i);

		if (at == SIZE_MAX)
			return cb_err_set(err, CB_ERR_CORRUPT, "the base has a layer that the image does not have");
		reading->base[at] = true;
	}
	read_created(reading);
	json_array_foreach(records, i, value)
	{
		r = read_record(reading, value, err);
		if (r < 0)
			break;
	}
	return r;
}

int cb_remote_inline_read(const struct cb_manifest *manifest, const char *config, size_t len, struct cb_cachedoc *ret,
	struct cb_err **err)
{
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *parsed = NULL;
	struct reading reading = { .manifest = manifest, .doc = ret };
	const json_t *doc;
	int64_t version = 0;
	int r = cb_image_config_parse(config, len, &parsed, err);

	if (r < 0)
		return r;
	doc = json_object_get(parsed->extra, CB_REMOTES_INLINE);
	if (!json_is_object(doc))
		return 0;
	r = cb_json_get_i64(doc, "version", &version, err);
	if (r < 0 || version != 1)
		return r < 0 ? r : 0;
	if (manifest->n_layers != parsed->n_diff_ids)
		return cb_err_set(err, CB_ERR_CORRUPT, "the image's config has other layers than its manifest");
	reading.config = parsed;
	reading.created = cb_xcalloc(parsed->n_diff_ids + 1, sizeof(*reading.created));
	reading.base = cb_xcalloc(parsed->n_diff_ids + 1, sizeof(*reading.base));
	r = read_records(&reading, doc, err);
	free(reading.created);
	free(reading.base);
	return r < 0 ? cb_err_wrap(err, r, "records in the image") : 0;
}
