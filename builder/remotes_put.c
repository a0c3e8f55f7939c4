/* Remote caches: uploading layers in the background, records at the end. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "builder/cache.h"
#include "builder/cached.h"
#include "builder/cachekey.h"
#include "builder/commit.h"
#include "builder/inputs.h"
#include "builder/remotes_inner.h"
#include "layers/record.h"

/** Caches that one blob goes to. */
#define ENDS_MAX 32

/* A layer on its way to all caches. */
struct uploading {
	struct cb_remotes *remotes;
	struct cb_descriptor blob;
	bool there[ENDS_MAX];
};

static void uploading_free(void *value)
{
	struct uploading *u = value;

	cb_descriptor_done(&u->blob);
	free(u);
}

static int put_blob(struct cb_remotes *remotes, struct cb_remote_end *end, const struct cb_descriptor *blob, int fd)
{
	struct cb_cancel *cancel = remotes->build->scheduler.cancel;
	struct cb_err *err = NULL;
	/* One that was not what it should be is there in name only. */
	int r = cb_cached_blob_lost(remotes->build, &blob->digest)
			? 0
			: end->cache->ops->has_blob(end->cache->self, blob, cancel, &err);

	if (r == 0)
		r = end->cache->ops->put_blob(end->cache->self, blob, fd, cancel, &err);
	cb_remotes_result(remotes, end, r, err);
	return r < 0 ? r : 0;
}

static void upload_main(void *arg)
{
	struct uploading *u = arg;
	struct cb_remotes *remotes = u->remotes;
	struct cb_msg msg = { .kind = CB_MSG_TASK, .subject = u };
	cleanup_close int fd = -EBADF;

	if (cb_blob_open(remotes->build->store, &u->blob.digest, &fd, NULL, NULL) == 0) {
		for (size_t i = 0; i < remotes->n_to && i < ENDS_MAX; i++)
			if (cb_remote_end_alive(&remotes->to[i]))
				u->there[i] = put_blob(remotes, &remotes->to[i], &u->blob, fd) == 0;
	}
	cb_queue_post(remotes->build->scheduler.queue, &msg);
}

static void upload(struct cb_remotes *remotes, const struct cb_descriptor *blob)
{
	struct uploading *u;

	if (!remotes->uploads)
		remotes->uploads = cb_map_new(uploading_free);
	if (cb_map_has(remotes->uploads, blob->digest.text))
		return;
	u = cb_new0(struct uploading);
	u->remotes = remotes;
	cb_descriptor_copy(&u->blob, blob);
	cb_map_set(remotes->uploads, blob->digest.text, u);
	remotes->running++;
	cb_pool_submit(remotes->build->scheduler.pools[CB_LANE_NET], CB_PRIORITY_LOW, upload_main, u);
}

bool cb_remotes_message(struct cb_remotes *remotes, struct cb_msg *msg)
{
	void *value;
	size_t at = 0;

	while (remotes && remotes->uploads && cb_map_next(remotes->uploads, &at, NULL, &value)) {
		if (value != msg->subject)
			continue;
		remotes->running--;
		return true;
	}
	return false;
}

/* The layer on top of @chain once it was committed, or NULL. */
static const struct cb_layer *layer_of(
	struct cb_remotes *remotes, const struct cb_chain *chain, struct timespec *ret_created)
{
	cleanup_err struct cb_err *err = NULL;
	const struct cb_layer *layer;

	return cb_commits_get(remotes->build->commits, chain, &layer, ret_created, &err) == 0 ? layer : NULL;
}

void cb_remotes_committed(struct cb_remotes *remotes, const struct cb_chain *chain)
{
	struct timespec created;
	const struct cb_layer *layer;

	if (!remotes || !remotes->n_to || !chain)
		return;
	layer = layer_of(remotes, chain, &created);
	if (layer)
		upload(remotes, &layer->blob);
}

static bool wants(const struct cb_remote_end *end, const struct cb_vertex *vertex)
{
	return end->spec.max || vertex->in_target;
}

static bool any_wants(const struct cb_remotes *remotes, const struct cb_vertex *vertex)
{
	if (vertex->kind != CB_VERTEX_RUN && vertex->kind != CB_VERTEX_COPY && vertex->kind != CB_VERTEX_ADD &&
		vertex->kind != CB_VERTEX_WORKDIR)
		return false;
	for (size_t i = 0; i < remotes->n_to; i++)
		if (cb_remote_end_alive(&remotes->to[i]) && wants(&remotes->to[i], vertex))
			return true;
	return false;
}

void cb_remotes_made(struct cb_remotes *remotes, const struct cb_vertex *vertex)
{
	const struct cb_step_result *result = vertex->result;

	if (remotes && result && result->chain && any_wants(remotes, vertex) && remotes->build->commits)
		cb_commits_start(remotes->build->commits, result->chain);
}

/* ---- records -------------------------------------------------------------------------------------------------- */

/* One record to be put. */
struct putting {
	struct cb_remotes *remotes;
	struct cb_vertex *vertex;
	const struct cb_chain *chain;
	json_t *inputs;
	struct cb_buf files;
	uint64_t duration_ns;
	struct cb_remote_record record;
	struct cb_descriptor *blobs; /* of its layers; borrowed contents */
	size_t n_blobs;
};

static void putting_free(struct putting *p)
{
	if (!p)
		return;
	json_decref(p->inputs);
	cb_buf_done(&p->files);
	cb_remote_record_done(&p->record);
	free(p->blobs);
	free(p);
}

/* What is known of the step: of this build, or of the record that was found. */
static void describe(struct putting *p, int64_t record)
{
	struct cb_store *store = p->remotes->build->store;
	const struct cb_step_note *note = p->vertex->note;
	cleanup_free char *text = NULL;

	if (note && note->record)
		record = note->record;
	if (note && note->inputs) {
		p->inputs = json_incref(note->inputs);
		p->duration_ns = note->duration_ns;
		cb_buf_add(&p->files, note->files.data, note->files.len);
	}
	if (!record)
		return;
	if (!p->inputs && cb_record_inputs(store, record, &text, NULL) == 0)
		cb_json_parse(text, strlen(text), &p->inputs, NULL);
	if (!p->files.len)
		cb_record_files(store, record, &p->files, NULL);
}

/* The record of @vertex, whose layers are being committed; NULL when there is no result. */
static struct putting *prepare(struct cb_remotes *remotes, struct cb_vertex *vertex)
{
	struct cb_step_result *found = NULL;
	const struct cb_step_result *result = vertex->result;
	const struct cb_remote_record *record = NULL;
	const struct cb_chain *chain = result ? result->chain : NULL;
	struct putting *p;

	/* What nobody had to look at is in the store nevertheless, or in a cache. */
	if (!result && vertex->sched.keyed) {
		if (cb_cache_find(remotes->build, &vertex->lasting, &found, NULL) > 0)
			chain = found->chain;
		else if (cb_remotes_peek(remotes, vertex, &record, &chain) != 0)
			chain = NULL;
	}
	if (!chain) {
		free(found);
		return NULL;
	}
	p = cb_new0(struct putting);
	p->remotes = remotes;
	p->vertex = vertex;
	p->chain = chain;
	describe(p, result ? result->record : found ? found->record : 0);
	if (record) {
		p->inputs = json_incref(record->inputs);
		p->duration_ns = (uint64_t)record->duration_ns;
	}
	free(found);
	for (const struct cb_chain *at = p->chain; at; at = at->below)
		cb_commits_start(remotes->build->commits, at);
	return p;
}

/* Fills the record's layers once all are committed; false when one could not be. */
static bool complete(struct putting *p)
{
	cleanup_free const struct cb_chain **list = cb_chain_list(p->chain);
	size_t n = cb_chain_depth(p->chain);

	p->record.layers = cb_xcalloc(n + 1, sizeof(*p->record.layers));
	p->blobs = cb_xcalloc(n + 1, sizeof(*p->blobs));
	for (size_t i = 0; i < n; i++, p->record.n_layers++) {
		struct timespec created;
		const struct cb_layer *layer;

		if (list[i]->base) {
			p->record.layers[i].base = true;
			p->record.layers[i].diff_id = list[i]->diff_id;
			continue;
		}
		layer = layer_of(p->remotes, list[i], &created);
		if (!layer)
			return false;
		p->record.layers[i].diff_id = layer->diff_id;
		p->record.layers[i].created = created.tv_sec;
		cb_descriptor_copy(&p->record.layers[i].blob, &layer->blob);
		p->blobs[p->n_blobs++] = layer->blob;
		upload(p->remotes, &layer->blob);
	}
	if (p->inputs) {
		struct cb_digest below;

		p->record.inputs = json_copy(p->inputs);
		if (cb_remotes_below(p->remotes->build, p->vertex, &below) == 0)
			json_object_set_new(p->record.inputs, "below", json_string(below.text));
	}
	p->record.duration_ns = (int64_t)p->duration_ns;
	if (p->files.len) {
		struct cb_digest digest;

		cb_digest_of(p->files.data, p->files.len, &digest);
		cb_descriptor_init(&p->record.files, CB_MEDIA_CACHE_FILES, &digest, p->files.len);
		p->record.has_files = true;
	}
	return true;
}

/* All layers of the record are in cache number @at. */
static bool layers_there(const struct putting *p, size_t at)
{
	for (size_t i = 0; i < p->n_blobs; i++) {
		const struct uploading *u = cb_map_get(p->remotes->uploads, p->blobs[i].digest.text);

		if (!u || !u->there[at])
			return false;
	}
	return true;
}

/* A descriptor of the list of files, or negative. */
static int files_fd(const struct putting *p)
{
	int fd = memfd_create("files", MFD_CLOEXEC);

	if (fd >= 0 && cb_fd_write_all(fd, p->files.data, p->files.len) < 0)
		cb_closep(&fd);
	return fd;
}

/* The keys that lead to the record, and the places where it explains others. */
static void list_keys(const struct putting *p, struct cb_strv *ret)
{
	struct cb_digest key;

	cb_remotes_key(p->remotes, p->vertex->lasting.text, &key);
	cb_strv_add(ret, key.text);
	if (cb_remotes_content_key(p->remotes, p->vertex, &key) == 0)
		cb_strv_add(ret, key.text);
	if (p->inputs) {
		cleanup_free char *place = cb_inputs_place(p->inputs), *slot = cb_inputs_slot(p->inputs);

		cb_remotes_key(p->remotes, place, &key);
		cb_strv_add(ret, key.text);
		cb_remotes_key(p->remotes, slot, &key);
		cb_strv_add(ret, key.text);
	}
}

static int put_record(void *arg, struct cb_err **err)
{
	struct putting *p = arg;
	struct cb_cancel *cancel = p->remotes->build->scheduler.cancel;
	cleanup_free char *text = cb_remote_record_write(&p->record);
	cleanup_close int files = p->files.len ? files_fd(p) : -EBADF;
	cleanup_strv struct cb_strv keys = { 0 };

	(void)err;
	list_keys(p, &keys);
	for (size_t i = 0; i < p->remotes->n_to && i < ENDS_MAX; i++) {
		struct cb_remote_end *end = &p->remotes->to[i];

		if (!cb_remote_end_alive(end) || !wants(end, p->vertex) || !layers_there(p, i))
			continue;
		if (files >= 0)
			put_blob(p->remotes, end, &p->record.files, files);
		for (size_t k = 0; k < keys.n && cb_remote_end_alive(end); k++) {
			struct cb_err *why = NULL;
			struct cb_digest key;
			int r = cb_digest_parse(keys.v[k], &key)
					? end->cache->ops->put_record(end->cache->self, &key, text, strlen(text),
						  p->blobs, p->n_blobs, cancel, &why)
					: 0;

			cb_remotes_result(p->remotes, end, r, why);
		}
	}
	return 0;
}

static int finish_main(void *arg, struct cb_err **err)
{
	struct cb_remotes *remotes = arg;

	(void)err;
	for (size_t i = 0; i < remotes->n_to; i++) {
		struct cb_remote_end *end = &remotes->to[i];
		struct cb_err *why = NULL;
		int r = 0;

		if (end->cache->ops->finish && cb_remote_end_alive(end))
			r = end->cache->ops->finish(end->cache->self, remotes->build->scheduler.cancel, &why);
		cb_remotes_result(remotes, end, r, why);
	}
	return 0;
}

/* ---- the end -------------------------------------------------------------------------------------------------- */

static bool idle(void *ctx)
{
	const struct cb_build *build = ctx;

	return cb_commits_idle(build->commits) && build->remotes->running == 0;
}

static int put_all(struct cb_remotes *remotes, struct putting **list, size_t n, struct cb_err **err)
{
	const struct cb_scheduler *s = &remotes->build->scheduler;
	cleanup_free void **args = cb_xcalloc(n + 1, sizeof(*args));
	void *self = remotes;
	size_t ready = 0;
	int r = cb_scheduler_wait(s, idle, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (complete(list[i]))
			args[ready++] = list[i];
	if (r == 0)
		r = cb_scheduler_wait(s, idle, err);
	if (r == 0)
		r = cb_scheduler_call(s, CB_LANE_NET, put_record, args, ready, err);
	return r < 0 ? r : cb_scheduler_call(s, CB_LANE_NET, finish_main, &self, 1, err);
}

static int export_all(struct cb_remotes *remotes, struct cb_err **err)
{
	const struct cb_graph *graph = &remotes->build->plan->graph;
	cleanup_free struct putting **list = cb_xcalloc(graph->n + 1, sizeof(*list));
	size_t n = 0;
	int r;

	for (size_t i = 0; i < graph->n; i++) {
		struct cb_vertex *vertex = graph->v[i];

		if (vertex->sched.reached && any_wants(remotes, vertex))
			list[n] = prepare(remotes, vertex);
		n += list[n] != NULL;
	}
	r = put_all(remotes, list, n, err);
	for (size_t i = 0; i < n; i++)
		putting_free(list[i]);
	return r;
}

/* A result of a cache whose layers came here is a result of the store from now on. */
static void keep_found(struct cb_build *build)
{
	const struct cb_graph *graph = &build->plan->graph;

	for (size_t i = 0; i < graph->n; i++) {
		const struct cb_vertex *vertex = graph->v[i];
		const struct cb_step_result *result = vertex->result;
		struct cb_step_note *note = vertex->note;
		struct cb_cache_entry entry = { .note = note };
		cleanup_strv struct cb_strv texts = { 0 };
		const struct cb_chain *local;
		const char *id;

		if (!note || !note->from || !result || !result->chain)
			continue;
		cb_chain_write(result->chain, &texts);
		if (cb_chain_read(build->plan->chains, &texts, cb_cached_local, build, &local) != 0)
			continue;
		entry.chain = result->chain;
		entry.duration_ns = note->duration_ns;
		if (cb_snapfds_id(build->snapfds, result->chain, &id, NULL) == 0)
			entry.snapshot = id;
		cb_cache_put(build, &entry, &vertex->lasting, 1, &note->record, NULL);
	}
}

int cb_remotes_finish(struct cb_remotes *remotes, struct cb_err **err)
{
	struct cb_build *build = remotes ? remotes->build : NULL;
	uint32_t id;
	int r;

	if (!remotes)
		return 0;
	keep_found(build);
	if (!remotes->n_to)
		return 0;
	id = cb_build_show(build, "exporting cache");
	cb_progress_started(build->progress, id);
	r = cb_remotes_settle(remotes, err);
	if (r == 0)
		r = export_all(remotes, err);
	if (r == 0 && remotes->failed)
		r = cb_err_move(err, CB_TAKE_PTR(remotes->failed));
	if (r < 0)
		cb_progress_error(build->progress, id, err && *err ? cb_err_msg(*err) : "");
	else
		cb_progress_done(build->progress, id);
	return r;
}
