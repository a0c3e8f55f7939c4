/*
 * What a build made: the image state of the target and the layers below it, ready for the output drivers.
 *
 * The coordinator fills it after the last step, in one thread, and it is read-only from then on. What an output does
 * not need (cb_output_needs) is not prepared: a build for `type=local` computes no layer blob, a build for
 * `type=oci` of a metadata-only image unpacks nothing.
 */
#ifndef CB_BUILDER_RESULT_H
#define CB_BUILDER_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/strv.h"
#include "layers/compress.h"
#include "layers/config.h"
#include "layers/descriptor.h"
#include "layers/platform.h"
#include "layers/pull.h"
#include "layers/store.h"

/** One layer of the result, bottom first. */
struct cb_result_layer {
	struct cb_digest diff_id;  /* digest of the uncompressed tar */
	struct cb_descriptor blob; /* the (compressed) blob; in the store, but of base layers only when asked for */
	char *snapshot;            /* id of the unpacked differences, or NULL while CB_OUTPUT_FILES was not asked for */
	const struct cb_image *image; /* of a base layer: where it comes from, as layer image_at; borrowed */
	size_t image_at;
	bool base; /* comes from the base image as it was pulled: never recompressed or rewritten */
};

struct cb_result {
	struct cb_store *store;              /* borrowed */
	struct cb_registry *registry;        /* borrowed, for outputs that push */
	struct cb_puller *puller;            /* borrowed, for base layers that are not here */
	struct cb_pool *pool;                /* borrowed, for outputs that compress */
	struct cb_cancel *cancel;            /* borrowed */
	struct cb_compress_spec compression; /* what new layers were made with */
	struct cb_platform platform;         /* that was built for; the configuration's when that was inherited */
	struct cb_image_config *config;      /* final: diff IDs, history with times, created; owned */
	char *config_json; /* its bytes; the image ID is their digest; NULL without CB_OUTPUT_LAYERS */
	size_t config_len;
	struct cb_digest config_digest;
	struct cb_result_layer *layers; /* with CB_OUTPUT_LAYERS: as many as the config has diff IDs */
	size_t n_layers;
	struct cb_strv chain; /* with CB_OUTPUT_FILES: snapshot ids, bottom first; empty for an empty file system */
	json_t *annotations, *descriptor_annotations; /* of the manifest, and of its descriptor; or NULL */
	bool has_epoch; /* there is a SOURCE_DATE_EPOCH: `created` values and exported files have it */
	struct timespec epoch;
};

/** Frees what it owns, not the store. Takes NULL. */
struct cb_result *cb_result_free(struct cb_result *result);
CB_DEFINE_CLEANUP(struct cb_result *, cb_result_free)

/** What a build gave for all its platforms, in their order. More than one become an index. */
struct cb_results {
	struct cb_result **v; /* never none */
	size_t n;
	json_t *annotations, *descriptor_annotations; /* of the index; or NULL */
};
/** Frees what it holds. */
void cb_results_done(struct cb_results *results);
#define cleanup_results __attribute__((cleanup(cb_results_done)))

#endif
