/* What both kinds of caches in registries (remote_registry.c, remote_tags.c) send. */
#ifndef CB_LAYERS_REMOTE_PUT_H
#define CB_LAYERS_REMOTE_PUT_H

#include "layers/descriptor.h"
#include "layers/registry.h"

/** Sends the open file @fd unless @ref's repository has it. */
int cb_remote_put_blob(struct cb_registry *registry, const struct cb_ref *ref, const struct cb_descriptor *blob, int fd,
	struct cb_cancel *cancel, struct cb_err **err);
/**
 * Sends @len bytes as the configuration of a manifest whose layers are @blobs, so that these stay as long as it does,
 * and tags it with @ref's tag, or "latest". *ret_version (may be NULL) is the manifest's digest, also after a failure
 * to send it.
 */
int cb_remote_put_document(struct cb_registry *registry, const struct cb_ref *ref, const void *data, size_t len,
	const struct cb_descriptor *blobs, size_t n, struct cb_cancel *cancel, struct cb_digest *ret_version,
	struct cb_err **err);

#endif
