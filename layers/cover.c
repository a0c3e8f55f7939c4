#include "layers/cover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "layers/tree.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* A directory that was made on the way, by its parent and name. */
struct made {
	int up;
	char *name;
};

struct cb_cover {
	int aside;
	int up;     /* the directory that has the target */
	char *path; /* of the target, real */
	bool kept;
	ino_t ino; /* of what is lent */
	struct made *made;
	size_t n_made, cap_made;
};

struct cb_cover *cb_cover_free(struct cb_cover *cover)
{
	if (!cover)
		return NULL;
	for (size_t i = 0; i < cover->n_made; i++) {
		close(cover->made[i].up);
		free(cover->made[i].name);
	}
	free(cover->made);
	cb_closep(&cover->up);
	free(cover->path);
	free(cover);
	return NULL;
}

const char *cb_cover_kept(const struct cb_cover *cover)
{
	return cover->kept ? cover->path : NULL;
}

/* ---- places --------------------------------------------------------------------------------------------------- */

static int name_of(int fd, char out[static PATH_MAX])
{
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, out, PATH_MAX - 1);
	if (n < 0)
		return -1;
	out[n] = '\0';
	return 0;
}

/* The real path of @fd below @rootfd, absolute. 0, or -1 with errno. */
static int path_below(int rootfd, int fd, char **ret)
{
	char root[PATH_MAX], path[PATH_MAX];

	if (name_of(rootfd, root) < 0 || name_of(fd, path) < 0)
		return -1;
	size_t len = strlen(root);
	if (strncmp(path, root, len) != 0 || (path[len] && path[len] != '/')) {
		errno = EXDEV;
		return -1;
	}
	*ret = cb_xstrdup(path[len] ? path + len : "/");
	return 0;
}

static void keep_times(int dir, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	(void)futimens(dir, times);
}

static int make_dir(struct cb_cover *cover, int up, const char *name)
{
	struct stat before;

	if (fstat(up, &before) < 0 || mkdirat(up, name, 0755) < 0)
		return -1;
	keep_times(up, &before);
	int copy = fcntl(up, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -1;
	CB_GROW(cover->made, cover->cap_made, cover->n_made + 1);
	cover->made[cover->n_made++] = (struct made){ copy, cb_xstrdup(name) };
	return 0;
}

/*
 * The real path of @path, whose directories are made when they are missing; what it names itself may be missing. A link
 * that leads to nothing stands for what it names. 0, or -1 with errno.
 */
static int find_place(struct cb_cover *cover, int root, const char *path, unsigned int links, char **ret)
{
	cleanup_close int there = cb_path_open_in_root(root, path, O_PATH, 0);
	cleanup_free char *parent = cb_path_dir(path), *up_path = NULL, *real_up = NULL;
	const char *name = cb_path_base(path);
	char text[PATH_MAX];

	if (there >= 0)
		return path_below(root, there, ret);
	if (errno != ENOENT)
		return -1;
	if (links > CB_TREE_LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	if (find_place(cover, root, parent, links, &up_path) < 0)
		return -1;
	cleanup_close int up = cb_path_open_in_root(root, up_path, O_RDONLY | O_DIRECTORY, 0);
	if (up < 0 && errno == ENOENT) {
		cleanup_free char *above = cb_path_dir(up_path);
		cleanup_close int grand = cb_path_open_in_root(root, above, O_RDONLY | O_DIRECTORY, 0);
		if (grand < 0 || make_dir(cover, grand, cb_path_base(up_path)) < 0)
			return -1;
		up = cb_path_open_in_root(root, up_path, O_RDONLY | O_DIRECTORY, 0);
	}
	if (up < 0 || path_below(root, up, &real_up) < 0)
		return -1;
	ssize_t n = readlinkat(up, name, text, sizeof(text) - 1);
	if (n < 0 && errno != ENOENT)
		return -1;
	if (n < 0) {
		*ret = cb_path_join(real_up, name);
		return 0;
	}
	text[n] = '\0';
	cleanup_free char *joined = text[0] == '/' ? cb_xstrdup(text) : cb_xasprintf("%s/%s", real_up, text);
	cleanup_free char *behind = cb_path_abs(joined);
	return find_place(cover, root, behind, links + 1, ret);
}

/* ---- there and back ------------------------------------------------------------------------------------------- */

/* @kept: what is there now, if anything is. */
static int check_kinds(const struct cb_cover *cover, const struct stat *lent, const struct stat *kept,
	const char *target, struct cb_err **err)
{
	if (cover->kept && S_ISDIR(lent->st_mode) != S_ISDIR(kept->st_mode)) {
		cb_err_errno(err, S_ISDIR(kept->st_mode) ? EISDIR : ENOTDIR, "mount on %s of the image", target);
		return cb_err_recode(err, CB_ERR_INPUT);
	}
	return 0;
}

static int move_in(struct cb_cover *cover, const char *name)
{
	if (cover->kept && renameat(cover->up, name, cover->aside, CB_COVER_KEPT) < 0)
		return -1;
	if (renameat(cover->aside, CB_COVER_LENT, cover->up, name) == 0)
		return 0;
	int saved = errno;
	if (cover->kept)
		(void)renameat(cover->aside, CB_COVER_KEPT, cover->up, name);
	errno = saved;
	return -1;
}

static int put(struct cb_cover *cover, int rootfd, const char *target, struct cb_err **err)
{
	struct stat before, lent, kept;
	cleanup_free char *real = NULL;

	if (find_place(cover, rootfd, target, 0, &real) < 0)
		return cb_err_errno(err, errno, "open mount target %s", target);
	if (strcmp(real, "/") == 0)
		return cb_err_set(err, CB_ERR_INPUT, "mount target %s is the root of the image", target);
	cleanup_free char *parent = cb_path_dir(real);
	const char *name = cb_path_base(real);
	cover->path = cb_xstrdup(real + 1);
	cover->up = cb_path_open_beneath(rootfd, strcmp(parent, "/") == 0 ? "." : parent + 1, DIR_FLAGS, 0);
	if (cover->up < 0 || fstat(cover->up, &before) < 0 ||
		fstatat(cover->aside, CB_COVER_LENT, &lent, AT_SYMLINK_NOFOLLOW) < 0)
		return cb_err_errno(err, errno, "open mount target %s", target);
	cover->kept = fstatat(cover->up, name, &kept, AT_SYMLINK_NOFOLLOW) == 0;
	int r = check_kinds(cover, &lent, &kept, target, err);
	if (r < 0)
		return r;
	cover->ino = lent.st_ino;
	if (move_in(cover, name) < 0)
		return cb_err_errno(err, errno, "put something in the place of %s", target);
	keep_times(cover->up, &before);
	return 0;
}

/* Deepest first. What a program has put into one is a change of the image, and so is the directory then. */
static void remove_made(const struct cb_cover *cover)
{
	struct stat before;

	for (size_t i = cover->n_made; i-- > 0;) {
		const struct made *made = &cover->made[i];
		if (fstat(made->up, &before) == 0 && unlinkat(made->up, made->name, AT_REMOVEDIR) == 0)
			keep_times(made->up, &before);
	}
}

int cb_cover_put(int rootfd, const char *target, int aside, struct cb_cover **ret, struct cb_err **err)
{
	struct cb_cover *cover = cb_new0(struct cb_cover);

	cover->aside = aside;
	cover->up = -EBADF;
	int r = put(cover, rootfd, target, err);
	if (r < 0) {
		remove_made(cover);
		cb_cover_free(cover);
		return r;
	}
	*ret = cover;
	return 0;
}

int cb_cover_take(struct cb_cover *cover, struct cb_err **err)
{
	const char *name = cb_path_base(cover->path);
	struct stat before, st;

	if (fstat(cover->up, &before) < 0)
		return cb_err_errno(err, errno, "take back /%s", cover->path);
	bool there = fstatat(cover->up, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == cover->ino;
	if (there && renameat(cover->up, name, cover->aside, CB_COVER_LENT) < 0)
		return cb_err_errno(err, errno, "take back /%s", cover->path);
	if (there && cover->kept && renameat(cover->aside, CB_COVER_KEPT, cover->up, name) < 0)
		return cb_err_errno(err, errno, "put back /%s", cover->path);
	keep_times(cover->up, &before);
	remove_made(cover);
	return there ? 0 : 1;
}
