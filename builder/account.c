#include "builder/account.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "builder/explain.h"
#include "builder/inputs.h"
#include "builder/redact.h"
#include "builder/remotes.h"
#include "builder/report.h"
#include "layers/journal.h"
#include "layers/record.h"

/** Differences of a step that are told to people. */
#define LINES_MAX 12

/* ---- gathering ------------------------------------------------------------------------------------------------ */

static bool is_step(const struct cb_vertex *vertex)
{
	if (!vertex->name || !vertex->sched.reached)
		return false;
	return vertex->kind == CB_VERTEX_RUN || vertex->kind == CB_VERTEX_COPY || vertex->kind == CB_VERTEX_ADD ||
	       vertex->kind == CB_VERTEX_WORKDIR;
}

static const char *status_of(const struct cb_build *build, const struct cb_vertex *vertex, bool ok)
{
	const struct cb_step_note *note = vertex->note;

	if (vertex->result)
		return !note || note->how == CB_STEP_CACHED ? "cached" : note->how == CB_STEP_RAN ? "ran" : "adopted";
	if (build->failed == vertex)
		return "failed";
	if (vertex->sched.started)
		return "canceled";
	return ok ? "cached" : "not reached";
}

static json_t *gather_step(const struct cb_build *build, const struct cb_vertex *vertex, bool ok)
{
	const struct cb_step_note *note = vertex->note;
	const char *status = status_of(build, vertex, ok);
	json_t *step = json_object();

	json_object_set_new(step, "name", json_string(vertex->name));
	json_object_set_new(step, "line", json_integer(vertex->line));
	json_object_set_new(step, "status", json_string(status));
	if (vertex->no_cache)
		json_object_set_new(step, "no_cache", json_true());
	if (note && note->from)
		json_object_set_new(step, "from", json_string(note->from));
	if (!note || note->how == CB_STEP_CACHED)
		return step;
	if (note->record)
		json_object_set_new(step, "record", json_integer(note->record));
	else if (note->inputs)
		json_object_set(step, "inputs", note->inputs);
	return step;
}

static json_t *gather(const struct cb_build *build, bool ok)
{
	const struct cb_graph *graph = &build->plan->graph;
	cleanup_free char *project = cb_inputs_project(build->settings->context);
	json_t *account = json_object(), *steps = json_array();

	json_object_set_new(account, "context", json_string(project));
	json_object_set_new(account, "created", json_integer(cb_time_now().tv_sec));
	for (size_t i = 0; i < graph->n; i++)
		if (is_step(graph->v[i]))
			json_array_append_new(steps, gather_step(build, graph->v[i], ok));
	json_object_set_new(account, "steps", steps);
	return account;
}

static void tell(struct cb_build *build, json_t *account)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 }, clean = { 0 };
	cleanup_free char *hidden = NULL;

	if (cb_account_complete(build->store, build->remotes, account, &err) < 0) {
		cb_report_text(&out, "cbuild: explain: ", cb_err_msg(err));
	} else if (build->settings->explain == CB_EXPLAIN_JSON) {
		cleanup_free char *text = cb_json_dump(account, false);

		cb_buf_addf(&out, "%s\n", text);
	} else {
		cb_account_text(account, &clean);
		cb_progress_sanitise(&out, clean.data, clean.len);
	}
	hidden = cb_redact(build->shown_needles, cb_buf_str(&out));
	if (hidden)
		(void)!cb_fd_write_all(STDERR_FILENO, hidden, strlen(hidden));
	else
		(void)!cb_fd_write_all(STDERR_FILENO, out.data, out.len);
}

void cb_account_end(struct cb_build *build, bool ok)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *text = NULL;
	cleanup_json json_t *account = NULL;

	/* Nothing to tell of a file that could not be read. */
	if (!build->plan || !build->scheduler.graph)
		return;
	account = gather(build, ok);
	cb_redact_json(build->shown_needles, account);
	text = cb_json_dump(account, false);
	if (cb_journal_put(build->store, json_string_value(json_object_get(account, "context")), text, &err) < 0)
		cb_log_debug("journal: %s", cb_err_msg(err));
	if (build->settings->explain != CB_EXPLAIN_NONE)
		tell(build, account);
}

/* ---- telling -------------------------------------------------------------------------------------------------- */

/* The inputs of a step and the list of its files: 0, or 1 when they are not known (any more). */
static int read_inputs(
	struct cb_store *store, const json_t *step, json_t **ret, struct cb_buf *files, struct cb_err **err)
{
	int64_t record = json_integer_value(json_object_get(step, "record"));
	cleanup_free char *text = NULL;
	int r;

	if (!record) {
		*ret = json_incref(json_object_get(step, "inputs"));
		return *ret ? 0 : 1;
	}
	r = cb_record_inputs(store, record, &text, err);
	if (r != 0)
		return r;
	r = cb_record_files(store, record, files, err);
	return r < 0 ? r : cb_json_parse(text, strlen(text), ret, err);
}

static int complete_step(struct cb_store *store, struct cb_remotes *remotes, json_t *step, struct cb_err **err)
{
	cleanup_differences struct cb_differences d = { 0 };
	cleanup_json json_t *inputs = NULL;
	cleanup_buf struct cb_buf files = { 0 };
	json_t *why;
	int r;

	if (json_object_get(step, "no_cache") || json_object_get(step, "why"))
		return 0;
	r = read_inputs(store, step, &inputs, &files, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = cb_explain_stored(store, inputs, &files, json_integer_value(json_object_get(step, "record")), &d, err);
	if (r == 0 && !d.earlier)
		r = cb_remotes_explain(remotes, inputs, &files, &d, err);
	if (r < 0)
		return r;
	json_object_del(step, "inputs");
	json_object_del(step, "record");
	if (!d.earlier) {
		json_object_set_new(step, "first", json_true());
		return 0;
	}
	why = json_array();
	for (size_t i = 0; i < d.n; i++)
		json_array_append_new(why, cb_difference_json(&d.v[i]));
	json_object_set_new(step, "why", why);
	return 0;
}

int cb_account_complete(struct cb_store *store, struct cb_remotes *remotes, json_t *account, struct cb_err **err)
{
	json_t *steps = json_object_get(account, "steps");
	int r = 0;

	for (size_t i = 0; i < json_array_size(steps) && r == 0; i++)
		r = complete_step(store, remotes, json_array_get(steps, i), err);
	return r;
}

static const char *member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void difference_text(const json_t *why, struct cb_buf *out)
{
	const struct cb_difference d = {
		.kind = (char *)member(why, "kind"),
		.name = (char *)member(why, "name"),
		.aspect = (char *)json_string_value(json_object_get(why, "aspect")),
		.old = (char *)json_string_value(json_object_get(why, "old")),
		.now = (char *)json_string_value(json_object_get(why, "new")),
		.note = (char *)json_string_value(json_object_get(why, "note")),
	};

	cb_difference_text(&d, out);
}

static void step_text(const json_t *step, struct cb_buf *out)
{
	const char *status = member(step, "status");
	const json_t *why = json_object_get(step, "why");

	cb_buf_addf(out, "%s: %s\n", member(step, "name"),
		strcmp(status, "adopted") != 0 ? status : "ran, with the result of an earlier run");
	if (json_object_get(step, "no_cache") && !strcmp(status, "ran"))
		cb_buf_adds(out, "    no earlier result was to be used\n");
	if (json_object_get(step, "first"))
		cb_buf_adds(out, "    no earlier run of it is known\n");
	if (why && !json_array_size(why))
		cb_buf_adds(out, "    nothing differs from an earlier run, whose result is gone\n");
	for (size_t i = 0; i < json_array_size(why) && i < LINES_MAX; i++) {
		cb_buf_adds(out, "    ");
		difference_text(json_array_get(why, i), out);
		cb_buf_adds(out, "\n");
	}
	if (json_array_size(why) > LINES_MAX)
		cb_buf_addf(out, "    and %zu more\n", json_array_size(why) - LINES_MAX);
}

void cb_account_text(const json_t *account, struct cb_buf *out)
{
	const json_t *steps = json_object_get(account, "steps");

	for (size_t i = 0; i < json_array_size(steps); i++)
		step_text(json_array_get(steps, i), out);
}
