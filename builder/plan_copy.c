/* Pass two: COPY and ADD. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "builder/planner.h"

/* What ADD takes for a URL or a git repository; everything else is a path. */
static bool is_remote(const char *source)
{
	static const char *const prefixes[] = { "http://", "https://", "git://", "ssh://", "git@" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncasecmp(source, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static int check_remote(const struct cb_instr *instr, struct cb_text text, const char *source, struct cb_err **err)
{
	if (!is_remote(source))
		return 0;
	if (instr->kw == CB_KW_COPY) {
		cb_err_at(err, CB_ERR_INPUT, text.line, text.col, "source can't be a URL for COPY");
		return cb_err_hint(err, CB_ERR_INPUT, "ADD fetches URLs");
	}
	return cb_err_at(err, CB_ERR_UNSUPPORTED, text.line, text.col,
		"ADD of %s: remote sources are not supported yet", source);
}

struct operands {
	struct cb_strv sources, excludes;
	char *dest, *chown, *chmod;
};

static void operands_done(struct operands *o)
{
	cb_strv_done(&o->sources);
	cb_strv_done(&o->excludes);
	free(o->dest);
	free(o->chown);
	free(o->chmod);
}

static int expand_operands(const struct plan_step *step, struct operands *o, struct cb_err **err)
{
	const struct cb_scope *scope = &step->stage->scope;
	const struct cb_copy *copy = &step->instr->copy;
	int r = cb_scope_expand(scope, copy->dest, &o->dest, err);

	for (size_t i = 0; i < copy->sources.n && r == 0; i++) {
		char *source;

		r = cb_scope_expand(scope, copy->sources.v[i], &source, err);
		if (r < 0)
			return r;
		cb_strv_take(&o->sources, source);
		r = check_remote(step->instr, copy->sources.v[i], source, err);
	}
	if (r == 0 && copy->chown.s)
		r = cb_scope_expand(scope, copy->chown, &o->chown, err);
	if (r == 0 && copy->chmod.s)
		r = cb_scope_expand(scope, copy->chmod, &o->chmod, err);
	if (r == 0 && copy->checksum.s)
		r = cb_err_at(err, CB_ERR_INPUT, copy->checksum.line, copy->checksum.col,
			"--checksum requires a remote source");
	for (size_t i = 0; i < copy->excludes.n; i++)
		cb_strv_add(&o->excludes, copy->excludes.v[i].s);
	return r;
}

static int expand_files(struct cb_planner *p, const struct plan_step *step, struct cb_op_copy *op, struct cb_err **err)
{
	const struct cb_copy *copy = &step->instr->copy;
	struct cb_op_file *files = cb_arena_alloc(p->plan->graph.arena, (copy->n_files + 1) * sizeof(*files));

	for (size_t i = 0; i < copy->n_files; i++) {
		const struct cb_inline_file *file = &copy->files[i];

		files[i] = (struct cb_op_file){ file->name.s, file->data, file->len };
		if (file->expand) {
			cleanup_free char *body = NULL;
			int r = cb_scope_expand_body(&step->stage->scope, file->data, file->line, &body, err);

			if (r < 0)
				return r;
			files[i].data = plan_str(p, body);
			files[i].len = strlen(body);
		}
	}
	op->files = files;
	op->n_files = copy->n_files;
	return 0;
}

static void history(const struct plan_step *step, const struct operands *o)
{
	const struct cb_copy *copy = &step->instr->copy;
	cleanup_buf struct cb_buf text = { 0 };

	cb_buf_adds(&text, cb_keyword_upper(step->instr->kw));
	if (copy->parents)
		cb_buf_adds(&text, " --parents");
	if (o->chown && *o->chown)
		cb_buf_addf(&text, " --chown=%s", o->chown);
	if (o->chmod && *o->chmod)
		cb_buf_addf(&text, " --chmod=%s", o->chmod);
	for (size_t i = 0; i < o->sources.n; i++)
		cb_buf_addf(&text, " %s", o->sources.v[i]);
	for (size_t i = 0; i < copy->n_files; i++)
		cb_buf_addf(&text, " <<%s", copy->files[i].name.s);
	cb_buf_addf(&text, " %s # buildkit", o->dest);
	cb_imagestate_history(step->stage->state, cb_buf_str(&text), true);
}

/* The SELECT of the sources, or NULL when there are only here-documents. */
/* Texts of triggers go with the plan, those of the Buildfile later. */
static const struct cb_text *places_of(struct cb_planner *p, const struct cb_copy *copy)
{
	struct cb_text *places = cb_arena_alloc(p->plan->graph.arena, (copy->sources.n + 1) * sizeof(*places));

	for (size_t i = 0; i < copy->sources.n; i++)
		places[i] = (struct cb_text){ .line = copy->sources.v[i].line, .col = copy->sources.v[i].col };
	return places;
}

static int select_sources(struct cb_planner *p, const struct plan_step *step, const struct cb_op_copy *op,
	struct cb_vertex **ret, struct cb_err **err)
{
	const struct cb_copy *copy = &step->instr->copy;
	struct from from = { .kind = FROM_CONTEXT, .context = p->opts.contexts->main };
	struct cb_op_select *select;

	*ret = NULL;
	if (!op->sources.n)
		return 0;
	if (copy->from.s) {
		int r = plan_find_from(p, step->stage, copy->from.s, true, copy->from.line, copy->from.col, &from, err);

		if (r < 0)
			return r;
	}
	select = cb_arena_alloc(p->plan->graph.arena, sizeof(*select));
	*select = (struct cb_op_select){
		.sources = op->sources, .excludes = op->excludes, .parents = op->parents, .places = places_of(p, copy)
	};
	*ret = plan_select(p, step, plan_source(p, &from), select);
	return 0;
}

/* Appends what reading the files of @select needs: the digest, and for a stage its file system. At most 3. */
static size_t source_inputs(struct cb_planner *p, struct cb_input *inputs, size_t n, struct cb_vertex *select)
{
	struct cb_vertex *source = NULL;

	if (!select)
		return n;
	for (size_t i = 0; i < select->n_inputs; i++)
		if (select->inputs[i].role == CB_INPUT_SOURCE)
			source = select->inputs[i].vertex;
	inputs[n++] = (struct cb_input){ .vertex = select, .role = CB_INPUT_FILES, .late = !select->content_defined };
	/* A context is open when its selection is there. */
	return source && source->kind != CB_VERTEX_CONTEXT ? plan_fs_inputs(p, inputs, n, source, CB_INPUT_MOUNT) : n;
}

/* COPY --link: a layer on nothing, which is then put above the stage's file system. */
static void emit_linked(struct cb_planner *p, const struct plan_step *step, struct cb_vertex_spec *spec,
	struct cb_input *inputs, size_t n)
{
	struct stage_plan *sp = step->stage;
	struct cb_input both[2];
	struct cb_vertex_spec merge = { .kind = CB_VERTEX_MERGE, .inputs = both };
	struct cb_vertex *root = plan_root(p, sp->fs), *lower = sp->fs, *layer;

	sp->fs = NULL;
	layer = plan_emit(p, step, spec, inputs, n);
	if (!lower)
		return;
	both[0] =
		(struct cb_input){ .vertex = lower, .role = CB_INPUT_PARENT, .known = lower->kind == CB_VERTEX_IMAGE };
	both[1] = (struct cb_input){ .vertex = layer, .role = CB_INPUT_SOURCE };
	merge.n_inputs = 2;
	merge.stage = sp->label;
	sp->fs = plan_add(p, &merge, root);
}

int plan_copy(struct cb_planner *p, const struct plan_step *step, struct cb_err **err)
{
	__attribute__((cleanup(operands_done))) struct operands o = { 0 };
	const struct cb_copy *copy = &step->instr->copy;
	bool add = step->instr->kw == CB_KW_ADD;
	struct cb_vertex_spec spec = { .kind = add ? CB_VERTEX_ADD : CB_VERTEX_COPY };
	struct cb_op_copy *op = cb_arena_alloc(p->plan->graph.arena, sizeof(*op));
	struct cb_input inputs[8];
	struct cb_vertex *select = NULL;
	int r;

	spec.name = plan_step_name(p, step);
	r = expand_operands(step, &o, err);
	if (r < 0)
		return r;
	*op = (struct cb_op_copy){
		.sources = plan_words(p, &o.sources),
		.excludes = plan_words(p, &o.excludes),
		.dest = plan_str(p, o.dest),
		.workdir = plan_str(p, cb_imagestate_cwd(step->stage->state)),
		.chown = o.chown && *o.chown ? plan_str(p, o.chown) : NULL,
		.chmod = o.chmod && *o.chmod ? plan_str(p, o.chmod) : NULL,
		.add = add,
		.parents = copy->parents,
		.link = copy->link,
		.keep_archives = copy->has_unpack && !copy->unpack,
	};
	spec.op = op;
	r = expand_files(p, step, op, err);
	if (r == 0)
		r = select_sources(p, step, op, &select, err);
	if (r < 0)
		return r;
	history(step, &o);
	if (op->link)
		emit_linked(p, step, &spec, inputs, source_inputs(p, inputs, 0, select));
	else
		plan_emit(p, step, &spec, inputs, source_inputs(p, inputs, 0, select));
	return 0;
}

struct cb_vertex *plan_context_copy(struct cb_planner *p, const struct plan_step *step, struct cb_vertex *context,
	const char *path, const char *dest, const char *name, struct cb_vertex **ret_select)
{
	struct cb_arena *arena = p->plan->graph.arena;
	struct cb_op_select *select = cb_arena_alloc(arena, sizeof(*select));
	struct cb_op_copy *op = cb_arena_alloc(arena, sizeof(*op));
	struct cb_vertex_spec spec = { .kind = CB_VERTEX_COPY, .name = name, .stage = "internal", .op = op };
	struct cb_input inputs[4];
	const char **words = cb_arena_alloc(arena, 2 * sizeof(*words));

	words[0] = plan_str(p, path);
	select->sources = (struct cb_words){ words, 1 };
	select->literal = true;
	*ret_select = plan_select(p, step, context, select);
	op->sources = select->sources;
	op->dest = plan_str(p, dest);
	op->workdir = "/";
	spec.inputs = inputs;
	spec.n_inputs = source_inputs(p, inputs, 0, *ret_select);
	return plan_add(p, &spec, NULL);
}
