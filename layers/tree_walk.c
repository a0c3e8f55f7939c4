#include <string.h>

#include "layers/tree.h"
#include "layers/tree_dir.h"

/** Directories of the way down that stay open; deeper ones are opened again on the way back. */
#define WALK_OPEN_MAX 32

struct frame {
	struct cb_tree_dir *dir; /* NULL while parked */
	char *path;
	struct cb_tree_list list;
	size_t next;
};

struct walk {
	struct cb_tree *tree;
	struct frame *v;
	size_t n, cap;
};

static void frame_done(struct frame *f)
{
	cb_tree_dir_free(f->dir);
	free(f->path);
	cb_tree_list_done(&f->list);
}

static int push(struct walk *w, struct cb_tree_dir *dir, struct cb_err **err)
{
	struct frame f = { .dir = dir, .path = cb_xstrdup(cb_tree_dir_path(dir)) };
	int r;

	if (w->n >= CB_TREE_DEPTH_MAX) {
		r = cb_err_set(err, CB_ERR_LIMIT, "more than %d directories below each other", CB_TREE_DEPTH_MAX);
		frame_done(&f);
		return r;
	}
	r = cb_tree_dir_list(dir, &f.list, err);
	if (r < 0) {
		frame_done(&f);
		return r;
	}
	CB_GROW(w->v, w->cap, w->n + 1);
	w->v[w->n++] = f;
	if (w->n > WALK_OPEN_MAX) {
		struct frame *park = &w->v[w->n - 1 - WALK_OPEN_MAX];

		park->dir = cb_tree_dir_free(park->dir);
	}
	return 0;
}

static int one(struct walk *w, cb_tree_walk_fn fn, void *userdata, struct cb_err **err)
{
	struct frame *f = &w->v[w->n - 1];
	const struct cb_tree_ent *ent;
	cleanup_free char *path = NULL;
	struct cb_tree_dir *child = NULL;
	int r;

	if (f->next == f->list.n) {
		frame_done(f);
		w->n--;
		return 0;
	}
	if (!f->dir) {
		r = cb_tree_dir_open(w->tree, f->path, &f->dir, err);
		if (r != 0)
			return r < 0 ? r : cb_err_set(err, CB_ERR_IO, "/%s vanished while it was read", f->path);
	}
	ent = &f->list.ents[f->next++];
	path = *f->path ? cb_xasprintf("%s/%s", f->path, ent->name) : cb_xstrdup(ent->name);
	r = fn(userdata, path, f->dir, ent, err);
	if (r < 0)
		return r;
	if (r > 0 || ent->type != DT_DIR)
		return 0;
	r = cb_tree_at_dir(f->dir, ent, &child, err);
	return r == 0 ? push(w, child, err) : CB_MIN(r, 0);
}

int cb_tree_walk(struct cb_tree *tree, const char *path, cb_tree_walk_fn fn, void *userdata, struct cb_err **err)
{
	struct walk w = { .tree = tree };
	struct cb_tree_dir *dir = NULL;
	int r = cb_tree_dir_open(tree, path, &dir, err);

	if (r != 0)
		return r;
	r = push(&w, dir, err);
	while (r == 0 && w.n > 0)
		r = one(&w, fn, userdata, err);
	while (w.n > 0)
		frame_done(&w.v[--w.n]);
	free(w.v);
	return r;
}
