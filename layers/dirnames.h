/* The names in a directory, sorted bytewise, in one block of memory. */
#ifndef CB_LAYERS_DIRNAMES_H
#define CB_LAYERS_DIRNAMES_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/** Zero-initialise, end with cb_dirnames_done. */
struct cb_dirnames {
	struct cb_buf text; /* the names with their NULs */
	const char **v;     /* point into text once sorted */
	size_t n;
};

void cb_dirnames_done(struct cb_dirnames *names);
#define cleanup_dirnames __attribute__((cleanup(cb_dirnames_done)))
/** Reads directory @fd, whose position is moved; without "." and "..". @what names it in errors. */
int cb_dirnames_read(int fd, const char *what, struct cb_dirnames *ret, struct cb_err **err);

#endif
