/* What the layers of an image hold, and what grew against another image. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "builder/examine.h"

/* ---- the largest of many -------------------------------------------------------------------------------------- */

struct item {
	char *path;
	uint64_t weight;
	int64_t a, b; /* sizes */
	unsigned int layer;
};

struct largest {
	struct item *v; /* largest first */
	unsigned int n, max;
};

static void largest_done(struct largest *largest)
{
	for (unsigned int i = 0; i < largest->n; i++)
		free(largest->v[i].path);
	free(largest->v);
}

/* Equal ones stay in the order in which they came. */
static void consider(struct largest *l, const char *path, uint64_t weight, int64_t a, int64_t b, unsigned int layer)
{
	unsigned int at = l->n;

	if (!weight || !l->max || (l->n == l->max && l->v[l->n - 1].weight >= weight))
		return;
	if (!l->v)
		l->v = cb_xcalloc(l->max, sizeof(*l->v));
	if (l->n == l->max)
		free(l->v[--at].path);
	else
		l->n++;
	for (; at > 0 && l->v[at - 1].weight < weight; at--)
		l->v[at] = l->v[at - 1];
	l->v[at] = (struct item){ cb_xstrdup(path), weight, a, b, layer };
}

/* ---- directories ---------------------------------------------------------------------------------------------- */

/* Those above the entry that a walk has come to. */
struct open_dir {
	char *path;
	int64_t a, b; /* sizes of what is in it, in both images */
};

struct open_dirs {
	struct open_dir *v;
	size_t n, cap;
	struct largest *out;
	bool compare;
};

static uint64_t difference(int64_t a, int64_t b)
{
	return (uint64_t)(a > b ? a - b : b - a);
}

static void close_dir(struct open_dirs *dirs)
{
	struct open_dir *dir = &dirs->v[--dirs->n];

	/* The top is the sum of everything. */
	if (dirs->n) {
		consider(dirs->out, dir->path, dirs->compare ? difference(dir->a, dir->b) : (uint64_t)dir->a, dir->a,
			dir->b, 0);
		dir[-1].a += dir->a;
		dir[-1].b += dir->b;
	}
	free(dir->path);
}

static void open_one(struct open_dirs *dirs, const char *path, size_t len)
{
	CB_GROW(dirs->v, dirs->cap, dirs->n + 1);
	dirs->v[dirs->n++] = (struct open_dir){ .path = cb_xstrndup(path, len) };
}

/* Goes to the directory that has @path, counting what is in it. Layers need not list every directory. */
static void enter(struct open_dirs *dirs, const char *path, int64_t a, int64_t b)
{
	if (!dirs->n)
		open_one(dirs, "", 0);
	while (dirs->n > 1) {
		size_t len = strlen(dirs->v[dirs->n - 1].path);

		if (!strncmp(path, dirs->v[dirs->n - 1].path, len) && path[len] == '/')
			break;
		close_dir(dirs);
	}
	for (;;) {
		const char *from = path + strlen(dirs->v[dirs->n - 1].path) + 1;
		const char *slash = strchr(from, '/');

		if (!slash)
			break;
		open_one(dirs, path, (size_t)(slash - path));
	}
	dirs->v[dirs->n - 1].a += a;
	dirs->v[dirs->n - 1].b += b;
}

static void close_dirs(struct open_dirs *dirs)
{
	while (dirs->n)
		close_dir(dirs);
	free(dirs->v);
}

/* ---- one image ------------------------------------------------------------------------------------------------ */

struct totals {
	int64_t compressed, unpacked, bytes, files;
};

static void set(json_t *doc, const char *key, int64_t value)
{
	json_object_set_new(doc, key, json_integer((json_int_t)value));
}

static json_t *add_item(json_t *list, const struct item *item)
{
	json_t *one = json_object();

	json_object_set_new(one, "path", cb_examine_text(item->path));
	set(one, "size", item->a);
	json_array_append_new(list, one);
	return one;
}

static json_t *list_items(const struct largest *largest, bool layers)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < largest->n; i++) {
		json_t *one = add_item(list, &largest->v[i]);

		if (layers)
			set(one, "layer", largest->v[i].layer + 1);
	}
	return list;
}

static json_t *list_changes(const struct largest *largest)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < largest->n; i++) {
		const struct item *item = &largest->v[i];
		json_t *one = add_item(list, item);

		set(one, "before", item->b);
		set(one, "grew", item->a - item->b);
	}
	return list;
}

static uint64_t counted(const struct cb_filetable_entry *entry)
{
	return entry->type == '-' && !entry->repeated ? entry->size : 0;
}

static int walk_files(
	struct cb_filetable *table, unsigned int top, struct totals *totals, json_t *doc, struct cb_err **err)
{
	__attribute__((cleanup(largest_done))) struct largest files = { .max = top };
	__attribute__((cleanup(largest_done))) struct largest directories = { .max = top };
	CB_CLEANUP(cb_filetable_walk_free) struct cb_filetable_walk *walk = NULL;
	struct open_dirs dirs = { .out = &directories };
	struct cb_filetable_entry entry;
	json_t *result = json_object();
	int r = cb_filetable_walk_open(table, &walk, err);

	while (r >= 0 && (r = cb_filetable_next(walk, &entry, err)) > 0) {
		uint64_t size = counted(&entry);

		totals->bytes += (int64_t)size;
		totals->files += entry.type == '-' && !entry.repeated;
		consider(&files, entry.path, size, (int64_t)size, 0, entry.layer);
		enter(&dirs, entry.path, (int64_t)size, 0);
	}
	close_dirs(&dirs);
	set(result, "size", totals->bytes);
	set(result, "files", totals->files);
	json_object_set_new(doc, "result", result);
	json_object_set_new(doc, "largest_files", list_items(&files, true));
	json_object_set_new(doc, "largest_directories", list_items(&directories, false));
	return r;
}

static void add_waste(void *arg, const struct cb_filetable_waste *waste)
{
	json_t *one = json_object();

	json_object_set_new(one, "path", cb_examine_text(waste->path));
	set(one, "size", (int64_t)waste->bytes);
	set(one, "layer", waste->layer + 1);
	json_object_set_new(one, waste->deleted ? "deleted_in" : "overwritten_in", json_integer(waste->by + 1));
	json_array_append_new(arg, one);
}

static void add_same(void *arg, const struct cb_filetable_same *same)
{
	json_t *one = json_object(), *paths = json_array();

	set(one, "size", (int64_t)same->bytes);
	set(one, "times", (int64_t)same->times);
	for (size_t i = 0; i < same->paths->n; i++)
		json_array_append_new(paths, cb_examine_text(same->paths->v[i]));
	json_object_set_new(one, "paths", paths);
	json_array_append_new(arg, one);
}

static int add_vain(struct cb_filetable *table, unsigned int top, json_t *doc, struct cb_err **err)
{
	json_t *wasted = json_object(), *repeated = json_object(), *files = json_array(), *groups = json_array();
	uint64_t bytes = 0, n = 0, same_bytes = 0, same_n = 0;
	int r = cb_filetable_wasted(table, &bytes, &n, err);

	if (r == 0)
		r = cb_filetable_each_waste(table, top, add_waste, files, err);
	if (r == 0)
		r = cb_filetable_repeated(table, &same_bytes, &same_n, err);
	if (r == 0)
		r = cb_filetable_each_same(table, top, add_same, groups, err);
	set(wasted, "size", (int64_t)bytes);
	set(wasted, "files", (int64_t)n);
	json_object_set_new(wasted, "largest", files);
	set(repeated, "size", (int64_t)same_bytes);
	set(repeated, "groups", (int64_t)same_n);
	json_object_set_new(repeated, "largest", groups);
	json_object_set_new(doc, "wasted", wasted);
	json_object_set_new(doc, "repeated", repeated);
	return r;
}

static void add_layers(
	const struct cb_image_source *image, const struct cb_filetable_sums *sums, struct totals *totals, json_t *doc)
{
	json_t *list = json_array();

	for (size_t i = 0; i < image->n_layers; i++) {
		const char *step = cb_image_source_step(image, i);
		json_t *one = json_object();

		json_object_set_new(one, "digest", json_string(image->layers[i].desc.digest.text));
		json_object_set_new(one, "diff_id", json_string(image->layers[i].diff_id.text));
		if (step)
			json_object_set_new(one, "created_by", cb_examine_text(step));
		set(one, "compressed", (int64_t)image->layers[i].desc.size);
		set(one, "unpacked", (int64_t)sums[i].bytes);
		set(one, "files", (int64_t)sums[i].files);
		set(one, "entries", (int64_t)sums[i].entries);
		set(one, "whiteouts", (int64_t)sums[i].whiteouts);
		json_array_append_new(list, one);
		totals->compressed += (int64_t)image->layers[i].desc.size;
		totals->unpacked += (int64_t)sums[i].bytes;
	}
	json_object_set_new(doc, "layers", list);
	set(doc, "compressed", totals->compressed);
	set(doc, "unpacked", totals->unpacked);
}

/* ---- against another ------------------------------------------------------------------------------------------ */

/* The one that is earlier in the order of a walk, or both. */
static void meet(const struct cb_filetable_entry *a, const struct cb_filetable_entry *b, struct open_dirs *dirs,
	struct largest *files)
{
	int order = !a ? 1 : !b ? -1 : cb_filetable_order(a->path, b->path);
	int64_t x = order <= 0 ? (int64_t)counted(a) : 0, y = order >= 0 ? (int64_t)counted(b) : 0;
	const char *path = order <= 0 ? a->path : b->path;

	consider(files, path, difference(x, y), x, y, 0);
	enter(dirs, path, x, y);
}

static int walk_both(struct cb_filetable *first, struct cb_filetable *second, struct open_dirs *dirs,
	struct largest *files, struct cb_err **err)
{
	CB_CLEANUP(cb_filetable_walk_free) struct cb_filetable_walk *a = NULL, *b = NULL;
	struct cb_filetable_entry x, y;
	int r = cb_filetable_walk_open(first, &a, err), has_x = 0, has_y = 0;

	if (r == 0)
		r = cb_filetable_walk_open(second, &b, err);
	if (r == 0)
		r = has_x = cb_filetable_next(a, &x, err);
	if (r >= 0)
		r = has_y = cb_filetable_next(b, &y, err);
	while (r >= 0 && (has_x || has_y)) {
		int order = !has_x ? 1 : !has_y ? -1 : cb_filetable_order(x.path, y.path);

		meet(has_x ? &x : NULL, has_y ? &y : NULL, dirs, files);
		if (order <= 0)
			r = has_x = cb_filetable_next(a, &x, err);
		if (r >= 0 && order >= 0)
			r = has_y = cb_filetable_next(b, &y, err);
	}
	return CB_MIN(r, 0);
}

static int add_against(struct cb_transfer *transfer, const struct cb_image_source *image, struct cb_filetable *table,
	const struct cb_image_source *other, const struct totals *totals, unsigned int top, json_t *doc,
	struct cb_err **err)
{
	__attribute__((cleanup(largest_done))) struct largest files = { .max = top };
	__attribute__((cleanup(largest_done))) struct largest directories = { .max = top };
	CB_CLEANUP(cb_filetable_free) struct cb_filetable *second = NULL;
	struct open_dirs dirs = { .out = &directories, .compare = true };
	struct cb_filetable_sums *sums = cb_xcalloc(other->n_layers + 1, sizeof(*sums));
	json_t *against = cb_examine_image(other);
	int64_t compressed = 0, unpacked = 0, before = 0;
	size_t shared = 0;
	int r = cb_filetable_new(&second, err);

	if (r == 0)
		r = cb_image_source_files(transfer, other, second, sums, err);
	if (r == 0)
		r = walk_both(table, second, &dirs, &files, err);
	for (size_t i = 0; i < other->n_layers; i++) {
		compressed += (int64_t)other->layers[i].desc.size;
		unpacked += (int64_t)sums[i].bytes;
	}
	while (shared < CB_MIN(image->n_layers, other->n_layers) &&
		cb_digest_equal(&image->layers[shared].diff_id, &other->layers[shared].diff_id))
		shared++;
	while (dirs.n > 1)
		close_dir(&dirs);
	before = dirs.n ? dirs.v[0].b : 0;
	close_dirs(&dirs);
	set(against, "shared_layers", (int64_t)shared);
	set(against, "compressed_grew", totals->compressed - compressed);
	set(against, "unpacked_grew", totals->unpacked - unpacked);
	set(against, "result_grew", totals->bytes - before);
	json_object_set_new(against, "files", list_changes(&files));
	json_object_set_new(against, "directories", list_changes(&directories));
	json_object_set_new(doc, "against", against);
	free(sums);
	return r;
}

int cb_size_examine(struct cb_transfer *transfer, const struct cb_image_source *image,
	const struct cb_image_source *against, unsigned int top, json_t **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_filetable_free) struct cb_filetable *table = NULL;
	struct cb_filetable_sums *sums = cb_xcalloc(image->n_layers + 1, sizeof(*sums));
	json_t *doc = json_object();
	struct totals totals = { 0 };
	int r = cb_filetable_new(&table, err);

	json_object_set_new(doc, "image", cb_examine_image(image));
	if (r == 0)
		r = cb_image_source_files(transfer, image, table, sums, err);
	if (r == 0) {
		add_layers(image, sums, &totals, doc);
		r = walk_files(table, top, &totals, doc, err);
	}
	if (r == 0)
		r = add_vain(table, top, doc, err);
	if (r == 0 && against)
		r = add_against(transfer, image, table, against, &totals, top, doc, err);
	free(sums);
	if (r < 0)
		json_decref(doc);
	else
		*ret = doc;
	return r;
}
