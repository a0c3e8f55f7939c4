/* Is an entry of a snapshot what its parents have already? */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/diffwalk.h"

static int open_ours(struct cb_diff *d, const char *name, int *ret_fd, struct cb_err **err)
{
	*ret_fd = openat(cb_diff_top(d)->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*ret_fd < 0)
		return cb_err_errno(err, errno, "open \"%s/%s\"", cb_diff_top(d)->path, name);
	return 0;
}

static int same_capability(
	struct cb_diff *d, const char *name, const struct cb_tree_ent *base, const struct stat *st, struct cb_err **err)
{
	struct cb_tarput_cap ours, theirs;
	cleanup_close int fd = -EBADF, base_fd = -EBADF;
	int r;

	if (!S_ISREG(st->st_mode))
		return 1;
	r = open_ours(d, name, &fd, err);
	if (r == 0)
		r = cb_tarput_cap_get(fd, &ours, err);
	if (r == 0)
		r = cb_tree_at_open(cb_diff_top(d)->base, base, &base_fd, NULL, err);
	if (r != 0)
		return CB_MIN(r, 0);
	r = cb_tarput_cap_get(base_fd, &theirs, err);
	if (r < 0)
		return r;
	return ours.len == theirs.len && memcmp(ours.value, theirs.value, ours.len) == 0;
}

static int same_target(struct cb_diff *d, const char *name, const struct cb_tree_ent *base, struct cb_err **err)
{
	cleanup_free char *ours = cb_tarput_readlink(cb_diff_top(d)->fd, name, err);
	cleanup_free char *theirs = NULL;
	int r;

	if (!ours)
		return CB_ERR_IO;
	r = cb_tree_at_readlink(cb_diff_top(d)->base, base, &theirs, err);
	return r != 0 ? CB_MIN(r, 0) : strcmp(ours, theirs) == 0;
}

static int same_content(struct cb_diff *d, const char *name, const struct cb_tree_ent *base, struct cb_err **err)
{
	cleanup_close int fd = -EBADF, base_fd = -EBADF;
	const size_t half = CB_DIFF_BUF / 2;
	int r;

	r = open_ours(d, name, &fd, err);
	if (r == 0)
		r = cb_tree_at_open(cb_diff_top(d)->base, base, &base_fd, NULL, err);
	if (r != 0)
		return CB_MIN(r, 0);
	for (;;) {
		ssize_t n = cb_fd_read_full(fd, d->buf, half);
		ssize_t base_n = n < 0 ? 0 : cb_fd_read_full(base_fd, d->buf + half, half);

		if (n < 0 || base_n < 0)
			return cb_err_errno(err, errno, "compare \"%s/%s\"", cb_diff_top(d)->path, name);
		if (n != base_n || memcmp(d->buf, d->buf + half, (size_t)n) != 0)
			return 0;
		if ((size_t)n < half)
			return 1;
		r = cb_cancel_check(d->spec->cancel, err);
		if (r < 0)
			return r;
	}
}

int cb_diff_same(struct cb_diff *d, const char *name, const struct stat *st, const struct cb_tree_ent *base,
	const struct stat *base_st, struct cb_err **err)
{
	int r;

	if (st->st_dev == base_st->st_dev && st->st_ino == base_st->st_ino)
		return 1;
	if (st->st_mode != base_st->st_mode || st->st_uid != base_st->st_uid || st->st_gid != base_st->st_gid ||
		st->st_rdev != base_st->st_rdev)
		return 0;
	if (S_ISDIR(st->st_mode))
		return 1;
	if (st->st_size != base_st->st_size || st->st_mtim.tv_sec != base_st->st_mtim.tv_sec ||
		st->st_mtim.tv_nsec != base_st->st_mtim.tv_nsec)
		return 0;
	r = same_capability(d, name, base, st, err);
	if (r <= 0 || st->st_mtim.tv_nsec != 0)
		return r;
	if (S_ISLNK(st->st_mode))
		return same_target(d, name, base, err);
	return S_ISREG(st->st_mode) && st->st_size > 0 ? same_content(d, name, base, err) : 1;
}
