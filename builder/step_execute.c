/* Executing a vertex: content key, single flight, the work of its kind, the record. */
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "builder/adopt.h"
#include "builder/build.h"
#include "builder/cache.h"
#include "builder/cached.h"
#include "builder/cachekey.h"
#include "builder/context.h"
#include "builder/inputs.h"
#include "builder/remote.h"
#include "builder/remotes.h"
#include "builder/turn.h"
#include "layers/record.h"

static bool makes_snapshot(enum cb_vertex_kind kind)
{
	return kind == CB_VERTEX_RUN || kind == CB_VERTEX_COPY || kind == CB_VERTEX_ADD || kind == CB_VERTEX_WORKDIR;
}

int cb_step_ready(struct cb_build *build, struct cb_vertex *vertex)
{
	struct cb_step_result *result = NULL;
	struct cb_digest content;

	if (!build->remotes || vertex->no_cache || !makes_snapshot(vertex->kind))
		return 0;
	/* What the store knows need not be asked for. */
	cb_cachekey_content(vertex, NULL, &content, NULL);
	if (cb_cache_find(build, &content, &result, NULL) > 0) {
		free(result);
		return 0;
	}
	return cb_remotes_ask_content(build->remotes, vertex);
}

bool cb_step_lost(struct cb_build *build, struct cb_vertex *vertex, bool inputs)
{
	struct cb_step_result *result = vertex->result;
	struct cb_step_note *note = vertex->note;

	if (!result || (!inputs && !cb_cached_lost(build, result->chain)))
		return false;
	free(result);
	vertex->result = NULL;
	if (note) {
		json_decref(note->inputs);
		cb_buf_done(&note->files);
		*note = (struct cb_step_note){ 0 };
	}
	return true;
}

int cb_step_probe(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	struct cb_step_result *result;
	int r;

	if (!makes_snapshot(vertex->kind))
		return 0;
	r = cb_cache_find(build, &vertex->key, &result, err);
	if (r == 0)
		r = cb_remotes_find(build->remotes, vertex, &result);
	if (r == 1)
		vertex->result = result;
	return r;
}

struct fetching {
	struct cb_build *build;
	const struct cb_vertex *vertex;
};

static void fetch_progress(void *userdata, uint64_t bytes, uint64_t total)
{
	struct fetching *fetching = userdata;

	cb_build_status(fetching->build, fetching->vertex, "transferring", bytes, total);
}

int cb_step_fetch(
	struct cb_build *build, const struct cb_vertex *vertex, struct cb_context *context, struct cb_err **err)
{
	struct fetching fetching = { build, vertex };
	struct cb_remote_access access = { .store = build->store,
		.http = build->http,
		.settings = build->settings,
		.cancel = build->scheduler.cancel,
		.progress = vertex ? fetch_progress : NULL,
		.userdata = &fetching };

	return cb_remote_open(context, &access, err);
}

static int step_context(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	const struct cb_op_context *op = vertex->op;
	struct cb_step_result *result;
	int r = op->context->remote ? cb_step_fetch(build, vertex, op->context, err)
				    : cb_context_open(op->context, build->store, err);

	if (r < 0)
		return r;
	result = cb_new0(struct cb_step_result);
	/* The directory itself says nothing: what is selected from it does. */
	cb_digest_of(op->context->path, 0, &result->content);
	vertex->result = result;
	return r > 0;
}

static int step_merge(struct cb_build *build, struct cb_vertex *vertex)
{
	const struct cb_step_result *lower = vertex->inputs[0].vertex->result,
				    *upper = vertex->inputs[1].vertex->result;
	struct cb_step_result *result = cb_new0(struct cb_step_result);

	result->chain = cb_chain_stack(build->plan->chains, lower->chain, upper->chain);
	vertex->result = result;
	return 0;
}

static bool has_secrets(const struct cb_op_run *op)
{
	for (size_t i = 0; i < op->n_mounts; i++)
		if (op->mounts[i].mount->type == CB_MOUNT_SECRET || op->mounts[i].mount->type == CB_MOUNT_SSH)
			return true;
	return false;
}

static int step_run(struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot, struct cb_err **err)
{
	enum cb_isolation isolation;
	bool alone;
	int r = cb_build_ready(build, err);

	if (r < 0)
		return r;
	isolation = cb_runtime_info(build->runtime)->isolation;
	if (isolation != CB_ISOLATION_SHARED && isolation != CB_ISOLATION_CHROOT)
		return cb_step_run(build, vertex, snapshot, err);
	alone = has_secrets(vertex->op);
	r = cb_turn_begin(build->turns, alone, build->scheduler.cancel, err);
	if (r < 0)
		return r;
	r = cb_step_run(build, vertex, snapshot, err);
	cb_turn_end(build->turns, alone);
	return r;
}

static int work(struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot, struct cb_err **err)
{
	switch (vertex->kind) {
	case CB_VERTEX_RUN:
		return step_run(build, vertex, snapshot, err);
	case CB_VERTEX_WORKDIR:
		return cb_step_workdir(build, vertex, snapshot, err);
	default:
		return cb_step_copy(build, vertex, snapshot, err);
	}
}

static const struct cb_chain *parent_chain(const struct cb_vertex *vertex)
{
	const struct cb_vertex *parent = cb_vertex_parent(vertex);

	return parent ? ((const struct cb_step_result *)parent->result)->chain : NULL;
}

static struct cb_step_note *note_of(struct cb_vertex *vertex)
{
	if (!vertex->note)
		vertex->note = cb_new0(struct cb_step_note);
	return vertex->note;
}

/* What the step read, for whoever asks why; without it nothing fails. */
static void list_files(struct cb_build *build, struct cb_vertex *vertex)
{
	cleanup_err struct cb_err *err = NULL;

	if (cb_inputs_files(build, vertex, &note_of(vertex)->files, &err) < 0)
		cb_log_debug("list files of %s: %s", vertex->name ? vertex->name : "a step", cb_err_msg(err));
}

/* The result of @vertex is the snapshot on @below; its record is made. */
static int keep(struct cb_build *build, struct cb_vertex *vertex, const struct cb_digest *content,
	struct cb_cache_entry *entry, struct cb_err **err)
{
	const struct cb_digest keys[] = { vertex->lasting, *content };
	struct cb_step_note *note = note_of(vertex);
	struct cb_step_result *result;
	int fd, r;

	entry->note = note;
	r = cb_cache_put(build, entry, keys, ARRAY_SIZE(keys), &note->record, err);
	if (r < 0)
		return r;
	/* Held open for the rest of the build before the snapshot object lets go of it. */
	r = cb_snapfds_get(build->snapfds, entry->chain, &fd, err);
	if (r > 0)
		r = cb_err_set(err, CB_ERR_INTERNAL, "the snapshot of the step is gone");
	if (r < 0)
		return r;
	result = cb_new0(struct cb_step_result);
	result->chain = entry->chain;
	result->record = note->record;
	vertex->result = result;
	return 0;
}

/* 1 when an earlier result is taken in the place of @snapshot, which is then dropped. */
static int adopt(struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot,
	const struct cb_digest *content, struct cb_cache_entry *entry, struct cb_err **err)
{
	cleanup_free char *earlier = NULL;
	int r;

	/* Who wants nothing of earlier builds wants no earlier times, either. */
	if (vertex->no_cache)
		return 0;
	r = cb_adopt_find(build, vertex, parent_chain(vertex), cb_snapshot_fs(snapshot), entry, &earlier, err);
	if (r <= 0)
		return r;
	entry->snapshot = earlier;
	note_of(vertex)->how = CB_STEP_ADOPTED;
	r = keep(build, vertex, content, entry, err);
	return r < 0 ? r : 1;
}

/* Makes the snapshot and its record. The lock of its key is held. */
static int make(struct cb_build *build, struct cb_vertex *vertex, const struct cb_digest *content, struct cb_err **err)
{
	CB_CLEANUP(cb_snapshot_free) struct cb_snapshot *snapshot = NULL;
	struct cb_snapshot_info info = { .kind = (char *)cb_vertex_kind_name(vertex->kind) };
	const struct cb_chain *below = parent_chain(vertex);
	struct cb_cache_entry entry = { 0 };
	uint64_t start = cb_time_mono();
	int r;

	note_of(vertex)->how = CB_STEP_RAN;
	/* Steps that come after this one wait less for it. */
	if (build->wants_network && cb_build_ready(build, NULL) == 0)
		cb_runtime_prepare_network(build->runtime);
	list_files(build, vertex);
	entry.began = cb_cache_clock(false);
	r = cb_snapshot_new(build->store, &snapshot, err);
	if (r == 0)
		r = work(build, vertex, snapshot, err);
	if (r == 0)
		r = cb_cancel_check(build->scheduler.cancel, err);
	if (r < 0)
		return r;
	entry.ended = cb_cache_clock(true);
	entry.duration_ns = cb_time_mono() - start;
	r = adopt(build, vertex, snapshot, content, &entry, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (below)
		info.parent = (char *)(*below->snapshot ? below->snapshot : below->diff_id.text);
	r = cb_snapshot_commit(snapshot, &info, err);
	if (r < 0)
		return cb_err_wrap(err, r, "keep the result");
	entry.snapshot = cb_snapshot_id(snapshot);
	entry.chain = cb_chain_add(build->plan->chains, below, entry.snapshot);
	r = keep(build, vertex, content, &entry, err);
	if (r == 0)
		cb_build_count(build, entry.snapshot);
	return r;
}

/* Looks the content key up; a hit is remembered under the definition key. */
static int find_content(
	struct cb_build *build, struct cb_vertex *vertex, const struct cb_digest *content, struct cb_err **err)
{
	struct cb_step_result *result;
	int r;

	if (vertex->no_cache)
		return 0;
	r = cb_cache_find(build, content, &result, err);
	if (r <= 0)
		return r;
	vertex->result = result;
	r = cb_record_add_key(build->store, result->record, &vertex->lasting, err);
	return r < 0 ? r : 1;
}

static int execute_cached(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	cleanup_json json_t *fields = NULL;
	cleanup_free char *name = NULL;
	struct cb_step_result *result;
	struct cb_digest content;
	int r;

	cb_cachekey_content(vertex, NULL, &content, &fields);
	json_decref(note_of(vertex)->inputs);
	note_of(vertex)->inputs = cb_inputs_new(build, vertex, CB_TAKE_PTR(fields));
	r = find_content(build, vertex, &content, err);
	if (r != 0)
		return r;
	if (!vertex->no_cache && cb_remotes_find_content(build->remotes, vertex, &result) > 0) {
		vertex->result = result;
		return 1;
	}
	name = cb_xasprintf("step %s", content.text);
	r = cb_lock_try(build->store, name, &lock, err);
	if (r > 0)
		r = cb_lock_wait(build->store, name, build->scheduler.cancel, &lock, err);
	/* Another process may have made the same meanwhile: its result will do. */
	if (r == 0)
		r = find_content(build, vertex, &content, err);
	return r != 0 ? r : make(build, vertex, &content, err);
}

static int execute(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	int r = cb_cancel_check(build->scheduler.cancel, err);

	if (r < 0)
		return r;
	switch (vertex->kind) {
	case CB_VERTEX_IMAGE:
		return cb_step_image(build, vertex, err);
	case CB_VERTEX_CONTEXT:
		return step_context(build, vertex, err);
	case CB_VERTEX_SELECT:
		return cb_step_select(build, vertex, err);
	case CB_VERTEX_MERGE:
		return step_merge(build, vertex);
	default:
		return execute_cached(build, vertex, err);
	}
}

/* Something that @vertex reads is not to be had any more. */
static bool inputs_lost(const struct cb_build *build, const struct cb_vertex *vertex)
{
	for (size_t i = 0; i < vertex->n_inputs; i++) {
		const struct cb_vertex *input = vertex->inputs[i].vertex;
		const struct cb_step_result *result = input->result;

		if (result && cb_cached_lost(build, result->chain))
			return true;
		if (input->kind == CB_VERTEX_SELECT && inputs_lost(build, input))
			return true;
	}
	return false;
}

int cb_step_execute(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	int r = execute(build, vertex, err);

	if (r >= 0 || r == CB_ERR_CANCELED)
		return r;
	if (inputs_lost(build, vertex)) {
		if (err)
			*err = cb_err_free(*err);
		return CB_SCHEDULER_AGAIN;
	}
	if (err && *err && !(*err)->file)
		cb_err_locate(err, r, vertex->line, vertex->col, vertex->end_line);
	return r;
}
