#include "builder/epoch.h"

#include <string.h>

#include "base/num.h"
#include "layers/fetch_git.h"

int cb_epoch_parse(const char *text, struct cb_epoch *ret, struct cb_err **err)
{
	struct cb_epoch epoch = { .set = true };

	if (!*text) {
		*ret = (struct cb_epoch){ 0 };
		return 0;
	}
	if (!cb_num_i64(text, &epoch.seconds) || epoch.seconds < 0)
		return cb_err_set(err, CB_ERR_INPUT, "invalid " CB_EPOCH_ARG ": %s", text);
	*ret = epoch;
	return 0;
}

/* When @context was made. */
static int of_context(
	const struct cb_epoch_source *source, struct cb_context *context, struct cb_epoch *ret, struct cb_err **err)
{
	int r;

	*ret = (struct cb_epoch){ 0 };
	if (context->remote == CB_REMOTE_NONE || (!context->tree && !source->fetch))
		return 0;
	/* Whoever opened it before this was known did not look into its archive; the main one is always looked into. */
	context->wants_time = true;
	r = context->tree ? 0 : source->fetch(source->ctx, context, err);
	if (r < 0)
		return r;
	*ret = (struct cb_epoch){ .set = context->has_time, .seconds = context->time };
	return 0;
}

/* ---- a stage -------------------------------------------------------------------------------------------------- */

static int stage_error(const struct cb_node *node, const char *what, struct cb_err **err)
{
	cb_err_at(err, CB_ERR_INPUT, node->line, node->col, "%s", what);
	return cb_err_hint(err, CB_ERR_INPUT,
		"a stage that " CB_EPOCH_ARG " names is FROM scratch and one ADD of a URL or git repository");
}

static int find_source(const struct cb_epoch_source *source, const struct cb_scope *scope, const struct cb_instr *add,
	struct cb_context **ret, struct cb_err **err)
{
	const struct cb_copy *copy = &add->copy;
	cleanup_free char *text = NULL, *checksum = NULL;
	struct cb_remote_source remote = { 0 };
	int r;

	if (copy->sources.n != 1 || copy->n_files)
		return stage_error(add->node, CB_EPOCH_ARG " stage must have exactly one remote ADD source", err);
	r = cb_scope_expand(scope, copy->sources.v[0], &text, err);
	if (r == 0 && copy->checksum.s)
		r = cb_scope_expand(scope, copy->checksum, &checksum, err);
	if (r < 0)
		return r;
	if (!cb_context_is_remote(text))
		return stage_error(add->node, CB_EPOCH_ARG " stage must add a URL or a git repository", err);
	remote = (struct cb_remote_source){ .text = text,
		.checksum = checksum && *checksum ? checksum : NULL,
		.has_keep_git_dir = copy->has_keep_git_dir,
		.keep_git_dir = copy->keep_git_dir,
		.line = copy->sources.v[0].line,
		.col = copy->sources.v[0].col };
	r = cb_contexts_add_remote(source->contexts, &remote, ret, err);
	return r < 0 ? cb_err_locate(err, r, remote.line, remote.col, remote.line) : r;
}

static int walk_stage(const struct cb_epoch_source *source, const struct cb_stage *stage, struct cb_scope *scope,
	struct cb_context **ret, struct cb_err **err)
{
	struct cb_context *found = NULL;

	for (size_t i = 0; i < stage->n_instrs; i++) {
		const struct cb_instr *instr = &stage->instrs[i];
		int r = 0;

		if (instr->kw == CB_KW_ARG) {
			for (size_t k = 0; k < instr->pairs.n && r == 0; k++)
				r = cb_scope_arg(scope, &instr->pairs.v[k], NULL, err);
		} else if (instr->kw == CB_KW_ADD && !found) {
			r = find_source(source, scope, instr, &found, err);
		} else {
			r = stage_error(
				instr->node, CB_EPOCH_ARG " stage must contain one remote ADD and nothing else", err);
		}
		if (r < 0)
			return r;
	}
	if (!found)
		return stage_error(stage->from->node, CB_EPOCH_ARG " stage must contain exactly one remote ADD", err);
	*ret = found;
	return 0;
}

static int of_stage(
	const struct cb_epoch_source *source, const struct cb_stage *stage, struct cb_epoch *ret, struct cb_err **err)
{
	struct cb_context *context = NULL;
	cleanup_free char *base = NULL;
	struct cb_scope scope;
	int r = cb_globals_expand(source->globals, stage->base, &base, err);

	if (r < 0)
		return r;
	if (!cb_str_eq(base, "scratch"))
		return stage_error(stage->from->node, CB_EPOCH_ARG " stage must use FROM scratch", err);
	cb_scope_init(&scope, source->globals);
	cb_strv_copy(&scope.env, &source->globals->values);
	cb_scope_set(&scope, CB_EPOCH_ARG, "");
	r = walk_stage(source, stage, &scope, &context, err);
	cb_scope_done(&scope);
	return r < 0 ? r : of_context(source, context, ret, err);
}

/* ---- the value ------------------------------------------------------------------------------------------------ */

/* The default that a global ARG gives it last, for its place; NULL when the value is a build argument. */
static const struct cb_text *default_of(const struct cb_epoch_source *source)
{
	const struct cb_text *found = NULL;

	if (cb_env_get(source->globals->build_args, CB_EPOCH_ARG))
		return NULL;
	for (size_t i = 0; i < source->file->n_globals; i++) {
		const struct cb_instr *arg = &source->file->globals[i];

		for (size_t k = 0; k < arg->pairs.n; k++)
			if (cb_str_eq(arg->pairs.v[k].key.s, CB_EPOCH_ARG) && arg->pairs.v[k].value.s)
				found = &arg->pairs.v[k].value;
	}
	return found;
}

static const struct cb_stage *stage_of(const struct cb_buildfile *file, const char *name)
{
	for (size_t i = 0; i < file->n_stages; i++)
		if (file->stages[i].name && cb_str_ieq(file->stages[i].name, name))
			return &file->stages[i];
	return NULL;
}

static int find_value(
	const struct cb_epoch_source *source, const char *value, struct cb_epoch *ret, struct cb_err **err)
{
	const struct cb_named_context *named;
	const struct cb_stage *stage;
	cleanup_err struct cb_err *inner = NULL;
	int r = cb_epoch_parse(value, ret, &inner);

	if (r == 0)
		return 0;
	*ret = (struct cb_epoch){ 0 };
	if (cb_str_eq(value, "context"))
		return of_context(source, source->contexts->main, ret, err);
	named = cb_contexts_find(source->contexts, value, source->target);
	if (named)
		return named->kind == CB_CONTEXT_DIR ? of_context(source, named->dir, ret, err) : 0;
	stage = stage_of(source->file, value);
	if (stage)
		return of_stage(source, stage, ret, err);
	cb_err_move(err, CB_TAKE_PTR(inner));
	return cb_err_hint(
		err, CB_ERR_INPUT, "it is a number of seconds, \"context\", or the name of a stage or named context");
}

int cb_epoch_find(const struct cb_epoch_source *source, struct cb_epoch *ret, struct cb_err **err)
{
	const struct cb_text *text = default_of(source);
	const char *value = cb_env_get(source->globals->build_args, CB_EPOCH_ARG);
	struct cb_epoch epoch;
	int r;

	if (!value && text)
		value = cb_env_get(&source->globals->values, CB_EPOCH_ARG);
	if (!value)
		return 1;
	r = find_value(source, value, &epoch, err);
	if (r < 0 && text)
		return cb_err_locate(err, r, text->line, text->col, text->line);
	if (r < 0)
		return r;
	*ret = epoch;
	return 0;
}

int cb_epoch_fallback(const struct cb_epoch_source *source, struct cb_epoch *ret, struct cb_err **err)
{
	struct cb_context *context = source->contexts->main;
	struct cb_epoch epoch;
	int r = of_context(source, context, &epoch, err);

	if (r == 0 && !epoch.set && context->remote == CB_REMOTE_NONE) {
		r = cb_git_head_time(context->path, NULL, &epoch.seconds, err);
		if (r > 0)
			epoch.seconds = 0;
	}
	if (r < 0)
		return r;
	epoch.set = true;
	*ret = epoch;
	return 0;
}
