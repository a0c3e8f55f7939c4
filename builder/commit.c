#include "builder/commit.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "builder/cached.h"
#include "builder/leakscan.h"
#include "layers/layertable.h"
#include "layers/record.h"

struct commit {
	struct cb_commits *commits;
	const struct cb_chain *chain;
	struct cb_layer layer;
	struct timespec created;
	bool done;
	int code;
	struct cb_err *err;
	struct cb_leakscan leaks;
	bool told;
};

struct cb_commits {
	struct cb_build *build;
	struct cb_compress_spec compression;
	struct cb_map *map; /* content id of the chain -> struct commit */
	size_t running;
};

static void commit_free(void *value)
{
	struct commit *commit = value;

	cb_layer_done(&commit->layer);
	cb_leakscan_done(&commit->leaks);
	cb_err_free(commit->err);
	free(commit);
}

struct cb_commits *cb_commits_new(struct cb_build *build, const struct cb_compress_spec *compression)
{
	struct cb_commits *commits = cb_new0(struct cb_commits);

	commits->build = build;
	commits->compression = *compression;
	commits->map = cb_map_new(commit_free);
	return commits;
}

struct cb_commits *cb_commits_free(struct cb_commits *commits)
{
	if (!commits)
		return NULL;
	cb_map_free(commits->map);
	free(commits);
	return NULL;
}

/* ---- layers that are there ------------------------------------------------------------------------------------ */

/* The key of what is known of snapshot @id with other times than its own. */
static void retimed_key(const struct cb_build *build, const char *id, struct cb_digest *ret)
{
	cleanup_free char *text = cb_xasprintf("layer of %s\ntimes %s %lld\n", id,
		build->layer_times == CB_TIMES_LEVEL ? "are" : "up to", (long long)build->made.seconds);

	cb_digest_of(text, strlen(text), ret);
}

/* The diff ID of snapshot @id with the times that the build wants: 0 with *ret, or 1. */
static int find_diff_id(const struct cb_build *build, const char *id, const struct cb_snapshot_info *info,
	struct cb_digest *ret, struct cb_err **err)
{
	cleanup_record struct cb_record record = { 0 };
	cleanup_json json_t *facts = NULL;
	struct cb_digest key;
	const char *text;
	int r;

	if (build->layer_times == CB_TIMES_KEPT) {
		*ret = info->diff_id;
		return !cb_digest_is_set(ret);
	}
	retimed_key(build, id, &key);
	r = cb_record_find(build->store, &key, &record, err);
	if (r != 0)
		return r;
	if (!record.facts || cb_json_parse(record.facts, strlen(record.facts), &facts, NULL) < 0)
		return 1;
	text = json_string_value(json_object_get(facts, "diff_id"));
	return text && cb_digest_parse(text, ret) ? 0 : 1;
}

static int keep_diff_id(const struct cb_build *build, const char *id, const struct cb_layer *layer, struct cb_err **err)
{
	cleanup_json json_t *facts = NULL;
	cleanup_free char *text = NULL;
	struct cb_record record = { .snapshot = (char *)id };
	struct cb_digest key;

	if (build->layer_times == CB_TIMES_KEPT)
		return cb_snapshot_set_diff_id(build->store, id, &layer->diff_id, layer->size, err);
	facts = json_pack("{s:s}", "diff_id", layer->diff_id.text);
	text = cb_json_dump(facts, false);
	record.facts = text;
	retimed_key(build, id, &key);
	return cb_record_put(build->store, &key, 1, &record, NULL, err);
}

/* 0 when the store has the layer from before, else 1. */
static int find_stored(struct commit *commit, const char *id, const struct cb_snapshot_info *info, struct cb_err **err)
{
	const struct cb_commits *commits = commit->commits;
	struct cb_digest diff_id;
	int r = find_diff_id(commits->build, id, info, &diff_id, err);

	if (r == 0)
		r = cb_layer_find(
			commits->build->store, &diff_id, commits->compression.codec, &commit->layer.blob, err);
	if (r == 0)
		commit->layer.diff_id = diff_id;
	return r;
}

/* ---- making them ---------------------------------------------------------------------------------------------- */

/*
 * A layer that was made on nothing (COPY --link) is a difference to nothing wherever it lies: its diff ID is kept for
 * the snapshot, so it must not depend on what is below it this time.
 */
static int make_layer(struct commit *commit, const char *id, bool on_nothing, struct cb_err **err)
{
	struct cb_build *build = commit->commits->build;
	CB_CLEANUP(cb_tree_free) struct cb_tree *parents = NULL;
	struct cb_diff_spec spec = { .cancel = build->scheduler.cancel };
	int noted = 0, r = cb_snapfds_get(build->snapfds, commit->chain, &spec.fs_fd, err);

	if (r == 0 && commit->chain->below && !on_nothing)
		r = cb_build_tree(build, commit->chain->below, &parents, err);
	if (r != 0)
		return r < 0 ? r : cb_err_set(err, CB_ERR_INTERNAL, "snapshot %s is gone", id);
	spec.flavour = cb_build_flavour(build);
	spec.parents = parents;
	spec.clamp = build->layer_times == CB_TIMES_CLAMPED;
	spec.level = build->layer_times == CB_TIMES_LEVEL;
	spec.epoch = build->made.seconds;
	spec.watch = cb_leakscan_begin(&commit->leaks, build);
	r = cb_layer_commit(build->store, &spec, &commit->commits->compression, build->scheduler.pools[CB_LANE_CPU],
		&commit->layer, err);
	if (r == 0)
		r = cb_layer_put(build->store, &commit->layer.diff_id, commit->layer.size, &commit->layer.blob, err);
	/* A leak that is allowed this time is looked at again the next. */
	if (r == 0 && !commit->leaks.leak.secret)
		r = keep_diff_id(build, id, &commit->layer, err);
	if (commit->leaks.leak.secret && !commit->leaks.leak.earlier)
		noted = cb_leaknote_put(build->store, id, &commit->leaks.leak, r < 0 ? NULL : err);
	return r < 0 ? r : noted;
}

/* A layer from a remote cache is taken as it is, without being unpacked, unless its times are to be others: then 1. */
static int commit_cached(struct commit *commit, struct cb_err **err)
{
	struct cb_build *build = commit->commits->build;
	const struct cb_cached_layer *cached = commit->chain->cached;
	int r;

	if (!cached)
		return 1;
	if (build->layer_times != CB_TIMES_KEPT) {
		r = cb_cached_fetch(build, commit->chain, err);
		return r < 0 ? r : 1;
	}
	commit->created.tv_sec = cached->created;
	commit->layer.diff_id = commit->chain->diff_id;
	r = cb_layer_find(
		build->store, &commit->layer.diff_id, commit->commits->compression.codec, &commit->layer.blob, err);
	if (r <= 0)
		return r;
	if (cb_digest_is_set(&cached->image->layers[0].desc.digest)) {
		r = cb_pull_blob(build->puller, cached->image, 0, NULL, NULL, build->scheduler.cancel, err);
		if (r >= 0)
			r = cb_layer_put(build->store, &commit->layer.diff_id, 0, &cached->image->layers[0].desc, err);
		if (r >= 0)
			cb_descriptor_copy(&commit->layer.blob, &cached->image->layers[0].desc);
		return r < 0 ? r : 0;
	}
	return 1;
}

static int commit_layer(struct commit *commit, struct cb_err **err)
{
	struct cb_build *build = commit->commits->build;
	__attribute__((cleanup(cb_snapshot_info_done))) struct cb_snapshot_info info = { 0 };
	const char *id = NULL;
	int r = commit_cached(commit, err);

	if (r < 0)
		cb_cached_failed(build, commit->chain, r, err ? *err : NULL);
	if (r <= 0)
		return r;
	r = cb_snapfds_id(build->snapfds, commit->chain, &id, err);

	if (r == 0)
		r = cb_snapshot_stat(build->store, id, &info, err);
	if (r != 0)
		return r < 0 ? r : cb_err_set(err, CB_ERR_INTERNAL, "snapshot of a layer is gone");
	r = cb_leaknote_find(build->store, id, &commit->leaks.leak, err);
	if (r < 0)
		return r;
	if (r > 0 && !build->settings->allow_secret_leak)
		return cb_err_set(err, CB_ERR_DENIED, "a secret is in the layer");
	commit->created.tv_sec = commit->chain->cached ? commit->chain->cached->created : info.created;
	r = find_stored(commit, id, &info, err);
	if (r > 0)
		atomic_store(&commit->commits->build->wrote, true);
	return r > 0 ? make_layer(commit, id, !info.parent, err) : r;
}

static void commit_main(void *arg)
{
	struct commit *commit = arg;
	struct cb_msg msg = { .kind = CB_MSG_TASK, .subject = commit };

	msg.result = commit_layer(commit, &msg.err);
	cb_queue_post(commit->commits->build->scheduler.queue, &msg);
}

void cb_commits_start(struct cb_commits *commits, const struct cb_chain *chain)
{
	struct commit *commit;

	if (chain->base || cb_map_has(commits->map, chain->content.text))
		return;
	commit = cb_new0(struct commit);
	commit->commits = commits;
	commit->chain = chain;
	cb_map_set(commits->map, chain->content.text, commit);
	commits->running++;
	cb_pool_submit(commits->build->scheduler.pools[CB_LANE_CPU], CB_PRIORITY_LOW, commit_main, commit);
}

const struct cb_chain *cb_commits_message(struct cb_commits *commits, struct cb_msg *msg)
{
	struct commit *commit = msg->subject;
	void *value;
	size_t at = 0;

	if (!commits)
		return NULL;
	while (cb_map_next(commits->map, &at, NULL, &value)) {
		if (value != commit)
			continue;
		commit->done = true;
		commit->code = msg->result;
		commit->err = CB_TAKE_PTR(msg->err);
		commits->running--;
		return commit->chain;
	}
	return NULL;
}

bool cb_commits_idle(const struct cb_commits *commits)
{
	return !commits || commits->running == 0;
}

int cb_commits_get(struct cb_commits *commits, const struct cb_chain *chain, const struct cb_layer **ret,
	struct timespec *ret_created, struct cb_err **err)
{
	struct commit *commit = cb_map_get(commits->map, chain->content.text);

	if (!commit || !commit->done)
		return cb_err_set(err, CB_ERR_INTERNAL, "a layer was not made");
	if (commit->leaks.leak.secret && !commit->told) {
		int r = cb_leakscan_report(commits->build, chain, &commit->leaks.leak, err);

		if (r < 0)
			return r;
		commit->told = true;
	}
	if (commit->code < 0) {
		cb_err_move(err, cb_err_copy(commit->err));
		return commit->code;
	}
	*ret = &commit->layer;
	*ret_created = commit->created;
	return 0;
}
