#include "builder/graph.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"

void cb_graph_init(struct cb_graph *graph)
{
	*graph = (struct cb_graph){ .arena = cb_arena_new(), .merge = cb_map_new(NULL) };
}

void cb_graph_done(struct cb_graph *graph)
{
	for (size_t i = 0; i < graph->n; i++)
		free(graph->v[i]->sched.users);
	free(graph->v);
	cb_map_free(graph->merge);
	cb_arena_free(graph->arena);
	*graph = (struct cb_graph){ 0 };
}

struct cb_vertex *cb_graph_add(struct cb_graph *graph, const struct cb_vertex_spec *spec, bool *ret_new)
{
	cleanup_buf struct cb_buf text = { 0 };
	struct cb_vertex *vertex;
	struct cb_input *inputs;

	cb_buf_addf(&text, "%d %s %d", (int)spec->kind, spec->operands.text, spec->no_cache);
	for (size_t i = 0; i < spec->n_inputs; i++)
		cb_buf_addf(&text, " %d:%u", (int)spec->inputs[i].role, spec->inputs[i].vertex->id);

	vertex = cb_map_get(graph->merge, cb_buf_str(&text));
	if (ret_new)
		*ret_new = !vertex;
	if (vertex)
		return vertex;

	vertex = cb_arena_alloc(graph->arena, sizeof(*vertex));
	inputs = cb_arena_alloc(graph->arena, (spec->n_inputs + 1) * sizeof(*inputs));
	for (size_t i = 0; i < spec->n_inputs; i++)
		inputs[i] = spec->inputs[i];
	*vertex = (struct cb_vertex){
		.id = (unsigned int)graph->n,
		.kind = spec->kind,
		.name = spec->name,
		.stage = spec->stage,
		.text = spec->text,
		.index = spec->index,
		.file = spec->file,
		.line = spec->line,
		.col = spec->col,
		.end_line = spec->end_line,
		.inputs = inputs,
		.n_inputs = spec->n_inputs,
		.content_defined = spec->content_defined,
		.no_cache = spec->no_cache,
		.op = spec->op,
		.operands = spec->operands,
	};
	CB_GROW(graph->v, graph->cap, graph->n + 1);
	graph->v[graph->n++] = vertex;
	cb_map_set(graph->merge, cb_buf_str(&text), vertex);
	return vertex;
}

struct cb_vertex *cb_vertex_input(const struct cb_vertex *vertex, enum cb_input_role role)
{
	for (size_t i = 0; i < vertex->n_inputs; i++)
		if (vertex->inputs[i].role == role)
			return vertex->inputs[i].vertex;
	return NULL;
}

struct cb_vertex *cb_vertex_parent(const struct cb_vertex *vertex)
{
	return cb_vertex_input(vertex, CB_INPUT_PARENT);
}

const char *cb_vertex_kind_name(enum cb_vertex_kind kind)
{
	static const char *const names[] = {
		[CB_VERTEX_IMAGE] = "image",
		[CB_VERTEX_CONTEXT] = "context",
		[CB_VERTEX_SELECT] = "select",
		[CB_VERTEX_RUN] = "run",
		[CB_VERTEX_COPY] = "copy",
		[CB_VERTEX_ADD] = "add",
		[CB_VERTEX_MERGE] = "merge",
		[CB_VERTEX_WORKDIR] = "workdir",
	};

	return names[kind];
}
