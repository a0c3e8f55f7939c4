/* Inside of cb_mount_export: what mountexport.c and mountexport_put.c share. Not for others. */
#ifndef CB_LAYERS_MOUNTEXPORT_H
#define CB_LAYERS_MOUNTEXPORT_H

#include "base/needles.h"
#include "layers/chunker.h"
#include "layers/mountremote.h"
#include "layers/packwrite.h"

/** Finished packs that wait to be sent together. */
#define CB_MOUNT_PENDING 4

struct cb_mount_exporting {
	const struct cb_mount_export *spec;
	struct cb_mount_export_result *stats;
	struct cb_packset set;
	struct cb_mountdoc base, doc;
	struct cb_digest base_digest;
	bool based, own; /* there was a record, and under the own key */
	struct cb_packwriter *writer;
	struct {
		size_t pack;
		int fd;
	} pending[CB_MOUNT_PENDING];
	size_t n_pending;
	struct cb_hasher *hasher;
	/* the lists */
	struct cb_chunker content, tree, times;
	struct cb_buf chunks; /* digests of the file being read */
	struct cb_buf tree_bytes, time_bytes;
	int64_t last_time;
	struct cb_map *linked; /* "dev:inode" -> number of the file, one more */
	uint64_t numbers;
	char *block;
	struct cb_needle_scan scan; /* for what must not get out */
};

/** Looks for what was exported before, and which of its packs can be used again. */
int cb_mount_export_base(struct cb_mount_exporting *x, struct cb_err **err);
/** Takes a pack that is full: @arg is the struct cb_mount_exporting. */
int cb_mount_export_pack(void *arg, size_t pack, int fd, struct cb_err **err);
/** Sends what is left, the index and the record. */
int cb_mount_export_finish(struct cb_mount_exporting *x, struct cb_err **err);

#endif
