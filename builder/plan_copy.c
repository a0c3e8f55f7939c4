/* Pass two: COPY and ADD. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "builder/planner.h"
#include "layers/chmod.h"
#include "parser/dockerignore.h"

static int check_remote(const struct cb_instr *instr, struct cb_text text, const char *source, struct cb_err **err)
{
	if (instr->kw != CB_KW_COPY || !cb_context_is_remote(source))
		return 0;
	cb_err_at(err, CB_ERR_INPUT, text.line, text.col, "source can't be a URL for COPY");
	return cb_err_hint(err, CB_ERR_INPUT, "ADD fetches URLs");
}

struct operands {
	struct cb_strv sources, excludes;
	char *dest, *chown, *chmod, *checksum;
	size_t n_remote;
};

static void operands_done(struct operands *o)
{
	cb_strv_done(&o->sources);
	cb_strv_done(&o->excludes);
	free(o->dest);
	free(o->chown);
	free(o->chmod);
	free(o->checksum);
}

/* Steps parse these again: what is wrong is told before anything runs, and where it stands. */
static int check_chmod(const char *value, struct cb_text text, struct cb_err **err)
{
	cleanup_chmod struct cb_chmod chmod = { 0 };
	int r = cb_chmod_parse(value, &chmod, err);

	return r < 0 ? cb_err_locate(err, r, text.line, text.col, text.line) : 0;
}

static int check_excludes(const struct cb_copy *copy, struct cb_err **err)
{
	for (size_t i = 0; i < copy->excludes.n; i++) {
		const struct cb_text *text = &copy->excludes.v[i];
		CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = NULL;
		cleanup_strv struct cb_strv one = { 0 };
		int r;

		cb_strv_add(&one, text->s);
		r = cb_ignore_new(&one, &ignore, err);
		if (r < 0) {
			if (err && *err)
				(*err)->line = 0; /* it counts patterns */
			cb_err_wrap(err, r, "--exclude");
			return cb_err_locate(err, r, text->line, text->col, text->line);
		}
	}
	return 0;
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
		o->n_remote += cb_context_is_remote(source);
	}
	if (r == 0 && copy->chown.s)
		r = cb_scope_expand(scope, copy->chown, &o->chown, err);
	if (r == 0 && copy->chmod.s)
		r = cb_scope_expand(scope, copy->chmod, &o->chmod, err);
	if (r == 0 && o->chmod && *o->chmod)
		r = check_chmod(o->chmod, copy->chmod, err);
	if (r == 0 && copy->checksum.s)
		r = cb_scope_expand(scope, copy->checksum, &o->checksum, err);
	if (r == 0 && o->checksum && *o->checksum && (o->n_remote != 1 || o->sources.n != 1 || copy->n_files))
		r = cb_err_at(err, CB_ERR_INPUT, copy->checksum.line, copy->checksum.col,
			o->n_remote ? "--checksum is for a single source" : "--checksum requires a remote source");
	if (r == 0)
		r = check_excludes(copy, err);
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

/* Texts of triggers go with the plan, those of the Buildfile later. */
static const struct cb_text *places_of(struct cb_planner *p, const struct cb_copy *copy, size_t first)
{
	struct cb_text *places = cb_arena_alloc(p->plan->graph.arena, (copy->sources.n - first + 1) * sizeof(*places));

	for (size_t i = first; i < copy->sources.n; i++)
		places[i - first] = (struct cb_text){ .line = copy->sources.v[i].line, .col = copy->sources.v[i].col };
	return places;
}

/* The SELECT of one remote source: its only file, or all that a repository holds. */
static int select_remote(struct cb_planner *p, const struct plan_step *step, const struct operands *o, size_t at,
	const struct cb_op_copy *op, struct cb_vertex **ret, struct cb_err **err)
{
	const struct cb_copy *copy = &step->instr->copy;
	const struct cb_text text = copy->sources.v[at];
	struct cb_remote_source source = { .text = o->sources.v[at],
		.checksum = o->checksum && *o->checksum ? o->checksum : NULL,
		.has_keep_git_dir = copy->has_keep_git_dir,
		.keep_git_dir = copy->keep_git_dir,
		.line = step->trigger ? step->line : text.line,
		.col = step->trigger ? step->col : text.col };
	struct cb_op_select *select = cb_arena_alloc(p->plan->graph.arena, sizeof(*select));
	const char **words = cb_arena_alloc(p->plan->graph.arena, 2 * sizeof(*words));
	struct from from = { .kind = FROM_CONTEXT };
	int r = cb_contexts_add_remote(p->opts.contexts, &source, &from.context, err);

	if (r < 0)
		return cb_err_locate(err, r, source.line, source.col, source.line);
	words[0] = from.context->remote == CB_REMOTE_URL
			   ? cb_arena_printf(p->plan->graph.arena, "/%s", from.context->file_name)
			   : "/";
	*select = (struct cb_op_select){ .sources = { words, 1 }, .excludes = op->excludes, .literal = true };
	*ret = plan_select(p, step, plan_source(p, &from), select);
	return 0;
}

static int select_paths(struct cb_planner *p, const struct plan_step *step, size_t first, size_t n,
	const struct cb_op_copy *op, struct cb_vertex **ret, struct cb_err **err)
{
	const struct cb_copy *copy = &step->instr->copy;
	struct from from = { .kind = FROM_CONTEXT, .context = p->opts.contexts->main };
	struct cb_op_select *select = cb_arena_alloc(p->plan->graph.arena, sizeof(*select));

	if (copy->from.s) {
		int r = plan_find_from(p, step->stage, copy->from.s, true, copy->from.line, copy->from.col, &from, err);

		if (r < 0)
			return r;
	}
	*select = (struct cb_op_select){ .sources = { op->sources.v + first, n },
		.excludes = op->excludes,
		.parents = op->parents,
		.places = places_of(p, copy, first) };
	*ret = plan_select(p, step, plan_source(p, &from), select);
	return 0;
}

/*
 * The SELECTs of the sources in @ret, which has room for one each: none when there are only here-documents. Local
 * sources that stand together are selected together.
 */
static int select_sources(struct cb_planner *p, const struct plan_step *step, const struct operands *o,
	const struct cb_op_copy *op, struct cb_vertex **ret, size_t *ret_n, struct cb_err **err)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < o->sources.n && r == 0;) {
		size_t end = i;

		while (end < o->sources.n && !cb_context_is_remote(o->sources.v[end]))
			end++;
		if (end > i) {
			r = select_paths(p, step, i, end - i, op, &ret[n++], err);
			i = end;
		} else {
			r = select_remote(p, step, o, i++, op, &ret[n++], err);
		}
	}
	*ret_n = n;
	return r;
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
	cleanup_free struct cb_vertex **selects = NULL;
	cleanup_free struct cb_input *inputs = NULL;
	size_t n_selects = 0, n = 0;
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
		/* As BuildKit: with --chmod it is a copy like any other. */
		.link = copy->link && !(o.chmod && *o.chmod),
		.keep_archives = copy->has_unpack && !copy->unpack,
		.unpack = copy->has_unpack && copy->unpack,
	};
	/* Each source brings its digest, its file system and the image below that; the stage brings two. */
	selects = cb_xcalloc(o.sources.n + 1, sizeof(struct cb_vertex *));
	inputs = cb_xcalloc(3 * o.sources.n + 4, sizeof(*inputs));
	spec.op = op;
	r = expand_files(p, step, op, err);
	if (r == 0)
		r = select_sources(p, step, &o, op, selects, &n_selects, err);
	if (r < 0)
		return r;
	history(step, &o);
	for (size_t i = 0; i < n_selects; i++)
		n = source_inputs(p, inputs, n, selects[i]);
	if (op->link)
		emit_linked(p, step, &spec, inputs, n);
	else
		plan_emit(p, step, &spec, inputs, n);
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
