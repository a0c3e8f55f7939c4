#include "builder/leakscan.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "builder/redact.h"
#include "builder/secret.h"
#include "layers/diff.h"

/* ---- one layer ------------------------------------------------------------------------------------------------ */

static int found(struct cb_leakscan *scan, const char *what, struct cb_err **err)
{
	const struct cb_settings *settings = scan->build->settings;
	cleanup_free char *clean = cb_redact(scan->build->shown_needles, scan->path);

	cb_leak_done(&scan->leak);
	scan->leak.secret = cb_xstrdup(settings->secrets[scan->scan.match.owner].id);
	scan->leak.where = cb_xasprintf("%s/%s", what, clean ? clean : scan->path);
	if (settings->allow_secret_leak)
		return 0;
	return cb_err_set(err, CB_ERR_DENIED, "secret %s is in the layer", scan->leak.secret);
}

static bool holds(struct cb_leakscan *scan, const char *text)
{
	cb_needle_scan_begin(&scan->scan, scan->build->kept_needles);
	return cb_needle_scan_add(&scan->scan, text, strlen(text)) || cb_needle_scan_end(&scan->scan);
}

static int watch_entry(void *arg, const struct cb_tar_entry *entry, struct cb_err **err)
{
	struct cb_leakscan *scan = arg;

	if (scan->leak.secret)
		return 0;
	if (scan->open && cb_needle_scan_end(&scan->scan))
		return found(scan, "", err);
	scan->open = false;
	if (!entry)
		return 0;
	free(scan->path);
	scan->path = cb_xstrdup(entry->path);
	if (holds(scan, entry->path))
		return found(scan, "the name of ", err);
	if (entry->link && holds(scan, entry->link))
		return found(scan, "the target of ", err);
	scan->open = entry->size > 0;
	cb_needle_scan_begin(&scan->scan, scan->build->kept_needles);
	return 0;
}

static int watch_data(void *arg, const void *data, size_t len, struct cb_err **err)
{
	struct cb_leakscan *scan = arg;

	if (scan->leak.secret || !cb_needle_scan_add(&scan->scan, data, len))
		return 0;
	return found(scan, "", err);
}

const struct cb_tar_watch *cb_leakscan_begin(struct cb_leakscan *scan, const struct cb_build *build)
{
	if (cb_needles_empty(build->kept_needles))
		return NULL;
	scan->build = build;
	scan->watch = (struct cb_tar_watch){ scan, watch_entry, watch_data };
	return &scan->watch;
}

void cb_leakscan_done(struct cb_leakscan *scan)
{
	cb_needle_scan_done(&scan->scan);
	free(scan->path);
	cb_leak_done(&scan->leak);
}

/* ---- telling -------------------------------------------------------------------------------------------------- */

/* The step that made the layer; COPY --link stands in a merged chain, too. */
static const struct cb_vertex *maker(const struct cb_build *build, const struct cb_chain *chain)
{
	for (size_t i = 0; i < build->plan->graph.n; i++) {
		const struct cb_vertex *vertex = build->plan->graph.v[i];
		const struct cb_step_result *result = vertex->result;

		if (vertex->name && result && result->chain && *result->chain->snapshot &&
			strcmp(result->chain->snapshot, chain->snapshot) == 0)
			return vertex;
	}
	return NULL;
}

static int tell(struct cb_build *build, const struct cb_vertex *vertex, const char *text, struct cb_err **err)
{
	if (build->settings->allow_secret_leak) {
		cb_progress_warning(build->progress, UINT32_MAX, text);
		return 0;
	}
	cb_err_set(err, CB_ERR_DENIED, "%s", text);
	if (vertex)
		cb_err_locate(err, CB_ERR_DENIED, vertex->line, vertex->col, vertex->end_line);
	return cb_err_hint(err, CB_ERR_DENIED,
		"a secret is for the time of a RUN with --mount=type=secret: do not write it down, or remove it in the same "
		"RUN; --allow-secret-leak builds all the same");
}

int cb_leakscan_report(
	struct cb_build *build, const struct cb_chain *chain, const struct cb_leak *leak, struct cb_err **err)
{
	const struct cb_vertex *vertex = maker(build, chain);
	cleanup_free char *text = cb_xasprintf("the value of secret %s is in the image: %s, of step %s%s", leak->secret,
		leak->where, vertex ? vertex->name : "of an earlier build",
		leak->earlier ? ", which an earlier build ran; --no-cache or --no-cache-filter runs it again" : "");

	return tell(build, vertex, text, err);
}

/* ---- what no commit looked at --------------------------------------------------------------------------------- */

struct looking {
	struct cb_build *build;
	const struct cb_chain *chain;
	const struct cb_vertex *vertex; /* of cb_leakscan_steps */
	struct cb_leakscan scan;
};

static int forget(void *arg, const void *data, size_t len, struct cb_err **err)
{
	(void)arg;
	(void)data;
	(void)len;
	(void)err;
	return 0;
}

static int look(void *arg, struct cb_err **err)
{
	struct looking *looking = arg;
	struct cb_build *build = looking->build;
	CB_CLEANUP(cb_tree_free) struct cb_tree *parents = NULL;
	struct cb_diff_spec spec = { .cancel = build->scheduler.cancel, .flavour = cb_build_flavour(build) };
	int r = cb_snapfds_get(build->snapfds, looking->chain, &spec.fs_fd, err);

	if (r == 0 && looking->chain->below)
		r = cb_build_tree(build, looking->chain->below, &parents, err);
	if (r != 0)
		return r < 0 ? r : cb_err_set(err, CB_ERR_INTERNAL, "snapshot %s is gone", looking->chain->snapshot);
	spec.parents = parents;
	spec.watch = cb_leakscan_begin(&looking->scan, build);
	r = cb_diff_tar(&spec, (struct cb_sink){ forget, NULL }, NULL, err);
	if (!looking->scan.leak.secret)
		return r;
	if (err)
		*err = cb_err_free(*err);
	return cb_leaknote_put(build->store, looking->chain->snapshot, &looking->scan.leak, err);
}

/* A layer whose diff ID is known was looked at when it became one. With a note in *ret there is nothing to find out. */
static int known(struct cb_build *build, const struct cb_chain *chain, struct cb_leak *ret, struct cb_err **err)
{
	__attribute__((cleanup(cb_snapshot_info_done))) struct cb_snapshot_info info = { 0 };
	int r;

	if (chain->base)
		return 1;
	r = cb_leaknote_find(build->store, chain->snapshot, ret, err);
	if (r != 0)
		return r;
	if (cb_needles_empty(build->kept_needles))
		return 1;
	r = cb_snapshot_stat(build->store, chain->snapshot, &info, err);
	return r < 0 ? r : r == 0 && cb_digest_is_set(&info.diff_id);
}

static int look_at_files(struct cb_build *build, size_t at, struct cb_err **err)
{
	const struct cb_chain *chain = cb_build_chain(build, at);
	cleanup_free const struct cb_chain **list = cb_chain_list(chain);
	int r = 0;

	for (size_t i = 0; i < cb_chain_depth(chain) && r == 0; i++) {
		struct looking looking = { .build = build, .chain = list[i] };
		void *arg = &looking;

		r = known(build, list[i], &looking.scan.leak, err);
		if (r == 0)
			r = cb_scheduler_call(&build->scheduler, CB_LANE_CPU, look, &arg, 1, err);
		else if (r > 0)
			r = 0;
		if (r == 0 && looking.scan.leak.secret)
			r = cb_leakscan_report(build, list[i], &looking.scan.leak, err);
		cb_leakscan_done(&looking.scan);
	}
	return r;
}

/* Did @vertex run in this build, with a secret? */
static bool had_secret(const struct cb_vertex *vertex)
{
	const struct cb_step_note *note = vertex->note;
	const struct cb_step_result *result = vertex->result;
	const struct cb_op_run *op = vertex->kind == CB_VERTEX_RUN ? vertex->op : NULL;

	if (!op || !note || note->how == CB_STEP_CACHED || !result || !result->chain || !*result->chain->snapshot)
		return false;
	for (size_t i = 0; i < op->n_mounts; i++)
		if (op->mounts[i].mount->type == CB_MOUNT_SECRET)
			return true;
	return false;
}

int cb_leakscan_steps(struct cb_build *build, unsigned int needs, struct cb_err **err)
{
	const struct cb_graph *graph = &build->plan->graph;
	cleanup_free struct looking *list = cb_newa0(struct looking, graph->n + 1);
	cleanup_free void **args = cb_newa0(void *, graph->n + 1);
	size_t n = 0;
	int r;

	if (cb_needles_empty(build->kept_needles))
		return 0;
	for (size_t i = 0; i < graph->n; i++) {
		const struct cb_vertex *vertex = graph->v[i];

		/* Those of an output are looked at with it. */
		if (!had_secret(vertex) || (vertex->in_target && needs))
			continue;
		list[n] = (struct looking){ .build = build, .vertex = vertex };
		list[n].chain = ((const struct cb_step_result *)vertex->result)->chain;
		args[n] = &list[n];
		n++;
	}
	r = cb_scheduler_call(&build->scheduler, CB_LANE_CPU, look, args, n, err);
	for (size_t i = 0; i < n; i++) {
		const struct cb_leak *leak = &list[i].scan.leak;

		if (r == 0 && leak->secret && list[i].vertex->in_target) {
			cleanup_free char *text =
				cb_xasprintf("the value of secret %s is in %s, of step %s: no image of it "
					     "can be written",
					leak->secret, leak->where, list[i].vertex->name);

			cb_progress_warning(build->progress, UINT32_MAX, text);
		}
		cb_leakscan_done(&list[i].scan);
	}
	return r;
}

/* The topmost has the name of the document as its key. */
struct place {
	const struct place *above;
	const char *key;
	size_t at;
};

static void name_place(struct cb_buf *out, const struct place *place)
{
	if (!place->above)
		return;
	name_place(out, place->above);
	if (place->key)
		cb_buf_addf(out, "%s%s", out->len ? "." : "", place->key);
	else
		cb_buf_addf(out, "[%zu]", place->at);
}

static int look_at_text(struct cb_build *build, const char *text, const struct place *place, struct cb_err **err)
{
	size_t len = strlen(text);
	cleanup_free char *plain = cb_xmalloc(len + 1), *message = NULL, *clean = NULL;
	cleanup_buf struct cb_buf where = { 0 };
	const struct place *top = place;
	struct cb_needle_match match;

	if (!cb_needles_find(build->kept_needles, plain, cb_needles_strip(text, len, plain, NULL), 0, &match))
		return 0;
	name_place(&where, place);
	while (top->above)
		top = top->above;
	clean = cb_redact(build->shown_needles, cb_buf_str(&where));
	message = cb_xasprintf("the value of secret %s is in the image: %s of its %s",
		build->settings->secrets[match.owner].id, clean ? clean : cb_buf_str(&where), top->key);
	return tell(build, NULL, message, err);
}

/* The depth of a configuration has a limit where it is read. */
static int look_at_json(struct cb_build *build, const json_t *value, const struct place *place, struct cb_err **err)
{
	const char *key;
	json_t *item;
	size_t at;
	int r = 0;

	if (json_is_string(value))
		return look_at_text(build, json_string_value(value), place, err);
	json_array_foreach(value, at, item)
	{
		struct place here = { place, NULL, at };

		r = look_at_json(build, item, &here, err);
		if (r < 0)
			return r;
	}
	json_object_foreach((json_t *)value, key, item)
	{
		struct place here = { place, key, 0 };

		r = look_at_text(build, key, &here, err);
		if (r == 0)
			r = look_at_json(build, item, &here, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cb_leakscan_annotations(struct cb_build *build, const json_t *annotations, struct cb_err **err)
{
	static const struct place top = { .key = "annotations" };

	if (cb_needles_empty(build->kept_needles) || !annotations)
		return 0;
	return look_at_json(build, annotations, &top, err);
}

int cb_leakscan_result(
	struct cb_build *build, size_t at, unsigned int needs, const struct cb_result *result, struct cb_err **err)
{
	static const struct place top = { .key = "configuration" };
	cleanup_json json_t *config = NULL;
	int r = 0;

	if (needs & CB_OUTPUT_FILES && !(needs & CB_OUTPUT_LAYERS))
		r = look_at_files(build, at, err);
	if (r < 0 || cb_needles_empty(build->kept_needles))
		return r;
	if (result->config_json)
		r = cb_json_parse(result->config_json, result->config_len, &config, err);
	if (r == 0 && config)
		r = look_at_json(build, config, &top, err);
	if (r == 0)
		r = cb_leakscan_annotations(build, result->annotations, err);
	return r == 0 ? cb_leakscan_annotations(build, result->descriptor_annotations, err) : r;
}
