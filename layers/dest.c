#include "layers/dest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/owner.h"
#include "base/path.h"
#include "layers/diff.h"
#include "layers/tree_dir.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct cb_dest {
	struct cb_tree *parents; /* or NULL */
	struct cb_tree *view;    /* parents + upper */
	int upper;
	pthread_mutex_t lock;
	struct cb_map *touched; /* canonical path -> struct times */
};

/* What a directory ends with. */
struct times {
	struct timespec times[2];
	enum {
		FOUND, /* those of the parents */
		MADE,  /* of the build anyway */
		TOLD,  /* by cb_dest_touch */
	} how;
	bool changed; /* since then */
};

static int set_metadata(int fd, const struct cb_owner *owner, mode_t mode, const char *path, struct cb_err **err)
{
	struct stat st;

	if (cb_owner_fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "stat /%s", path);
	if ((st.st_uid != owner->uid || st.st_gid != owner->gid) && cb_owner_fchown(fd, owner->uid, owner->gid) < 0)
		return cb_err_errno(err, errno, "change owner of /%s to %u:%u", path, owner->uid, owner->gid);
	if (fchmod(fd, mode & 07777) < 0)
		return cb_err_errno(err, errno, "change mode of /%s", path);
	return 0;
}

static int root_stat(struct cb_tree *parents, struct stat *ret, struct cb_err **err)
{
	if (parents && cb_tree_layers(parents) > 0)
		return cb_tree_stat(parents, "", ret, err);
	*ret = (struct stat){ .st_mode = S_IFDIR | 0755 };
	return 1;
}

int cb_dest_init_root(struct cb_tree *parents, int upper, struct cb_err **err)
{
	struct stat st;
	int r = root_stat(parents, &st, err);

	if (r < 0)
		return r;
	if (r > 0) /* nothing to be equal to: the mode alone */
		return fchmod(upper, 0755) < 0 ? cb_err_errno(err, errno, "change mode of /") : 0;
	r = set_metadata(upper, &(struct cb_owner){ st.st_uid, st.st_gid }, st.st_mode, "", err);
	/* The directory itself is new with each snapshot. */
	st.st_mtim.tv_nsec = CB_DIFF_NSEC_CHANGED;
	if (r == 0 && futimens(upper, (struct timespec[2]){ st.st_atim, st.st_mtim }) < 0)
		r = cb_err_errno(err, errno, "change times of /");
	return r;
}

int cb_dest_new(struct cb_tree *parents, int upper, struct cb_dest **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_dest_free) struct cb_dest *dest = cb_new0(struct cb_dest);
	int r;

	pthread_mutex_init(&dest->lock, NULL);
	dest->touched = cb_map_new(free);
	dest->upper = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dest->upper < 0)
		return cb_err_errno(err, errno, "open snapshot directory");
	if (parents)
		dest->parents = cb_tree_ref(parents);
	r = cb_dest_init_root(parents, dest->upper, err);
	if (r == 0)
		r = cb_tree_new_over(parents, dest->upper, &dest->view, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(dest);
	return 0;
}

struct cb_dest *cb_dest_free(struct cb_dest *dest)
{
	if (!dest)
		return NULL;
	cb_tree_free(dest->view);
	cb_tree_free(dest->parents);
	cb_closep(&dest->upper);
	cb_map_free(dest->touched);
	pthread_mutex_destroy(&dest->lock);
	free(dest);
	return NULL;
}

int cb_dest_resolve(struct cb_dest *dest, const char *path, enum cb_tree_resolve flags, char **ret, struct cb_err **err)
{
	assert(dest);
	return cb_tree_resolve(dest->view, path, flags, ret, err);
}

int cb_dest_stat(struct cb_dest *dest, const char *path, struct stat *ret, struct cb_err **err)
{
	return cb_tree_stat(dest->view, path, ret, err);
}

int cb_dest_parents_dir(struct cb_dest *dest, const char *path, struct cb_tree_dir **ret, struct cb_err **err)
{
	return dest->parents ? cb_tree_dir_open(dest->parents, path, ret, err) : 1;
}

/* --- Times ---------------------------------------------------------------------------------------------------------
 */

static void touch(struct cb_dest *dest, const char *path, const struct timespec times[2], bool fresh, int how)
{
	struct times value = { .times = { times[0], times[1] }, .how = how };
	bool has;

	pthread_mutex_lock(&dest->lock);
	has = cb_map_has(dest->touched, path);
	if (has ? how != FOUND : fresh)
		cb_map_set(dest->touched, path, cb_xmemdup(&value, sizeof(value)));
	pthread_mutex_unlock(&dest->lock);
}

void cb_dest_changed(struct cb_dest *dest, const char *path, bool touched)
{
	struct times *value;

	pthread_mutex_lock(&dest->lock);
	value = cb_map_get(dest->touched, path);
	if (value && (value->how == FOUND || (value->how == TOLD && touched)))
		value->changed = true;
	pthread_mutex_unlock(&dest->lock);
}

void cb_dest_touch(struct cb_dest *dest, const char *path, const struct timespec times[2])
{
	touch(dest, path, times, true, TOLD);
}

void cb_dest_retouch(struct cb_dest *dest, const char *path, const struct timespec times[2])
{
	touch(dest, path, times, false, TOLD);
}

/* What is remembered first counts: later the directory has the time of our own writing. */
static void keep_times(struct cb_dest *dest, const char *path, const struct stat *st)
{
	touch(dest, path, (struct timespec[2]){ st->st_atim, st->st_mtim }, true, FOUND);
}

int cb_dest_finish(struct cb_dest *dest, struct cb_err **err)
{
	size_t at = 0;
	const char *path;
	void *value;

	while (cb_map_next(dest->touched, &at, &path, &value)) {
		struct times *t = value;
		cleanup_close int fd = cb_path_open_beneath(dest->upper, *path ? path : ".", DIR_FLAGS, 0);

		/* An archive may have put something else in its place. */
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue;
		if (fd < 0)
			return cb_err_errno(err, errno, "open /%s", path);
		if (t->changed)
			t->times[1].tv_nsec = CB_DIFF_NSEC_CHANGED;
		if (futimens(fd, t->times) < 0)
			return cb_err_errno(err, errno, "change times of /%s", path);
	}
	return 0;
}

/* --- Directories ---------------------------------------------------------------------------------------------------
 */

/* One step down: the directory in the upper, and what the parents have there (NULL: nothing). */
struct step {
	struct cb_dest *dest;
	const struct cb_dest_attr *missing;
	int fd;
	struct cb_tree_dir *below;
	char *path; /* so far, with the name */
	bool made;
};

static int not_dir(struct cb_err **err, const char *path)
{
	return cb_err_set(err, CB_ERR_INPUT, "/%s is not a directory", path);
}

static int make_dir(struct step *s, const char *name, const struct stat *like, int *ret, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	struct cb_owner owner = like ? (struct cb_owner){ like->st_uid, like->st_gid } : s->missing->owner;
	int r;

	if (mkdirat(s->fd, name, 0700) < 0)
		return cb_err_errno(err, errno, "make directory /%s", s->path);
	fd = openat(s->fd, name, DIR_FLAGS);
	if (fd < 0)
		return cb_err_errno(err, errno, "open /%s", s->path);
	r = set_metadata(fd, &owner, like ? like->st_mode : s->missing->mode, s->path, err);
	if (r < 0)
		return r;
	if (like) {
		keep_times(s->dest, s->path, like);
	} else {
		cleanup_free char *parent = cb_path_dir(s->path);

		cb_dest_changed(s->dest, parent, false);
		touch(s->dest, s->path, (struct timespec[2]){ s->missing->time, s->missing->time }, true, MADE);
	}
	*ret = CB_TAKE_FD(fd);
	return 0;
}

/* What the parents have under that name: *ret is a directory or NULL, *other an entry of another kind. */
static int look_below(struct step *s, const char *name, struct cb_tree_dir **ret, bool *other, struct cb_err **err)
{
	struct cb_tree_ent ent;
	int r;

	*ret = NULL;
	*other = false;
	if (!s->below)
		return 0;
	r = cb_tree_dir_find(s->below, name, &ent, err);
	if (r == 0 && ent.type != DT_DIR)
		*other = true;
	else if (r == 0)
		r = cb_tree_at_dir(s->below, &ent, ret, err);
	return CB_MIN(r, 0);
}

static int step_into(struct step *s, const char *name, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *below = NULL;
	cleanup_close int fd = -EBADF;
	struct stat st;
	bool other;
	int r;

	s->made = false;
	fd = openat(s->fd, name, DIR_FLAGS);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return not_dir(err, s->path);
	if (fd < 0 && errno != ENOENT)
		return cb_err_errno(err, errno, "open /%s", s->path);
	r = look_below(s, name, &below, &other, err);
	if (r < 0)
		return r;
	if (fd >= 0) {
		if (fstat(fd, &st) < 0)
			return cb_err_errno(err, errno, "stat /%s", s->path);
		keep_times(s->dest, s->path, &st);
	} else if (other) {
		return not_dir(err, s->path);
	} else {
		if (below)
			r = cb_tree_dir_stat(below, &st, err);
		if (r == 0)
			r = make_dir(s, name, below ? &st : NULL, &fd, err);
		if (r < 0)
			return r;
		s->made = !below;
	}
	close(s->fd);
	s->fd = CB_TAKE_FD(fd);
	cb_tree_dir_free(s->below);
	s->below = CB_TAKE_PTR(below);
	return 0;
}

int cb_dest_mkdirs(
	struct cb_dest *dest, const char *path, const struct cb_dest_attr *missing, int *ret_fd, struct cb_err **err)
{
	cleanup_free char *rest = cb_xstrdup(cb_tree_canonical(path));
	struct step s = { .dest = dest, .missing = missing, .path = cb_xstrdup("") };
	char *name, *full, *next = rest;
	struct stat st;
	int r;

	assert(dest);
	r = root_stat(dest->parents, &st, err);
	if (r == 0) {
		keep_times(dest, "", &st);
		cb_dest_changed(dest, "", false);
	}
	s.fd = openat(dest->upper, ".", DIR_FLAGS);
	if (r >= 0)
		r = s.fd < 0 ? cb_err_errno(err, errno, "open snapshot directory") : 0;
	if (r == 0)
		r = cb_dest_parents_dir(dest, "", &s.below, err);
	r = CB_MIN(r, 0);
	while (r == 0 && (name = strsep(&next, "/"))) {
		if (!*name)
			continue;
		full = *s.path ? cb_xasprintf("%s/%s", s.path, name) : cb_xstrdup(name);
		free(s.path);
		s.path = full;
		r = step_into(&s, name, err);
	}
	if (r == 0) {
		r = s.made ? 1 : 0;
		if (ret_fd)
			*ret_fd = CB_TAKE_FD(s.fd);
	}
	cb_closep(&s.fd);
	cb_tree_dir_free(s.below);
	free(s.path);
	return r;
}

int cb_dest_workdir(
	struct cb_tree *parents, int upper, const char *path, const struct cb_dest_attr *missing, struct cb_err **err)
{
	CB_CLEANUP(cb_dest_free) struct cb_dest *dest = NULL;
	cleanup_free char *clean = cb_path_abs(path), *real = NULL;
	struct stat st;
	int r = cb_dest_new(parents, upper, &dest, err), made;

	if (r == 0)
		r = cb_dest_resolve(dest, clean, CB_TREE_FOLLOW, &real, err);
	if (r < 0)
		return r;
	/* What is there stays untouched; it is not even copied up. */
	if (r == 0) {
		r = cb_dest_stat(dest, real, &st, err);
		if (r == 0 && !S_ISDIR(st.st_mode))
			return not_dir(err, real);
		if (r <= 0)
			return r;
	}
	made = cb_dest_mkdirs(dest, real, missing, NULL, err);
	if (made < 0)
		return made;
	r = cb_dest_finish(dest, err);
	return r < 0 ? r : made;
}
