/* SELECT: which files of a context or a stage a step reads, and their digest. */
#include "builder/step_select.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "builder/context.h"
#include "builder/inputs.h"
#include "layers/statindex.h"
#include "parser/dockerignore.h"
#include "parser/pattern.h"

const struct cb_context *cb_selection_context(const struct cb_vertex *source)
{
	if (!source || source->kind != CB_VERTEX_CONTEXT)
		return NULL;
	return ((const struct cb_op_context *)source->op)->context;
}

const struct cb_hash_index *cb_selection_index(const struct cb_vertex *source)
{
	return cb_selection_context(source) ? &cb_selection_context(source)->index : NULL;
}

static enum cb_path_verdict excluded(void *userdata, const char *path, bool is_dir)
{
	return cb_context_verdict(userdata, path, is_dir);
}

void cb_selection_done(struct cb_selection *s)
{
	cb_tree_free(s->tree);
	cb_sources_done(&s->sources);
	cb_ignore_free(s->ignore);
}

/* Says where a source was looked for, and why it may not be there although it is. */
static void explain_missing(const struct cb_vertex *source, struct cb_tree *tree, const char *path, struct cb_err **err)
{
	const struct cb_context *context = cb_selection_context(source);
	cleanup_free char *clean = cb_path_abs(path), *found = NULL;

	if (!context) {
		cb_err_set(err, CB_ERR_NOT_FOUND, "\"%s\": not found in the stage or image it is taken from", clean);
		return;
	}
	cb_err_set(err, CB_ERR_NOT_FOUND, "\"%s\": not found in the build context %s", clean,
		context->name ? context->name : context->path);
	if (context->ignore && cb_ignore_match(context->ignore, clean + 1, false) != CB_IGNORE_KEEP)
		cb_err_hint(err, CB_ERR_NOT_FOUND, "it is excluded by .dockerignore");
	else if (cb_str_starts(path, "../"))
		cb_err_hint(err, CB_ERR_NOT_FOUND, "nothing above the context can be copied: \"..\" ends at its top");
	else if (cb_tree_resolve(tree, clean, CB_TREE_NOFOLLOW, &found, NULL) == 0)
		cb_err_hint(err, CB_ERR_NOT_FOUND, "it is a link to something that is not in the context");
}

int cb_selection_find(
	struct cb_build *build, const struct cb_vertex *select, struct cb_selection *s, struct cb_err **err)
{
	const struct cb_op_select *op = select->op;
	const struct cb_vertex *source = cb_vertex_input(select, CB_INPUT_SOURCE);
	struct cb_match_spec spec = { .match = cb_pattern_match, .parents = op->parents, .literal = op->literal };
	int r = cb_build_source_tree(build, source, &s->tree, err);

	if (r < 0)
		return r;
	if (op->excludes.n) {
		cleanup_strv struct cb_strv patterns = { 0 };

		for (size_t i = 0; i < op->excludes.n; i++)
			cb_strv_add(&patterns, op->excludes.v[i]);
		r = cb_ignore_new(&patterns, &s->ignore, err);
		if (r < 0 && err && *err)
			(*err)->line = 0; /* it counts patterns */
		if (r < 0)
			return cb_err_wrap(err, r, "--exclude");
		s->filter = (struct cb_path_filter){ excluded, s->ignore };
	}
	spec.tree = s->tree;
	for (size_t i = 0; i < op->sources.n; i++) {
		const struct cb_text *at = op->places && !select->file ? &op->places[i] : NULL;

		r = cb_sources_add(&s->sources, &spec, op->sources.v[i], err);
		if (r == CB_ERR_NOT_FOUND)
			explain_missing(source, s->tree, op->sources.v[i], err);
		if (r < 0)
			return at ? cb_err_locate(err, r, at->line, at->col, at->line) : r;
	}
	return 0;
}

/* A downloaded file is known by name and time too, which the digests of contents leave out. */
static void remote_identity(const struct cb_vertex *source, struct cb_digest *digest)
{
	const struct cb_context *context = cb_selection_context(source);
	cleanup_free char *text = NULL;

	if (!context || context->remote != CB_REMOTE_URL || !context->is_file)
		return;
	text = cb_xasprintf("%s\n%s\n%lld", digest->text, context->file_name, (long long)context->mtime.tv_sec);
	cb_digest_of(text, strlen(text), digest);
}

/*
 * The files of a stage never change in place, but its snapshots come and go: what this very selection read is
 * remembered by inode until its next run, so that only new files are read. NULL without a store's help.
 */
static struct cb_stat_index *open_stage_index(struct cb_build *build, const struct cb_vertex *select)
{
	const struct cb_vertex *source = cb_vertex_input(select, CB_INPUT_SOURCE);
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *project = NULL, *scope = NULL;
	struct cb_stat_index *index = NULL;

	if (!source || source->kind == CB_VERTEX_CONTEXT)
		return NULL;
	project = cb_inputs_project(build->settings->context);
	scope = cb_xasprintf("stage %s %s %s", project, source->stage ? source->stage : "", select->operands.text);
	if (cb_stat_index_open(build->store, scope, &index, &err) < 0)
		cb_log_debug("%s", cb_err_msg(err));
	return index;
}

static int digest(struct cb_build *build, const struct cb_vertex *select, struct cb_content_files *files,
	struct cb_content_result *ret, struct cb_err **err)
{
	__attribute__((cleanup(cb_selection_done))) struct cb_selection s = { 0 };
	CB_CLEANUP(cb_stat_index_free) struct cb_stat_index *stats = open_stage_index(build, select);
	struct cb_hash_index own = cb_context_stat_index(stats);
	struct cb_content_spec spec = {
		.index = stats ? &own : cb_selection_index(cb_vertex_input(select, CB_INPUT_SOURCE)),
		.pool = build->scheduler.pools[CB_LANE_CPU],
		.cancel = build->scheduler.cancel,
		.files = files,
	};
	int r = cb_selection_find(build, select, &s, err);

	if (r < 0)
		return r;
	spec.tree = s.tree;
	spec.sources = &s.sources;
	spec.exclude = s.ignore ? &s.filter : NULL;
	r = cb_content_digest(&spec, ret, err);
	if (r == 0 && stats && cb_stat_index_flush(stats, true, NULL) < 0)
		cb_log_debug("the digests of a stage's files are not kept");
	return r;
}

int cb_step_select(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	struct cb_content_result content;
	struct cb_step_result *result;
	int r = digest(build, vertex, NULL, &content, err);

	if (r < 0)
		return r;
	result = cb_new0(struct cb_step_result);
	cb_digest_from_bytes(content.digest, &result->content);
	remote_identity(cb_vertex_input(vertex, CB_INPUT_SOURCE), &result->content);
	vertex->result = result;
	return 0;
}

int cb_step_list_files(
	struct cb_build *build, const struct cb_vertex *select, struct cb_content_files *files, struct cb_err **err)
{
	struct cb_content_result content;

	return digest(build, select, files, &content, err);
}
