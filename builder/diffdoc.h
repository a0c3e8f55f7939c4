/*
 * How two image configurations differ: for `cbuild diff` and `cbuild verify`.
 */
#ifndef CB_BUILDER_DIFFDOC_H
#define CB_BUILDER_DIFFDOC_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

/**
 * Appends to @list {"key", "a", "b"} for each member that differs in the configs @a and @b (whole documents): a
 * variable is "Env.NAME", a label "Labels.NAME", a port and a volume alike. What only one has has no "a" or no "b";
 * null and empty is as good as nothing. History and layers are not compared, times only with @times.
 */
void cb_diff_config(const json_t *a, const json_t *b, bool times, json_t *list);
/** The same for two objects of strings, as "PREFIX.NAME"; either may be NULL. */
void cb_diff_members(const char *prefix, const json_t *a, const json_t *b, json_t *list);
/**
 * Appends to @list {"a": entry} or {"b": entry} for what one history has between the entries that begin and that end
 * both. Without @times an entry's time is no difference.
 */
void cb_diff_history(const json_t *a, const json_t *b, bool times, json_t *list);
/** Appends "  KEY: A -> B" for each of @list. */
void cb_diff_print_config(struct cb_buf *out, const json_t *list);

#endif
