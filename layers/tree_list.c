/* Listing of merged directories, and what a filter shows of a plain one. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "layers/tree.h"
#include "layers/tree_dir.h"

#define GETDENTS_BYTES ((size_t)64 << 10)

struct kernel_dirent {
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

struct raw_ent {
	size_t name; /* offset */
	unsigned int layer;
	unsigned char type; /* DT_WHT for a whiteout */
};

struct raw_list {
	struct raw_ent *v;
	size_t n, cap;
	struct cb_buf names;
};

void cb_tree_list_done(struct cb_tree_list *list)
{
	free(list->ents);
	free(list->names);
	*list = (struct cb_tree_list){ 0 };
}

/* What getdents says is not enough for a character device (a whiteout?) and on file systems that do not say. */
static int true_type(const struct cb_tree_dir *dir, int fd, const char *name, unsigned char *type)
{
	struct stat st;

	/* A socket may stand for a device that could only be recorded. */
	if (*type != DT_UNKNOWN && ((*type != DT_CHR && *type != DT_SOCK) || dir->tree->plain))
		return 0;
	if ((dir->tree->plain ? fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) : cb_owner_fstatat(fd, name, &st)) < 0)
		return errno == ENOENT ? 1 : -1;
	*type = (unsigned char)IFTODT(st.st_mode);
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0 && !dir->tree->plain)
		*type = DT_WHT;
	return 0;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int add_chunk(struct cb_tree_dir *dir, unsigned int layer, int fd, const char *chunk, size_t len,
	struct raw_list *list, struct cb_err **err)
{
	for (size_t at = 0; at < len;) {
		const struct kernel_dirent *d = (const void *)(chunk + at);
		unsigned char type = d->type;
		int r;

		at += d->reclen;
		if (is_dots(d->name))
			continue;
		r = true_type(dir, fd, d->name, &type);
		if (r < 0)
			return cb_err_errno(err, errno, "stat /%s/%s", dir->path, d->name);
		if (r > 0)
			continue;
		if (list->n >= CB_TREE_ENTRIES_MAX)
			return cb_err_set(
				err, CB_ERR_LIMIT, "/%s has more than %zu entries", dir->path, CB_TREE_ENTRIES_MAX);
		CB_GROW(list->v, list->cap, list->n + 1);
		list->v[list->n++] = (struct raw_ent){ list->names.len, layer, type };
		cb_buf_add(&list->names, d->name, strlen(d->name) + 1);
	}
	return 0;
}

static int add_layer(struct cb_tree_dir *dir, unsigned int layer, struct raw_list *list, struct cb_err **err)
{
	/* Its own open file: others may list the same directory at the same time. */
	cleanup_close int fd = openat(dir->parts[layer].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *chunk = NULL;

	if (fd < 0)
		return cb_err_errno(err, errno, "open directory /%s", dir->path);
	chunk = cb_xmalloc(GETDENTS_BYTES);
	for (;;) {
		long n = syscall(SYS_getdents64, fd, chunk, GETDENTS_BYTES);
		int r;

		if (n == 0)
			return 0;
		if (n < 0)
			return cb_err_errno(err, errno, "list directory /%s", dir->path);
		r = add_chunk(dir, layer, fd, chunk, (size_t)n, list, err);
		if (r < 0)
			return r;
	}
}

static int by_name(const void *a, const void *b)
{
	const struct cb_tree_ent *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->layer > y->layer) - (x->layer < y->layer);
}

/* Keeps the topmost of each name, unless it is a whiteout or hidden. */
static void keep_visible(struct cb_tree_dir *dir, struct cb_tree_list *list)
{
	struct cb_buf path = { 0 };
	const char *last = NULL;
	size_t kept = 0, prefix;

	if (*dir->path)
		cb_buf_addf(&path, "%s/", dir->path);
	prefix = path.len;
	for (size_t i = 0; i < list->n; i++) {
		struct cb_tree_ent *ent = &list->ents[i];

		if (last && strcmp(last, ent->name) == 0)
			continue;
		last = ent->name;
		if (ent->type == DT_WHT)
			continue;
		if (dir->tree->filtered) {
			path.len = prefix;
			cb_buf_adds(&path, ent->name);
			if (!cb_tree_visible(dir->tree, path.data, ent->type == DT_DIR))
				continue;
		}
		list->ents[kept++] = *ent;
	}
	list->n = kept;
	cb_buf_done(&path);
}

int cb_tree_dir_list(struct cb_tree_dir *dir, struct cb_tree_list *ret, struct cb_err **err)
{
	struct raw_list raw = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < dir->n; i++)
		r = add_layer(dir, (unsigned int)i, &raw, err);
	if (r == 0) {
		struct cb_tree_list list = { .n = raw.n };

		list.ents = cb_newa0(struct cb_tree_ent, CB_MAX(raw.n, (size_t)1));
		list.names = cb_buf_take(&raw.names);
		for (size_t i = 0; i < raw.n; i++)
			list.ents[i] =
				(struct cb_tree_ent){ list.names + raw.v[i].name, raw.v[i].layer, raw.v[i].type };
		qsort(list.ents, list.n, sizeof(*list.ents), by_name);
		keep_visible(dir, &list);
		*ret = list;
	}
	free(raw.v);
	cb_buf_done(&raw.names);
	return r;
}

/* --- Filter --------------------------------------------------------------------------------------------------------
 */

/* True when the directory @path itself holds something to take; directories to look into are added to @todo. */
static bool peek_one(struct cb_tree *tree, const char *path, struct cb_strv *todo)
{
	cleanup_close int fd =
		cb_path_open_beneath(tree->root->parts[0].fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	struct dirent *d;
	bool found = false;
	DIR *stream;

	stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream)
		return false;
	CB_TAKE_FD(fd);
	while (!found && (d = readdir(stream))) {
		cleanup_free char *below = NULL;
		enum cb_path_verdict verdict;
		bool is_dir = d->d_type == DT_DIR;
		struct stat st;

		if (is_dots(d->d_name))
			continue;
		if (d->d_type == DT_UNKNOWN && fstatat(dirfd(stream), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			is_dir = S_ISDIR(st.st_mode);
		below = cb_xasprintf("%s/%s", path, d->d_name);
		verdict = tree->filter.verdict(tree->filter.userdata, below, is_dir);
		found = verdict == CB_PATH_TAKE;
		if (verdict == CB_PATH_PEEK && is_dir)
			cb_strv_take(todo, CB_TAKE_PTR(below));
	}
	closedir(stream);
	return found;
}

static void remember(struct cb_tree *tree, const char *path, const char *answer)
{
	pthread_mutex_lock(&tree->lock);
	cb_map_set(tree->peeked, path, (void *)answer);
	pthread_mutex_unlock(&tree->lock);
}

/* Looks for anything to take below @top; what was learnt on the way is remembered for every directory. */
static bool peek(struct cb_tree *tree, const char *top)
{
	cleanup_strv struct cb_strv todo = { 0 }, seen = { 0 };
	const char *known;

	pthread_mutex_lock(&tree->lock);
	known = cb_map_get(tree->peeked, top);
	pthread_mutex_unlock(&tree->lock);
	if (known)
		return *known == 'y';
	cb_strv_add(&todo, top);
	while (todo.n > 0) {
		cleanup_free char *path = cb_xstrdup(todo.v[todo.n - 1]);

		cb_strv_remove(&todo, todo.n - 1);
		cb_strv_add(&seen, path);
		if (!peek_one(tree, path, &todo))
			continue;
		for (char *slash;; *slash = '\0') {
			remember(tree, path, "y");
			slash = strrchr(path, '/');
			if (!slash || (size_t)(slash - path) < strlen(top))
				break;
		}
		return true;
	}
	for (size_t i = 0; i < seen.n; i++)
		remember(tree, seen.v[i], "n");
	return false;
}

bool cb_tree_visible(struct cb_tree *tree, const char *path, bool is_dir)
{
	switch (tree->filter.verdict(tree->filter.userdata, path, is_dir)) {
	case CB_PATH_TAKE:
		return true;
	case CB_PATH_PEEK:
		return is_dir && peek(tree, path);
	case CB_PATH_DROP:
		break;
	}
	return false;
}
