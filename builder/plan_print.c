/* The graph of a plan for people, for graphviz and for programs. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "builder/planner.h"

/* A hidden vertex is told by what it is. */
static char *title(const struct cb_vertex *vertex)
{
	cleanup_buf struct cb_buf text = { 0 };

	if (vertex->name) {
		cb_buf_adds(&text, vertex->name);
	} else if (vertex->kind == CB_VERTEX_SELECT) {
		const struct cb_op_select *op = vertex->op;

		cb_buf_adds(&text, "files");
		for (size_t i = 0; i < op->sources.n; i++)
			cb_buf_addf(&text, " %s", op->sources.v[i]);
	} else {
		cb_buf_adds(&text, cb_vertex_kind_name(vertex->kind));
	}
	return cb_buf_take(&text);
}

static const char *role_name(enum cb_input_role role)
{
	static const char *const names[] = {
		[CB_INPUT_PARENT] = "parent",
		[CB_INPUT_SOURCE] = "source",
		[CB_INPUT_FILES] = "files",
		[CB_INPUT_BASE] = "base",
		[CB_INPUT_MOUNT] = "mount",
	};

	return names[role];
}

/* BASE edges follow from the others: they only say when. */
static bool shown_input(const struct cb_input *input)
{
	return input->role != CB_INPUT_BASE;
}

/* Vertices that the target is made of, by id. */
static bool *reachable(const struct cb_plan *plan)
{
	bool *seen = cb_xcalloc(plan->graph.n + 1, sizeof(*seen));

	for (size_t i = 0; i < plan->n_targets; i++)
		if (plan->targets[i].fs)
			seen[plan->targets[i].fs->id] = true;
	/* Inputs have smaller ids. */
	for (size_t i = plan->graph.n; i-- > 0;)
		for (size_t k = 0; seen[i] && k < plan->graph.v[i]->n_inputs; k++)
			seen[plan->graph.v[i]->inputs[k].vertex->id] = true;
	return seen;
}

static void print_text(const struct cb_vertex *vertex, struct cb_buf *out)
{
	cleanup_free char *name = title(vertex);
	const char *separator = " <- ";

	cb_buf_addf(out, "%u %s %s", vertex->id, cb_vertex_kind_name(vertex->kind), name);
	for (size_t i = 0; i < vertex->n_inputs; i++) {
		if (!shown_input(&vertex->inputs[i]))
			continue;
		cb_buf_addf(out, "%s%s %u", separator, role_name(vertex->inputs[i].role), vertex->inputs[i].vertex->id);
		separator = ", ";
	}
	cb_buf_addc(out, '\n');
}

static void dot_string(struct cb_buf *out, const char *s)
{
	cb_buf_addc(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			cb_buf_addc(out, '\\');
		cb_buf_addc(out, *s);
	}
	cb_buf_addc(out, '"');
}

static void print_dot(const struct cb_vertex *vertex, struct cb_buf *out)
{
	static const char *const styles[] = { [CB_INPUT_PARENT] = "solid", [CB_INPUT_MOUNT] = "dotted" };
	cleanup_free char *name = title(vertex);

	cb_buf_addf(out, "\tv%u [label=", vertex->id);
	dot_string(out, name);
	cb_buf_addf(out, " shape=%s];\n", vertex->kind == CB_VERTEX_RUN ? "box" : "ellipse");
	for (size_t i = 0; i < vertex->n_inputs; i++) {
		const struct cb_input *input = &vertex->inputs[i];
		const char *style =
			input->role < ARRAY_SIZE(styles) && styles[input->role] ? styles[input->role] : "dashed";

		if (shown_input(input))
			cb_buf_addf(out, "\tv%u -> v%u [style=%s label=%s];\n", input->vertex->id, vertex->id, style,
				role_name(input->role));
	}
}

static json_t *to_json(const struct cb_buildfile *file, const struct cb_vertex *vertex)
{
	unsigned int line;
	json_t *obj = json_object(), *inputs = json_array();
	cleanup_free char *name = title(vertex);

	json_object_set_new(obj, "id", json_integer(vertex->id));
	json_object_set_new(obj, "kind", json_string(cb_vertex_kind_name(vertex->kind)));
	json_object_set_new(obj, "name", json_string(name));
	if (vertex->stage && *vertex->stage)
		json_object_set_new(obj, "stage", json_string(vertex->stage));
	if (vertex->line) {
		const struct cb_source_file *source = cb_buildfile_place(file, vertex->line, &line);

		json_object_set_new(obj, "line", json_integer(line));
		if (source->name)
			json_object_set_new(obj, "file", json_string(source->name));
	}
	json_object_set_new(obj, "operands", json_string(vertex->operands.text));
	for (size_t i = 0; i < vertex->n_inputs; i++) {
		json_t *input;

		if (!shown_input(&vertex->inputs[i]))
			continue;
		input = json_object();
		json_object_set_new(input, "id", json_integer(vertex->inputs[i].vertex->id));
		json_object_set_new(input, "role", json_string(role_name(vertex->inputs[i].role)));
		json_array_append_new(inputs, input);
	}
	json_object_set_new(obj, "inputs", inputs);
	return obj;
}

static json_t *target_json(const struct cb_plan_target *target)
{
	return target->fs ? json_integer(target->fs->id) : json_null();
}

static json_t *targets_json(const struct cb_plan *plan)
{
	json_t *targets = json_object();

	for (size_t i = 0; i < plan->n_targets; i++) {
		char platform[CB_PLATFORM_TEXT_MAX];

		cb_platform_format(&plan->targets[i].platform, platform);
		json_object_set_new(targets, platform, target_json(&plan->targets[i]));
	}
	return targets;
}

static void print_json(const struct cb_plan *plan, const bool *seen, struct cb_buf *out)
{
	cleanup_json json_t *doc = json_object();
	json_t *vertices = json_array();
	cleanup_free char *text = NULL;

	for (size_t i = 0; i < plan->graph.n; i++)
		if (seen[i])
			json_array_append_new(vertices, to_json(plan->targets[0].planner->opts.file, plan->graph.v[i]));
	json_object_set_new(doc, "vertices", vertices);
	if (plan->n_targets == 1)
		json_object_set_new(doc, "target", target_json(&plan->targets[0]));
	else
		json_object_set_new(doc, "targets", targets_json(plan));
	text = json_dumps(doc, JSON_INDENT(2));
	cb_buf_adds(out, text ? text : "{}");
	cb_buf_addc(out, '\n');
}

void cb_plan_print(const struct cb_plan *plan, enum cb_plan_format format, struct cb_buf *out)
{
	cleanup_free bool *seen = reachable(plan);

	if (format == CB_PLAN_JSON) {
		print_json(plan, seen, out);
		return;
	}
	if (format == CB_PLAN_DOT)
		cb_buf_adds(out, "digraph build {\n\trankdir=LR;\n");
	for (size_t i = 0; i < plan->graph.n; i++) {
		if (!seen[i])
			continue;
		if (format == CB_PLAN_DOT)
			print_dot(plan->graph.v[i], out);
		else
			print_text(plan->graph.v[i], out);
	}
	if (format == CB_PLAN_DOT)
		cb_buf_adds(out, "}\n");
}
