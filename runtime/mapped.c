#include "runtime/mapped.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "runtime/overlay.h"

/* A detached idmapped copy of the tree @path. */
struct base {
	char *path;
	int fd;
	char attached[32]; /* its name below scratch_fd, where the kernel takes no detached ones, or empty */
};

struct layer {
	dev_t dev;
	ino_t ino;
	int fd;
};

struct cb_mapped {
	pthread_mutex_t lock;
	int above;
	struct base *bases;
	size_t n_bases, cap_bases;
	struct layer *layers; /* their inodes cannot be given to others, since they are open */
	size_t n_layers, cap_layers;
};

struct cb_mapped *cb_mapped_new(int above)
{
	struct cb_mapped *mapped = cb_new0(struct cb_mapped);

	pthread_mutex_init(&mapped->lock, NULL);
	mapped->above = above < 0 ? -EBADF : fcntl(above, F_DUPFD_CLOEXEC, 3);
	return mapped;
}

struct cb_mapped *cb_mapped_free(struct cb_mapped *mapped, const struct cb_overlay_env *env)
{
	if (!mapped)
		return NULL;
	for (size_t i = 0; i < mapped->n_layers; i++)
		close(mapped->layers[i].fd);
	for (size_t i = 0; i < mapped->n_bases; i++) {
		struct base *base = &mapped->bases[i];
		if (*base->attached)
			cb_overlay_detach(env, base->attached);
		close(base->fd);
		free(base->path);
	}
	cb_closep(&mapped->above);
	pthread_mutex_destroy(&mapped->lock);
	free(mapped->layers);
	free(mapped->bases);
	free(mapped);
	return NULL;
}

static int fd_path(int fd, char out[static PATH_MAX], struct cb_err **err)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX - 1);
	if (n < 0)
		return cb_err_errno(err, errno, "name of directory");
	out[n] = '\0';
	return 0;
}

/* What follows @base in @path, "." when they are the same; NULL when @path is elsewhere. */
static const char *below(const char *base, const char *path)
{
	size_t len = strlen(base);

	if (strncmp(base, path, len) != 0 || (path[len] != '\0' && path[len] != '/'))
		return NULL;
	return path[len] ? path + len + 1 : ".";
}

/* In @base, the directory @path, which must be the one that @fd is: -1 when it is not (a mount on the way, say). */
static int open_in(const struct base *base, const char *path, int fd)
{
	const char *rel = below(base->path, path);
	struct stat want, got;

	if (!rel)
		return -1;
	cleanup_close int dir = cb_path_open_beneath(base->fd, rel, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (dir < 0 || fstat(dir, &got) < 0 || fstat(fd, &want) < 0 || want.st_dev != got.st_dev ||
		want.st_ino != got.st_ino)
		return -1;
	return CB_TAKE_FD(dir);
}

static int add_base(struct cb_mapped *mapped, const struct cb_overlay_env *env, int fd, const char *path,
	const struct base **ret, struct cb_err **err)
{
	struct base base = { .path = NULL };
	cleanup_close int clone = cb_overlay_clone(env, fd, 0, err);
	int r = clone < 0 ? clone : 0;

	if (r == 0 && env->attach)
		r = cb_overlay_attach(env, clone, base.attached, err);
	if (r < 0)
		return r;
	base.path = cb_xstrdup(path);
	base.fd = CB_TAKE_FD(clone);
	CB_GROW(mapped->bases, mapped->cap_bases, mapped->n_bases + 1);
	mapped->bases[mapped->n_bases++] = base;
	*ret = &mapped->bases[mapped->n_bases - 1];
	return 0;
}

/*
 * One copy of all that the build will use. Not where copies have to be attached: nothing that is about to be removed
 * (scratch_fd is below it) should have the whole tree in it.
 */
static int add_first_base(struct cb_mapped *mapped, const struct cb_overlay_env *env, struct cb_err **err)
{
	cleanup_close int above = CB_TAKE_FD(mapped->above);
	const struct base *base;
	char path[PATH_MAX];

	if (above < 0 || env->attach)
		return 0;
	int r = fd_path(above, path, err);
	return r < 0 ? r : add_base(mapped, env, above, path, &base, err);
}

static int open_lower(struct cb_mapped *mapped, const struct cb_overlay_env *env, int fd, int *ret, struct cb_err **err)
{
	const struct base *base;
	char path[PATH_MAX];
	int r = add_first_base(mapped, env, err);

	if (r == 0)
		r = fd_path(fd, path, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < mapped->n_bases; i++) {
		*ret = open_in(&mapped->bases[i], path, fd);
		if (*ret >= 0)
			return 0;
	}
	r = add_base(mapped, env, fd, path, &base, err);
	if (r < 0)
		return r;
	*ret = open_in(base, path, fd);
	return *ret < 0 ? cb_err_set(err, CB_ERR_INTERNAL, "overlay directory changed its place") : 0;
}

static int get_lower(struct cb_mapped *mapped, const struct cb_overlay_env *env, int fd, int *ret, struct cb_err **err)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "look at overlay directory");
	for (size_t i = 0; i < mapped->n_layers; i++)
		if (mapped->layers[i].ino == st.st_ino && mapped->layers[i].dev == st.st_dev) {
			*ret = mapped->layers[i].fd;
			return 0;
		}
	r = open_lower(mapped, env, fd, ret, err);
	if (r < 0)
		return r;
	CB_GROW(mapped->layers, mapped->cap_layers, mapped->n_layers + 1);
	mapped->layers[mapped->n_layers++] = (struct layer){ st.st_dev, st.st_ino, *ret };
	return 0;
}

int cb_mapped_lower(struct cb_mapped *mapped, const struct cb_overlay_env *env, int fd, int *ret, struct cb_err **err)
{
	pthread_mutex_lock(&mapped->lock);
	int r = get_lower(mapped, env, fd, ret, err);
	pthread_mutex_unlock(&mapped->lock);
	return r;
}

static bool open_pair(const struct base *base, const char *const paths[2], const int fds[2], int ret[2])
{
	ret[0] = open_in(base, paths[0], fds[0]);
	ret[1] = ret[0] < 0 ? -EBADF : open_in(base, paths[1], fds[1]);
	if (ret[1] >= 0)
		return true;
	cb_closep(&ret[0]);
	return false;
}

/* The nearest directory above both. False when there is none but "/". */
static bool common_parent(const char *a, const char *b, char *ret)
{
	size_t cut = 0;

	for (size_t i = 0; a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			cut = i;
	memcpy(ret, a, cut);
	ret[cut] = '\0';
	return cut > 0;
}

static int get_upper(
	struct cb_mapped *mapped, const struct cb_overlay_env *env, const int fds[2], int ret[2], struct cb_err **err)
{
	char a[PATH_MAX], b[PATH_MAX], common[PATH_MAX];
	const char *const paths[2] = { a, b };
	const struct base *base;
	int r = add_first_base(mapped, env, err);

	if (r == 0)
		r = fd_path(fds[0], a, err);
	if (r == 0)
		r = fd_path(fds[1], b, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < mapped->n_bases; i++)
		if (open_pair(&mapped->bases[i], paths, fds, ret))
			return 0;
	if (!common_parent(a, b, common))
		return cb_err_set(err, CB_ERR_INTERNAL, "overlay directories have no common parent");
	cleanup_close int dir = open(common, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return cb_err_errno(err, errno, "open %s", common);
	r = add_base(mapped, env, dir, common, &base, err);
	if (r < 0)
		return r;
	return open_pair(base, paths, fds, ret)
		       ? 0
		       : cb_err_set(err, CB_ERR_INTERNAL, "overlay directory changed its place");
}

int cb_mapped_upper(struct cb_mapped *mapped, const struct cb_overlay_env *env, int upper, int work, int *ret_upper,
	int *ret_work, struct cb_err **err)
{
	const int fds[2] = { upper, work };
	int got[2] = { -EBADF, -EBADF };

	pthread_mutex_lock(&mapped->lock);
	int r = get_upper(mapped, env, fds, got, err);
	pthread_mutex_unlock(&mapped->lock);
	*ret_upper = got[0];
	*ret_work = got[1];
	return r;
}
