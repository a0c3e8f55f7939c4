#include "layers/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "layers/tree_dir.h"

#define XATTR_VALUE_MAX 4096
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* --- Objects ----------------------------------------------------------------------------------------------------- */

static struct cb_tree_dir *dir_new(struct cb_tree *tree, const char *path, size_t max)
{
	struct cb_tree_dir *dir = cb_xcalloc(1, sizeof(*dir) + max * sizeof(struct cb_tree_part));

	dir->refs = 1;
	dir->tree = tree;
	dir->path = cb_xstrdup(path);
	return dir;
}

struct cb_tree_dir *cb_tree_dir_ref(struct cb_tree_dir *dir)
{
	dir->refs++;
	return dir;
}

struct cb_tree_dir *cb_tree_dir_free(struct cb_tree_dir *dir)
{
	if (!dir || --dir->refs > 0)
		return NULL;
	for (size_t i = 0; i < dir->n && !(dir->tree->lent && dir == dir->tree->root); i++)
		close(dir->parts[i].fd);
	free(dir->path);
	free(dir);
	return NULL;
}

static struct cb_tree *tree_new(size_t n)
{
	struct cb_tree *tree = cb_new0(struct cb_tree);

	tree->refs = 1;
	tree->n = n;
	tree->root = dir_new(tree, "", n);
	pthread_mutex_init(&tree->lock, NULL);
	return tree;
}

struct cb_tree *cb_tree_ref(struct cb_tree *tree)
{
	tree->refs++;
	return tree;
}

struct cb_tree *cb_tree_free(struct cb_tree *tree)
{
	if (!tree || --tree->refs > 0)
		return NULL;
	for (size_t i = 0; i < CB_TREE_CACHE_DIRS; i++)
		cb_tree_dir_free(tree->cache[i].dir);
	cb_tree_dir_free(tree->root);
	cb_map_free(tree->peeked);
	pthread_mutex_destroy(&tree->lock);
	free(tree);
	return NULL;
}

static int root_add(struct cb_tree *tree, int dirfd, struct cb_err **err)
{
	/* Not a plain dup: the caller's may be O_PATH, which cannot be listed. */
	int fd = openat(dirfd, ".", DIR_FLAGS);

	if (fd < 0)
		return cb_err_errno(err, errno, "open layer directory");
	tree->root->parts[tree->root->n++].fd = fd;
	return 0;
}

static int layers_new(size_t n, enum cb_flavour flavour, struct cb_tree **ret, struct cb_err **err)
{
	if (n > CB_TREE_LAYERS_MAX)
		return cb_err_set(
			err, CB_ERR_LIMIT, "%zu layers in one file system, more than %d", n, CB_TREE_LAYERS_MAX);
	*ret = tree_new(n);
	(*ret)->flavour = flavour;
	return 0;
}

int cb_tree_new_layers(const int *dirfds, size_t n, enum cb_flavour flavour, struct cb_tree **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	int r = layers_new(n, flavour, &tree, err);

	for (size_t i = n; r == 0 && i-- > 0;)
		r = root_add(tree, dirfds[i], err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(tree);
	return 0;
}

int cb_tree_new_lent(const int *dirfds, size_t n, enum cb_flavour flavour, struct cb_tree **ret, struct cb_err **err)
{
	int r = layers_new(n, flavour, ret, err);

	if (r < 0)
		return r;
	(*ret)->lent = true;
	for (size_t i = n; i-- > 0;)
		(*ret)->root->parts[(*ret)->root->n++].fd = dirfds[i];
	return 0;
}

int cb_tree_new_over(struct cb_tree *parents, int upper, struct cb_tree **ret, struct cb_err **err)
{
	size_t below = parents ? parents->n : 0;
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = tree_new(below + 1);
	int r;

	tree->flavour = parents ? parents->flavour : CB_FLAVOUR_TRUSTED;
	tree->uncached = true;
	r = root_add(tree, upper, err);
	for (size_t i = 0; r == 0 && i < below; i++)
		r = root_add(tree, parents->root->parts[i].fd, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(tree);
	return 0;
}

int cb_tree_new_plain(
	int dirfd, const struct cb_path_filter *filter, bool root_owned, struct cb_tree **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = tree_new(1);
	int r = root_add(tree, dirfd, err);

	if (r < 0)
		return r;
	tree->plain = true;
	tree->root_owned = root_owned;
	tree->filtered = filter && filter->verdict;
	if (tree->filtered) {
		tree->filter = *filter;
		tree->peeked = cb_map_new(NULL);
	}
	*ret = CB_TAKE_PTR(tree);
	return 0;
}

size_t cb_tree_layers(const struct cb_tree *tree)
{
	return tree->n;
}

const char *cb_tree_dir_path(const struct cb_tree_dir *dir)
{
	return dir->path;
}

/* --- Open directories, remembered --------------------------------------------------------------------------------- */

static uint64_t hash_path(const char *path)
{
	uint64_t h = 1469598103934665603u;

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 1099511628211u;
	return h;
}

static struct cb_tree_dir *cache_get(struct cb_tree *tree, const char *path)
{
	struct cb_tree_dir *found = NULL;
	uint64_t hash;

	if (!*path)
		return cb_tree_dir_ref(tree->root);
	if (tree->uncached)
		return NULL;
	hash = hash_path(path);
	pthread_mutex_lock(&tree->lock);
	for (size_t i = 0; i < CB_TREE_CACHE_DIRS && !found; i++) {
		struct cb_tree_cached *c = &tree->cache[i];

		if (c->dir && c->hash == hash && strcmp(c->dir->path, path) == 0) {
			c->used = ++tree->clock;
			found = cb_tree_dir_ref(c->dir);
		}
	}
	pthread_mutex_unlock(&tree->lock);
	return found;
}

static struct cb_tree_cached *cache_oldest(struct cb_tree *tree, bool only_used)
{
	struct cb_tree_cached *oldest = NULL;

	for (size_t i = 0; i < CB_TREE_CACHE_DIRS; i++) {
		struct cb_tree_cached *c = &tree->cache[i];

		if (only_used && !c->dir)
			continue;
		if (!oldest || c->used < oldest->used)
			oldest = c;
	}
	return oldest;
}

static void cache_drop(struct cb_tree *tree, struct cb_tree_cached *c)
{
	if (!c->dir)
		return;
	tree->cached_fds -= c->dir->n;
	cb_tree_dir_free(c->dir);
	*c = (struct cb_tree_cached){ 0 };
}

static void cache_put(struct cb_tree *tree, struct cb_tree_dir *dir)
{
	struct cb_tree_cached *c;

	if (tree->uncached || dir->n > CB_TREE_CACHE_FDS)
		return;
	pthread_mutex_lock(&tree->lock);
	c = cache_oldest(tree, false);
	cache_drop(tree, c);
	while (tree->cached_fds + dir->n > CB_TREE_CACHE_FDS)
		cache_drop(tree, cache_oldest(tree, true));
	c = cache_oldest(tree, false);
	c->dir = cb_tree_dir_ref(dir);
	c->hash = hash_path(dir->path);
	c->used = ++tree->clock;
	tree->cached_fds += dir->n;
	pthread_mutex_unlock(&tree->lock);
}

/* --- One directory -------------------------------------------------------------------------------------------------
 */

static bool is_opaque(const struct cb_tree *tree, int fd)
{
	char value[2];

	return !tree->plain && fgetxattr(fd, cb_flavour_opaque(tree->flavour), value, sizeof(value)) == 1 &&
	       value[0] == 'y';
}

const char *cb_tree_canonical(const char *path)
{
	if (*path == '/')
		path++;
	return strcmp(path, ".") == 0 ? "" : path;
}

static char *child_path(const struct cb_tree_dir *dir, const char *name)
{
	return *dir->path ? cb_xasprintf("%s/%s", dir->path, name) : cb_xstrdup(name);
}

static bool name_ok(const char *name)
{
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/');
}

static unsigned char type_of(mode_t mode)
{
	return (unsigned char)IFTODT(mode);
}

/* The names that the error messages of a tree show. */
static int fail(struct cb_err **err, int errnum, const char *what, const struct cb_tree_dir *dir, const char *name)
{
	return cb_err_errno(err, errnum, "%s /%s%s%s", what, dir->path, *dir->path ? "/" : "", name);
}

int cb_tree_dir_find(struct cb_tree_dir *dir, const char *name, struct cb_tree_ent *ret, struct cb_err **err)
{
	assert(dir);
	if (!name_ok(name))
		return cb_err_set(err, CB_ERR_INTERNAL, "not the name of an entry: \"%s\"", name);
	for (size_t i = 0; i < dir->n; i++) {
		struct stat st;

		if (fstatat(dir->parts[i].fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT || errno == ENAMETOOLONG)
				continue;
			return fail(err, errno, "stat", dir, name);
		}
		/* A device or whiteout that could only be recorded. */
		if (!dir->tree->plain && S_ISSOCK(st.st_mode))
			(void)cb_owner_fstatat(dir->parts[i].fd, name, &st);
		if (!dir->tree->plain && S_ISCHR(st.st_mode) && st.st_rdev == 0)
			return 1;
		if (dir->tree->filtered) {
			cleanup_free char *path = child_path(dir, name);

			if (!cb_tree_visible(dir->tree, path, S_ISDIR(st.st_mode)))
				return 1;
		}
		*ret = (struct cb_tree_ent){ name, (unsigned int)i, type_of(st.st_mode) };
		return 0;
	}
	return 1;
}

int cb_tree_at_dir(
	struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct cb_tree_dir **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *child = NULL;
	cleanup_free char *path = NULL;

	if (ent->type != DT_DIR)
		return 1;
	path = child_path(dir, ent->name);
	child = cache_get(dir->tree, path);
	if (child) {
		*ret = CB_TAKE_PTR(child);
		return 0;
	}
	child = dir_new(dir->tree, path, dir->n - ent->layer);
	for (size_t i = ent->layer; i < dir->n; i++) {
		int fd = openat(dir->parts[i].fd, ent->name, DIR_FLAGS);

		if (fd < 0 && errno == ENOENT)
			continue;
		/* A whiteout or another kind of entry hides what is below. */
		if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
			break;
		if (fd < 0)
			return fail(err, errno, "open directory", dir, ent->name);
		child->parts[child->n++].fd = fd;
		if (i + 1 < dir->n && is_opaque(dir->tree, fd))
			break;
	}
	if (child->n == 0)
		return 1;
	cache_put(dir->tree, child);
	*ret = CB_TAKE_PTR(child);
	return 0;
}

/* With one layer nothing above can hide a directory, so its whole path is opened at once. */
static int open_direct(struct cb_tree *tree, const char *path, struct cb_tree_dir **ret, struct cb_err **err)
{
	struct cb_tree_dir *dir;
	int fd;

	if (tree->filtered) {
		cleanup_free char *prefix = cb_xstrdup(path);

		for (char *end = prefix; end; end = strchr(end + 1, '/')) {
			bool visible;

			if (end == prefix)
				continue;
			*end = '\0';
			visible = cb_tree_visible(tree, prefix, true);
			*end = '/';
			if (!visible)
				return 1;
		}
		if (!cb_tree_visible(tree, path, true))
			return 1;
	}
	fd = cb_path_open_beneath(tree->root->parts[0].fd, path, DIR_FLAGS, 0);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG))
		return 1;
	if (fd < 0)
		return cb_err_errno(err, errno, "open directory /%s", path);
	dir = dir_new(tree, path, 1);
	dir->parts[dir->n++].fd = fd;
	cache_put(tree, dir);
	*ret = dir;
	return 0;
}

int cb_tree_dir_open(struct cb_tree *tree, const char *path, struct cb_tree_dir **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	cleanup_free char *copy = NULL;
	char *slash, *name;
	int r;

	path = cb_tree_canonical(path);
	dir = cache_get(tree, path);
	if (dir) {
		*ret = CB_TAKE_PTR(dir);
		return 0;
	}
	copy = cb_xstrdup(path);
	slash = strrchr(copy, '/');
	name = copy;
	if (slash) {
		*slash = '\0';
		dir = cache_get(tree, copy);
		if (dir)
			name = slash + 1;
		else
			*slash = '/';
	}
	if (!dir && tree->n == 1)
		return open_direct(tree, path, ret, err);
	if (!dir)
		dir = cb_tree_dir_ref(tree->root);
	for (char *next; name; name = next) {
		struct cb_tree_dir *child = NULL;
		struct cb_tree_ent ent = { 0 };

		next = strchr(name, '/');
		if (next)
			*next++ = '\0';
		r = cb_tree_dir_find(dir, name, &ent, err);
		if (r == 0)
			r = cb_tree_at_dir(dir, &ent, &child, err);
		if (r != 0)
			return r;
		cb_tree_dir_free(dir);
		dir = child;
	}
	*ret = CB_TAKE_PTR(dir);
	return 0;
}

/* --- Entries -------------------------------------------------------------------------------------------------------
 */

static void own(const struct cb_tree *tree, struct stat *st)
{
	if (tree->root_owned)
		st->st_uid = st->st_gid = 0;
}

int cb_tree_dir_stat(struct cb_tree_dir *dir, struct stat *ret, struct cb_err **err)
{
	if (dir->n == 0) {
		*ret = (struct stat){ .st_mode = S_IFDIR | 0755, .st_nlink = 1 };
		return 0;
	}
	if ((dir->tree->plain ? fstat(dir->parts[0].fd, ret) : cb_owner_fstat(dir->parts[0].fd, ret)) < 0)
		return fail(err, errno, "stat", dir, "");
	own(dir->tree, ret);
	return 0;
}

int cb_tree_at_stat(struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct stat *ret, struct cb_err **err)
{
	int fd = dir->parts[ent->layer].fd;

	if ((dir->tree->plain ? fstatat(fd, ent->name, ret, AT_SYMLINK_NOFOLLOW)
			      : cb_owner_fstatat(fd, ent->name, ret)) < 0) {
		if (errno == ENOENT)
			return 1;
		return fail(err, errno, "stat", dir, ent->name);
	}
	own(dir->tree, ret);
	return 0;
}

int cb_tree_at_open(
	struct cb_tree_dir *dir, const struct cb_tree_ent *ent, int *ret_fd, struct stat *ret_st, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	struct stat st;

	if (ent->type == DT_REG)
		fd = openat(dir->parts[ent->layer].fd, ent->name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (ent->type != DT_REG || (fd < 0 && errno == ELOOP))
		return cb_err_set(err, CB_ERR_INPUT, "/%s%s%s is not a regular file", dir->path, *dir->path ? "/" : "",
			ent->name);
	if (fd < 0 && errno == ENOENT)
		return 1;
	if (fd < 0)
		return fail(err, errno, "open", dir, ent->name);
	if ((dir->tree->plain ? fstat(fd, &st) : cb_owner_fstat(fd, &st)) < 0)
		return fail(err, errno, "stat", dir, ent->name);
	if (!S_ISREG(st.st_mode))
		return cb_err_set(err, CB_ERR_INPUT, "/%s%s%s is not a regular file", dir->path, *dir->path ? "/" : "",
			ent->name);
	own(dir->tree, &st);
	if (ret_st)
		*ret_st = st;
	*ret_fd = CB_TAKE_FD(fd);
	return 0;
}

int cb_tree_at_readlink(struct cb_tree_dir *dir, const struct cb_tree_ent *ent, char **ret, struct cb_err **err)
{
	char target[PATH_MAX + 1];
	ssize_t n;

	assert(ent->name);
	n = readlinkat(dir->parts[ent->layer].fd, ent->name, target, sizeof(target) - 1);
	if (n < 0 && errno == ENOENT)
		return 1;
	if (n < 0 && errno == EINVAL)
		return cb_err_set(err, CB_ERR_INPUT, "/%s%s%s is not a symbolic link", dir->path, *dir->path ? "/" : "",
			ent->name);
	if (n < 0)
		return fail(err, errno, "read link", dir, ent->name);
	*ret = cb_xstrndup(target, (size_t)n);
	return 0;
}

/* --- By path -------------------------------------------------------------------------------------------------------
 */

/* The directory and entry of @path, which is not the root. */
static int locate(struct cb_tree *tree, const char *path, struct cb_tree_dir **ret_dir, struct cb_tree_ent *ret,
	struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	const char *slash = strrchr(path, '/');
	cleanup_free char *parent = slash ? cb_xstrndup(path, (size_t)(slash - path)) : cb_xstrdup("");
	int r = cb_tree_dir_open(tree, parent, &dir, err);

	if (r == 0)
		r = cb_tree_dir_find(dir, slash ? slash + 1 : path, ret, err);
	if (r == 0)
		*ret_dir = CB_TAKE_PTR(dir);
	return r;
}

int cb_tree_stat(struct cb_tree *tree, const char *path, struct stat *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	struct cb_tree_ent ent = { 0 };
	int r;

	path = cb_tree_canonical(path);
	if (!*path)
		return cb_tree_dir_stat(tree->root, ret, err);
	r = locate(tree, path, &dir, &ent, err);
	return r == 0 ? cb_tree_at_stat(dir, &ent, ret, err) : r;
}

int cb_tree_open(struct cb_tree *tree, const char *path, int *ret_fd, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	struct cb_tree_ent ent = { 0 };
	int r;

	path = cb_tree_canonical(path);
	if (!*path)
		return cb_err_set(err, CB_ERR_INPUT, "/ is not a regular file");
	r = locate(tree, path, &dir, &ent, err);
	return r == 0 ? cb_tree_at_open(dir, &ent, ret_fd, NULL, err) : r;
}

int cb_tree_readlink(struct cb_tree *tree, const char *path, char **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	struct cb_tree_ent ent = { 0 };
	int r;

	path = cb_tree_canonical(path);
	if (!*path)
		return cb_err_set(err, CB_ERR_INPUT, "/ is not a symbolic link");
	r = locate(tree, path, &dir, &ent, err);
	return r == 0 ? cb_tree_at_readlink(dir, &ent, ret, err) : r;
}
