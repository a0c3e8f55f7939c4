/*
 * What the image documents share: members as Go's encoding/json writes them (empty ones left out, invalid UTF-8
 * replaced), sorted copies, indentation.
 */
#ifndef CB_LAYERS_JSONDOC_H
#define CB_LAYERS_JSONDOC_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"

/** A JSON string of @s; bytes that are not UTF-8 become U+FFFD, as Go does. */
json_t *cb_jsondoc_text(const char *s);
/** Sets @key, which may be any text too, to the string @value, which may be empty. */
void cb_jsondoc_set_entry(json_t *obj, const char *key, const char *value);
/** Sets @key unless @value is NULL or "". */
void cb_jsondoc_set_text(json_t *obj, const char *key, const char *value);
/** Sets @key to a list of strings unless it is empty. */
void cb_jsondoc_set_strv(json_t *obj, const char *key, const struct cb_strv *sv);
/** Sets @key to {"a":{},"b":{}} from a set of names, sorted, unless it is empty. */
void cb_jsondoc_set_names(json_t *obj, const char *key, const struct cb_strv *names);
/** Sets @key to a sorted shallow copy of @from unless that is NULL or empty. */
void cb_jsondoc_set_sorted(json_t *obj, const char *key, const json_t *from);
/** A shallow copy with keys in bytewise order. */
json_t *cb_jsondoc_sorted(const json_t *obj);
/** Go's MarshalIndent(doc, "", "  "); caller frees. @ret_len may be NULL. */
char *cb_jsondoc_indent(const json_t *doc, size_t *ret_len);

/** A new string, or NULL when absent or empty. */
int cb_jsondoc_get_text(const json_t *obj, const char *key, char **ret, struct cb_err **err);
/** Copies a string, "" when absent, to @field of @size bytes: CB_ERR_LIMIT when it is longer. */
int cb_jsondoc_get_field(const json_t *obj, const char *key, char *field, size_t size, struct cb_err **err);
/** An object whose values are all strings: new reference, or NULL when absent. */
int cb_jsondoc_get_strings(const json_t *obj, const char *key, json_t **ret, struct cb_err **err);
/** The keys of the object @key. */
int cb_jsondoc_get_names(const json_t *obj, const char *key, struct cb_strv *ret, struct cb_err **err);

#endif
