/* COPY, ADD and WORKDIR. */
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "builder/build.h"
#include "builder/context.h"
#include "builder/step_add.h"
#include "builder/step_select.h"
#include "layers/chmod.h"
#include "layers/chown.h"
#include "layers/copytree.h"
#include "layers/dest.h"
#include "layers/match.h"
#include "parser/pattern.h"

/* ---- COPY ----------------------------------------------------------------------------------------------------- */

static int parents_tree(
	struct cb_build *build, const struct cb_vertex *vertex, struct cb_tree **ret, struct cb_err **err)
{
	const struct cb_vertex *parent = cb_vertex_parent(vertex);

	*ret = NULL;
	return parent ? cb_build_source_tree(build, parent, ret, err) : 0;
}

static int set_modes(const struct cb_vertex *vertex, struct cb_tree *parents, struct cb_owner *owner,
	struct cb_chmod *chmod, struct cb_copy_spec *spec, struct cb_err **err)
{
	const struct cb_op_copy *op = vertex->op;
	int r = 0;

	if (op->chown) {
		r = cb_chown_lookup(op->chown, parents, owner, err);
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
	const struct cb_context *context = cb_selection_context(source);

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
	__attribute__((cleanup(cb_selection_done))) struct cb_selection s = { 0 };
	const struct cb_vertex *source = select ? cb_vertex_input(select, CB_INPUT_SOURCE) : NULL;
	struct cb_copy_spec spec = *common;

	spec.index = cb_selection_index(source);
	/* The top of what is not sent, or not packed, has the time of the build in BuildKit. */
	spec.untimed = source && (source->kind == CB_VERTEX_CONTEXT || source->kind == CB_VERTEX_IMAGE);
	if (select) {
		int r = cb_selection_find(build, select, &s, err);

		if (r < 0)
			return r;
		spec.src = s.tree;
		spec.sources = &s.sources;
		spec.exclude = s.ignore ? &s.filter : NULL;
	}
	return unpacks(op, source) ? cb_step_add(&spec, cb_build_flavour(build), err) : cb_copy_run(&spec, err);
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
		r = set_modes(vertex, parents, &owner, &chmod, &spec, err);
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
	__attribute__((cleanup(cb_selection_done))) struct cb_selection s = { 0 };
	struct cb_match_spec match = { .match = cb_pattern_match, .literal = true };
	struct cb_copy_spec spec = { .dest = "/",
		.workdir = "/",
		.upper = dirfd,
		.created = cb_build_time(build),
		.index = cb_selection_index(source),
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
		r = cb_chown_lookup(op->user, parents, &missing.owner, err);
	if (r == 0)
		r = cb_dest_new(parents, cb_snapshot_fs(snapshot), &dest, err);
	if (r == 0)
		r = cb_dest_resolve(dest, op->path, CB_TREE_FOLLOW, &path, err);
	if (r == 0 || r == 1)
		r = cb_dest_mkdirs(dest, path, &missing, NULL, err);
	return r < 0 ? r : cb_dest_finish(dest, err);
}
