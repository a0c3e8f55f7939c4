/* Remote caches: opening them, asking them. */
#include "builder/remotes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/owner.h"
#include "builder/cached.h"
#include "builder/cachekey.h"
#include "builder/inputs.h"
#include "builder/remotes_inner.h"
#include "layers/filelist.h"
#include "layers/layertable.h"

/** Failures in a row after which a cache is left alone. */
#define FAILURES_MAX 2
/** A cache is worth less waiting than a registry. */
#define CONNECT_MS 5000
#define STALL_MS 20000
#define TOTAL_MS 60000

/* ---- opening -------------------------------------------------------------------------------------------------- */

int cb_remotes_check_spec(const char *text, bool to, struct cb_err **err)
{
	__attribute__((cleanup(cb_remote_spec_done))) struct cb_remote_spec spec = { 0 };

	return cb_remote_spec_parse(text, to, &spec, err);
}

/* An attribute, else a variable of the environment. */
static const char *setting(const struct cb_remote_spec *spec, const char *key, const char *variable)
{
	const char *value = cb_remote_spec_get(spec, key);

	return value ? value : getenv(variable);
}

/* "https://bucket.s3.region.amazonaws.com/prefix", or below an endpoint of its own. */
static char *s3_url(const struct cb_remote_spec *spec, const char *region)
{
	const char *bucket = cb_remote_spec_get(spec, "bucket"), *prefix = cb_remote_spec_get(spec, "prefix");
	const char *endpoint = setting(spec, "endpoint_url", "AWS_ENDPOINT_URL");
	const char *rest = endpoint ? strstr(endpoint, "://") : NULL;

	if (!prefix)
		prefix = "";
	if (!endpoint)
		return cb_xasprintf("https://%s.s3.%s.amazonaws.com/%s", bucket, region, prefix);
	if (cb_str_eq(cb_remote_spec_get(spec, "use_path_style"), "false") && rest)
		return cb_xasprintf("%.*s://%s.%s/%s", (int)(rest - endpoint), endpoint, bucket, rest + 3, prefix);
	return cb_xasprintf("%s/%s/%s", endpoint, bucket, prefix);
}

static int open_http(struct cb_remotes *remotes, struct cb_remote_end *end, struct cb_err **err)
{
	const struct cb_remote_spec *spec = &end->spec;
	struct cb_registry_options shared = { 0 };
	struct cb_remote_http_options options = { .url = cb_remote_spec_get(spec, "url") };
	cleanup_free char *url = NULL;

	cb_access_apply(&remotes->build->settings->access, &shared);
	options.http = shared.http;
	options.http.connect_timeout_ms = CONNECT_MS;
	options.http.stall_timeout_ms = STALL_MS;
	options.http.total_timeout_ms = TOTAL_MS;
	options.http.retries = 1;
	if (spec->type == CB_REMOTE_S3) {
		options.region = setting(spec, "region", "AWS_REGION");
		if (!options.region)
			options.region = "us-east-1";
		options.access_key = setting(spec, "access_key_id", "AWS_ACCESS_KEY_ID");
		options.secret_key = setting(spec, "secret_access_key", "AWS_SECRET_ACCESS_KEY");
		options.session_token = setting(spec, "session_token", "AWS_SESSION_TOKEN");
		url = s3_url(spec, options.region);
		options.url = url;
		options.plain = true;
	}
	return cb_remote_http_new(&options, &end->cache, err);
}

static int open_end(
	struct cb_remotes *remotes, struct cb_remote_end *end, const char *text, bool to, struct cb_err **err)
{
	int r = cb_remote_spec_parse(text, to, &end->spec, err);

	if (r < 0)
		return r;
	switch (end->spec.type) {
	case CB_REMOTE_LOCAL_DIR:
		end->cache = cb_remote_dir_new(cb_remote_spec_get(&end->spec, to ? "dest" : "src"));
		return 0;
	case CB_REMOTE_REGISTRY:
		r = cb_ref_parse(cb_remote_spec_get(&end->spec, "ref"), &end->ref, err);
		if (r < 0)
			return cb_err_wrap(err, CB_ERR_USAGE, "--cache-%s", to ? "to" : "from");
		end->cache = cb_remote_registry_new(remotes->build->registry, end->ref);
		return 0;
	default:
		return open_http(remotes, end, err);
	}
}

int cb_remotes_new(struct cb_build *build, struct cb_remotes **ret, struct cb_err **err)
{
	const struct cb_settings *settings = build->settings;
	CB_CLEANUP(cb_remotes_free) struct cb_remotes *remotes = NULL;
	struct cb_platform host;
	int r = 0;

	*ret = NULL;
	if (!settings->cache_from.n && !settings->cache_to.n)
		return 0;
	remotes = cb_new0(struct cb_remotes);
	remotes->build = build;
	pthread_mutex_init(&remotes->mutex, NULL);
	pthread_cond_init(&remotes->answered, NULL);
	remotes->seen = cb_map_new(NULL);
	cb_platform_host(&host);
	remotes->salt =
		cb_xasprintf("cbuild cache 1\n%s\n%s\n", host.arch, cb_owner_recorded() ? "one owner" : "owners");
	remotes->from = cb_newa0(struct cb_remote_end, settings->cache_from.n + 1);
	remotes->to = cb_newa0(struct cb_remote_end, settings->cache_to.n + 1);
	for (size_t i = 0; i < settings->cache_from.n && r == 0; i++)
		r = open_end(remotes, &remotes->from[remotes->n_from++], settings->cache_from.v[i], false, err);
	for (size_t i = 0; i < settings->cache_to.n && r == 0; i++)
		r = open_end(remotes, &remotes->to[remotes->n_to++], settings->cache_to.v[i], true, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(remotes);
	return 0;
}

static void ends_free(struct cb_remote_end *ends, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cb_remote_cache_free(ends[i].cache);
		cb_ref_free(ends[i].ref);
		cb_remote_spec_done(&ends[i].spec);
	}
	free(ends);
}

struct cb_remotes *cb_remotes_free(struct cb_remotes *remotes)
{
	if (!remotes)
		return NULL;
	ends_free(remotes->from, remotes->n_from);
	ends_free(remotes->to, remotes->n_to);
	cb_map_free(remotes->asked);
	cb_map_free(remotes->uploads);
	cb_map_free(remotes->seen);
	cb_err_free(remotes->failed);
	free(remotes->salt);
	pthread_cond_destroy(&remotes->answered);
	pthread_mutex_destroy(&remotes->mutex);
	free(remotes);
	return NULL;
}

bool cb_remote_end_alive(const struct cb_remote_end *end)
{
	return atomic_load(&end->failures) < FAILURES_MAX;
}

void cb_remote_end_result(struct cb_remotes *remotes, struct cb_remote_end *end, int code, struct cb_err *err)
{
	cleanup_err struct cb_err *why = err;
	cleanup_free char *note = NULL;
	unsigned int failures;

	if (code >= 0)
		atomic_store(&end->failures, 0);
	if (code >= 0 || code == CB_ERR_CANCELED)
		return;
	failures = atomic_fetch_add(&end->failures, 1) + 1;
	if (end->spec.must) {
		pthread_mutex_lock(&remotes->mutex);
		if (!remotes->failed) {
			cb_err_wrap(&why, code, "%s", end->cache->shown);
			remotes->failed = CB_TAKE_PTR(why);
		}
		pthread_mutex_unlock(&remotes->mutex);
		return;
	}
	if (failures > FAILURES_MAX)
		return;
	note = cb_xasprintf("%s: %s%s", end->cache->shown, cb_err_msg(why),
		failures == FAILURES_MAX ? "; it is left alone from now on" : "");
	cb_build_note(remotes->build, NULL, note);
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

void cb_remotes_key(const struct cb_remotes *remotes, const char *key, struct cb_digest *ret)
{
	cleanup_free char *text = cb_xasprintf("%s%s", remotes->salt, key);

	cb_digest_of(text, strlen(text), ret);
}

/* A chain by the diff IDs of its layers: 1 when one is not known. */
static int portable_chain(
	struct cb_build *build, const struct cb_chain *chain, struct cb_digest *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };

	for (; chain; chain = chain->below) {
		__attribute__((cleanup(cb_snapshot_info_done))) struct cb_snapshot_info info = { 0 };
		int r = 0;

		if (!*chain->snapshot) {
			cb_buf_addf(&text, "%s\n", chain->diff_id.text);
			continue;
		}
		r = cb_snapshot_stat(build->store, chain->snapshot, &info, err);
		if (r != 0)
			return r;
		if (!cb_digest_is_set(&info.diff_id))
			return 1;
		cb_buf_addf(&text, "%s\n", info.diff_id.text);
	}
	cb_digest_of(cb_buf_str(&text), text.len, ret);
	return 0;
}

int cb_remotes_below(struct cb_build *build, const struct cb_vertex *vertex, struct cb_digest *ret)
{
	const struct cb_vertex *parent = cb_vertex_parent(vertex);

	if (parent && !parent->result)
		return 1;
	return portable_chain(build, parent ? ((const struct cb_step_result *)parent->result)->chain : NULL, ret, NULL)
		       ? 1
		       : 0;
}

int cb_remotes_content_key(struct cb_remotes *remotes, const struct cb_vertex *vertex, struct cb_digest *ret)
{
	struct cb_digest below, content;

	for (size_t i = 0; i < vertex->n_inputs; i++)
		if (!vertex->inputs[i].vertex->result)
			return 1;
	if (cb_remotes_below(remotes->build, vertex, &below) != 0)
		return 1;
	cb_cachekey_content(vertex, below.text, &content, NULL);
	cb_remotes_key(remotes, content.text, ret);
	return 0;
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

/* A question and its answer. */
struct asking {
	struct cb_remotes *remotes;
	struct cb_digest key;
	bool done;
	struct cb_remote_record record;
	struct cb_remote_end *found; /* who had it, or NULL */
};

static void asking_free(void *value)
{
	struct asking *a = value;

	cb_remote_record_done(&a->record);
	free(a);
}

/* Is the layer to be had? What the store has needs no cache. */
static int has_layer(struct cb_remotes *remotes, struct cb_remote_end *end, const struct cb_digest *diff_id,
	const struct cb_descriptor *blob, struct cb_err **err)
{
	struct cb_store *store = remotes->build->store;
	cleanup_free char *id = NULL;
	bool seen;
	int r;

	if (cb_snapshot_find(store, diff_id, &id, NULL) == 0 || cb_blob_has(store, &blob->digest, NULL, NULL) > 0)
		return 1;
	/* The manifest of a cache keeps its blobs. */
	if (end->spec.type == CB_REMOTE_REGISTRY)
		return 1;
	pthread_mutex_lock(&remotes->mutex);
	seen = cb_map_has(remotes->seen, blob->digest.text);
	pthread_mutex_unlock(&remotes->mutex);
	if (seen)
		return 1;
	r = end->cache->ops->has_blob(end->cache->self, blob, remotes->build->scheduler.cancel, err);
	if (r > 0) {
		pthread_mutex_lock(&remotes->mutex);
		cb_map_set(remotes->seen, blob->digest.text, remotes);
		pthread_mutex_unlock(&remotes->mutex);
	}
	return r;
}

/* 0 with the record, 1 when @end has none that is of use. */
static int get_record(struct cb_remotes *remotes, struct cb_remote_end *end, const struct cb_digest *key, bool layers,
	struct cb_remote_record *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf data = { 0 };
	int r = end->cache->ops->get_record(end->cache->self, key, remotes->build->scheduler.cancel, &data, err);

	if (r == 0)
		r = cb_remote_record_parse(cb_buf_str(&data), data.len, ret, err);
	for (size_t i = 0; r == 0 && layers && i < ret->n_layers; i++) {
		int has = ret->layers[i].base
				  ? 1
				  : has_layer(remotes, end, &ret->layers[i].diff_id, &ret->layers[i].blob, err);

		if (has <= 0) {
			r = has < 0 ? has : 1;
			cb_remote_record_done(ret);
		}
	}
	return r;
}

static void ask(struct asking *a)
{
	for (size_t i = 0; i < a->remotes->n_from && !a->found; i++) {
		struct cb_remote_end *end = &a->remotes->from[i];
		struct cb_err *err = NULL;
		int r;

		if (!cb_remote_end_alive(end))
			continue;
		r = get_record(a->remotes, end, &a->key, true, &a->record, &err);
		cb_remote_end_result(a->remotes, end, r, err);
		if (r == 0)
			a->found = end;
	}
}

static void ask_main(void *arg)
{
	struct asking *a = arg;

	ask(a);
	pthread_mutex_lock(&a->remotes->mutex);
	a->done = true;
	pthread_cond_broadcast(&a->remotes->answered);
	pthread_mutex_unlock(&a->remotes->mutex);
}

static bool is_step(const struct cb_vertex *vertex)
{
	return vertex->kind == CB_VERTEX_RUN || vertex->kind == CB_VERTEX_COPY || vertex->kind == CB_VERTEX_ADD ||
	       vertex->kind == CB_VERTEX_WORKDIR;
}

void cb_remotes_ask(struct cb_remotes *remotes, const struct cb_vertex *vertex)
{
	struct asking *a;
	struct cb_digest key;

	if (!remotes || !remotes->n_from || vertex->no_cache || !is_step(vertex))
		return;
	if (!remotes->asked)
		remotes->asked = cb_map_new(asking_free);
	cb_remotes_key(remotes, vertex->key.text, &key);
	if (cb_map_has(remotes->asked, key.text))
		return;
	a = cb_new0(struct asking);
	a->remotes = remotes;
	a->key = key;
	cb_map_set(remotes->asked, key.text, a);
	cb_pool_submit(remotes->build->scheduler.pools[CB_LANE_NET], CB_PRIORITY_HIGH, ask_main, a);
}

static void await(struct asking *a)
{
	struct cb_remotes *remotes = a->remotes;

	pthread_mutex_lock(&remotes->mutex);
	while (!a->done) {
		struct timespec until;

		/* A signal cancels the request, which then answers. */
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&remotes->answered, &remotes->mutex, &until);
		if (!a->done) {
			pthread_mutex_unlock(&remotes->mutex);
			remotes->build->scheduler.ops->tick(remotes->build->scheduler.ctx);
			pthread_mutex_lock(&remotes->mutex);
		}
	}
	pthread_mutex_unlock(&remotes->mutex);
}

struct choosing {
	struct cb_build *build;
	const struct cb_remote_record *record;
	struct cb_remote_cache *cache;
};

/* The cached layer of a record: from the store where it is, else from the cache. */
static const struct cb_cached_layer *choose(void *userdata, const struct cb_digest *diff_id, int64_t created)
{
	const struct choosing *c = userdata;
	const struct cb_cached_layer *local = cb_cached_local(c->build, diff_id, created);

	for (size_t i = 0; !local && i < c->record->n_layers; i++)
		if (!c->record->layers[i].base && cb_digest_equal(&c->record->layers[i].diff_id, diff_id))
			return cb_cached_layer(c->build, diff_id, &c->record->layers[i].blob, c->cache, created);
	return local;
}

/* Makes the result that @record stands for; 0 when its base is not that of this build. */
static int take(struct cb_remotes *remotes, struct cb_vertex *vertex, struct cb_remote_end *end,
	const struct cb_remote_record *record, struct cb_step_result **ret)
{
	struct choosing choosing = { remotes->build, record, end->cache };
	cleanup_strv struct cb_strv texts = { 0 };
	const struct cb_chain *chain = NULL;
	struct cb_step_note *note;

	for (size_t i = 0; i < record->n_layers; i++) {
		if (record->layers[i].base)
			cb_strv_add(&texts, record->layers[i].diff_id.text);
		else
			cb_strv_addf(&texts, "layer:%s@%lld", record->layers[i].diff_id.text,
				(long long)record->layers[i].created);
	}
	if (cb_chain_read(remotes->build->plan->chains, &texts, choose, &choosing, &chain) != 0)
		return 0;
	if (!vertex->note)
		vertex->note = cb_new0(struct cb_step_note);
	note = vertex->note;
	note->how = CB_STEP_CACHED;
	note->from = end->cache->shown;
	note->duration_ns = (uint64_t)record->duration_ns;
	if (!note->inputs)
		note->inputs = json_incref(record->inputs);
	*ret = cb_new0(struct cb_step_result);
	(*ret)->chain = chain;
	return 1;
}

int cb_remotes_find(struct cb_remotes *remotes, struct cb_vertex *vertex, struct cb_step_result **ret)
{
	struct cb_digest key;
	struct asking *a;

	if (!remotes || !remotes->asked)
		return 0;
	cb_remotes_key(remotes, vertex->key.text, &key);
	a = cb_map_get(remotes->asked, key.text);
	if (!a)
		return 0;
	await(a);
	return a->found ? take(remotes, vertex, a->found, &a->record, ret) : 0;
}

int cb_remotes_find_content(struct cb_remotes *remotes, struct cb_vertex *vertex, struct cb_step_result **ret)
{
	struct asking a = { .remotes = remotes };
	int r = 0;

	if (!remotes || !remotes->n_from || cb_remotes_content_key(remotes, vertex, &a.key) != 0)
		return 0;
	ask(&a);
	if (a.found)
		r = take(remotes, vertex, a.found, &a.record, ret);
	cb_remote_record_done(&a.record);
	return r;
}

/* ---- explaining ----------------------------------------------------------------------------------------------- */

/* What the caches know of one step. */
struct known {
	struct cb_remotes *remotes;
	struct cb_remote_record records[8];
	struct cb_remote_end *ends[8];
	size_t n;
};

static void known_done(struct known *known)
{
	for (size_t i = 0; i < known->n; i++)
		cb_remote_record_done(&known->records[i]);
}

static void collect(struct known *known, const char *place)
{
	struct cb_remotes *remotes = known->remotes;
	struct cb_digest key;

	cb_remotes_key(remotes, place, &key);
	for (size_t i = 0; i < remotes->n_from && known->n < ARRAY_SIZE(known->records); i++) {
		struct cb_remote_end *end = &remotes->from[i];
		struct cb_err *err = NULL;
		int r;

		if (!cb_remote_end_alive(end))
			continue;
		r = get_record(remotes, end, &key, false, &known->records[known->n], &err);
		cb_remote_end_result(remotes, end, r, err);
		if (r == 0 && known->records[known->n].inputs)
			known->ends[known->n++] = end;
		else if (r == 0)
			cb_remote_record_done(&known->records[known->n]);
	}
}

static int take_bytes(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct cb_buf *buf = userdata;

	if (buf->len + len > CB_FILELIST_BYTES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "a list of files is too large");
	cb_buf_add(buf, data, len);
	return 0;
}

static int known_files(void *ctx, size_t at, struct cb_buf *ret, struct cb_err **err)
{
	struct known *known = ctx;
	const struct cb_remote_record *record = &known->records[at];
	struct cb_remote_cache *cache = known->ends[at]->cache;
	struct cb_digest got;
	int r;

	if (!record->has_files || record->files.size > CB_FILELIST_BYTES_MAX)
		return 1;
	r = cache->ops->get_blob(
		cache->self, &record->files, take_bytes, ret, known->remotes->build->scheduler.cancel, err);
	if (r < 0)
		return r;
	cb_digest_of(ret->data, ret->len, &got);
	return cb_digest_equal(&got, &record->files.digest)
		       ? 0
		       : cb_err_set(err, CB_ERR_CORRUPT, "a list of files does not have its digest");
}

int cb_remotes_explain(struct cb_remotes *remotes, const json_t *now, const struct cb_buf *files,
	struct cb_differences *ret, struct cb_err **err)
{
	__attribute__((cleanup(known_done))) struct known known = { .remotes = remotes };
	struct cb_explain_record candidates[ARRAY_SIZE(known.records)];
	struct cb_explain_source source = { .v = candidates, .files = known_files, .ctx = &known };
	cleanup_free char *place = NULL, *slot = NULL;

	if (!remotes || !remotes->n_from)
		return 0;
	place = cb_inputs_place(now);
	slot = cb_inputs_slot(now);
	collect(&known, place);
	collect(&known, slot);
	for (size_t i = 0; i < known.n; i++)
		candidates[source.n++] = (struct cb_explain_record){ .inputs = known.records[i].inputs };
	return cb_explain(now, files, &source, ret, err);
}
