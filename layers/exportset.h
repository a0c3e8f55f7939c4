/*
 * The blobs of an image or index in the order in which an export writes them: inside of the export_*.c files.
 */
#ifndef CB_LAYERS_EXPORTSET_H
#define CB_LAYERS_EXPORTSET_H

#include "layers/descriptor.h"
#include "layers/export_oci.h"
#include "layers/index.h"
#include "layers/manifest.h"
#include "layers/tarwrite.h"

struct cb_export_blob {
	struct cb_digest digest;
	uint64_t size;
};

/** Zero-initialise, end with cb_export_set_done. */
struct cb_export_set {
	struct cb_export_blob *blobs;
	size_t n, cap;
	uint64_t total, done; /* bytes, for progress */
	struct cb_map *seen;
};
void cb_export_set_done(struct cb_export_set *set);
#define cleanup_export_set __attribute__((cleanup(cb_export_set_done)))

/** Follows what->desc to all its blobs. CB_ERR_NOT_FOUND for one that is not in the store (foreign layers apart). */
int cb_export_set_collect(
	struct cb_store *store, const struct cb_export *what, struct cb_export_set *set, struct cb_err **err);
/** The index.json of an export: one entry a name. */
struct cb_index *cb_export_set_index(const struct cb_export *what);
/** Writes the directories and blobs of a layout, then index.json and oci-layout. */
int cb_export_set_tar(struct cb_store *store, const struct cb_export *what, struct cb_export_set *set,
	struct cb_tarwriter *tar, struct cb_err **err);
/** Counts @n more bytes, tells progress, and looks for cancellation. */
int cb_export_set_advance(const struct cb_export *what, struct cb_export_set *set, uint64_t n, struct cb_err **err);

#endif
