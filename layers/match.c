#include "layers/match.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/path.h"
#include "layers/glob.h"

void cb_sources_done(struct cb_sources *sources)
{
	for (size_t i = 0; i < sources->n; i++) {
		free(sources->v[i].path);
		free(sources->v[i].name);
		free(sources->v[i].shown);
	}
	free(sources->v);
	for (size_t i = 0; i < sources->n_globs; i++)
		cb_glob_free(sources->globs[i]);
	free(sources->globs);
	*sources = (struct cb_sources){ 0 };
}

/* Takes @path. @shown is absolute. */
static void add_source(struct cb_sources *sources, char *path, const char *shown, bool is_dir, bool wild)
{
	CB_GROW(sources->v, sources->cap, sources->n + 1);
	sources->v[sources->n++] = (struct cb_copy_source){
		.path = path,
		.name = cb_xstrdup(strrchr(shown, '/') + 1),
		.shown = cb_xstrdup(shown),
		.is_dir = is_dir,
		.wild = wild,
	};
}

static int not_found(struct cb_err **err, const char *shown)
{
	return cb_err_set(err, CB_ERR_NOT_FOUND, "\"%s\": not found", shown);
}

/* Resolves @shown through symlinks and adds it; 1 when it is not there. */
static int add_path(struct cb_sources *sources, struct cb_tree *tree, const char *shown, bool wild, struct cb_err **err)
{
	cleanup_free char *path = NULL;
	struct stat st;
	int r = cb_tree_resolve(tree, shown, CB_TREE_FOLLOW, &path, err);

	if (r == 0)
		r = cb_tree_stat(tree, path, &st, err);
	if (r == 0)
		add_source(sources, CB_TAKE_PTR(path), shown, S_ISDIR(st.st_mode), wild);
	return r;
}

/* "\x" is x; a copy. */
static char *unescape(const char *text)
{
	char *out = cb_xstrdup(text), *to = out;

	for (; *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		*to++ = *text;
	}
	*to = '\0';
	return out;
}

static int add_literal(
	struct cb_sources *sources, struct cb_tree *tree, const char *shown, bool plain_text, struct cb_err **err)
{
	int r = add_path(sources, tree, shown, false, err);

	/* File names may hold a backslash, so the text as it stands comes first. */
	if (r == 1 && !plain_text && strchr(shown, '\\')) {
		cleanup_free char *bare = unescape(shown);

		r = add_path(sources, tree, bare, false, err);
	}
	return r == 1 ? not_found(err, shown) : r;
}

/* --- Wildcards -----------------------------------------------------------------------------------------------------
 */

struct finder {
	struct cb_tree *tree;
	const struct cb_glob *glob;
	struct cb_strv found; /* as matched, absolute */
};

static int find_below(struct finder *f, struct cb_tree_dir *dir, const char *shown, const struct cb_glob_states *states,
	size_t depth, struct cb_err **err);

static int find_entry(struct finder *f, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, const char *shown,
	const struct cb_glob_states *states, size_t depth, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *child = NULL;
	cleanup_free char *path = NULL;
	struct cb_glob_states next;
	int r;

	cb_glob_step(f->glob, states, ent->name, &next);
	path = cb_xasprintf("%s/%s", shown, ent->name);
	if (cb_glob_accepts(f->glob, &next))
		cb_strv_add(&f->found, path);
	if (ent->type != DT_DIR || !cb_glob_alive(f->glob, &next))
		return 0;
	if (depth >= CB_TREE_DEPTH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "more than %d directories below each other", CB_TREE_DEPTH_MAX);
	r = cb_tree_at_dir(dir, ent, &child, err);
	return r == 0 ? find_below(f, child, path, &next, depth + 1, err) : CB_MIN(r, 0);
}

/* Goes no deeper than the pattern, or CB_TREE_DEPTH_MAX. */
static int find_below(struct finder *f, struct cb_tree_dir *dir, const char *shown, const struct cb_glob_states *states,
	size_t depth, struct cb_err **err)
{
	cleanup_tree_list struct cb_tree_list list = { 0 };
	int r = cb_tree_dir_list(dir, &list, err);

	for (size_t i = 0; r == 0 && i < list.n; i++)
		r = find_entry(f, dir, &list.ents[i], shown, states, depth, err);
	return r;
}

/* The part of @clean ("/a/b/c*") before the first component with a wildcard: "/a/b"; *rest is "c*". */
static char *literal_prefix(const char *clean, const char **rest)
{
	const char *at = clean;

	for (;;) {
		const char *end = at + 1 + strcspn(at + 1, "/");
		cleanup_free char *comp = cb_xstrndup(at + 1, (size_t)(end - at - 1));

		if (!*comp || cb_glob_is_wild(comp) || strchr(comp, '\\'))
			break;
		at = end;
		if (!*at)
			break;
	}
	*rest = *at ? at + 1 : at;
	return cb_xstrndup(clean, (size_t)(at - clean));
}

/* Everything that the pattern @clean matches, as matched, in the order of a sorted walk. */
static int find_matches(
	struct cb_tree *tree, cb_match_fn match, const char *clean, struct cb_strv *found, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	CB_CLEANUP(cb_glob_free) struct cb_glob *glob = NULL;
	cleanup_free char *prefix = NULL, *real = NULL;
	struct finder f = { .tree = tree };
	struct cb_glob_states states;
	const char *rest;
	int r;

	prefix = literal_prefix(clean, &rest);
	r = cb_glob_new(rest, match, &glob, err);
	if (r < 0)
		return r;
	r = cb_tree_resolve(tree, prefix, CB_TREE_FOLLOW, &real, err);
	if (r == 0)
		r = cb_tree_dir_open(tree, real, &dir, err);
	if (r != 0)
		return CB_MIN(r, 0);
	f.glob = glob;
	cb_glob_start(glob, &states);
	r = find_below(&f, dir, prefix, &states, 0, err);
	if (r == 0) {
		cb_strv_done(found);
		*found = f.found;
	} else {
		cb_strv_done(&f.found);
	}
	return r;
}

static int add_wild(
	struct cb_sources *sources, const struct cb_match_spec *spec, const char *clean, struct cb_err **err)
{
	cleanup_strv struct cb_strv found = { 0 };
	int r = find_matches(spec->tree, spec->match, clean, &found, err);

	for (size_t i = 0; r == 0 && i < found.n; i++) {
		r = add_path(sources, spec->tree, found.v[i], true, err);
		if (r == 1)
			r = not_found(err, found.v[i]);
	}
	return r;
}

/* --- --parents -----------------------------------------------------------------------------------------------------
 */

/* One directory from which the pattern @below is copied with its path. 1 when @base is no directory. */
static int add_base(struct cb_sources *sources, const struct cb_match_spec *spec, const char *base, const char *below,
	struct cb_err **err)
{
	CB_CLEANUP(cb_glob_free) struct cb_glob *glob = NULL;
	struct cb_copy_source *source;
	int r;

	r = add_path(sources, spec->tree, base, cb_glob_is_wild(base), err);
	if (r != 0)
		return r;
	source = &sources->v[sources->n - 1];
	if (!source->is_dir)
		return 1;
	if (!below[1])
		return 0;
	r = cb_glob_new(below, spec->match, &glob, err);
	if (r < 0)
		return r;
	CB_GROW(sources->globs, sources->cap_globs, sources->n_globs + 1);
	source->include = sources->globs[sources->n_globs++] = CB_TAKE_PTR(glob);
	if (cb_glob_is_wild(below))
		return 0;
	/* A path that was written out must be there, as it stands: links inside are not followed. */
	cleanup_free char *full = cb_path_join(source->path, below);
	struct stat st;

	return cb_tree_stat(spec->tree, full, &st, err);
}

static int add_parents(
	struct cb_sources *sources, const struct cb_match_spec *spec, const char *text, struct cb_err **err)
{
	const char *pivot = strstr(text, "/./");
	cleanup_free char *before = pivot ? cb_xstrndup(text, (size_t)(pivot - text)) : cb_xstrdup("/");
	cleanup_free char *base = cb_path_abs(before);
	cleanup_free char *below = cb_path_abs(pivot ? pivot + 3 : text);
	cleanup_free char *shown = cb_path_join(base, below);
	cleanup_strv struct cb_strv bases = { 0 };
	int r = 0;

	if (cb_glob_is_wild(base))
		r = find_matches(spec->tree, spec->match, base, &bases, err);
	else
		cb_strv_add(&bases, base);
	for (size_t i = 0; r == 0 && i < bases.n; i++) {
		size_t n = sources->n;

		r = add_base(sources, spec, bases.v[i], below, err);
		if (r == 1 && !cb_glob_is_wild(shown))
			return not_found(err, shown);
		if (r == 1) { /* a wildcard that this directory does not have */
			r = 0;
			while (sources->n > n) {
				struct cb_copy_source *s = &sources->v[--sources->n];

				free(s->path);
				free(s->name);
				free(s->shown);
			}
		}
	}
	return r;
}

int cb_sources_add(struct cb_sources *sources, const struct cb_match_spec *spec, const char *text, struct cb_err **err)
{
	cleanup_free char *clean = NULL;

	if (spec->parents)
		return add_parents(sources, spec, text, err);
	clean = cb_path_abs(text);
	if (!spec->literal && cb_glob_is_wild(clean))
		return add_wild(sources, spec, clean, err);
	return add_literal(sources, spec->tree, clean, spec->literal, err);
}
