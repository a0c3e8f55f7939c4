/*
 * File descriptors: scope-bound closing, whole reads and writes. Every descriptor is opened O_CLOEXEC.
 */
#ifndef CB_BASE_FD_H
#define CB_BASE_FD_H

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"

static inline void cb_closep(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}
#define cleanup_close __attribute__((cleanup(cb_closep)))

/** Gives a descriptor away: the local becomes -EBADF. */
#define CB_TAKE_FD(fd)                                                                                                 \
	({                                                                                                             \
		int *taken_from = &(fd);                                                                               \
		int taken = *taken_from;                                                                               \
		*taken_from = -EBADF;                                                                                  \
		taken;                                                                                                 \
	})

/** Writes all; 0 or -1 with errno. */
int cb_fd_write_all(int fd, const void *data, size_t len);
/** Reads until @len bytes or the end; the count, or -1 with errno. */
ssize_t cb_fd_read_full(int fd, void *data, size_t len);
/** Appends everything up to the end; CB_ERR_LIMIT beyond @max bytes. @what names the source in errors. */
int cb_fd_read_all(int fd, size_t max, const char *what, struct cb_buf *out, struct cb_err **err);
/** Reads the file @path below @dirfd (AT_FDCWD allowed), at most @max bytes. */
int cb_file_read_at(int dirfd, const char *path, size_t max, struct cb_buf *out, struct cb_err **err);
/** Copies from the offsets of both to the end of @src (copy_file_range, else read and write). @ret_len may be NULL. */
int cb_fd_copy(int src, int dst, uint64_t *ret_len, struct cb_err **err);
/** Raises the limit of open files as far as it goes: pulling and building hold many. Best effort. */
void cb_fd_raise_limit(void);
/** dup with O_CLOEXEC, never below 3; -1 with errno. */
int cb_fd_dup(int fd);

#endif
