/*
 * jansson with our errors: typed, optional and required members of untrusted documents.
 */
#ifndef CB_BASE_JSON_H
#define CB_BASE_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/strv.h"

/** Depth that cb_json_parse accepts, so that no later recursion over a document is unbounded. */
#define CB_JSON_DEPTH_MAX 64

static inline void cb_json_decrefp(json_t **p)
{
	json_decref(*p);
}
#define cleanup_json __attribute__((cleanup(cb_json_decrefp)))

/** Parses the whole of @data (trailing white space allowed, duplicate keys: last wins). CB_ERR_CORRUPT otherwise. */
int cb_json_parse(const char *data, size_t len, json_t **ret, struct cb_err **err);
/** 0 with a borrowed string; 1 (and *ret NULL) when absent or null; CB_ERR_CORRUPT on another type. */
int cb_json_get_str(const json_t *obj, const char *key, const char **ret, struct cb_err **err);
int cb_json_get_i64(const json_t *obj, const char *key, int64_t *ret, struct cb_err **err);
int cb_json_get_bool(const json_t *obj, const char *key, bool *ret, struct cb_err **err);
/** 0, or 1 when absent or null. *ret is borrowed. */
int cb_json_get_obj(const json_t *obj, const char *key, json_t **ret, struct cb_err **err);
int cb_json_get_arr(const json_t *obj, const char *key, json_t **ret, struct cb_err **err);
/** Appends an array of strings to @ret; 1 when absent or null. */
int cb_json_get_strv(const json_t *obj, const char *key, struct cb_strv *ret, struct cb_err **err);
/**
 * Line and column, from 1, of the value at @path ("list[3].key") in @text, which json_loadb has accepted; of what the
 * path leads to, where it does not lead all the way. For messages about documents that people write.
 */
void cb_json_place(const char *text, const char *path, unsigned int *line, unsigned int *col);
json_t *cb_json_from_strv(const struct cb_strv *sv);
/** Compact, keys in insertion order unless @sorted; caller frees. */
char *cb_json_dump(const json_t *doc, bool sorted);
/** Compact with HTML-safe escaping as Go's encoding/json does (<, >, & and U+2028/9 as \uXXXX). */
char *cb_json_dump_go(const json_t *doc, bool sorted);

#endif
