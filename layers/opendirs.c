#include "layers/opendirs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void close_dir(struct cb_opendir *d)
{
	if (!d->path)
		return;
	close(d->fd);
	free(d->path);
	*d = (struct cb_opendir){ .fd = -EBADF };
}

int cb_opendirs_find(struct cb_opendirs *t, const char *path, size_t len)
{
	struct cb_opendir *d = t->last;

	if (d && d->path && d->len == len && memcmp(d->path, path, len) == 0)
		goto found;
	for (size_t i = 0; i < CB_OPENDIRS_MAX; i++) {
		d = &t->dirs[i];
		if (d->path && d->len == len && memcmp(d->path, path, len) == 0)
			goto found;
	}
	return -1;
found:
	d->used = ++t->clock;
	t->last = d;
	return d->fd;
}

int cb_opendirs_keep(struct cb_opendirs *t, const char *path, size_t len, int fd)
{
	struct cb_opendir *oldest = &t->dirs[0];

	for (size_t i = 1; i < CB_OPENDIRS_MAX && oldest->path; i++)
		if (!t->dirs[i].path || t->dirs[i].used < oldest->used)
			oldest = &t->dirs[i];
	close_dir(oldest);
	*oldest = (struct cb_opendir){ cb_xstrndup(path, len), len, fd, ++t->clock };
	t->last = oldest;
	return fd;
}

void cb_opendirs_forget(struct cb_opendirs *t, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < CB_OPENDIRS_MAX; i++) {
		struct cb_opendir *d = &t->dirs[i];

		if (d->path && strncmp(d->path, path, len) == 0 && (d->path[len] == '\0' || d->path[len] == '/'))
			close_dir(d);
	}
}

void cb_opendirs_done(struct cb_opendirs *t)
{
	for (size_t i = 0; i < CB_OPENDIRS_MAX; i++)
		close_dir(&t->dirs[i]);
}
