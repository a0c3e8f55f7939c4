/*
 * Images to build on: found by reference, their config first, their layers when they are needed.
 *
 * Where an image comes from:
 *  - "oci-layout://DIR[:TAG|@DIGEST]": an OCI layout directory on this machine.
 *  - A reference with a digest whose manifest is in the store: the store; no network.
 *  - A reference by tag that the user gave to a local image (-t): that image, when it fits the platform (what docker
 *    build does by default); with CB_PULL_ALWAYS (--pull) only the registry is asked.
 *  - Everything else: the registry, with HEAD for the tag each time, and then only what the store does not have.
 * Pulling gives no tag: the next build asks the registry again, so a moved tag is seen.
 *
 * A layer is fetched, verified, decompressed, verified against its diff ID and unpacked in one pass, while its
 * compressed bytes go into the blob store in the same pass. Layers are keyed by diff ID: one that has a snapshot
 * already is not touched, one whose blob is there already is not downloaded. All functions are thread-safe; two
 * threads that pull one layer do the work once.
 */
#ifndef CB_LAYERS_PULL_H
#define CB_LAYERS_PULL_H

#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/pool.h"
#include "layers/config.h"
#include "layers/descriptor.h"
#include "layers/platform.h"
#include "layers/registry.h"
#include "layers/store.h"

struct cb_puller;

/** Both borrowed for its life. */
struct cb_puller *cb_puller_new(struct cb_registry *registry, struct cb_store *store);
struct cb_puller *cb_puller_free(struct cb_puller *puller);
CB_DEFINE_CLEANUP(struct cb_puller *, cb_puller_free)

enum cb_image_from { CB_IMAGE_REGISTRY, CB_IMAGE_STORE, CB_IMAGE_LAYOUT, CB_IMAGE_CACHE };

struct cb_remote_cache;

struct cb_image_layer {
	struct cb_descriptor desc; /* of the compressed blob */
	struct cb_digest diff_id;
};

/** An image of one platform. Immutable, so shared by threads. */
struct cb_image {
	char *name; /* normalised reference */
	enum cb_image_from from;
	struct cb_descriptor top; /* what the reference named: an index or the manifest itself */
	struct cb_descriptor manifest;
	char *config_json; /* exact bytes, NUL-terminated */
	size_t config_len;
	struct cb_image_config *config;
	struct cb_image_layer *layers; /* bottom first; as many as config's diff IDs */
	size_t n_layers;
	struct cb_ref *ref;            /* of CB_IMAGE_REGISTRY */
	char *layout;                  /* directory of CB_IMAGE_LAYOUT */
	struct cb_remote_cache *cache; /* of CB_IMAGE_CACHE, which has no documents, only layers; borrowed */
};
struct cb_image *cb_image_free(struct cb_image *image);
CB_DEFINE_CLEANUP(struct cb_image *, cb_image_free)

enum cb_pull_flag {
	CB_PULL_ALWAYS = 1 << 0, /* never take a local tag */
	CB_PULL_NEVER = 1 << 1,  /* never ask a registry: CB_ERR_NOT_FOUND */
};

/**
 * Finds @name for @platform and reads its config. An image without an index is taken for whatever platform it is: the
 * caller may compare config->platform and warn. CB_ERR_INPUT for a bad reference, CB_ERR_NOT_FOUND when the image or
 * the platform is not there (the message lists the platforms there are).
 */
int cb_pull_resolve(struct cb_puller *puller, const char *name, const struct cb_platform *platform, unsigned int flags,
	struct cb_cancel *cancel, struct cb_image **ret, struct cb_err **err);

/**
 * Receives how far a layer is, from the thread that pulls it. @bytes of the compressed @total; @bytes == @total is
 * reported once, when all of it is unpacked (also when nothing had to be done).
 */
typedef void (*cb_pull_progress)(void *userdata, size_t layer, uint64_t bytes, uint64_t total);

/** Makes sure that layer @at has a snapshot; *ret_id is its id (caller frees). 0 pulled, 1 it was there. */
int cb_pull_layer(struct cb_puller *puller, const struct cb_image *image, size_t at, cb_pull_progress progress,
	void *userdata, struct cb_cancel *cancel, char **ret_id, struct cb_err **err);

/**
 * All layers, at most @parallel at a time (0: 4), on threads of its own. *ret_ids gets the snapshot ids, bottom first.
 * The first failure stops the others.
 */
int cb_pull_layers(struct cb_puller *puller, const struct cb_image *image, unsigned int parallel,
	cb_pull_progress progress, void *userdata, struct cb_cancel *cancel, struct cb_strv *ret_ids,
	struct cb_err **err);

/**
 * Makes sure that the blob of layer @at is in the store, without unpacking it: for exporting an image whose base was
 * never run. 0 fetched, 1 it was there.
 */
int cb_pull_blob(struct cb_puller *puller, const struct cb_image *image, size_t at, cb_pull_progress progress,
	void *userdata, struct cb_cancel *cancel, struct cb_err **err);

/**
 * Brings everything that @name leads to into the store, all platforms of an index, without unpacking it; *ret (zeroed)
 * describes what the reference named. Only registries are asked. Progress counts "layers" in order of first use; @total
 * is their size.
 */
int cb_pull_all(struct cb_puller *puller, const char *name, unsigned int parallel, cb_pull_progress progress,
	void *userdata, struct cb_cancel *cancel, struct cb_descriptor *ret, struct cb_err **err);

#endif
