/* Symlinks inside a tree: whole paths resolved as if its root were "/". */
#include <string.h>

#include "base/fd.h"
#include "layers/tree.h"
#include "layers/tree_dir.h"

/** Bytes of a path while its links are being put in place. */
#define RESOLVE_BYTES_MAX ((size_t)64 << 10)

struct walk {
	struct cb_tree *tree;
	enum cb_tree_resolve flags;
	struct cb_tree_dir *dir; /* the directory that `at` names, while nothing is missing */
	struct cb_buf at;        /* canonical */
	char *rest;              /* still to go */
	size_t missing;          /* components at the end of `at` that do not exist */
	unsigned int links;
};

static void set_dir(struct walk *w, struct cb_tree_dir *dir)
{
	cb_tree_dir_free(w->dir);
	w->dir = dir;
}

static void at_pop(struct walk *w)
{
	const char *path = cb_buf_str(&w->at);
	const char *slash = strrchr(path, '/');

	w->at.len = slash ? (size_t)(slash - path) : 0;
	if (w->at.data)
		w->at.data[w->at.len] = '\0';
}

static void at_push(struct walk *w, const char *name)
{
	if (w->at.len > 0)
		cb_buf_addc(&w->at, '/');
	cb_buf_adds(&w->at, name);
}

static int step_up(struct walk *w, struct cb_err **err)
{
	struct cb_tree_dir *dir = NULL;
	int r;

	if (w->at.len == 0)
		return 0;
	at_pop(w);
	if (w->missing > 0 && --w->missing > 0)
		return 0;
	r = cb_tree_dir_open(w->tree, cb_buf_str(&w->at), &dir, err);
	if (r < 0)
		return r;
	if (r > 0) { /* taken away by someone meanwhile, or the non-directory that we stepped over */
		w->missing = 1;
		return 0;
	}
	set_dir(w, dir);
	return 0;
}

static int follow(struct walk *w, const struct cb_tree_ent *ent, struct cb_err **err)
{
	cleanup_free char *target = NULL;
	char *rest;
	int r = cb_tree_at_readlink(w->dir, ent, &target, err);

	if (r != 0)
		return r < 0 ? r : cb_err_set(err, CB_ERR_IO, "/%s changed while it was read", cb_buf_str(&w->at));
	if (++w->links > CB_TREE_LINKS_MAX)
		return cb_err_set(err, CB_ERR_INPUT, "too many levels of symbolic links");
	if (strlen(target) + strlen(w->rest) > RESOLVE_BYTES_MAX)
		return cb_err_set(
			err, CB_ERR_LIMIT, "symbolic links make a path of more than %zu bytes", RESOLVE_BYTES_MAX);
	rest = cb_xasprintf("%s/%s", target, w->rest);
	free(w->rest);
	w->rest = rest;
	if (*target == '/') {
		cb_buf_clear(&w->at);
		set_dir(w, cb_tree_dir_ref(w->tree->root));
	}
	return 0;
}

static bool has_more(const char *rest)
{
	return rest[strspn(rest, "/")] != '\0';
}

static int step_down(struct walk *w, const char *name, struct cb_err **err)
{
	struct cb_tree_dir *child = NULL;
	struct cb_tree_ent ent;
	int r;

	if (w->missing > 0) {
		at_push(w, name);
		w->missing++;
		return 0;
	}
	r = cb_tree_dir_find(w->dir, name, &ent, err);
	if (r < 0)
		return r;
	if (r == 0 && ent.type == DT_LNK && (has_more(w->rest) || !(w->flags & CB_TREE_NOFOLLOW)))
		return follow(w, &ent, err);
	at_push(w, name);
	if (r == 0 && ent.type == DT_DIR)
		r = cb_tree_at_dir(w->dir, &ent, &child, err);
	else if (r == 0 && !has_more(w->rest))
		return 0;
	else
		r = 1;
	if (r < 0)
		return r;
	if (r > 0)
		w->missing = 1;
	else
		set_dir(w, child);
	return 0;
}

static int run(struct walk *w, struct cb_err **err)
{
	int r = 0;

	while (r == 0) {
		char *p = w->rest + strspn(w->rest, "/");
		size_t n = strcspn(p, "/");
		cleanup_free char *name = cb_xstrndup(p, n);

		if (n == 0)
			return w->missing > 0 ? 1 : 0;
		memmove(w->rest, p + n, strlen(p + n) + 1);
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0)
			r = step_up(w, err);
		else
			r = step_down(w, name, err);
	}
	return r;
}

int cb_tree_resolve(struct cb_tree *tree, const char *path, enum cb_tree_resolve flags, char **ret, struct cb_err **err)
{
	struct walk w = { .tree = tree, .flags = flags, .dir = cb_tree_dir_ref(tree->root) };
	int r;

	if (strlen(path) > RESOLVE_BYTES_MAX) {
		r = cb_err_set(err, CB_ERR_LIMIT, "a path of more than %zu bytes", RESOLVE_BYTES_MAX);
	} else {
		w.rest = cb_xstrdup(path);
		r = run(&w, err);
		if (r < 0)
			cb_err_wrap(err, r, "resolve %s", path);
	}
	if (r >= 0)
		*ret = cb_buf_take(&w.at);
	cb_buf_done(&w.at);
	free(w.rest);
	cb_tree_dir_free(w.dir);
	return r;
}

int cb_tree_read_file(struct cb_tree *tree, const char *path, size_t max, struct cb_buf *out, struct cb_err **err)
{
	cleanup_free char *real = NULL;
	cleanup_close int fd = -EBADF;
	struct stat st;
	int r = cb_tree_resolve(tree, path, CB_TREE_FOLLOW, &real, err);

	if (r == 0)
		r = cb_tree_stat(tree, real, &st, err);
	if (r != 0)
		return r;
	if (!S_ISREG(st.st_mode))
		return 1;
	r = cb_tree_open(tree, real, &fd, err);
	return r == 0 ? cb_fd_read_all(fd, max, path, out, err) : r;
}
