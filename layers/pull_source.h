/*
 * Private to pulling: where the documents and blobs of one image are read from.
 */
#ifndef CB_LAYERS_PULL_SOURCE_H
#define CB_LAYERS_PULL_SOURCE_H

#include "layers/image.h"
#include "layers/pull.h"

struct cb_puller {
	struct cb_registry *registry;
	struct cb_store *store;
};

/* A reference or a layout directory. Everything borrowed. */
struct cb_pull_source {
	struct cb_puller *puller;
	const struct cb_ref *ref; /* NULL for a layout */
	const char *layout;
	struct cb_remote_cache *cache; /* or NULL */
	bool store_only;
	struct cb_cancel *cancel;
};

/** "oci-layout://DIR[:TAG|@DIGEST]" after its scheme; what is not given becomes NULL. Callers free. */
void cb_layout_split(const char *text, char **ret_dir, char **ret_tag, char **ret_digest);
/** The descriptor that the layout's index.json has for @tag or @digest (both NULL: its only entry). */
int cb_layout_find(
	const char *dir, const char *tag, const char *digest, struct cb_descriptor *ret, struct cb_err **err);
/** Opens a blob of a layout; nothing is verified. */
int cb_layout_open_blob(const char *dir, const struct cb_digest *digest, int *ret_fd, struct cb_err **err);

/** A small document, verified: from the store, else from the source, and then kept in the store. */
int cb_pull_document(const struct cb_pull_source *src, const struct cb_descriptor *desc, size_t max,
	struct cb_buf *body, struct cb_err **err);
/** Streams a blob that the store has not: its size is checked, its digest is the caller's business. */
int cb_pull_stream(const struct cb_pull_source *src, const struct cb_descriptor *desc, cb_http_sink sink,
	void *userdata, struct cb_err **err);

#endif
