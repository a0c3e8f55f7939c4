#include "layers/visit.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/crew.h"

#define BATCH 128

struct visit {
	const struct cb_visit_spec *spec;
	struct cb_crew *crew;
};

/* A directory to open (@to == 0), or entries [from, to) to handle; both of @node, which it holds. */
struct item {
	struct cb_visit_node *node;
	size_t from, to;
};

char *cb_visit_path(const struct cb_visit_node *node, size_t i)
{
	const char *name = node->list.ents[i].name;

	return *node->rel ? cb_xasprintf("%s/%s", node->rel, name) : cb_xstrdup(name);
}

/* Ends one of the things that a node waits for; the last one leaves it, and then counts for its parent. */
static int release(struct visit *v, struct cb_visit_node *node, bool aborted, struct cb_err **err)
{
	int r = 0;

	while (node) {
		struct cb_visit_node *parent = node->parent;

		if (aborted)
			node->aborted = true;
		if (atomic_fetch_sub(&node->pending, 1) > 1)
			return r;
		aborted = node->aborted;
		if (!aborted) {
			r = v->spec->ops->leave(v->spec->userdata, node, err);
			aborted = r < 0;
		}
		v->spec->ops->drop(v->spec->userdata, node);
		cb_tree_dir_free(node->dir);
		cb_tree_list_done(&node->list);
		free(node->path);
		free(node->rel);
		free(node);
		node = parent;
	}
	return r;
}

/* Ends what held @node, with the outcome of it. */
static int finish(struct visit *v, struct cb_visit_node *node, int r, struct cb_err **err)
{
	if (r == 0)
		return release(v, node, false, err);
	release(v, node, true, NULL);
	return r;
}

static void add_item(struct visit *v, struct cb_visit_node *node, size_t from, size_t to)
{
	struct item *item = cb_new0(struct item);

	*item = (struct item){ node, from, to };
	node->pending++;
	cb_crew_add(v->crew, item);
}

static enum cb_path_verdict judge(const struct cb_visit_spec *spec, const char *path, bool is_dir, bool included)
{
	enum cb_path_verdict in = CB_PATH_TAKE, ex = CB_PATH_TAKE;

	if (spec->include && !included)
		in = cb_glob_test(spec->include, path);
	if (in != CB_PATH_DROP && spec->exclude)
		ex = spec->exclude->verdict(spec->exclude->userdata, path, is_dir);
	if (in == CB_PATH_DROP || ex == CB_PATH_DROP)
		return CB_PATH_DROP;
	return in == CB_PATH_PEEK || ex == CB_PATH_PEEK ? CB_PATH_PEEK : CB_PATH_TAKE;
}

/* Takes out of a list what is not wanted. */
static void choose(const struct cb_visit_spec *spec, struct cb_visit_node *node)
{
	struct cb_buf path = { 0 };
	size_t kept = 0, prefix;

	if (!spec->exclude && (!spec->include || node->included))
		return;
	if (*node->rel)
		cb_buf_addf(&path, "%s/", node->rel);
	prefix = path.len;
	for (size_t i = 0; i < node->list.n; i++) {
		struct cb_tree_ent *ent = &node->list.ents[i];
		enum cb_path_verdict verdict;

		path.len = prefix;
		cb_buf_adds(&path, ent->name);
		verdict = judge(spec, path.data, ent->type == DT_DIR, node->included);
		if (verdict == CB_PATH_TAKE || (verdict == CB_PATH_PEEK && ent->type == DT_DIR))
			node->list.ents[kept++] = *ent;
	}
	node->list.n = kept;
	cb_buf_done(&path);
}

/* Hands out what is in @node: the whole of a deep one at once, as its descriptors go afterwards. */
static int distribute(struct visit *v, struct cb_visit_node *node, struct cb_err **err)
{
	const struct cb_visit_ops *ops = v->spec->ops;
	bool deep = node->depth >= CB_VISIT_DEEP;
	size_t start = 0, n_files = 0;
	int r = 0;

	/* Newest first, so the directory that comes first is added last. */
	for (size_t i = node->list.n; i-- > 0;) {
		if (node->list.ents[i].type == DT_DIR)
			add_item(v, node, i, 0);
	}
	for (size_t i = 0; r == 0 && i < node->list.n; i++) {
		if (node->list.ents[i].type == DT_DIR)
			continue;
		if (n_files == 0)
			start = i;
		if (deep)
			r = ops->entry(v->spec->userdata, node, i, err);
		else if (++n_files == BATCH) {
			add_item(v, node, start, i + 1);
			n_files = 0;
		}
	}
	for (size_t i = start; r == 0 && n_files > 0 && i < node->list.n; i++) {
		if (node->list.ents[i].type != DT_DIR)
			r = ops->entry(v->spec->userdata, node, i, err);
	}
	return r;
}

/* Lists and visits a new node, which it owns. */
static int visit_dir(struct visit *v, struct cb_visit_node *node, struct cb_err **err)
{
	const struct cb_visit_ops *ops = v->spec->ops;
	int r = cb_tree_dir_stat(node->dir, &node->st, err);

	if (r == 0)
		r = cb_tree_dir_list(node->dir, &node->list, err);
	if (r == 0) {
		choose(v->spec, node);
		r = ops->enter(v->spec->userdata, node, err);
	}
	if (r == 0)
		r = distribute(v, node, err);
	if (r == 0 && node->depth >= CB_VISIT_DEEP) {
		/* Children may be at work already, but those of a deep one open themselves by path. */
		if (ops->park)
			ops->park(v->spec->userdata, node);
		node->dir = cb_tree_dir_free(node->dir);
	}
	return finish(v, node, r, err);
}

static struct cb_visit_node *node_new(struct cb_visit_node *parent, size_t at, struct cb_tree_dir *dir)
{
	struct cb_visit_node *node = cb_new0(struct cb_visit_node);

	node->parent = parent;
	node->at = at;
	node->depth = parent ? parent->depth + 1 : 0;
	node->dir = dir;
	node->path = cb_xstrdup(cb_tree_dir_path(dir));
	node->rel = parent ? cb_visit_path(parent, at) : cb_xstrdup("");
	node->verdict = CB_PATH_TAKE;
	node->pending = 1;
	return node;
}

/* 1 when it has vanished. */
static int open_child(
	struct visit *v, struct cb_visit_node *parent, size_t at, struct cb_tree_dir **ret, struct cb_err **err)
{
	if (parent->depth < CB_VISIT_DEEP)
		return cb_tree_at_dir(parent->dir, &parent->list.ents[at], ret, err);
	cleanup_free char *path = cb_xasprintf("%s/%s", parent->path, parent->list.ents[at].name);

	return cb_tree_dir_open(v->spec->tree, path, ret, err);
}

static int do_dir(struct visit *v, struct cb_visit_node *parent, size_t at, struct cb_err **err)
{
	const struct cb_visit_spec *spec = v->spec;
	struct cb_tree_dir *dir = NULL;
	struct cb_visit_node *node;
	int r;

	if (parent->depth + 1 >= CB_TREE_DEPTH_MAX)
		r = cb_err_set(err, CB_ERR_LIMIT, "more than %d directories below each other", CB_TREE_DEPTH_MAX);
	else
		r = open_child(v, parent, at, &dir, err);
	if (r != 0) {
		if (r > 0)
			r = cb_err_set(err, CB_ERR_IO, "/%s/%s vanished while it was read", parent->path,
				parent->list.ents[at].name);
		release(v, parent, true, NULL);
		return r;
	}
	node = node_new(parent, at, dir); /* takes over what the item held of the parent */
	node->included = parent->included;
	if (spec->include && !node->included)
		node->included = cb_glob_test(spec->include, node->rel) == CB_PATH_TAKE;
	node->verdict = judge(spec, node->rel, true, node->included);
	return visit_dir(v, node, err);
}

static int do_batch(struct visit *v, struct cb_visit_node *node, size_t from, size_t to, struct cb_err **err)
{
	int r = 0;

	for (size_t i = from; r == 0 && i < to; i++) {
		if (node->list.ents[i].type != DT_DIR)
			r = v->spec->ops->entry(v->spec->userdata, node, i, err);
	}
	return finish(v, node, r, err);
}

static int work(void *userdata, void *p, struct cb_err **err)
{
	struct visit *v = userdata;
	struct item item = *(struct item *)p;

	free(p);
	return item.to ? do_batch(v, item.node, item.from, item.to, err) : do_dir(v, item.node, item.from, err);
}

static void drop(void *userdata, void *p)
{
	struct item *item = p;

	release(userdata, item->node, true, NULL);
	free(item);
}

int cb_visit(const struct cb_visit_spec *spec, const char *path, struct cb_err **err)
{
	static const struct cb_crew_ops crew_ops = { work, drop };
	CB_CLEANUP(cb_crew_free) struct cb_crew *crew = NULL;
	struct visit v = { .spec = spec };
	struct cb_tree_dir *dir = NULL;
	struct cb_visit_node *top;
	int r = cb_tree_dir_open(spec->tree, path, &dir, err);

	if (r != 0)
		return r < 0 ? r : cb_err_set(err, CB_ERR_IO, "/%s vanished while it was read", path);
	v.crew = crew = cb_crew_new(spec->pool, cb_cpu_count() - 1, &crew_ops, &v);
	top = node_new(NULL, 0, dir);
	if (spec->include && cb_glob_test(spec->include, "") == CB_PATH_TAKE)
		top->included = true;
	r = visit_dir(&v, top, err);
	if (r < 0)
		return r;
	return cb_crew_run(crew, spec->cancel, err);
}
