#include "layers/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"

static int fd_write(void *arg, const void *data, size_t len, struct cb_err **err)
{
	if (cb_fd_write_all(*(int *)arg, data, len) < 0)
		return cb_err_errno(err, errno, "write");
	return 0;
}

struct cb_sink cb_sink_fd(int *fd)
{
	assert(fd);
	return (struct cb_sink){ fd_write, fd };
}

static ssize_t fd_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	ssize_t n;

	do
		n = read(*(int *)arg, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return cb_err_errno(err, errno, "read");
	return n;
}

struct cb_source cb_source_fd(int *fd)
{
	assert(fd);
	return (struct cb_source){ fd_read, fd };
}

static ssize_t mem_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct cb_source_mem *mem = arg;
	size_t n = CB_MIN(len, mem->len - mem->at);

	(void)err;
	if (n > 0)
		memcpy(buf, (const char *)mem->data + mem->at, n);
	mem->at += n;
	return (ssize_t)n;
}

struct cb_source cb_source_mem(struct cb_source_mem *mem)
{
	assert(mem);
	return (struct cb_source){ mem_read, mem };
}

static int buf_write(void *arg, const void *data, size_t len, struct cb_err **err)
{
	(void)err;
	cb_buf_add(arg, data, len);
	return 0;
}

struct cb_sink cb_sink_buf(struct cb_buf *buf)
{
	assert(buf);
	return (struct cb_sink){ buf_write, buf };
}

ssize_t cb_source_read_full(struct cb_source src, void *buf, size_t len, struct cb_err **err)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = src.read(src.arg, (char *)buf + at, len - at, err);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		at += (size_t)n;
	}
	return (ssize_t)at;
}
