/*
 * Remote caches: asking them.
 *
 * Questions run in a pool of their own, so that neither the coordinator nor a step waits in line behind downloads.
 * Whether layers of a record are there is asked for all of them at once, each only once a build. A vertex that waits
 * for an answer is told by CB_MSG_ANSWER; when that takes too long, the tick answers in the cache's place.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "builder/cached.h"
#include "builder/cachekey.h"
#include "builder/remotes_inner.h"
#include "layers/layertable.h"

/** Questions, and looks for layers, at a time. */
#define PARALLEL 16

/* A question and its answer. The mutex of the remotes guards what is not constant. */
struct asking {
	struct cb_remotes *remotes;
	struct cb_digest key;
	bool taken;               /* a thread is on it, or was */
	bool done;                /* answered, or given up */
	bool late;                /* given up */
	uint64_t since;           /* when the present cache was asked, on the monotonic clock; 0: none is being asked */
	struct cb_remote_end *at; /* the cache that is being asked */
	struct cb_remote_record record;
	struct cb_remote_end *found; /* who had it, or NULL */
	struct cb_vertex **waiting;  /* for the answer */
	size_t n_waiting, cap_waiting;
};

/* Whether a cache has a blob. */
struct looking {
	struct cb_remotes *remotes;
	struct cb_remote_end *end;
	struct cb_descriptor blob;
	bool done, there;
};

static void asking_free(void *value)
{
	struct asking *a = value;

	cb_remote_record_done(&a->record);
	free(a->waiting);
	free(a);
}

static void looking_free(void *value)
{
	struct looking *look = value;

	cb_descriptor_done(&look->blob);
	free(look);
}

void cb_remotes_asking_init(struct cb_remotes *remotes)
{
	remotes->cancel = cb_cancel_new();
	remotes->asked = cb_map_new(asking_free);
	remotes->looks = cb_map_new(looking_free);
	remotes->ask_pool = cb_pool_new("ask", PARALLEL);
	remotes->look_pool = cb_pool_new("look", PARALLEL);
}

void cb_remotes_asking_done(struct cb_remotes *remotes)
{
	/* Nobody is left who would want an answer. */
	if (remotes->cancel)
		cb_cancel_raise(remotes->cancel);
	cb_pool_free(remotes->ask_pool);
	cb_pool_free(remotes->look_pool);
	cb_map_free(remotes->asked);
	cb_map_free(remotes->looks);
	cb_cancel_free(remotes->cancel);
}

/* ---- layers of a record --------------------------------------------------------------------------------------- */

static void look_main(void *arg)
{
	struct looking *look = arg;
	struct cb_remotes *remotes = look->remotes;
	struct cb_err *err = NULL;
	int r = 0;

	if (cb_remote_end_alive(look->end)) {
		r = look->end->cache->ops->has_blob(look->end->cache->self, &look->blob, remotes->cancel, &err);
		cb_remotes_result(remotes, look->end, r, err);
	}
	pthread_mutex_lock(&remotes->mutex);
	look->there = r > 0;
	look->done = true;
	pthread_cond_broadcast(&remotes->answered);
	pthread_mutex_unlock(&remotes->mutex);
}

/* What the store has needs no cache. */
static bool is_stored(struct cb_remotes *remotes, const struct cb_digest *diff_id, const struct cb_descriptor *blob)
{
	struct cb_store *store = remotes->build->store;
	cleanup_free char *id = NULL;

	return cb_snapshot_find(store, diff_id, &id, NULL) == 0 || cb_blob_has(store, &blob->digest, NULL, NULL) > 0;
}

/* The look for that layer, which was begun if need be. */
static struct looking *look_for(struct cb_remotes *remotes, struct cb_remote_end *end, const struct cb_digest *diff_id,
	const struct cb_descriptor *blob)
{
	cleanup_free char *key = cb_xasprintf("%p %s", (void *)end, blob->digest.text);
	struct looking *look;
	bool begin = false;

	pthread_mutex_lock(&remotes->mutex);
	look = cb_map_get(remotes->looks, key);
	if (!look) {
		look = cb_new0(struct looking);
		look->remotes = remotes;
		look->end = end;
		cb_descriptor_copy(&look->blob, blob);
		cb_map_set(remotes->looks, key, look);
		begin = true;
	}
	pthread_mutex_unlock(&remotes->mutex);
	if (!begin)
		return look;
	if (is_stored(remotes, diff_id, blob)) {
		pthread_mutex_lock(&remotes->mutex);
		look->there = look->done = true;
		pthread_cond_broadcast(&remotes->answered);
		pthread_mutex_unlock(&remotes->mutex);
	} else {
		cb_pool_submit(remotes->look_pool, CB_PRIORITY_NORMAL, look_main, look);
	}
	return look;
}

static bool layers_are_there(
	struct cb_remotes *remotes, struct cb_remote_end *end, const struct cb_remote_record *record)
{
	cleanup_free struct looking **looks = cb_xcalloc(record->n_layers + 1, sizeof(*looks));
	size_t n = 0;
	bool all = true;

	/* The manifest of a cache keeps its blobs. */
	if (end->spec.type == CB_REMOTE_REGISTRY)
		return true;
	for (size_t i = 0; i < record->n_layers; i++)
		if (!record->layers[i].base)
			looks[n++] = look_for(remotes, end, &record->layers[i].diff_id, &record->layers[i].blob);
	pthread_mutex_lock(&remotes->mutex);
	for (size_t i = 0; i < n; i++) {
		while (!looks[i]->done)
			pthread_cond_wait(&remotes->answered, &remotes->mutex);
		all = all && looks[i]->there;
	}
	pthread_mutex_unlock(&remotes->mutex);
	return all;
}

/* ---- questions ------------------------------------------------------------------------------------------------ */

int cb_remotes_get_record(struct cb_remote_end *end, const struct cb_digest *key, struct cb_cancel *cancel,
	struct cb_remote_record *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf data = { 0 };
	int r = end->cache->ops->get_record(end->cache->self, key, cancel, &data, err);

	return r == 0 ? cb_remote_record_parse(cb_buf_str(&data), data.len, ret, err) : r;
}

/* Asks @end: true when it has the record and the layers. */
static bool ask_one(struct asking *a, struct cb_remote_end *end, struct cb_remote_record *ret)
{
	struct cb_remotes *remotes = a->remotes;
	struct cb_err *err = NULL;
	bool late;
	int r;

	pthread_mutex_lock(&remotes->mutex);
	a->at = end;
	a->since = cb_time_mono();
	pthread_mutex_unlock(&remotes->mutex);
	r = cb_remotes_get_record(end, &a->key, remotes->cancel, ret, &err);
	if (r == 0 && !layers_are_there(remotes, end, ret)) {
		cb_remote_record_done(ret);
		r = 1;
	}
	pthread_mutex_lock(&remotes->mutex);
	late = a->late;
	a->since = 0;
	pthread_mutex_unlock(&remotes->mutex);
	/* One that was given up counted as a failure then, and must not count as a success now. */
	if (late)
		cb_err_free(err);
	else
		cb_remotes_result(remotes, end, r, err);
	return r == 0;
}

/* The mutex is held. */
static void conclude(struct asking *a)
{
	a->done = true;
	for (size_t i = 0; i < a->n_waiting; i++) {
		struct cb_msg msg = { .kind = CB_MSG_ANSWER, .subject = a->waiting[i] };

		cb_queue_post(a->remotes->build->scheduler.queue, &msg);
	}
	a->n_waiting = 0;
}

static void ask_main(void *arg)
{
	struct asking *a = arg;
	struct cb_remotes *remotes = a->remotes;
	struct cb_remote_record record = { 0 };
	struct cb_remote_end *found = NULL;
	bool mine;

	pthread_mutex_lock(&remotes->mutex);
	mine = !a->taken && !a->done;
	a->taken = true;
	pthread_mutex_unlock(&remotes->mutex);
	if (!mine)
		return;
	for (size_t i = 0; i < remotes->n_from && !found; i++) {
		struct cb_remote_end *end = &remotes->from[i];

		if (!cb_cancel_raised(remotes->cancel) && cb_remote_end_alive(end) && ask_one(a, end, &record))
			found = end;
	}
	pthread_mutex_lock(&remotes->mutex);
	if (!a->done) {
		a->record = record;
		a->found = found;
		conclude(a);
	} else {
		cb_remote_record_done(&record);
	}
	pthread_mutex_unlock(&remotes->mutex);
}

static bool is_step(const struct cb_vertex *vertex)
{
	return vertex->kind == CB_VERTEX_RUN || vertex->kind == CB_VERTEX_COPY || vertex->kind == CB_VERTEX_ADD ||
	       vertex->kind == CB_VERTEX_WORKDIR;
}

/* The question for @key, which is asked if it was not. */
static struct asking *ask(struct cb_remotes *remotes, const struct cb_digest *key, enum cb_priority priority)
{
	struct asking *a;
	bool fresh;

	pthread_mutex_lock(&remotes->mutex);
	a = cb_map_get(remotes->asked, key->text);
	fresh = !a;
	if (fresh) {
		a = cb_new0(struct asking);
		a->remotes = remotes;
		a->key = *key;
		cb_map_set(remotes->asked, key->text, a);
	}
	pthread_mutex_unlock(&remotes->mutex);
	if (fresh)
		cb_pool_submit(remotes->ask_pool, priority, ask_main, a);
	return a;
}

void cb_remotes_ask(struct cb_remotes *remotes, const struct cb_vertex *vertex)
{
	struct cb_digest key;

	if (!remotes || !remotes->n_from || vertex->no_cache || !is_step(vertex))
		return;
	cb_remotes_key(remotes, vertex->key.text, &key);
	ask(remotes, &key, CB_PRIORITY_LOW);
}

/* True when @a is answered; otherwise @vertex will be told. */
static bool is_answered(struct asking *a, struct cb_vertex *vertex)
{
	struct cb_remotes *remotes = a->remotes;
	bool done, hurry;

	pthread_mutex_lock(&remotes->mutex);
	done = a->done;
	hurry = !done && !a->taken;
	if (!done) {
		CB_GROW(a->waiting, a->cap_waiting, a->n_waiting + 1);
		a->waiting[a->n_waiting++] = vertex;
	}
	pthread_mutex_unlock(&remotes->mutex);
	/* Somebody waits for it now: before those that are asked just in case. */
	if (hurry)
		cb_pool_submit(remotes->ask_pool, CB_PRIORITY_HIGH, ask_main, a);
	return done;
}

static struct asking *find_asking(struct cb_remotes *remotes, const struct cb_digest *key)
{
	struct asking *a;

	pthread_mutex_lock(&remotes->mutex);
	a = cb_map_get(remotes->asked, key->text);
	pthread_mutex_unlock(&remotes->mutex);
	return a;
}

static bool any_alive(const struct cb_remotes *remotes)
{
	for (size_t i = 0; i < remotes->n_from; i++)
		if (cb_remote_end_alive(&remotes->from[i]))
			return true;
	return false;
}

void cb_remotes_tick(struct cb_remotes *remotes)
{
	uint64_t now = cb_time_mono();
	size_t at = 0;
	void *value;

	if (!remotes)
		return;
	if (cb_cancel_raised(remotes->build->scheduler.cancel))
		cb_cancel_raise(remotes->cancel);
	for (;;) {
		struct cb_remote_end *slow = NULL;
		struct cb_err *err = NULL;
		struct asking *a;
		bool wanted;

		pthread_mutex_lock(&remotes->mutex);
		if (!cb_map_next(remotes->asked, &at, NULL, &value)) {
			pthread_mutex_unlock(&remotes->mutex);
			return;
		}
		a = value;
		wanted = !a->done && (a->n_waiting || remotes->settling);
		if (wanted && !any_alive(remotes)) {
			a->late = true;
			conclude(a);
		} else if (wanted && a->since && now > a->since && now - a->since > (uint64_t)a->at->spec.timeout_ns) {
			slow = a->at;
			a->late = true;
			conclude(a);
		}
		pthread_mutex_unlock(&remotes->mutex);
		if (slow) {
			cleanup_buf struct cb_buf time = { 0 };

			cb_num_format_duration(&time, slow->spec.timeout_ns);
			cb_err_set(&err, CB_ERR_NETWORK, "no answer for %s; steps do not wait for it any longer",
				cb_buf_str(&time));
			cb_remotes_result(remotes, slow, CB_ERR_NETWORK, err);
		}
	}
}

/* ---- answers -------------------------------------------------------------------------------------------------- */

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

	if (!local && cb_cached_layer_lost(c->build, diff_id))
		return NULL;
	for (size_t i = 0; !local && i < c->record->n_layers; i++)
		if (!c->record->layers[i].base && cb_digest_equal(&c->record->layers[i].diff_id, diff_id))
			return cb_cached_layer(c->build, diff_id, &c->record->layers[i].blob, c->cache, created);
	return local;
}

/* Makes the chain that @record stands for; 1 when its base is not that of this build, or a layer is lost. */
static int chain_of(struct cb_remotes *remotes, const struct cb_remote_end *end, const struct cb_remote_record *record,
	const struct cb_chain **ret)
{
	struct choosing choosing = { remotes->build, record, end->cache };
	cleanup_strv struct cb_strv texts = { 0 };

	for (size_t i = 0; i < record->n_layers; i++) {
		if (record->layers[i].base)
			cb_strv_add(&texts, record->layers[i].diff_id.text);
		else
			cb_strv_addf(&texts, "layer:%s@%lld", record->layers[i].diff_id.text,
				(long long)record->layers[i].created);
	}
	return cb_chain_read(remotes->build->plan->chains, &texts, choose, &choosing, ret);
}

static int take(struct asking *a, struct cb_vertex *vertex, struct cb_step_result **ret)
{
	struct cb_remotes *remotes = a->remotes;
	const struct cb_chain *chain = NULL;
	struct cb_step_note *note;

	if (!a->found || !cb_remote_end_alive(a->found) || chain_of(remotes, a->found, &a->record, &chain) != 0)
		return 0;
	if (!vertex->note)
		vertex->note = cb_new0(struct cb_step_note);
	note = vertex->note;
	note->how = CB_STEP_CACHED;
	note->from = a->found->cache->shown;
	note->duration_ns = (uint64_t)a->record.duration_ns;
	if (!note->inputs)
		note->inputs = json_incref(a->record.inputs);
	*ret = cb_new0(struct cb_step_result);
	(*ret)->chain = chain;
	return 1;
}

int cb_remotes_find(struct cb_remotes *remotes, struct cb_vertex *vertex, struct cb_step_result **ret)
{
	struct cb_digest key;
	struct asking *a;

	if (!remotes || !remotes->n_from || !any_alive(remotes))
		return 0;
	cb_remotes_key(remotes, vertex->key.text, &key);
	a = find_asking(remotes, &key);
	if (!a)
		return 0;
	return is_answered(a, vertex) ? take(a, vertex, ret) : CB_SCHEDULER_LATER;
}

int cb_remotes_ask_content(struct cb_remotes *remotes, struct cb_vertex *vertex)
{
	struct cb_digest key;

	if (!remotes || !remotes->n_from || !any_alive(remotes) || cb_remotes_content_key(remotes, vertex, &key) != 0)
		return 0;
	return is_answered(ask(remotes, &key, CB_PRIORITY_HIGH), vertex) ? 0 : CB_SCHEDULER_LATER;
}

int cb_remotes_find_content(struct cb_remotes *remotes, struct cb_vertex *vertex, struct cb_step_result **ret)
{
	struct cb_digest key;
	struct asking *a;

	if (!remotes || !remotes->n_from || cb_remotes_content_key(remotes, vertex, &key) != 0)
		return 0;
	a = find_asking(remotes, &key);
	return a ? take(a, vertex, ret) : 0;
}

int cb_remotes_peek(struct cb_remotes *remotes, const struct cb_vertex *vertex, const struct cb_remote_record **ret,
	const struct cb_chain **ret_chain)
{
	struct cb_digest key;
	struct asking *a;
	bool found;

	cb_remotes_key(remotes, vertex->key.text, &key);
	a = find_asking(remotes, &key);
	if (!a)
		return 1;
	pthread_mutex_lock(&remotes->mutex);
	found = a->done && a->found;
	pthread_mutex_unlock(&remotes->mutex);
	if (!found || chain_of(remotes, a->found, &a->record, ret_chain) != 0)
		return 1;
	*ret = &a->record;
	return 0;
}

bool cb_remotes_asking_idle(struct cb_remotes *remotes)
{
	size_t at = 0;
	void *value;
	bool idle = true;

	pthread_mutex_lock(&remotes->mutex);
	while (idle && cb_map_next(remotes->asked, &at, NULL, &value))
		idle = ((struct asking *)value)->done;
	pthread_mutex_unlock(&remotes->mutex);
	return idle;
}
