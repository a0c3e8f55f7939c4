/*
 * Images from files into the store: docker archives (docker save of any age, skopeo, podman), OCI layouts in a tar or a
 * directory, compressed or not.
 *
 * The input is not trusted: sizes and counts are limited, blobs must have their digests, layers the diff IDs of their
 * config. Bytes are read once, in order. The config keeps its bytes and the image its ID; an OCI manifest keeps its
 * digest. Layers that a docker archive holds uncompressed are compressed on their way in.
 */
#ifndef CB_LAYERS_IMPORT_H
#define CB_LAYERS_IMPORT_H

#include "base/cancel.h"
#include "base/pool.h"
#include "base/strv.h"
#include "layers/descriptor.h"
#include "layers/store.h"
#include "layers/stream.h"

struct cb_import_image {
	struct cb_descriptor desc; /* in the store; of a manifest or an index */
	struct cb_strv names;      /* that the file gives it, normalised; may be empty */
};

/** Zero-initialise, end with cb_import_done. */
struct cb_import {
	struct cb_import_image *v;
	size_t n, cap;
};
void cb_import_done(struct cb_import *import);
#define cleanup_import __attribute__((cleanup(cb_import_done)))

/** Reads an archive from @in to its end. @pool (may be NULL) helps to compress. Names are not set. */
int cb_import_tar(struct cb_store *store, struct cb_source in, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_import *ret, struct cb_err **err);
/** Copies the images of the OCI layout in the directory @dirfd. */
int cb_import_dir(
	struct cb_store *store, int dirfd, const struct cb_cancel *cancel, struct cb_import *ret, struct cb_err **err);

#endif
