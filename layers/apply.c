/* Layers: directories are opened below one root, never through a symlink, and kept open. */
#include "layers/apply.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/opendirs.h"
#include "layers/unpack.h"

struct root {
	struct cb_unpack *unpack;
	int fd;
	struct cb_opendirs dirs;
};

/** Opens the component @name of @dirfd, which has the path @path; 1 when missing. */
static int open_component(
	struct root *root, int dirfd, const char *name, const char *path, bool make, int *ret_fd, struct cb_err **err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags);

	if (fd < 0 && errno == ENOENT) {
		if (!make)
			return 1;
		if (mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST)
			return cb_err_errno(err, errno, "unpack: make directory \"%s\"", path);
		fd = openat(dirfd, name, flags);
		if (fd >= 0 && fchmod(fd, 0755) < 0) { /* whatever the umask is */
			close(fd);
			return cb_err_errno(err, errno, "unpack: set mode of \"%s\"", path);
		}
		cb_unpack_implied(root->unpack, path);
	}
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return cb_err_set(err, CB_ERR_CORRUPT, "archive entry below \"%s\", which is no directory", path);
	if (fd < 0)
		return cb_err_errno(err, errno, "unpack: open \"%s\"", path);
	*ret_fd = fd;
	return 0;
}

static int root_open(void *arg, const char *path, bool make, int *ret_fd, struct cb_err **err)
{
	struct root *root = arg;
	size_t len = strlen(path), at = len;
	int fd = root->fd;

	/* The longest prefix that is open. */
	while (at > 0) {
		int open = cb_opendirs_find(&root->dirs, path, at);

		if (open >= 0) {
			fd = open;
			break;
		}
		while (at > 0 && path[at - 1] != '/')
			at--;
		at -= at > 0;
	}
	while (at < len) {
		size_t from = at > 0 ? at + 1 : 0;
		size_t to = from + strcspn(path + from, "/");
		cleanup_free char *so_far = cb_xstrndup(path, to);
		int r, next = -1;

		r = open_component(root, fd, so_far + from, so_far, make, &next, err);
		if (r != 0)
			return r;
		fd = cb_opendirs_keep(&root->dirs, path, to, next);
		at = to;
	}
	*ret_fd = fd;
	return 0;
}

static void root_forget(void *arg, const char *path)
{
	struct root *root = arg;

	cb_opendirs_forget(&root->dirs, path);
}

int cb_apply(const struct cb_apply_spec *spec, struct cb_source in, struct cb_apply_stats *stats, struct cb_err **err)
{
	CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *reader = NULL;
	cleanup_free struct root *root = NULL;
	cleanup_unpack struct cb_unpack u = { 0 };
	cleanup_close int rootfd = -EBADF;
	int r;

	assert(spec);
	assert(in.read);

	/* The caller's may be O_PATH. */
	rootfd = openat(spec->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return cb_err_errno(err, errno, "open the directory to unpack into");

	root = cb_new0(struct root);
	root->unpack = &u;
	root->fd = rootfd;
	u.dirs = (struct cb_unpack_dirs){ .open = root_open, .forget = root_forget, .arg = root };
	u.flavour = spec->flavour;
	u.layer = spec->layer;
	u.no_devices = spec->no_devices;
	u.limits = spec->limits;
	u.cancel = spec->cancel;
	cb_unpack_init(&u);

	reader = cb_tarreader_new(in);
	r = cb_unpack_all(&u, reader, err);
	if (r == 0)
		r = cb_tarreader_drain(reader, err);
	cb_opendirs_done(&root->dirs);
	if (r == 0 && stats)
		*stats = u.stats;
	return r;
}
