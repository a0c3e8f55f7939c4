/*
 * Images of the store as the commands show them: by name, with both documents and their sizes.
 */
#ifndef CB_BUILDER_STOREDIMAGE_H
#define CB_BUILDER_STOREDIMAGE_H

#include "layers/image.h"
#include "layers/index.h"

/** One manifest digest of index.json with all its names. */
struct cb_listed_image {
	struct cb_descriptor desc;
	struct cb_strv names;          /* full references; empty: an entry without name */
	struct cb_stored_image *image; /* NULL when its documents cannot be read; of an index one that is here */
	struct cb_strv platforms;      /* of an index */
	uint64_t size;                 /* of all its blobs, each counted once */
};

/** Zero-initialise, end with cb_listing_done. */
struct cb_listing {
	struct cb_listed_image *v;
	size_t n, cap;
};
void cb_listing_done(struct cb_listing *listing);
#define cleanup_listing __attribute__((cleanup(cb_listing_done)))

/** All images of the store, the newest first. */
int cb_listing_read(struct cb_store *store, struct cb_listing *ret, struct cb_err **err);

/** Finds what @text names (a name, a digest, digits of either): CB_ERR_NOT_FOUND with a hint when there is none. */
int cb_stored_find(struct cb_store *store, const char *text, struct cb_descriptor *ret, struct cb_err **err);
/** The same with its documents; of an index the image of @platform (NULL: this host's). */
int cb_stored_open(struct cb_store *store, const char *text, const struct cb_platform *platform,
	struct cb_stored_image **ret, struct cb_err **err);
/** "sha256:abc…" as 12 digits, or whole. Static buffer of the caller, CB_DIGEST_TEXT_MAX bytes. */
const char *cb_stored_id(const struct cb_digest *digest, bool whole, char *out);

#endif
