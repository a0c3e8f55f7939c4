#include "base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define CHUNK ((size_t)128 * 1024)

int cb_fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t cb_fd_read_full(int fd, void *data, size_t len)
{
	char *p = data;
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, p + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

int cb_fd_read_all(int fd, size_t max, const char *what, struct cb_buf *out, struct cb_err **err)
{
	size_t start = out->len, room = 4096;
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		room = CB_MIN((size_t)st.st_size, max) + 1;
	for (;;) {
		ssize_t n;

		cb_buf_reserve(out, room);
		n = read(fd, out->data + out->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EISDIR)
			return cb_err_set(err, CB_ERR_INPUT, "%s is a directory, not a file", what);
		if (n < 0)
			return cb_err_errno(err, errno, "read %s", what);
		if (!n)
			break;
		out->len += (size_t)n;
		out->data[out->len] = '\0';
		if (out->len - start > max)
			return cb_err_set(err, CB_ERR_LIMIT, "%s is larger than %zu bytes", what, max);
		room = CHUNK;
	}
	cb_buf_add(out, "", 0);
	return 0;
}

int cb_file_read_at(int dirfd, const char *path, size_t max, struct cb_buf *out, struct cb_err **err)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return cb_err_errno(err, errno, "open %s", path);
	return cb_fd_read_all(fd, max, path, out, err);
}

static int copy_by_hand(int src, int dst, uint64_t *len, struct cb_err **err)
{
	cleanup_free char *chunk = cb_xmalloc(CHUNK);

	for (;;) {
		ssize_t n = read(src, chunk, CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cb_err_errno(err, errno, "read");
		if (!n)
			return 0;
		if (cb_fd_write_all(dst, chunk, (size_t)n) < 0)
			return cb_err_errno(err, errno, "write");
		*len += (uint64_t)n;
	}
}

int cb_fd_copy(int src, int dst, uint64_t *ret_len, struct cb_err **err)
{
	uint64_t len = 0;
	int r;

	for (;;) {
		ssize_t n = copy_file_range(src, NULL, dst, NULL, (size_t)1 << 30, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
			return cb_err_errno(err, errno, "copy");
		/* Files of proc and some network file systems report an end at once: only reading tells the truth. */
		if (n <= 0)
			break;
		len += (uint64_t)n;
	}
	r = copy_by_hand(src, dst, &len, err);
	if (r < 0)
		return r;
	if (ret_len)
		*ret_len = len;
	return 0;
}

int cb_fd_dup(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

void cb_fd_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}
