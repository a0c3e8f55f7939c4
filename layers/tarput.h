/*
 * Files of this machine as tar entries: headers from their status, content, capability. Shared by diff.c and
 * exporttree.c.
 */
#ifndef CB_LAYERS_TARPUT_H
#define CB_LAYERS_TARPUT_H

#include <sys/stat.h>

#include "base/cancel.h"
#include "layers/tarwrite.h"

/** Type, mode, owner, device and whole-second time of @st; nothing that depends on the name. */
void cb_tarput_fill(struct cb_tar_entry *entry, const struct stat *st);

/** security.capability as a layer carries it: at most 24 bytes. */
struct cb_tarput_cap {
	uint8_t value[24];
	size_t len; /* 0: none */
};
/** @fd is a regular file or a directory, not O_PATH. */
int cb_tarput_cap_get(int fd, struct cb_tarput_cap *ret, struct cb_err **err);

/** Writes @size bytes of @fd, which is at its start. CB_ERR_IO when it has another size. @buf holds @buf_size. */
int cb_tarput_content(struct cb_tarwriter *w, int fd, uint64_t size, const char *path, void *buf, size_t buf_size,
	const struct cb_cancel *cancel, struct cb_err **err);

/** readlink into fresh memory. */
char *cb_tarput_readlink(int dirfd, const char *name, struct cb_err **err);

#endif
