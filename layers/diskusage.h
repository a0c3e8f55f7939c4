/*
 * What a directory occupies on disk: allocated bytes, hard links once.
 */
#ifndef CB_LAYERS_DISKUSAGE_H
#define CB_LAYERS_DISKUSAGE_H

#include <stdint.h>

#include "base/err.h"

struct cb_disk_usage {
	uint64_t bytes;  /* of the entry itself and all below; never more than a file needs, whatever is kept for growth
			  */
	uint64_t needed; /* bytes of the same once all is on disk: the kernel may wait half a minute to allocate */
	uint64_t entries; /* names, the top included */
};

/** Counts the entry @name below @dirfd and everything beneath, following no symlink. */
int cb_disk_usage(int dirfd, const char *name, struct cb_disk_usage *ret, struct cb_err **err);

#endif
