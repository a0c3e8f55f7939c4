/*
 * Images to look into, wherever they are: for `cbuild size` and `cbuild diff`.
 *
 *  - a name of the store, a digest, or digits of one;
 *  - oci:DIR[:TAG|@DIGEST], an OCI layout; oci-archive:FILE[:NAME] and docker-archive:FILE[:NAME], archives;
 *  - dir:DIR, a directory of files, which has no configuration and no layers;
 *  - docker://NAME, and a name that the store does not have: an image in a registry, of which only those layers are
 *    fetched that are looked into;
 *  - a path that begins with "/", "./" or "../": whichever of these it is.
 *
 * What is fetched or read from archives is kept in the store without a name, until the store is cleaned up.
 */
#ifndef CB_BUILDER_IMAGESOURCE_H
#define CB_BUILDER_IMAGESOURCE_H

#include "base/buf.h"
#include "builder/transfer.h"
#include "layers/filetable.h"
#include "layers/image.h"

struct cb_image_source {
	const char *text;        /* as it was given; borrowed */
	int dirfd;               /* of a directory, else negative */
	struct cb_digest digest; /* of the manifest */
	struct cb_buf config_json;
	struct cb_image_config *config;
	json_t *annotations;           /* of the manifest, or NULL */
	struct cb_image_layer *layers; /* bottom first */
	size_t n_layers;
	struct cb_image *image; /* of a registry or a layout, else NULL */
};

void cb_image_source_done(struct cb_image_source *source);

/** Finds @text; *ret was zeroed. Of an image of several platforms, that of @platform (NULL: this host's). */
int cb_image_source_open(struct cb_transfer *transfer, const char *text, const struct cb_platform *platform,
	struct cb_image_source *ret, struct cb_err **err);
/** Reads its files into the empty @table; @sums has room for all layers (a directory: one), or is NULL. */
int cb_image_source_files(struct cb_transfer *transfer, const struct cb_image_source *source,
	struct cb_filetable *table, struct cb_filetable_sums *sums, struct cb_err **err);
/** Do both have the same layers? False when one is a directory. */
bool cb_image_source_same_files(const struct cb_image_source *a, const struct cb_image_source *b);
/** What made layer @at, or NULL. */
const char *cb_image_source_step(const struct cb_image_source *source, size_t at);

#endif
