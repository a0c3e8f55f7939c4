/*
 * Cache keys: canonical digests of what makes a result, and the same in readable form.
 *
 * Operands are written as labelled fields; the digest and the list for --explain come from the same calls, so what is
 * explained is what was compared. A definition key is operands plus the definition keys of the inputs; a content key
 * is operands plus the content ids of what was really read.
 */
#ifndef CB_BUILDER_CACHEKEY_H
#define CB_BUILDER_CACHEKEY_H

#include <jansson.h>

#include "builder/graph.h"
#include "builder/step.h"

/** Changes when the meaning of keys does. */
#define CB_CACHEKEY_VERSION 1

struct cb_cachekey;

/** @readable: also collects the fields as JSON. */
struct cb_cachekey *cb_cachekey_new(const char *kind, bool readable);
struct cb_cachekey *cb_cachekey_free(struct cb_cachekey *key);
CB_DEFINE_CLEANUP(struct cb_cachekey *, cb_cachekey_free)
/** @value NULL differs from "". */
void cb_cachekey_str(struct cb_cachekey *key, const char *label, const char *value);
void cb_cachekey_words(struct cb_cachekey *key, const char *label, const struct cb_words *words);
void cb_cachekey_num(struct cb_cachekey *key, const char *label, int64_t value);
/** The digest of all fields; *ret_fields (may be NULL) is an array of [label, value]. */
void cb_cachekey_finish(struct cb_cachekey *key, struct cb_digest *ret, json_t **ret_fields);

/** Adds the operands of an operation of @kind. */
void cb_cachekey_operands(struct cb_cachekey *key, enum cb_vertex_kind kind, const void *op);
/** The digest of kind and operands alone. */
void cb_cachekey_of_operands(enum cb_vertex_kind kind, const void *op, struct cb_digest *ret);

/** Sets vertex->key and vertex->lasting; those of the inputs are known. @salt: unique to this build, for no_cache. */
void cb_cachekey_definition(struct cb_vertex *vertex, const char *salt);
/**
 * The content key; all inputs are finished. @parent stands for the file system below, NULL: as this store knows it.
 * *ret_fields (may be NULL): readable inputs.
 */
void cb_cachekey_content(
	const struct cb_vertex *vertex, const char *parent, struct cb_digest *ret, json_t **ret_fields);

#endif
