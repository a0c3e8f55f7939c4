/*
 * Images of the store: reading and writing manifest + config, and the names in index.json.
 *
 * index.json carries, for each name, org.opencontainers.image.ref.name with the full reference, so that
 * `skopeo … oci:ROOT:docker.io/library/app:latest` finds it, and io.containerd.image.name.
 */
#ifndef CB_LAYERS_IMAGE_H
#define CB_LAYERS_IMAGE_H

#include "layers/config.h"
#include "layers/descriptor.h"
#include "layers/index.h"
#include "layers/manifest.h"
#include "layers/store.h"

#define CB_ANNOTATION_REF_NAME "org.opencontainers.image.ref.name"
#define CB_ANNOTATION_IMAGE_NAME "io.containerd.image.name"
/** On layers whose files have another time than they were made with: that time, in seconds. BuildKit's. */
#define CB_ANNOTATION_REWRITTEN "buildkit/rewritten-timestamp"
#define CB_ANNOTATION_CREATED "org.opencontainers.image.created"

/** An image with both its documents read. */
struct cb_stored_image {
	struct cb_descriptor desc; /* of the manifest */
	struct cb_manifest *manifest;
	struct cb_image_config *config;
};
struct cb_stored_image *cb_stored_image_free(struct cb_stored_image *image);
CB_DEFINE_CLEANUP(struct cb_stored_image *, cb_stored_image_free)

/**
 * Stores config and manifest of an image whose layer blobs are in the store: the manifest's config descriptor is filled
 * here from @config. @layers are bottom first, one for each diff ID. @annotations may be NULL. *ret describes the
 * manifest, with the config's platform.
 */
int cb_stored_image_put(struct cb_store *store, const struct cb_image_config *config,
	const struct cb_descriptor *layers, size_t n_layers, bool docker, const json_t *annotations,
	struct cb_descriptor *ret, struct cb_err **err);
/**
 * Reads manifest and config that are both in the store. An index is resolved for @platform (NULL: the host's).
 * CB_ERR_NOT_FOUND when a document is missing or no platform fits.
 */
int cb_stored_image_load(struct cb_store *store, const struct cb_descriptor *desc, const struct cb_platform *platform,
	struct cb_stored_image **ret, struct cb_err **err);

/** Points the name @text (parsed and normalised here; no digest) at @desc, replacing an earlier image of that name. */
int cb_tag_set(struct cb_store *store, const char *text, const struct cb_descriptor *desc, struct cb_err **err);
/** Lists @desc without a name unless it is listed already, so that it is kept and can be found by its digest. */
int cb_tag_set_unnamed(struct cb_store *store, const struct cb_descriptor *desc, struct cb_err **err);
/** Takes an entry without a name away. 1 when there was none. */
int cb_tag_remove_unnamed(struct cb_store *store, const struct cb_digest *digest, struct cb_err **err);
/** 1 when there was no such name. */
int cb_tag_remove(struct cb_store *store, const char *text, struct cb_err **err);
/**
 * Finds by name, by manifest digest, or by 4 or more hex digits of a manifest or config digest (with or without
 * "sha256:"). 0 with *ret (zeroed or done before); 1 when there is none; CB_ERR_INPUT when the digits are ambiguous.
 */
int cb_tag_find(struct cb_store *store, const char *text, struct cb_descriptor *ret, struct cb_err **err);
/** index.json as it is now. */
int cb_tag_list(struct cb_store *store, struct cb_index **ret, struct cb_err **err);

#endif
