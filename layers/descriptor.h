/*
 * Descriptor: media type, digest and size of a blob, as manifests and indexes list them.
 *
 * Zero-initialise, end with cb_descriptor_done. All strings are owned.
 */
#ifndef CB_LAYERS_DESCRIPTOR_H
#define CB_LAYERS_DESCRIPTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/strv.h"
#include "layers/digest.h"
#include "layers/platform.h"

struct cb_descriptor {
	char *media_type;
	struct cb_digest digest;
	uint64_t size;
	bool has_platform;
	struct cb_platform platform;
	char *artifact_type; /* or NULL */
	struct cb_strv urls; /* of foreign layers */
	json_t *annotations; /* object of strings, or NULL */
};

void cb_descriptor_done(struct cb_descriptor *desc);
#define cleanup_descriptor __attribute__((cleanup(cb_descriptor_done)))

/** Fills the three that every descriptor has; @desc was zeroed or done. */
void cb_descriptor_init(
	struct cb_descriptor *desc, const char *media_type, const struct cb_digest *digest, uint64_t size);
/** @to was zeroed or done. */
void cb_descriptor_copy(struct cb_descriptor *to, const struct cb_descriptor *from);
/** NULL when absent; borrowed. */
const char *cb_descriptor_annotation(const struct cb_descriptor *desc, const char *key);
/** Sets, or with a NULL value removes. */
void cb_descriptor_annotate(struct cb_descriptor *desc, const char *key, const char *value);

/** From one JSON object of a manifest or index. CB_ERR_CORRUPT for wrong types, a bad digest or a negative size. */
int cb_descriptor_parse(const json_t *obj, struct cb_descriptor *ret, struct cb_err **err);
/** Keys in the order BuildKit writes them. New reference. */
json_t *cb_descriptor_to_json(const struct cb_descriptor *desc);

#endif
