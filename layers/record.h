/*
 * Cache records: what a step gave when it ran. One record is found under several keys (definition key, content keys).
 */
#ifndef CB_LAYERS_RECORD_H
#define CB_LAYERS_RECORD_H

#include "layers/digest.h"
#include "layers/store.h"

/** Strings are borrowed when put and owned when found (cb_record_done). */
struct cb_record {
	int64_t id;        /* set by the store */
	char *snapshot;    /* snapshot id, or NULL for a step that makes none */
	char *facts;       /* JSON text of the caller: what else the step gave; or NULL */
	char *inputs;      /* JSON text of the caller: readable inputs, for explaining a miss; or NULL */
	char *place;       /* what it is in a build, to find its predecessors when nothing matches; or NULL */
	char *slot;        /* where it stands in a build, for the same; or NULL; never read back */
	const void *files; /* list of the files it read, bytes of the caller; or NULL; read by cb_record_files */
	size_t files_len;
	int64_t duration_ns; /* what running it took */
	uint64_t bytes;      /* what it occupies */
	int64_t created;     /* seconds since the epoch; set by the store */
};
void cb_record_done(struct cb_record *record);
#define cleanup_record __attribute__((cleanup(cb_record_done)))

/**
 * 0 with *ret, or 1 when there is none. A record whose snapshot is gone is dropped and counts as none. The inputs are
 * left out: they are large and rarely wanted (cb_record_inputs).
 */
int cb_record_find(struct cb_store *store, const struct cb_digest *key, struct cb_record *ret, struct cb_err **err);
/** Enters a record under @n keys; a key that was in use now leads to this one. @ret_id may be NULL. */
int cb_record_put(struct cb_store *store, const struct cb_digest *keys, size_t n, const struct cb_record *record,
	int64_t *ret_id, struct cb_err **err);
/** One more key for an existing record. */
int cb_record_add_key(struct cb_store *store, int64_t id, const struct cb_digest *key, struct cb_err **err);
/** Replaces the facts (e.g. once the diff ID is known). */
int cb_record_set_facts(struct cb_store *store, int64_t id, const char *facts, struct cb_err **err);
/** The inputs of record @id: 0 with *ret (caller frees), or 1 when it has none. */
int cb_record_inputs(struct cb_store *store, int64_t id, char **ret, struct cb_err **err);
/** The list of files of record @id: 0 with the bytes added to @ret, or 1 when it has none. */
int cb_record_files(struct cb_store *store, int64_t id, struct cb_buf *ret, struct cb_err **err);

/** Records that may tell why another was not found. */
#define CB_RECORD_NEAR_MAX 24
/**
 * The newest records made at @place, then those at @slot, older than the record @before (0: all), with their inputs;
 * those without are left out. Fills at most CB_RECORD_NEAR_MAX of @ret and gives the count, or an error.
 */
int cb_record_near(struct cb_store *store, const char *place, const char *slot, int64_t before, struct cb_record *ret,
	struct cb_err **err);
/**
 * The newest records whose snapshots are of @kind and were made on @parent (struct cb_snapshot_info): fills at most
 * @max of @ret, without inputs, and gives the count, or an error.
 */
int cb_record_siblings(struct cb_store *store, const char *parent, const char *kind, struct cb_record *ret, size_t max,
	struct cb_err **err);

#endif
