/* Pass two: one stage from its base to its last instruction. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/path.h"
#include "builder/cachekey.h"
#include "builder/planner.h"
#include "layers/pull.h"

/* ---- small things of the arena -------------------------------------------------------------------------------- */

const char *plan_str(struct cb_planner *p, const char *s)
{
	return s ? cb_arena_strdup(p->plan->graph.arena, s) : NULL;
}

struct cb_words plan_words(struct cb_planner *p, const struct cb_strv *sv)
{
	const char **v = cb_arena_alloc(p->plan->graph.arena, (sv->n + 1) * sizeof(*v));

	for (size_t i = 0; i < sv->n; i++)
		v[i] = plan_str(p, sv->v[i]);
	return (struct cb_words){ v, sv->n };
}

/* ---- vertices ------------------------------------------------------------------------------------------------- */

struct cb_vertex *plan_root(const struct cb_planner *p, const struct cb_vertex *vertex)
{
	return vertex && vertex->id < p->plan->n_root ? p->plan->root[vertex->id] : NULL;
}

struct cb_vertex *plan_add(struct cb_planner *p, const struct cb_vertex_spec *spec, struct cb_vertex *root)
{
	struct cb_vertex_spec full = *spec;
	struct cb_plan *plan = p->plan;
	struct cb_vertex *vertex;
	bool added;

	cb_cachekey_of_operands(spec->kind, spec->op, &full.operands);
	vertex = cb_graph_add(&plan->graph, &full, &added);
	if (added) {
		CB_GROW(plan->root, plan->cap_root, vertex->id + 1);
		plan->root[vertex->id] = vertex->kind == CB_VERTEX_IMAGE ? vertex : root;
		plan->n_root = vertex->id + 1;
	}
	return vertex;
}

size_t plan_fs_inputs(
	struct cb_planner *p, struct cb_input *inputs, size_t n, struct cb_vertex *fs, enum cb_input_role role)
{
	struct cb_vertex *root = plan_root(p, fs);

	if (!fs)
		return n;
	/* What an image holds is known without unpacking it: only executing needs that. */
	inputs[n++] = (struct cb_input){
		.vertex = fs, .role = role, .late = fs->kind == CB_VERTEX_IMAGE || role == CB_INPUT_MOUNT
	};
	if (root && root != fs)
		inputs[n++] = (struct cb_input){ .vertex = root, .role = CB_INPUT_BASE, .late = true };
	return n;
}

/* "RUN make", as it is in the file but for the ends of lines. */
static const char *written(struct cb_planner *p, const struct plan_step *step)
{
	const struct cb_node *node = step->instr->node;
	char *text = cb_arena_printf(p->plan->graph.arena, "%s%s%s", step->trigger ? "ONBUILD " : "",
		cb_keyword_upper(step->instr->kw), node->original + strlen(node->word));

	for (char *c = text; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	return text;
}

struct cb_vertex *plan_emit(struct cb_planner *p, const struct plan_step *step, struct cb_vertex_spec *spec,
	struct cb_input *inputs, size_t n)
{
	struct stage_plan *sp = step->stage;
	struct cb_vertex *root = plan_root(p, sp->fs);

	n = plan_fs_inputs(p, inputs, n, sp->fs, CB_INPUT_PARENT);
	spec->inputs = inputs;
	spec->n_inputs = n;
	spec->stage = sp->place;
	spec->text = written(p, step);
	spec->index = sp->index;
	spec->line = step->line;
	spec->col = step->col;
	spec->end_line = step->end_line;
	spec->no_cache = sp->no_cache;
	sp->fs = plan_add(p, spec, root);
	return sp->fs;
}

static struct cb_vertex *context_vertex(struct cb_planner *p, struct cb_context *context)
{
	struct cb_op_context *op = cb_arena_alloc(p->plan->graph.arena, sizeof(*op));
	struct cb_arena *arena = p->plan->graph.arena;
	char *name = context->name ? cb_arena_printf(arena, "[context %s] load build context", context->name)
		     : context == p->opts.contexts->main
			     ? cb_arena_strdup(arena, "[internal] load build context")
			     : cb_arena_printf(arena, "[internal] fetch %s", context->shown);
	struct cb_vertex_spec spec = {
		.kind = CB_VERTEX_CONTEXT, .name = name, .stage = "internal", .content_defined = true, .op = op
	};

	spec.line = spec.end_line = context->line;
	spec.col = context->col;

	op->context = context;
	return plan_add(p, &spec, NULL);
}

static struct cb_vertex *image_vertex(struct cb_planner *p, struct cb_base *base, const char *name, const char *label)
{
	struct cb_op_image *op;
	struct cb_vertex_spec spec;

	if (base->vertex || (base->image && !base->chain))
		return base->vertex;
	op = cb_arena_alloc(p->plan->graph.arena, sizeof(*op));
	op->base = base;
	spec = (struct cb_vertex_spec){ .kind = CB_VERTEX_IMAGE, .name = name, .stage = label, .op = op };
	spec.line = base->line;
	spec.col = base->col;
	spec.end_line = base->line;
	base->vertex = plan_add(p, &spec, NULL);
	return base->vertex;
}

static char *from_text(struct cb_planner *p, const struct cb_base *base)
{
	struct cb_arena *arena = p->plan->graph.arena;

	if (!base->image || strchr(base->name, '@') || !cb_digest_is_set(&base->image->top.digest))
		return cb_arena_printf(arena, "FROM %s", base->name);
	return cb_arena_printf(arena, "FROM %s@%s", base->name, base->image->top.digest.text);
}

struct cb_vertex *plan_source(struct cb_planner *p, const struct from *from)
{
	switch (from->kind) {
	case FROM_STAGE:
		return from->stage->fs;
	case FROM_BASE:
		return image_vertex(p, from->base, from_text(p, from->base), NULL);
	case FROM_CONTEXT:
		return context_vertex(p, from->context);
	case FROM_SCRATCH:
		break;
	}
	return NULL;
}

struct cb_vertex *plan_select(
	struct cb_planner *p, const struct plan_step *step, struct cb_vertex *source, const struct cb_op_select *op)
{
	struct cb_vertex_spec spec = { .kind = CB_VERTEX_SELECT, .stage = "internal", .op = op };
	struct cb_input inputs[2];

	if (step) {
		spec.line = step->line;
		spec.col = step->col;
		spec.end_line = step->end_line;
	}
	spec.inputs = inputs;
	spec.n_inputs = plan_fs_inputs(p, inputs, 0, source, CB_INPUT_SOURCE);
	/* Files of a directory have no other identity than their content. */
	spec.content_defined = source && source->kind == CB_VERTEX_CONTEXT;
	return plan_add(p, &spec, NULL);
}

/* ---- names of steps ------------------------------------------------------------------------------------------- */

/* The first line of a here-document. */
static void add_summary(struct cb_buf *out, const struct cb_heredoc *doc)
{
	const char *start = doc->content, *end = doc->content + doc->len;
	const char *eol;

	while (start < end && isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	eol = memchr(start, '\n', (size_t)(end - start));
	cb_buf_adds(out, " (");
	cb_buf_add(out, start, (size_t)((eol ? eol : end) - start));
	cb_buf_adds(out, eol ? "...)" : ")");
}

static int digits(unsigned int n)
{
	int width = 1;

	for (; n >= 10; n /= 10)
		width++;
	return width;
}

/*
 * "linux/arm64 " where steps of several platforms stand side by side; "linux/amd64->arm64 " of a step on one platform
 * that knows which other one it works for, as BuildKit writes it.
 */
static void add_platform(const struct cb_planner *p, const struct stage_plan *sp, struct cb_buf *out)
{
	static const char *const args[] = { "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT" };
	const struct cb_platform *own = &sp->platform, *target = &p->platform;
	char text[CB_PLATFORM_TEXT_MAX];
	bool knows = false;

	if (!p->named)
		return;
	cb_platform_format(own, text);
	cb_buf_adds(out, text);
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		knows |= cb_scope_get(&sp->scope, args[i]) != NULL;
	if (knows && strcmp(own->os, target->os) != 0)
		cb_buf_addf(out, "->%s/%s", target->os, target->arch);
	else if (knows && strcmp(own->arch, target->arch) != 0)
		cb_buf_addf(out, "->%s", target->arch);
	else
		knows &= strcmp(own->variant, target->variant) != 0;
	if (knows && *target->variant)
		cb_buf_addf(out, "%s%s", strcmp(own->arch, target->arch) != 0 ? "/" : "->", target->variant);
	cb_buf_addc(out, ' ');
}

static const char *numbered(struct cb_planner *p, struct stage_plan *sp, const char *text)
{
	cleanup_buf struct cb_buf platform = { 0 };

	add_platform(p, sp, &platform);
	sp->index++;
	return cb_arena_printf(p->plan->graph.arena, "[%s%s%s%*u/%u] %s", cb_buf_str(&platform), sp->label,
		*sp->label ? " " : "", digits(sp->total), sp->index, sp->total, text);
}

const char *plan_step_name(struct cb_planner *p, const struct plan_step *step)
{
	const struct cb_node *node = step->instr->node;
	const char *behind = node->original + strlen(node->word);
	cleanup_free char *expanded = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	bool copies = step->instr->kw == CB_KW_COPY || step->instr->kw == CB_KW_ADD;

	if (step->trigger)
		cb_buf_adds(&text, "ONBUILD ");
	if (copies && step->instr->copy.link && !step->instr->copy.chmod.s)
		cb_buf_adds(&text, "LINK ");
	cb_buf_adds(&text, cb_keyword_upper(step->instr->kw));
	expanded = cb_scope_expand_name(&step->stage->scope, behind);
	cb_buf_adds(&text, expanded);
	if (step->instr->kw == CB_KW_RUN && node->n_heredocs && step->instr->run.file_name)
		add_summary(&text, &node->heredocs[0]);
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '\n' || text.data[i] == '\r')
			text.data[i] = ' ';
	return numbered(p, step->stage, cb_buf_str(&text));
}

/* ---- instructions --------------------------------------------------------------------------------------------- */

static int expand_texts(
	const struct stage_plan *sp, const struct cb_texts *texts, struct cb_strv *ret, struct cb_err **err)
{
	for (size_t i = 0; i < texts->n; i++) {
		char *word;
		int r = cb_scope_expand(&sp->scope, texts->v[i], &word, err);

		if (r < 0)
			return r;
		cb_strv_take(ret, word);
	}
	return 0;
}

/* All of one line sees the environment before it. */
static int expand_pairs(const struct stage_plan *sp, const struct cb_instr *instr, struct cb_strv *keys,
	struct cb_strv *values, struct cb_err **err)
{
	for (size_t i = 0; i < instr->pairs.n; i++) {
		char *text;
		int r = cb_scope_expand(&sp->scope, instr->pairs.v[i].key, &text, err);

		if (r < 0)
			return r;
		cb_strv_take(keys, text);
		if (!*text)
			return cb_err_at(err, CB_ERR_INPUT, instr->pairs.v[i].key.line, instr->pairs.v[i].key.col,
				"the name expands to nothing");
		r = cb_scope_expand(&sp->scope, instr->pairs.v[i].value, &text, err);
		if (r < 0)
			return r;
		cb_strv_take(values, text);
	}
	return 0;
}

static int plan_env(struct stage_plan *sp, const struct cb_instr *instr, struct cb_err **err)
{
	cleanup_strv struct cb_strv keys = { 0 }, values = { 0 };
	int r = expand_pairs(sp, instr, &keys, &values, err);

	if (r < 0)
		return r;
	if (instr->kw == CB_KW_LABEL) {
		cb_imagestate_label(sp->state, &keys, &values);
		return 0;
	}
	cb_imagestate_env(sp->state, &keys, &values);
	for (size_t i = 0; i < keys.n && i < values.n; i++)
		cb_scope_set(&sp->scope, keys.v[i], values.v[i]);
	return 0;
}

static int plan_arg(struct stage_plan *sp, const struct cb_instr *instr, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };

	cb_buf_adds(&text, "ARG");
	for (size_t i = 0; i < instr->pairs.n; i++) {
		cleanup_free char *value = NULL;
		int r = cb_scope_arg(&sp->scope, &instr->pairs.v[i], &value, err);

		if (r < 0)
			return r;
		cb_buf_addf(&text, " %s", instr->pairs.v[i].key.s);
		if (value)
			cb_buf_addf(&text, "=%s", value);
	}
	cb_imagestate_history(sp->state, cb_buf_str(&text), false);
	return 0;
}

static int plan_workdir(struct cb_planner *p, const struct plan_step *step, struct cb_err **err)
{
	struct stage_plan *sp = step->stage;
	cleanup_free char *path = NULL;
	const char *name = plan_step_name(p, step);
	struct cb_input inputs[2];
	struct cb_op_workdir *op;
	struct cb_vertex_spec spec = { .kind = CB_VERTEX_WORKDIR, .name = name };
	int r = cb_scope_expand(&sp->scope, step->instr->text, &path, err);

	if (r < 0)
		return r;
	cb_imagestate_workdir(sp->state, path);
	if (cb_str_eq(cb_imagestate_cwd(sp->state), "/"))
		return 0;
	op = cb_arena_alloc(p->plan->graph.arena, sizeof(*op));
	op->path = plan_str(p, cb_imagestate_cwd(sp->state));
	op->user = plan_str(p, sp->state->config->user ? sp->state->config->user : "");
	if (p->plan->epoch.set)
		op->created = cb_arena_printf(p->plan->graph.arena, "%lld", (long long)p->plan->epoch.seconds);
	spec.op = op;
	plan_emit(p, step, &spec, inputs, 0);
	return 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(((const struct cb_text *)a)->s, ((const struct cb_text *)b)->s);
}

static struct cb_text *xcopy_texts(const struct cb_texts *texts)
{
	struct cb_text *copy = cb_xcalloc(texts->n + 1, sizeof(*copy));

	if (texts->n)
		memcpy(copy, texts->v, texts->n * sizeof(*copy));
	return copy;
}

static int plan_expose(struct stage_plan *sp, const struct cb_instr *instr, struct cb_err **err)
{
	cleanup_strv struct cb_strv words = { 0 };
	cleanup_free struct cb_text *texts = xcopy_texts(&instr->words);

	/* History has them sorted as they are written. */
	qsort(texts, instr->words.n, sizeof(*texts), compare_texts);
	for (size_t i = 0; i < instr->words.n; i++) {
		size_t first = words.n;
		int r = cb_scope_expand_words(&sp->scope, texts[i], &words, err);

		for (size_t k = first; r == 0 && k < words.n; k++) {
			r = cb_imagestate_check_port(words.v[k], err);
			if (r < 0)
				return cb_err_locate(err, r, texts[i].line, texts[i].col, texts[i].line);
		}
		if (r < 0)
			return r;
	}
	return cb_imagestate_expose(sp->state, &words, err);
}

static int plan_volume(struct stage_plan *sp, const struct cb_instr *instr, struct cb_err **err)
{
	cleanup_strv struct cb_strv paths = { 0 };
	int r = expand_texts(sp, &instr->words, &paths, err);

	return r < 0 ? r : cb_imagestate_volume(sp->state, &paths, err);
}

static int plan_text(struct stage_plan *sp, const struct cb_instr *instr, struct cb_err **err)
{
	cleanup_free char *text = NULL;
	int r = cb_scope_expand(&sp->scope, instr->text, &text, err);

	if (r < 0)
		return r;
	if (instr->kw == CB_KW_STOPSIGNAL)
		return cb_imagestate_stopsignal(sp->state, text, err);
	cb_imagestate_user(sp->state, text);
	return 0;
}

static bool is_step(const struct cb_instr *instr)
{
	return instr->kw == CB_KW_ADD || instr->kw == CB_KW_COPY || instr->kw == CB_KW_RUN ||
	       instr->kw == CB_KW_WORKDIR;
}

/* Paths, owners and layers of Windows are others: what came out would only look like an image. */
static int refuse_windows(const struct cb_instr *instr, struct cb_err **err)
{
	cb_err_set(err, CB_ERR_UNSUPPORTED, "%s is not supported in images for windows", cb_keyword_upper(instr->kw));
	return cb_err_hint(err, CB_ERR_UNSUPPORTED, "only what sets the configuration of an image is");
}

static int plan_instr(struct cb_planner *p, const struct plan_step *step, struct cb_err **err)
{
	struct stage_plan *sp = step->stage;
	const struct cb_instr *instr = step->instr;

	if (is_step(instr) && cb_str_eq(sp->state->config->platform.os, "windows"))
		return refuse_windows(instr, err);
	switch (instr->kw) {
	case CB_KW_ENV:
	case CB_KW_LABEL:
		return plan_env(sp, instr, err);
	case CB_KW_ARG:
		return plan_arg(sp, instr, err);
	case CB_KW_CMD:
		cb_imagestate_cmd(sp->state, &instr->command);
		return 0;
	case CB_KW_ENTRYPOINT:
		cb_imagestate_entrypoint(sp->state, &instr->command);
		return 0;
	case CB_KW_SHELL:
		cb_imagestate_shell(sp->state, &instr->words);
		return 0;
	case CB_KW_HEALTHCHECK:
		cb_imagestate_healthcheck(sp->state, &instr->health);
		return 0;
	case CB_KW_EXPOSE:
		return plan_expose(sp, instr, err);
	case CB_KW_VOLUME:
		return plan_volume(sp, instr, err);
	case CB_KW_STOPSIGNAL:
	case CB_KW_USER:
		return plan_text(sp, instr, err);
	case CB_KW_MAINTAINER:
		cb_imagestate_maintainer(sp->state, instr->text.s);
		return 0;
	case CB_KW_ONBUILD:
		cb_imagestate_onbuild(sp->state, instr->onbuild.text.s);
		return 0;
	case CB_KW_WORKDIR:
		return plan_workdir(p, step, err);
	case CB_KW_COPY:
	case CB_KW_ADD:
		return plan_copy(p, step, err);
	case CB_KW_RUN:
		return plan_run(p, step, err);
	case CB_KW_FROM:
	case CB_KW_INCLUDE:
	case CB_KW_UNKNOWN:
	case CB_KW_MAX_:
		break;
	}
	return cb_err_set(err, CB_ERR_INTERNAL, "no plan for %s", cb_keyword_upper(instr->kw));
}

static int plan_instr_at(struct cb_planner *p, const struct plan_step *step, struct cb_err **err)
{
	int r = plan_instr(p, step, err);

	if (r < 0 && step->trigger && err && *err)
		(*err)->line = 0;
	return r < 0 ? cb_err_locate(err, r, step->line, step->col, step->end_line) : r;
}

/* ---- the stage ------------------------------------------------------------------------------------------------ */

static void count_steps(struct stage_plan *sp)
{
	sp->total = sp->base.kind == FROM_BASE || sp->base.kind == FROM_CONTEXT;
	for (size_t i = 0; i < sp->triggers.n; i++)
		for (size_t k = 0; k < sp->triggers.v[i]->stages[0].n_instrs; k++)
			sp->total += is_step(&sp->triggers.v[i]->stages[0].instrs[k]);
	for (size_t i = 0; i < sp->stage->n_instrs; i++)
		sp->total += is_step(&sp->stage->instrs[i]);
}

static void scope_env(struct stage_plan *sp)
{
	for (size_t i = 0; i < sp->state->config->env.n; i++) {
		char *pair = sp->state->config->env.v[i];
		cleanup_free char *key = cb_xstrndup(pair, strcspn(pair, "="));

		cb_scope_set(&sp->scope, key, pair[strlen(key)] ? pair + strlen(key) + 1 : "");
	}
}

static void start_from_stage(struct stage_plan *sp)
{
	const struct stage_plan *base = sp->base.stage;

	cb_scope_copy(&sp->scope, &base->scope);
	sp->state = cb_imagestate_of_stage(base->state);
	sp->fs = base->fs;
	if (sp->stage->from->from.reset & CB_RESET_ENV)
		cb_scope_forget(&sp->scope, &base->state->config->env);
	cb_imagestate_reset(sp->state, sp->stage->from->from.reset);
	if (sp->stage->from->from.reset & CB_RESET_ENV)
		scope_env(sp);
}

static void start(struct cb_planner *p, struct stage_plan *sp)
{
	if (sp->base.kind == FROM_STAGE) {
		start_from_stage(sp);
		return;
	}
	cb_scope_init(&sp->scope, &p->globals);
	if (sp->base.kind == FROM_BASE) {
		const struct cb_image *image = sp->base.base->image;
		const char *name = numbered(p, sp, from_text(p, sp->base.base));

		sp->fs = image_vertex(p, sp->base.base, name, sp->place);
		sp->state = image ? cb_imagestate_of_image(image->config) : NULL;
	} else if (sp->base.kind == FROM_CONTEXT) {
		struct cb_vertex *select;
		char *text = cb_arena_printf(p->plan->graph.arena, "FROM %s", sp->stage->base.s);

		sp->fs =
			plan_context_copy(p, NULL, plan_source(p, &sp->base), "/", "/", numbered(p, sp, text), &select);
	}
	if (!sp->state)
		sp->state = cb_imagestate_new(&sp->platform);
	cb_imagestate_reset(sp->state, sp->stage->from->from.reset);
	scope_env(sp);
}

int plan_stage(struct cb_planner *p, struct stage_plan *sp, struct cb_err **err)
{
	const struct cb_settings *settings = p->opts.settings;
	int r = 0;

	sp->no_cache = settings->no_cache;
	for (size_t i = 0; i < settings->no_cache_filter.n; i++)
		sp->no_cache |= cb_str_ieq(settings->no_cache_filter.v[i], sp->label) ||
				cb_str_ieq(settings->no_cache_filter.v[i], sp->stage->name ? sp->stage->name : "");
	count_steps(sp);
	start(p, sp);
	for (size_t i = 0; i < sp->triggers.n && r == 0; i++) {
		const struct cb_stage *stage = &sp->triggers.v[i]->stages[0];
		const struct cb_node *from = sp->stage->from->node;

		for (size_t k = 0; k < stage->n_instrs && r == 0; k++) {
			struct plan_step step = { sp, &stage->instrs[k], from->line, from->col, from->end_line, true };

			r = plan_instr_at(p, &step, err);
		}
	}
	for (size_t i = 0; i < sp->stage->n_instrs && r == 0; i++) {
		const struct cb_node *node = sp->stage->instrs[i].node;
		struct plan_step step = { sp, &sp->stage->instrs[i], node->line, node->col, node->end_line, false };

		r = plan_instr_at(p, &step, err);
	}
	sp->planned = true;
	return r;
}
