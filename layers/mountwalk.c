#include "layers/mountwalk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/strv.h"
#include "layers/mountlist.h"

struct level {
	int fd;
	struct cb_strv names;
	size_t at;
};

struct walk {
	const struct cb_mountwalk_ops *ops;
	void *arg;
	dev_t dev;
	struct level levels[CB_MOUNT_DEPTH_MAX];
	size_t depth;
};

static void level_done(struct level *level)
{
	cb_closep(&level->fd);
	cb_strv_done(&level->names);
}

static void walk_free(struct walk *w)
{
	while (w->depth)
		level_done(&w->levels[--w->depth]);
	free(w);
}
CB_DEFINE_CLEANUP(struct walk *, walk_free)

/* @fd stays the caller's. */
static int list_names(int fd, struct cb_strv *names, struct cb_err **err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	int r = 0;

	if (!dir) {
		int errnum = errno;

		cb_closep(&copy);
		return cb_err_errno(err, errnum, "read a directory of a cache mount");
	}
	while (errno = 0, (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			cb_strv_add(names, entry->d_name);
	if (errno)
		r = cb_err_errno(err, errno, "read a directory of a cache mount");
	closedir(dir);
	cb_strv_sort(names);
	return r;
}

/* Takes @fd. */
static int enter(struct walk *w, const char *name, int fd, struct cb_err **err)
{
	struct level *level = &w->levels[w->depth];
	struct stat st;
	int r;

	*level = (struct level){ .fd = fd };
	if (cb_owner_fstat(fd, &st) < 0)
		r = cb_err_errno(err, errno, "stat a directory of a cache mount");
	else if (w->depth && st.st_dev != w->dev)
		r = 1;
	else
		r = w->ops->enter(w->arg, name, fd, &st, err);
	if (r == 0) {
		w->dev = st.st_dev;
		w->depth++;
		return list_names(fd, &level->names, err);
	}
	level_done(level);
	return CB_MIN(r, 0);
}

static int visit(struct walk *w, const char *name, struct cb_err **err)
{
	int parent = w->levels[w->depth - 1].fd, fd;
	struct stat st;

	if (cb_owner_fstatat(parent, name, &st) < 0)
		return errno == ENOENT ? 0 : cb_err_errno(err, errno, "stat \"%s\" of a cache mount", name);
	if (!S_ISDIR(st.st_mode))
		return w->ops->entry(w->arg, parent, name, &st, err);
	fd = w->depth < CB_MOUNT_DEPTH_MAX ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (fd < 0) {
		w->ops->skipped(w->arg, name);
		return 0;
	}
	return enter(w, name, fd, err);
}

int cb_mountwalk(
	int dirfd, const struct cb_mountwalk_ops *ops, void *arg, const struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(walk_free) struct walk *w = cb_new0(struct walk);
	int fd = cb_fd_dup(dirfd), r;

	if (fd < 0)
		return cb_err_errno(err, errno, "open a cache mount");
	w->ops = ops;
	w->arg = arg;
	r = enter(w, "", fd, err);
	while (r == 0 && w->depth) {
		struct level *level = &w->levels[w->depth - 1];

		r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
		if (level->at < level->names.n) {
			r = visit(w, level->names.v[level->at++], err);
			continue;
		}
		r = ops->leave(arg, err);
		level_done(level);
		w->depth--;
	}
	return r;
}

int cb_mountwalk_open(int parent, const char *name)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	cleanup_close int fd = openat(parent, name, flags | O_NOATIME);
	struct stat st;

	/* Only the owner may leave it alone. */
	if (fd < 0 && errno == EPERM)
		fd = openat(parent, name, flags);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return CB_TAKE_FD(fd);
	errno = ENOENT;
	return -1;
}

int64_t cb_mountwalk_used(const struct stat *st)
{
	const struct timespec *t = &st->st_mtim;

	if (st->st_atim.tv_sec > t->tv_sec || (st->st_atim.tv_sec == t->tv_sec && st->st_atim.tv_nsec > t->tv_nsec))
		t = &st->st_atim;
	/* Times of files are anything. */
	return CB_MAX(CB_MIN((int64_t)t->tv_sec, INT64_C(9000000000)), INT64_C(-9000000000)) * 1000000000 + t->tv_nsec;
}

/* ---- what is too much ----------------------------------------------------------------------------------------- */

static int age_enter(void *arg, const char *name, int fd, const struct stat *st, struct cb_err **err)
{
	(void)arg, (void)name, (void)fd, (void)st, (void)err;
	return 0;
}

static int age_leave(void *arg, struct cb_err **err)
{
	(void)arg, (void)err;
	return 0;
}

/* A file with several names counts once when all are here. */
static uint64_t size_of(const struct stat *st)
{
	return (uint64_t)st->st_size / (st->st_nlink ? st->st_nlink : 1);
}

static int age_entry(void *arg, int parent, const char *name, const struct stat *st, struct cb_err **err)
{
	struct cb_mount_ages *ages = arg;

	(void)parent, (void)name, (void)err;
	if (!S_ISREG(st->st_mode))
		return 0;
	CB_GROW(ages->v, ages->cap, ages->n + 1);
	ages->v[ages->n++] = (struct cb_mount_age){ cb_mountwalk_used(st), size_of(st) };
	ages->bytes += size_of(st);
	return 0;
}

static void age_skipped(void *arg, const char *name)
{
	(void)arg, (void)name;
}

int cb_mount_ages_add(struct cb_mount_ages *ages, int dirfd, const struct cb_cancel *cancel, struct cb_err **err)
{
	static const struct cb_mountwalk_ops ops = { age_enter, age_leave, age_entry, age_skipped };

	return cb_mountwalk(dirfd, &ops, ages, cancel, err);
}

void cb_mount_ages_join(struct cb_mount_ages *ages, const struct cb_mount_ages *more)
{
	CB_GROW(ages->v, ages->cap, ages->n + more->n);
	if (more->n)
		memcpy(ages->v + ages->n, more->v, more->n * sizeof(*more->v));
	ages->n += more->n;
	ages->bytes += more->bytes;
}

static int newest_first(const void *a, const void *b)
{
	const struct cb_mount_age *x = a, *y = b;

	return (x->used < y->used) - (x->used > y->used);
}

struct cb_mount_cut cb_mount_ages_cut(struct cb_mount_ages *ages, uint64_t max)
{
	uint64_t left = max;
	size_t same = 0; /* where the files of that moment begin */

	if (ages->bytes <= max)
		return (struct cb_mount_cut){ INT64_MIN, max };
	qsort(ages->v, ages->n, sizeof(*ages->v), newest_first);
	for (size_t i = 0; i < ages->n; i++) {
		if (ages->v[i].used != ages->v[same].used)
			same = i;
		if (ages->v[i].size <= left) {
			left -= ages->v[i].size;
			continue;
		}
		for (size_t k = same; k < i; k++)
			left += ages->v[k].size;
		return (struct cb_mount_cut){ ages->v[i].used, left };
	}
	return (struct cb_mount_cut){ INT64_MIN, max };
}

void cb_mount_ages_done(struct cb_mount_ages *ages)
{
	free(ages->v);
	*ages = (struct cb_mount_ages){ 0 };
}

bool cb_mount_cut_keeps(struct cb_mount_cut *cut, const struct stat *st)
{
	int64_t used = cb_mountwalk_used(st);

	if (used != cut->used)
		return used > cut->used;
	if (size_of(st) > cut->budget)
		return false;
	cut->budget -= size_of(st);
	return true;
}
