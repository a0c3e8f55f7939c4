/* Files: which are selected, COPY, ADD and WORKDIR. */
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "builder/build.h"
#include "builder/context.h"
#include "builder/step_add.h"
#include "layers/chmod.h"
#include "layers/chown.h"
#include "layers/contenthash.h"
#include "layers/copytree.h"
#include "layers/dest.h"
#include "layers/match.h"
#include "parser/dockerignore.h"
#include "parser/pattern.h"

static struct cb_vertex *input_of(const struct cb_vertex *vertex, enum cb_input_role role)
{
	for (size_t i = 0; i < vertex->n_inputs; i++)
		if (vertex->inputs[i].role == role)
			return vertex->inputs[i].vertex;
	return NULL;
}

static const struct cb_context *context_of(const struct cb_vertex *source)
{
	if (!source || source->kind != CB_VERTEX_CONTEXT)
		return NULL;
	return ((const struct cb_op_context *)source->op)->context;
}

static const struct cb_hash_index *index_of(const struct cb_vertex *source)
{
	return context_of(source) ? &context_of(source)->index : NULL;
}

/* ---- selection ------------------------------------------------------------------------------------------------ */

static enum cb_path_verdict excluded(void *userdata, const char *path, bool is_dir)
{
	switch (cb_ignore_match(userdata, path, is_dir)) {
	case CB_IGNORE_KEEP:
		return CB_PATH_TAKE;
	case CB_IGNORE_DROP:
		return is_dir ? CB_PATH_PEEK : CB_PATH_DROP;
	case CB_IGNORE_PRUNE:
		break;
	}
	return CB_PATH_DROP;
}

struct selection {
	struct cb_tree *tree;
	struct cb_sources sources;
	struct cb_ignore *ignore;
	struct cb_path_filter filter;
};

static void selection_done(struct selection *s)
{
	cb_tree_free(s->tree);
	cb_sources_done(&s->sources);
	cb_ignore_free(s->ignore);
}

/* Says where a source was looked for, and why it may not be there although it is. */
static void explain_missing(const struct cb_vertex *source, struct cb_tree *tree, const char *path, struct cb_err **err)
{
	const struct cb_context *context = context_of(source);
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

/* The files that the vertex @select stands for. */
static int select_files(
	struct cb_build *build, const struct cb_vertex *select, struct selection *s, struct cb_err **err)
{
	const struct cb_op_select *op = select->op;
	const struct cb_vertex *source = input_of(select, CB_INPUT_SOURCE);
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
	const struct cb_context *context = context_of(source);
	cleanup_free char *text = NULL;

	if (!context || context->remote != CB_REMOTE_URL || !context->is_file)
		return;
	text = cb_xasprintf("%s\n%s\n%lld", digest->text, context->file_name, (long long)context->mtime.tv_sec);
	cb_digest_of(text, strlen(text), digest);
}

int cb_step_select(struct cb_build *build, struct cb_vertex *vertex, struct cb_err **err)
{
	__attribute__((cleanup(selection_done))) struct selection s = { 0 };
	struct cb_content_result content;
	struct cb_content_spec spec = { .index = index_of(input_of(vertex, CB_INPUT_SOURCE)),
		.pool = build->scheduler.pools[CB_LANE_CPU],
		.cancel = build->scheduler.cancel };
	struct cb_step_result *result;
	int r = select_files(build, vertex, &s, err);

	if (r < 0)
		return r;
	spec.tree = s.tree;
	spec.sources = &s.sources;
	spec.exclude = s.ignore ? &s.filter : NULL;
	r = cb_content_digest(&spec, &content, err);
	if (r < 0)
		return r;
	result = cb_new0(struct cb_step_result);
	cb_digest_from_bytes(content.digest, &result->content);
	remote_identity(input_of(vertex, CB_INPUT_SOURCE), &result->content);
	vertex->result = result;
	return 0;
}

/* ---- COPY ----------------------------------------------------------------------------------------------------- */

static int parents_tree(
	struct cb_build *build, const struct cb_vertex *vertex, struct cb_tree **ret, struct cb_err **err)
{
	const struct cb_vertex *parent = cb_vertex_parent(vertex);

	*ret = NULL;
	return parent ? cb_build_source_tree(build, parent, ret, err) : 0;
}

/* The owner that @text names, or 0:0 where nobody else can own a file, which is told once. */
static int find_owner(struct cb_build *build, const struct cb_vertex *vertex, const char *text, struct cb_tree *tree,
	struct cb_owner *ret, struct cb_err **err)
{
	int r = cb_chown_lookup(text, tree, ret, err);

	if (r < 0 || (!ret->uid && !ret->gid) || !cb_chown_one_id())
		return r;
	if (!atomic_exchange(&build->owners_lost, true)) {
		cleanup_free char *note = cb_xasprintf(
			"there is one user id only: files for %u:%u get 0:0; add ranges to /etc/subuid and /etc/subgid",
			ret->uid, ret->gid);

		cb_build_note(build, vertex, note);
	}
	*ret = (struct cb_owner){ 0, 0 };
	return 0;
}

static int set_modes(struct cb_build *build, const struct cb_vertex *vertex, struct cb_tree *parents,
	struct cb_owner *owner, struct cb_chmod *chmod, struct cb_copy_spec *spec, struct cb_err **err)
{
	const struct cb_op_copy *op = vertex->op;
	int r = 0;

	if (op->chown) {
		r = find_owner(build, vertex, op->chown, parents, owner, err);
		spec->chown = owner;
	}
	if (r == 0 && op->chmod) {
		r = cb_chmod_parse(op->chmod, chmod, err);
		spec->chmod = chmod;
	}
	return r;
}

/* Archives are unpacked from local sources unless ADD says no, from downloads when it says yes, never from git. */
static bool unpacks(const struct cb_op_copy *op, const struct cb_vertex *source)
{
	const struct cb_context *context = context_of(source);

	if (!op->add || op->keep_archives)
		return false;
	/* Of what ADD fetches only the name is given; a context that was fetched is a directory like others. */
	if (!context || context->remote == CB_REMOTE_NONE || context->unpack)
		return true;
	return context->remote == CB_REMOTE_URL && op->unpack;
}

/* Copies what one SELECT chose, or only here-documents without one. */
static int copy_selected(struct cb_build *build, const struct cb_op_copy *op, const struct cb_vertex *select,
	const struct cb_copy_spec *common, struct cb_err **err)
{
	__attribute__((cleanup(selection_done))) struct selection s = { 0 };
	const struct cb_vertex *source = select ? input_of(select, CB_INPUT_SOURCE) : NULL;
	struct cb_copy_spec spec = *common;

	spec.index = index_of(source);
	if (select) {
		int r = select_files(build, select, &s, err);

		if (r < 0)
			return r;
		spec.src = s.tree;
		spec.sources = &s.sources;
		spec.exclude = s.ignore ? &s.filter : NULL;
	}
	return unpacks(op, source) ? cb_step_add(&spec, err) : cb_copy_run(&spec, err);
}

int cb_step_copy(struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot, struct cb_err **err)
{
	__attribute__((cleanup(cb_chmod_done))) struct cb_chmod chmod = { 0 };
	CB_CLEANUP(cb_tree_free) struct cb_tree *parents = NULL;
	const struct cb_op_copy *op = vertex->op;
	cleanup_free struct cb_copy_file *files = cb_xcalloc(op->n_files + 1, sizeof(*files));
	cleanup_free const struct cb_vertex **selects = cb_xcalloc(vertex->n_inputs + 1, sizeof(*selects));
	struct cb_owner owner;
	struct cb_copy_spec spec = {
		.dest = op->dest,
		.workdir = op->workdir,
		.upper = cb_snapshot_fs(snapshot),
		.created = cb_build_time(build),
		.pool = build->scheduler.pools[CB_LANE_CPU],
		.cancel = build->scheduler.cancel,
	};
	size_t n = 0;
	int r = parents_tree(build, vertex, &parents, err);

	spec.parents = parents;
	if (r == 0)
		r = set_modes(build, vertex, parents, &owner, &chmod, &spec, err);
	for (size_t i = 0; i < vertex->n_inputs; i++)
		if (vertex->inputs[i].role == CB_INPUT_FILES)
			selects[n++] = vertex->inputs[i].vertex;
	for (size_t i = 0; i < op->n_files; i++)
		files[i] = (struct cb_copy_file){ op->files[i].name, op->files[i].data, op->files[i].len };
	/* Here-documents come last whatever their place was. */
	for (size_t i = 0; r == 0 && i + 1 < n; i++)
		r = copy_selected(build, op, selects[i], &spec, err);
	spec.files = files;
	spec.n_files = op->n_files;
	return r == 0 ? copy_selected(build, op, n ? selects[n - 1] : NULL, &spec, err) : r;
}

int cb_step_copy_dir(
	struct cb_build *build, const struct cb_vertex *source, const char *path, int dirfd, struct cb_err **err)
{
	__attribute__((cleanup(selection_done))) struct selection s = { 0 };
	struct cb_match_spec match = { .match = cb_pattern_match, .literal = true };
	struct cb_copy_spec spec = { .dest = "/",
		.workdir = "/",
		.upper = dirfd,
		.created = cb_build_time(build),
		.index = index_of(source),
		.pool = build->scheduler.pools[CB_LANE_CPU],
		.cancel = build->scheduler.cancel };
	int r = cb_build_source_tree(build, source, &s.tree, err);

	match.tree = s.tree;
	if (r == 0)
		r = cb_sources_add(&s.sources, &match, path, err);
	if (r < 0)
		return r;
	if (s.sources.n != 1 || !s.sources.v[0].is_dir)
		return cb_err_set(err, CB_ERR_INPUT, "%s is not a directory", path);
	spec.src = s.tree;
	spec.sources = &s.sources;
	return cb_copy_run(&spec, err);
}

/* ---- WORKDIR -------------------------------------------------------------------------------------------------- */

int cb_step_workdir(struct cb_build *build, struct cb_vertex *vertex, struct cb_snapshot *snapshot, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *parents = NULL;
	CB_CLEANUP(cb_dest_free) struct cb_dest *dest = NULL;
	const struct cb_op_workdir *op = vertex->op;
	struct cb_dest_attr missing = { .mode = 0755, .time = cb_build_time(build) };
	cleanup_free char *path = NULL;
	int r = parents_tree(build, vertex, &parents, err);

	if (r == 0 && *op->user)
		r = find_owner(build, vertex, op->user, parents, &missing.owner, err);
	if (r == 0)
		r = cb_dest_new(parents, cb_snapshot_fs(snapshot), &dest, err);
	if (r == 0)
		r = cb_dest_resolve(dest, op->path, CB_TREE_FOLLOW, &path, err);
	if (r == 0 || r == 1)
		r = cb_dest_mkdirs(dest, path, &missing, NULL, err);
	return r < 0 ? r : cb_dest_finish(dest, err);
}
