/*
 * Selections: the files of a context or a stage that a SELECT vertex stands for.
 */
#ifndef CB_BUILDER_STEP_SELECT_H
#define CB_BUILDER_STEP_SELECT_H

#include "builder/build.h"
#include "layers/contenthash.h"
#include "layers/match.h"

struct cb_selection {
	struct cb_tree *tree;
	struct cb_sources sources;
	struct cb_ignore *ignore; /* of --exclude, or NULL */
	struct cb_path_filter filter;
};

/** The files that the vertex @select stands for; @s is zeroed before and ended by cb_selection_done. */
int cb_selection_find(
	struct cb_build *build, const struct cb_vertex *select, struct cb_selection *s, struct cb_err **err);
void cb_selection_done(struct cb_selection *s);
/** The context that the vertex @source (may be NULL) is, or NULL. */
const struct cb_context *cb_selection_context(const struct cb_vertex *source);
/** Its index of known files, or NULL. */
const struct cb_hash_index *cb_selection_index(const struct cb_vertex *source);

#endif
