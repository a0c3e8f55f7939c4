/*
 * Image indexes: OCI index and Docker manifest list, and the choice of an image by platform.
 */
#ifndef CB_LAYERS_INDEX_H
#define CB_LAYERS_INDEX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "layers/descriptor.h"
#include "layers/mediatype.h"

#define CB_INDEX_BYTES_MAX ((size_t)8 << 20)
#define CB_INDEX_ENTRIES_MAX 100000

struct cb_index {
	bool docker;
	bool bare; /* write no "mediaType", as in the index.json of a layout */
	struct cb_descriptor *entries;
	size_t n_entries, cap_entries;
	char *artifact_type; /* or NULL */
	json_t *annotations; /* object of strings, or NULL */
};

struct cb_index *cb_index_new(bool docker);
struct cb_index *cb_index_free(struct cb_index *index);
CB_DEFINE_CLEANUP(struct cb_index *, cb_index_free)

int cb_index_parse(const char *data, size_t len, struct cb_index **ret, struct cb_err **err);
/** Indented by two spaces; caller frees. @ret_len may be NULL. */
char *cb_index_write(const struct cb_index *index, size_t *ret_len);
/** Appends a copy. */
void cb_index_add(struct cb_index *index, const struct cb_descriptor *entry);
void cb_index_remove(struct cb_index *index, size_t at);
/**
 * The entry that serves @want best (the first of equals), or NULL. Attestations (platform unknown/unknown) are never
 * chosen; an entry without platform only when no other fits and it is the only image. Borrowed.
 */
const struct cb_descriptor *cb_index_select(const struct cb_index *index, const struct cb_platform *want);
/** "linux/amd64, linux/arm64/v8": the platforms on offer, for error messages. Caller frees. */
char *cb_index_platforms(const struct cb_index *index);

/**
 * Whether a fetched document is an index or a manifest: by @content_type if that is known, else by its "mediaType",
 * else by its shape. UNKNOWN if it is neither.
 */
enum cb_media_kind cb_media_sniff(const char *content_type, const char *data, size_t len);

#endif
