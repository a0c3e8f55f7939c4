#include "builder/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "builder/context.h"
#include "builder/redact.h"
#include "builder/remotes.h"
#include "layers/filelist.h"

char *cb_inputs_project(const char *context)
{
	char *real = realpath(context, NULL);

	return real ? real : cb_xstrdup(context);
}

/* A stage keeps its place when the file gets a second one. */
static const char *stage_of(const struct cb_vertex *vertex)
{
	return vertex->stage && *vertex->stage ? vertex->stage : "stage-0";
}

static void add_parent(json_t *inputs, const struct cb_vertex *vertex)
{
	const struct cb_vertex *parent = cb_vertex_parent(vertex);
	json_t *out;

	if (!parent)
		return;
	out = json_object();
	if (parent->kind == CB_VERTEX_IMAGE) {
		const struct cb_base *base = ((const struct cb_op_image *)parent->op)->base;

		json_object_set_new(out, "name", json_string(base->name));
		if (base->image)
			json_object_set_new(out, "digest", json_string(base->image->top.digest.text));
	} else {
		/* COPY --link: what was put above. */
		while (parent->kind == CB_VERTEX_MERGE && !parent->name)
			parent = parent->inputs[1].vertex;
		json_object_set_new(out, "step", json_string(parent->name ? parent->name : ""));
	}
	json_object_set_new(inputs, "parent", out);
}

static void add_ignore(json_t *inputs, const struct cb_vertex *vertex)
{
	json_t *list = json_array();

	for (size_t i = 0; i < vertex->n_inputs; i++) {
		const struct cb_vertex *source = vertex->inputs[i].role == CB_INPUT_FILES
							 ? cb_vertex_input(vertex->inputs[i].vertex, CB_INPUT_SOURCE)
							 : NULL;
		const struct cb_context *context;

		if (!source || source->kind != CB_VERTEX_CONTEXT)
			continue;
		context = ((const struct cb_op_context *)source->op)->context;
		json_array_append_new(list, json_string(context->ignore_digest.text));
	}
	json_object_set_new(inputs, "ignore", list);
}

static void add_args(json_t *inputs, const struct cb_vertex *vertex)
{
	const struct cb_op_run *op = vertex->op;
	json_t *list;

	if (vertex->kind != CB_VERTEX_RUN)
		return;
	list = json_array();
	for (size_t i = 0; i < op->args.n; i++)
		json_array_append_new(list, json_string(op->args.v[i]));
	json_object_set_new(inputs, "args", list);
}

json_t *cb_inputs_new(struct cb_build *build, const struct cb_vertex *vertex, json_t *fields)
{
	json_t *inputs = json_object();
	cleanup_free char *project = cb_inputs_project(build->settings->context);
	struct cb_digest below;

	if (vertex->name)
		json_object_set_new(inputs, "name", json_string(vertex->name));
	json_object_set_new(inputs, "text", json_string(vertex->text ? vertex->text : ""));
	json_object_set_new(inputs, "kind", json_string(cb_vertex_kind_name(vertex->kind)));
	json_object_set_new(inputs, "stage", json_string(stage_of(vertex)));
	json_object_set_new(inputs, "index", json_integer(vertex->index));
	json_object_set_new(inputs, "project", json_string(project));
	json_object_set_new(inputs, "fields", fields ? fields : json_array());
	add_args(inputs, vertex);
	add_parent(inputs, vertex);
	add_ignore(inputs, vertex);
	if (build->remotes && cb_remotes_below(build, vertex, &below) == 0)
		json_object_set_new(inputs, "below", json_string(below.text));
	/* They are for people, and go to other machines with records. */
	cb_redact_json(build->shown_needles, inputs);
	return inputs;
}

int cb_inputs_files(struct cb_build *build, const struct cb_vertex *vertex, struct cb_buf *ret, struct cb_err **err)
{
	cleanup_content_files struct cb_content_files files = { .max = CB_FILELIST_MAX };
	int r = 0;

	for (size_t i = 0; i < vertex->n_inputs && r == 0; i++)
		if (vertex->inputs[i].role == CB_INPUT_FILES)
			r = cb_step_list_files(build, vertex->inputs[i].vertex, &files, err);
	if (r < 0 || !files.n)
		return r;
	return cb_filelist_pack(&files, ret, err);
}

static const char *text_of(const json_t *inputs, const char *key)
{
	const char *text = json_string_value(json_object_get(inputs, key));

	return text ? text : "";
}

char *cb_inputs_place(const json_t *inputs)
{
	return cb_xasprintf("%s\n%s\n%s", text_of(inputs, "stage"), text_of(inputs, "kind"), text_of(inputs, "text"));
}

char *cb_inputs_place_text(const char *place)
{
	size_t stage = strcspn(place, "\n"), kind = place[stage] ? strcspn(place + stage + 1, "\n") : 0;
	const char *text = place + stage + 1 + kind;

	if (!place[stage] || !*text)
		return cb_xstrdup(place);
	text++;
	return cb_xasprintf("[%.*s] %.*s", (int)stage, place, (int)strcspn(text, "\n"), text);
}

char *cb_inputs_slot(const json_t *inputs)
{
	return cb_xasprintf("%s\n%s\n%lld", text_of(inputs, "stage"), text_of(inputs, "kind"),
		(long long)json_integer_value(json_object_get(inputs, "index")));
}
