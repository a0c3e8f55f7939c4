#include "layers/copytarget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <unistd.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* --- Directories ---------------------------------------------------------------------------------------------------
 */

static struct cb_copy_target *target_new(char *path, int fd, struct cb_tree_dir *below)
{
	struct cb_copy_target *target = cb_new0(struct cb_copy_target);

	target->fd = fd;
	target->path = path;
	target->below = below;
	pthread_mutex_init(&target->lock, NULL);
	return target;
}

struct cb_copy_target *cb_copy_target_free(struct cb_copy_target *target)
{
	if (!target)
		return NULL;
	cb_closep(&target->fd);
	cb_tree_dir_free(target->below);
	cb_tree_list_done(&target->names);
	pthread_mutex_destroy(&target->lock);
	free(target->path);
	free(target);
	return NULL;
}

void cb_copy_target_park(struct cb_copy_target *target)
{
	cb_closep(&target->fd);
	target->fd = -EBADF;
	target->below = cb_tree_dir_free(target->below);
	cb_tree_list_done(&target->names);
	target->listed = false;
}

static char *join(const char *dir, const char *name)
{
	return *dir ? cb_xasprintf("%s/%s", dir, name) : cb_xstrdup(name);
}

static int fail(struct cb_err **err, int errnum, const char *what, const struct cb_copy_target *t, const char *name)
{
	return cb_err_errno(err, errnum, "%s /%s%s%s", what, t->path, *t->path ? "/" : "", name);
}

int cb_copy_target_new(
	struct cb_copier *copier, const char *path, int fd, struct cb_copy_target **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_copy_target_free) struct cb_copy_target *target = target_new(cb_xstrdup(path), fd, NULL);
	struct stat st;
	int r = cb_dest_parents_dir(copier->dest, path, &target->below, err);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return fail(err, errno, "stat", target, "");
	target->sgid = st.st_mode & S_ISGID;
	*ret = CB_TAKE_PTR(target);
	return 0;
}

static int non_directory(struct cb_err **err, const struct cb_copy_target *t, const char *name)
{
	return cb_err_set(
		err, CB_ERR_INPUT, "cannot copy to non-directory: /%s%s%s", t->path, *t->path ? "/" : "", name);
}

/* Makes or opens @name in @parent_fd. 1 when it was there. */
static int make_or_open(
	const struct cb_copy_target *parent, int parent_fd, const char *name, int *ret_fd, struct cb_err **err)
{
	bool there = mkdirat(parent_fd, name, 0700) < 0;

	if (there && errno != EEXIST)
		return fail(err, errno, "make directory", parent, name);
	*ret_fd = openat(parent_fd, name, DIR_FLAGS);
	if (*ret_fd >= 0)
		return there ? 1 : 0;
	if (errno == ENOTDIR || errno == ELOOP)
		return non_directory(err, parent, name);
	return fail(err, errno, "open", parent, name);
}

int cb_copy_target_enter(struct cb_copier *copier, struct cb_copy_target *parent, const char *name, bool by_path,
	struct cb_copy_target **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *parent_below = NULL, *below = NULL;
	cleanup_close int opened = -EBADF, fd = -EBADF;
	struct cb_tree_ent ent;
	struct stat st;
	int parent_fd = by_path ? -1 : parent->fd, r, there;

	if (!by_path && parent->below) {
		parent_below = cb_tree_dir_ref(parent->below);
	} else if (by_path) {
		parent_fd = opened = cb_path_open_beneath(copier->spec->upper, parent->path, DIR_FLAGS, 0);
		if (opened < 0)
			return fail(err, errno, "open", parent, "");
		r = cb_dest_parents_dir(copier->dest, parent->path, &parent_below, err);
		if (r < 0)
			return r;
	}
	r = parent_below ? cb_tree_dir_find(parent_below, name, &ent, err) : 1;
	if (r == 0)
		r = cb_tree_at_dir(parent_below, &ent, &below, err);
	else
		ent.type = DT_DIR;
	if (r < 0)
		return r;
	there = make_or_open(parent, parent_fd, name, &fd, err);
	if (there < 0)
		return there;
	if (!there && ent.type != DT_DIR)
		return non_directory(err, parent, name);
	if (fstat(fd, &st) < 0)
		return fail(err, errno, "stat", parent, name);
	*ret = target_new(join(parent->path, name), CB_TAKE_FD(fd), CB_TAKE_PTR(below));
	(*ret)->sgid = st.st_mode & S_ISGID;
	return 0;
}

static struct cb_copyfile_attr attr_of(const struct cb_copier *copier, const struct stat *st)
{
	const struct cb_copy_spec *spec = copier->spec;
	struct cb_copyfile_attr attr = {
		.mode = st->st_mode & 07777,
		.owner = { st->st_uid, st->st_gid },
		.times = { st->st_atim, st->st_mtim },
	};

	if (spec->chmod)
		attr.mode = cb_chmod_apply(spec->chmod, st->st_mode, S_ISDIR(st->st_mode));
	if (spec->chown)
		attr.owner = *spec->chown;
	return attr;
}

int cb_copy_target_finish(
	struct cb_copier *copier, struct cb_copy_target *target, const struct stat *st, struct cb_err **err)
{
	struct cb_copyfile_attr attr = attr_of(copier, st);
	int r;

	if (target->fd < 0)
		target->fd = cb_path_open_beneath(copier->spec->upper, target->path, DIR_FLAGS, 0);
	if (target->fd < 0)
		return fail(err, errno, "open", target, "");
	cb_dest_retouch(copier->dest, target->path, attr.times);
	r = cb_copyfile_finish(&copier->host, target->fd, &attr, false, false, -1, err);
	if (copier->spec->progress)
		copier->spec->progress->entries++;
	return r < 0 ? cb_err_wrap(err, r, "/%s", target->path) : 0;
}

/* --- What stands in the way ----------------------------------------------------------------------------------------
 */

static int by_name(const void *key, const void *member)
{
	return strcmp(key, ((const struct cb_tree_ent *)member)->name);
}

/* The parents' type of @name in a directory that gets many entries: listed once. 0 for none. */
static int listed_type(struct cb_copy_target *t, const char *name, unsigned char *ret, struct cb_err **err)
{
	const struct cb_tree_ent *ent;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (!t->listed)
		r = cb_tree_dir_list(t->below, &t->names, err);
	t->listed = r == 0;
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		return r;
	ent = t->names.n ? bsearch(name, t->names.ents, t->names.n, sizeof(*t->names.ents), by_name) : NULL;
	*ret = ent ? ent->type : 0;
	return 0;
}

static int replace_directory(struct cb_err **err, const struct cb_copy_target *t, const char *name)
{
	return cb_err_set(
		err, CB_ERR_INPUT, "cannot replace to directory /%s%s%s with file", t->path, *t->path ? "/" : "", name);
}

/* A file may take the place of anything of the parents but a directory. */
static int check_below(struct cb_copy_target *t, const char *name, bool many, struct cb_err **err)
{
	struct cb_tree_ent ent = { 0 };
	int r;

	if (!t->below)
		return 0;
	if (many)
		r = listed_type(t, name, &ent.type, err);
	else
		r = cb_tree_dir_find(t->below, name, &ent, err);
	if (r < 0)
		return r;
	return r == 0 && ent.type == DT_DIR ? replace_directory(err, t, name) : 0;
}

/* Takes away what the upper has under that name, after a call that ended with EEXIST. */
static int make_room(struct cb_copy_target *t, const char *name, struct cb_err **err)
{
	if (unlinkat(t->fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR)
		return replace_directory(err, t, name);
	return fail(err, errno, "remove", t, name);
}

/* --- Files ---------------------------------------------------------------------------------------------------------
 */

static int create_file(struct cb_copy_target *t, const char *name, mode_t mode, int *ret_fd, struct cb_err **err)
{
	for (int tries = 0; tries < 2; tries++) {
		int r;

		*ret_fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (*ret_fd >= 0)
			return 0;
		if (errno != EEXIST || tries)
			break;
		r = make_room(t, name, err);
		if (r < 0)
			return r;
	}
	return fail(err, errno, "create", t, name);
}

/* Where the first link of a file went. */
struct link {
	nlink_t left; /* names of it not seen yet */
	char path[];
};

static int link_again(struct cb_copier *copier, struct cb_copy_target *t, const char *name, const struct link *link)
{
	for (int tries = 0; tries < 2; tries++) {
		if (linkat(copier->spec->upper, link->path, t->fd, name, 0) == 0)
			return 0;
		if (errno != EEXIST || make_room(t, name, NULL) < 0)
			break;
	}
	return -1;
}

/*
 * A file with several links: 1 when this is not its first and it was linked to that. Else the file is created, under
 * the lock, so that its next link finds it.
 */
static int link_or_create(struct cb_copier *copier, struct cb_copy_target *t, const char *name, const struct stat *st,
	mode_t mode, int *ret_fd, struct cb_err **err)
{
	char key[64];
	struct link *link;
	int r;

	snprintf(key, sizeof(key), "%lx:%lx", (unsigned long)st->st_dev, (unsigned long)st->st_ino);
	pthread_mutex_lock(&copier->links_lock);
	link = cb_map_get(copier->links, key);
	if (link && link_again(copier, t, name, link) == 0) {
		if (--link->left == 0)
			cb_map_del(copier->links, key);
		pthread_mutex_unlock(&copier->links_lock);
		return 1;
	}
	r = create_file(t, name, mode, ret_fd, err);
	if (r == 0 && !link) {
		link = cb_xcalloc(1, sizeof(*link) + strlen(t->path) + strlen(name) + 2);
		link->left = st->st_nlink - 1;
		sprintf(link->path, "%s%s%s", t->path, *t->path ? "/" : "", name);
		cb_map_set(copier->links, key, link);
	}
	pthread_mutex_unlock(&copier->links_lock);
	return r;
}

static int put_regular(struct cb_copier *copier, struct cb_copy_target *t, const char *name, struct cb_tree_dir *dir,
	const struct cb_tree_ent *ent, struct cb_err **err)
{
	const struct cb_copy_spec *spec = copier->spec;
	cleanup_close int src = -EBADF, dst = -EBADF;
	struct cb_copyfile_attr attr;
	struct stat st;
	mode_t mode;
	int r = cb_tree_at_open(dir, ent, &src, &st, err);

	if (r > 0)
		return cb_err_set(
			err, CB_ERR_IO, "/%s/%s vanished while it was read", cb_tree_dir_path(dir), ent->name);
	if (r < 0)
		return r;
	attr = attr_of(copier, &st);
	mode = cb_copyfile_create_mode(&attr);
	if (st.st_nlink > 1 && !spec->unlink)
		r = link_or_create(copier, t, name, &st, mode, &dst, err);
	else
		r = create_file(t, name, mode, &dst, err);
	if (r != 0)
		return CB_MIN(r, 0);
	r = cb_copyfile_data(&copier->host, src, dst, &st, spec->index, spec->cancel, err);
	if (r == 0)
		r = cb_copyfile_finish(&copier->host, dst, &attr, true, t->sgid, src, err);
	if (r < 0)
		return cb_err_wrap(err, r, "copy to /%s%s%s", t->path, *t->path ? "/" : "", name);
	if (spec->progress)
		spec->progress->bytes += (uint64_t)st.st_size;
	return 0;
}

/* --- Everything else -----------------------------------------------------------------------------------------------
 */

/* Metadata of an entry that cannot be opened. */
static int finish_special(struct cb_copier *copier, struct cb_copy_target *t, const char *name, const struct stat *st,
	struct cb_err **err)
{
	struct cb_copyfile_attr attr = attr_of(copier, st);

	if ((t->sgid || attr.owner.uid != copier->host.euid || attr.owner.gid != copier->host.egid) &&
		cb_owner_fchownat(t->fd, name, attr.owner.uid, attr.owner.gid) < 0)
		return fail(err, errno, "change owner of", t, name);
	/* Our own entry in a directory that nobody else writes: no link can have taken its place. */
	if (!S_ISLNK(st->st_mode) && fchmodat(t->fd, name, attr.mode, 0) < 0)
		return fail(err, errno, "change mode of", t, name);
	if (utimensat(t->fd, name, attr.times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(err, errno, "change times of", t, name);
	return 0;
}

static int put_symlink(struct cb_copier *copier, struct cb_copy_target *t, const char *name, struct cb_tree_dir *dir,
	const struct cb_tree_ent *ent, const struct stat *st, struct cb_err **err)
{
	cleanup_free char *target = NULL;
	int r = cb_tree_at_readlink(dir, ent, &target, err);

	if (r > 0)
		return cb_err_set(
			err, CB_ERR_IO, "/%s/%s vanished while it was read", cb_tree_dir_path(dir), ent->name);
	if (r < 0)
		return r;
	if (symlinkat(target, t->fd, name) < 0) {
		if (errno != EEXIST)
			return fail(err, errno, "create", t, name);
		r = make_room(t, name, err);
		if (r < 0)
			return r;
		if (symlinkat(target, t->fd, name) < 0)
			return fail(err, errno, "create", t, name);
	}
	return finish_special(copier, t, name, st, err);
}

static int put_node(struct cb_copier *copier, struct cb_copy_target *t, const char *name, const struct stat *st,
	struct cb_err **err)
{
	mode_t type = st->st_mode & S_IFMT;
	int r;

	/* An inode that only the image's own processes could make answer is no use: BuildKit leaves a file, so do we.
	 */
	if (type == S_IFSOCK)
		type = S_IFREG;
	/* In the upper this would be a whiteout. */
	if (type == S_IFCHR && st->st_rdev == 0)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "cannot copy the device 0:0 to /%s%s%s", t->path,
			*t->path ? "/" : "", name);
	if (cb_owner_mknodat(t->fd, name, type | 0600, st->st_rdev) < 0) {
		if (errno != EEXIST)
			return fail(err, errno, "create", t, name);
		r = make_room(t, name, err);
		if (r < 0)
			return r;
		if (cb_owner_mknodat(t->fd, name, type | 0600, st->st_rdev) < 0)
			return fail(err, errno, "create", t, name);
	}
	return finish_special(copier, t, name, st, err);
}

int cb_copy_target_put(struct cb_copier *copier, struct cb_copy_target *target, const char *name,
	struct cb_tree_dir *dir, const struct cb_tree_ent *ent, bool many, struct cb_err **err)
{
	struct stat st;
	int r = check_below(target, name, many, err);

	if (r < 0)
		return r;
	if (copier->spec->progress)
		copier->spec->progress->entries++;
	if (ent->type == DT_REG)
		return put_regular(copier, target, name, dir, ent, err);
	r = cb_tree_at_stat(dir, ent, &st, err);
	if (r > 0)
		return cb_err_set(
			err, CB_ERR_IO, "/%s/%s vanished while it was read", cb_tree_dir_path(dir), ent->name);
	if (r < 0)
		return r;
	if (ent->type == DT_LNK)
		return put_symlink(copier, target, name, dir, ent, &st, err);
	return put_node(copier, target, name, &st, err);
}

int cb_copy_target_put_data(struct cb_copier *copier, struct cb_copy_target *target, const char *name,
	const struct cb_copy_file *file, struct cb_err **err)
{
	const struct timespec created = copier->spec->created;
	struct stat st = { .st_mode = S_IFREG | 0644, .st_atim = created, .st_mtim = created };
	struct cb_copyfile_attr attr = attr_of(copier, &st);
	cleanup_close int fd = -EBADF;
	int r = check_below(target, name, false, err);

	if (r == 0)
		r = create_file(target, name, cb_copyfile_create_mode(&attr), &fd, err);
	if (r < 0)
		return r;
	if (cb_fd_write_all(fd, file->data, file->len) < 0)
		return fail(err, errno, "write", target, name);
	r = cb_copyfile_finish(&copier->host, fd, &attr, true, target->sgid, -1, err);
	return r < 0 ? cb_err_wrap(err, r, "/%s/%s", target->path, name) : 0;
}
