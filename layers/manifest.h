/*
 * Image manifests: OCI and Docker schema 2. Schema 1 is refused with a message that says so.
 *
 * Written as BuildKit writes them: indented by two spaces, no final newline.
 */
#ifndef CB_LAYERS_MANIFEST_H
#define CB_LAYERS_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "layers/descriptor.h"

#define CB_MANIFEST_BYTES_MAX ((size_t)4 << 20)
#define CB_MANIFEST_LAYERS_MAX 1000

struct cb_manifest {
	bool docker; /* Docker schema 2, else OCI */
	struct cb_descriptor config;
	struct cb_descriptor *layers; /* bottom first */
	size_t n_layers, cap_layers;
	char *artifact_type; /* or NULL */
	bool has_subject;
	struct cb_descriptor subject;
	json_t *annotations; /* object of strings, or NULL */
};

struct cb_manifest *cb_manifest_new(bool docker);
struct cb_manifest *cb_manifest_free(struct cb_manifest *manifest);
CB_DEFINE_CLEANUP(struct cb_manifest *, cb_manifest_free)

/** CB_ERR_CORRUPT for what is no manifest, CB_ERR_UNSUPPORTED for schema 1, CB_ERR_LIMIT beyond the limits. */
int cb_manifest_parse(const char *data, size_t len, struct cb_manifest **ret, struct cb_err **err);
/** The document; caller frees. @ret_len may be NULL. */
char *cb_manifest_write(const struct cb_manifest *manifest, size_t *ret_len);
/** Appends a copy. */
void cb_manifest_add_layer(struct cb_manifest *manifest, const struct cb_descriptor *layer);
/** The media type that the document carries; static. */
const char *cb_manifest_media_type(const struct cb_manifest *manifest);

#endif
