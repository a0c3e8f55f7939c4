#include "base/atomic.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

int cb_atomic_open(int dirfd, const char *name, mode_t mode, int *ret_fd, char **ret_tmp, struct cb_err **err)
{
	static atomic_uint counter;
	cleanup_free char *dir = cb_path_dir(name);

	for (int i = 0; i < 100; i++) {
		char *tmp = cb_xasprintf(
			"%s/.%s.%d.%u.tmp", dir, cb_path_base(name), (int)getpid(), atomic_fetch_add(&counter, 1));
		int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

		if (fd >= 0) {
			*ret_fd = fd;
			*ret_tmp = tmp;
			return 0;
		}
		free(tmp);
		if (errno != EEXIST)
			break;
	}
	return cb_err_errno(err, errno, "create %s", name);
}

int cb_atomic_commit(int dirfd, int fd, const char *tmp, const char *name, struct cb_err **err)
{
	if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		return cb_err_errno(err, errno, "write %s", name);
	if (renameat(dirfd, tmp, dirfd, name) < 0)
		return cb_err_errno(err, errno, "replace %s", name);
	return 0;
}

void cb_atomic_abort(int dirfd, const char *tmp)
{
	assert(tmp);
	unlinkat(dirfd, tmp, 0);
}

int cb_atomic_write(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct cb_err **err)
{
	cleanup_free char *tmp = NULL;
	cleanup_close int fd = -EBADF;
	int r;

	r = cb_atomic_open(dirfd, name, mode, &fd, &tmp, err);
	if (r < 0)
		return r;
	if (cb_fd_write_all(fd, data, len) < 0)
		r = cb_err_errno(err, errno, "write %s", name);
	else
		r = cb_atomic_commit(dirfd, fd, tmp, name, err);
	if (r < 0)
		cb_atomic_abort(dirfd, tmp);
	return r;
}
