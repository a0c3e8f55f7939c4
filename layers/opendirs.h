/*
 * The directories that an unpacker wrote into last, kept open under their paths: archives name many files of few
 * directories. One thread; the descriptors belong to the table.
 */
#ifndef LAYERS_OPENDIRS_H
#define LAYERS_OPENDIRS_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* More than any path of ours is deep: the parents of what is being opened stay open. */
#define CB_OPENDIRS_MAX 128

struct cb_opendir {
	char *path; /* NULL: free */
	size_t len;
	int fd;
	uint64_t used;
};

/** Starts as zeroes. */
struct cb_opendirs {
	struct cb_opendir dirs[CB_OPENDIRS_MAX];
	struct cb_opendir *last; /* found or kept last */
	uint64_t clock;
};

/** The open directory of the first @len bytes of @path, or -1. Valid until the next call that keeps or forgets. */
int cb_opendirs_find(struct cb_opendirs *t, const char *path, size_t len);
/** Takes @fd as the directory of the first @len bytes of @path, closes the one not used for longest, returns @fd. */
int cb_opendirs_keep(struct cb_opendirs *t, const char *path, size_t len, int fd);
/** Closes @path and what is below it: something else is going to have that name. */
void cb_opendirs_forget(struct cb_opendirs *t, const char *path);
void cb_opendirs_done(struct cb_opendirs *t);

#endif
