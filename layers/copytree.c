#include "layers/copytree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "layers/copytarget.h"
#include "layers/dest.h"
#include "layers/diff.h"
#include "layers/visit.h"

/** From so many entries of one source directory on, the parents' directory is listed rather than asked. */
#define LIST_FROM 32

/* --- One directory with all that is in it --------------------------------------------------------------------------
 */

/*
 * A directory that is only on the way to something (PEEK) is made when that something comes; all others when they are
 * entered. `data` of a node is its target.
 */
static int make_target(struct cb_copier *copier, struct cb_visit_node *node, struct cb_err **err)
{
	struct cb_visit_node *parent = node->parent;
	struct cb_copy_target *target = NULL;
	int r = cb_copy_target_enter(
		copier, parent->data, parent->list.ents[node->at].name, parent->depth >= CB_VISIT_DEEP, &target, err);

	if (r == 0)
		node->data = target;
	return r;
}

/* Called with the lock held: the uppermost missing one first. */
static int make_way(struct cb_copier *copier, struct cb_visit_node *node, struct cb_err **err)
{
	size_t n = 0;
	int r = 0;

	for (struct cb_visit_node *up = node; !up->data; up = up->parent)
		n++;
	while (r == 0 && n-- > 0) {
		struct cb_visit_node *up = node;

		for (size_t i = 0; i < n; i++)
			up = up->parent;
		r = make_target(copier, up, err);
	}
	return r;
}

static int ensure_target(
	struct cb_copier *copier, struct cb_visit_node *node, struct cb_copy_target **ret, struct cb_err **err)
{
	int r = 0;

	if (node->verdict == CB_PATH_TAKE && node->data) {
		*ret = node->data;
		return 0;
	}
	pthread_mutex_lock(&copier->lazy_lock);
	if (!node->data)
		r = make_way(copier, node, err);
	*ret = node->data;
	pthread_mutex_unlock(&copier->lazy_lock);
	return r;
}

struct tree_copy {
	struct cb_copier *copier;
	struct cb_copy_target *top;
	struct timespec top_times[2]; /* of the source */
};

static int enter(void *userdata, struct cb_visit_node *node, struct cb_err **err)
{
	struct tree_copy *copy = userdata;
	struct cb_copy_target *target;

	if (!node->parent) {
		node->data = copy->top;
		copy->top_times[0] = node->st.st_atim;
		copy->top_times[1] = node->st.st_mtim;
		if (copy->copier->spec->untimed && !*node->path)
			copy->top_times[1].tv_nsec = CB_DIFF_NSEC_CHANGED;
		return 0;
	}
	return node->verdict == CB_PATH_TAKE ? ensure_target(copy->copier, node, &target, err) : 0;
}

static int entry(void *userdata, struct cb_visit_node *node, size_t i, struct cb_err **err)
{
	struct tree_copy *copy = userdata;
	struct cb_copy_target *target;
	int r = ensure_target(copy->copier, node, &target, err);

	if (r < 0)
		return r;
	return cb_copy_target_put(copy->copier, target, node->list.ents[i].name, node->dir, &node->list.ents[i],
		node->list.n >= LIST_FROM, err);
}

static void park(void *userdata, struct cb_visit_node *node)
{
	(void)userdata;
	if (node->data)
		cb_copy_target_park(node->data);
}

static int leave(void *userdata, struct cb_visit_node *node, struct cb_err **err)
{
	struct tree_copy *copy = userdata;

	struct stat st = node->st;

	/* The top keeps or has got its owner and mode; nothing came into a directory without a target. */
	if (!node->parent || !node->data)
		return 0;
	/* What is excluded and there only for something below it has the time of that, in BuildKit. */
	if (node->verdict != CB_PATH_TAKE && copy->copier->spec->exclude)
		st.st_mtim.tv_nsec = CB_DIFF_NSEC_CHANGED;
	return cb_copy_target_finish(copy->copier, node->data, &st, err);
}

static void drop(void *userdata, struct cb_visit_node *node)
{
	(void)userdata;
	if (node->parent)
		cb_copy_target_free(node->data);
}

static int copy_directory(
	struct cb_copier *copier, const struct cb_copy_source *source, struct cb_copy_target *top, struct cb_err **err)
{
	static const struct cb_visit_ops ops = { enter, entry, park, leave, drop };
	struct tree_copy copy = { .copier = copier, .top = top };
	struct cb_visit_spec spec = {
		.tree = copier->spec->src,
		.include = source->include,
		.exclude = copier->spec->exclude,
		.pool = copier->spec->pool,
		.cancel = copier->spec->cancel,
		.ops = &ops,
		.userdata = &copy,
	};
	int r;

	assert(top);
	r = cb_visit(&spec, source->path, err);
	if (r == 0)
		cb_dest_touch(copier->dest, top->path, copy.top_times);
	return r;
}

/* --- Where to ------------------------------------------------------------------------------------------------------
 */

struct place {
	char *path;                  /* of the destination as written: absolute and clean */
	bool slash;                  /* it is said to be a directory */
	struct cb_copy_target *into; /* once it is known to be a directory: that */
};

static void place_of(const struct cb_copy_spec *spec, struct place *ret)
{
	const char *dest = spec->dest;
	bool absolute = *dest == '/';
	cleanup_free char *full = cb_xasprintf("%s/%s", absolute || !spec->workdir ? "" : spec->workdir, dest);

	*ret = (struct place){
		.path = cb_path_abs(full),
		.slash = !*dest || strcmp(dest, ".") == 0 || cb_str_ends(dest, "/") || cb_str_ends(dest, "/."),
	};
}

static struct cb_dest_attr attr_of_made(const struct cb_copy_spec *spec)
{
	return (struct cb_dest_attr){
		/* As mkdir does, BuildKit leaves setuid, setgid and the sticky bit to those that are copied. */
		.mode = spec->chmod && spec->chmod->octal ? spec->chmod->mode & 0777 : 0755,
		.owner = spec->chown ? *spec->chown : (struct cb_owner){ 0, 0 },
		.time = spec->created,
	};
}

/* Makes the canonical @path and opens it as a target. */
static int open_target(struct cb_copier *copier, const char *path, struct cb_copy_target **ret, struct cb_err **err)
{
	struct cb_dest_attr made = attr_of_made(copier->spec);
	int fd = -EBADF;
	int r = cb_dest_mkdirs(copier->dest, path, &made, &fd, err);

	return r < 0 ? r : cb_copy_target_new(copier, path, fd, ret, err);
}

static char *dir_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return cb_xstrndup(path, slash ? (size_t)(slash - path) : 0);
}

/* What has to be there whatever is copied: the destination when it ends in a slash, else the directory it is in. */
static int make_ground(struct cb_copier *copier, const struct place *place, struct cb_err **err)
{
	struct cb_dest_attr made = attr_of_made(copier->spec);
	cleanup_free char *dir = place->slash ? cb_xstrdup(place->path) : dir_part(place->path);
	cleanup_free char *real = NULL;
	int r = cb_dest_resolve(copier->dest, dir, CB_TREE_FOLLOW, &real, err);

	if (r >= 0)
		r = cb_dest_mkdirs(copier->dest, real, &made, NULL, err);
	return CB_MIN(r, 0);
}

/*
 * The target directory for the next source, and the name in it (*ret_name NULL for what is copied as a directory).
 * Remembers in @place once the destination is a directory, for the sources that follow.
 */
static int find_place(struct cb_copier *copier, struct place *place, bool is_dir, const char *base,
	struct cb_copy_target **ret, char **ret_name, struct cb_err **err)
{
	cleanup_free char *real = NULL, *dir = NULL;
	struct stat st;
	int r;

	*ret_name = is_dir ? NULL : cb_xstrdup(base);
	if (place->into) {
		*ret = place->into;
		return 0;
	}
	r = make_ground(copier, place, err);
	if (r == 0)
		r = cb_dest_resolve(copier->dest, place->path, CB_TREE_FOLLOW, &real, err);
	if (r == 0)
		r = cb_dest_stat(copier->dest, real, &st, err);
	if (r < 0)
		return r;
	if (is_dir && r == 0 && !S_ISDIR(st.st_mode))
		return cb_err_set(err, CB_ERR_INPUT, "cannot copy to non-directory: /%s", real);
	if (is_dir || (r == 0 && S_ISDIR(st.st_mode))) {
		r = open_target(copier, real, &place->into, err);
		*ret = place->into;
		return r;
	}
	free(*ret_name);
	*ret_name = cb_xstrdup(cb_path_base(real));
	dir = dir_part(real);
	return open_target(copier, dir, ret, err);
}

/* --- Sources -------------------------------------------------------------------------------------------------------
 */

static int copy_single(struct cb_copier *copier, const struct cb_copy_source *source, struct cb_copy_target *target,
	const char *name, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	cleanup_free char *parent = dir_part(source->path);
	struct cb_tree_ent ent;
	int r = cb_tree_dir_open(copier->spec->src, parent, &dir, err);

	if (r == 0)
		r = cb_tree_dir_find(dir, cb_path_base(source->path), &ent, err);
	if (r > 0)
		return cb_err_set(err, CB_ERR_IO, "/%s vanished while it was read", source->path);
	if (r < 0)
		return r;
	return cb_copy_target_put(copier, target, name, dir, &ent, copier->spec->sources->n >= LIST_FROM, err);
}

static int copy_source(
	struct cb_copier *copier, struct place *place, const struct cb_copy_source *source, struct cb_err **err)
{
	struct cb_copy_target *target = NULL;
	cleanup_free char *name = NULL;
	int r = find_place(copier, place, source->is_dir, source->name, &target, &name, err);

	if (r == 0)
		r = source->is_dir ? copy_directory(copier, source, target, err)
				   : copy_single(copier, source, target, name, err);
	if (r == 0 && !source->is_dir)
		cb_dest_changed(copier->dest, target->path, true);
	if (target != place->into)
		cb_copy_target_free(target);
	/* Links are kept within one source only. */
	if (cb_map_len(copier->links) > 0) {
		cb_map_free(copier->links);
		copier->links = cb_map_new(free);
	}
	return r;
}

static int copy_file(
	struct cb_copier *copier, struct place *place, const struct cb_copy_file *file, struct cb_err **err)
{
	struct cb_copy_target *target = NULL;
	cleanup_free char *name = NULL;
	int r = find_place(copier, place, false, file->name, &target, &name, err);

	if (r == 0)
		r = cb_copy_target_put_data(copier, target, name, file, err);
	if (r == 0)
		cb_dest_changed(copier->dest, target->path, true);
	if (target != place->into)
		cb_copy_target_free(target);
	return r;
}

static int copy_all(struct cb_copier *copier, struct place *place, struct cb_err **err)
{
	const struct cb_copy_spec *spec = copier->spec;
	int r = 0;

	for (size_t i = 0; r == 0 && spec->sources && i < spec->sources->n; i++) {
		r = cb_cancel_check(spec->cancel, err);
		if (r == 0)
			r = copy_source(copier, place, &spec->sources->v[i], err);
	}
	for (size_t i = 0; r == 0 && i < spec->n_files; i++)
		r = copy_file(copier, place, &spec->files[i], err);
	return r;
}

int cb_copy_run(const struct cb_copy_spec *spec, struct cb_err **err)
{
	struct cb_copier copier = { .spec = spec };
	struct place place;
	int r = cb_dest_new(spec->parents, spec->upper, &copier.dest, err);

	if (r < 0)
		return r;
	cb_copyfile_probe(spec->upper, &copier.host);
	pthread_mutex_init(&copier.links_lock, NULL);
	pthread_mutex_init(&copier.lazy_lock, NULL);
	copier.links = cb_map_new(free);
	place_of(spec, &place);
	r = copy_all(&copier, &place, err);
	if (r == 0)
		r = cb_dest_finish(copier.dest, err);
	cb_copy_target_free(place.into);
	free(place.path);
	cb_map_free(copier.links);
	pthread_mutex_destroy(&copier.links_lock);
	pthread_mutex_destroy(&copier.lazy_lock);
	cb_dest_free(copier.dest);
	return r;
}
