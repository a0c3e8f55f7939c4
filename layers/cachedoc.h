/*
 * All records of a remote cache in one document: the config of a cache in a registry.
 *
 * {"version":2, "records":[{"at":SECONDS, "blobs":[descriptors], "record":{}}], "keys":{"<hex of the key>":INDEX}}
 *
 * Several keys may lead to one record. What builds write after each other is joined, the newer record of a key wins,
 * and the limits below hold: what nobody wrote or used longest goes first. Not thread-safe.
 */
#ifndef CB_LAYERS_CACHEDOC_H
#define CB_LAYERS_CACHEDOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "layers/descriptor.h"

/** Largest document that is read. */
#define CB_CACHEDOC_BYTES_MAX ((size_t)64 << 20)
#define CB_CACHEDOC_RECORDS_MAX 100000
#define CB_CACHEDOC_KEYS_MAX 400000

struct cb_cachedoc;

struct cb_cachedoc *cb_cachedoc_new(void);
struct cb_cachedoc *cb_cachedoc_free(struct cb_cachedoc *doc);
CB_DEFINE_CLEANUP(struct cb_cachedoc *, cb_cachedoc_free)

/**
 * CB_ERR_CORRUPT for what is none, CB_ERR_LIMIT beyond the limits above. A document of another version is one without
 * records: a cache may be begun anew.
 */
int cb_cachedoc_parse(const char *data, size_t len, struct cb_cachedoc **ret, struct cb_err **err);
/** The document, the same bytes for the same content; caller frees. */
char *cb_cachedoc_write(const struct cb_cachedoc *doc, size_t *ret_len);

/** The record under @key, a JSON object, or NULL. Borrowed. */
const char *cb_cachedoc_get(const struct cb_cachedoc *doc, const struct cb_digest *key);
/** Makes @key lead to @record, a JSON object that needs @blobs, as of @at (seconds since the epoch). CB_ERR_CORRUPT. */
int cb_cachedoc_put(struct cb_cachedoc *doc, const struct cb_digest *key, const char *record, size_t len, int64_t at,
	const struct cb_descriptor *blobs, size_t n, struct cb_err **err);
/** Records that some key leads to. */
size_t cb_cachedoc_records(const struct cb_cachedoc *doc);

/** What a document may hold after a merge; 0: no limit. */
struct cb_cachedoc_limits {
	int64_t not_before; /* older records go */
	size_t records;
	size_t blobs;
	size_t bytes; /* of the records' texts, about the size of the document */
};
/** Adds what @other has under keys that @doc does not have, then drops the oldest records beyond @limits. */
void cb_cachedoc_merge(
	struct cb_cachedoc *doc, const struct cb_cachedoc *other, const struct cb_cachedoc_limits *limits);
/** Whether each key of @other leads to the same record in @doc. */
bool cb_cachedoc_covers(const struct cb_cachedoc *doc, const struct cb_cachedoc *other);
/** Drops the records that need a blob of @digests, a set. */
void cb_cachedoc_drop_blobs(struct cb_cachedoc *doc, const struct cb_map *digests);

/** All blobs that the records need, each once; borrowed contents, caller frees the array. */
struct cb_descriptor *cb_cachedoc_blobs(const struct cb_cachedoc *doc, size_t *ret_n);

#endif
