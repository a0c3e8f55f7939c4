/*
 * Inside of the copy: data and metadata of one file.
 */
#ifndef CB_LAYERS_COPYFILE_H
#define CB_LAYERS_COPYFILE_H

#include <stdatomic.h>

#include "base/cancel.h"
#include "layers/chmod.h"
#include "layers/chown.h"
#include "layers/contenthash.h"

/** What the host and the destination's file system are like; found out once. */
struct cb_copyfile_host {
	uid_t euid;
	gid_t egid;
	mode_t umask;
	_Atomic bool no_clone, no_range; /* learnt: these cannot be had here */
};
void cb_copyfile_probe(int dirfd, struct cb_copyfile_host *ret);

/** The metadata that a new file ends with. */
struct cb_copyfile_attr {
	mode_t mode; /* 07777 */
	struct cb_owner owner;
	struct timespec times[2];
};

/**
 * Copies all data of @src to the empty @dst: as a clone, else inside the kernel, else through memory; holes stay holes.
 * With @index the data is hashed on the way unless its digest is known.
 */
int cb_copyfile_data(struct cb_copyfile_host *host, int src, int dst, const struct stat *st,
	const struct cb_hash_index *index, const struct cb_cancel *cancel, struct cb_err **err);
/** The mode to create with, so that mostly no chmod is needed. */
mode_t cb_copyfile_create_mode(const struct cb_copyfile_attr *attr);
/**
 * Gives the open file its metadata. @created: it was made with cb_copyfile_create_mode in a directory whose setgid bit
 * is @sgid, so that what is right already need not be set. @src (or -1) lends its security.capability.
 */
int cb_copyfile_finish(const struct cb_copyfile_host *host, int dst, const struct cb_copyfile_attr *attr, bool created,
	bool sgid, int src, struct cb_err **err);

#endif
