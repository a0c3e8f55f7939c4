/*
 * Which ids a user namespace gets: subordinate ranges, and writing them.
 */
#ifndef CB_RUNTIME_IDMAP_H
#define CB_RUNTIME_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/** Most ranges taken from one file. */
#define CB_ID_RANGES_MAX 16

struct cb_id_range {
	uint32_t start, count;
};

/**
 * The ranges that a subuid(5) or subgid(5) file gives to the user called @name (NULL: no name) or numbered @uid.
 * Pure; lines that do not parse are skipped. Returns how many, at most CB_ID_RANGES_MAX.
 */
size_t cb_id_ranges(const char *data, size_t len, const char *name, uid_t uid, struct cb_id_range *ret);

/**
 * True when all ids are mapped to themselves in our user namespace: it is the host's, or one whose root has mapped
 * itself.
 */
bool cb_idmap_is_identity(void);

/** How the map was made. */
enum cb_idmap {
	CB_IDMAP_FULL,   /* all ids that we have ourselves: we may set ids, but not mount */
	CB_IDMAP_RANGES, /* our id as 0, subordinate ids from 1 */
	CB_IDMAP_SINGLE, /* our id as 0 and nothing else */
};

/** Tries FULL and RANGES for the user namespace of @pid, our child. CB_ERR_UNSUPPORTED says why not. */
int cb_idmap_write_many(pid_t pid, enum cb_idmap *ret, struct cb_err **err);
int cb_idmap_write_single(pid_t pid, struct cb_err **err);

#endif
