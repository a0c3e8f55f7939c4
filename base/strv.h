/*
 * Strings and vectors of strings. A vector owns its strings; `v` is NULL-terminated once an item was added.
 */
#ifndef CB_BASE_STRV_H
#define CB_BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct cb_strv {
	char **v;
	size_t n, cap;
};

void cb_strv_done(struct cb_strv *sv);
#define cleanup_strv __attribute__((cleanup(cb_strv_done)))

void cb_strv_add(struct cb_strv *sv, const char *s);
void cb_strv_addn(struct cb_strv *sv, const char *s, size_t n);
void cb_strv_addf(struct cb_strv *sv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Takes ownership of @s. */
void cb_strv_take(struct cb_strv *sv, char *s);
void cb_strv_copy(struct cb_strv *to, const struct cb_strv *from);
bool cb_strv_has(const struct cb_strv *sv, const char *s);
bool cb_strv_equal(const struct cb_strv *a, const struct cb_strv *b);
/** Sorts bytewise. */
void cb_strv_sort(struct cb_strv *sv);
void cb_strv_remove(struct cb_strv *sv, size_t at);
/** Joins with @sep; caller frees. */
char *cb_strv_join(const struct cb_strv *sv, const char *sep);
/** Adds the parts of @s between single characters @sep, empty parts too. */
void cb_strv_split(struct cb_strv *sv, const char *s, char sep);

/** Environment lists "K=V": the value of @key or NULL; borrowed. Several of one key: the last. */
const char *cb_env_get(const struct cb_strv *env, const char *key);
/** Replaces the first entry of @key in place, or appends. */
void cb_env_set(struct cb_strv *env, const char *key, const char *value);

bool cb_str_starts(const char *s, const char *prefix);
bool cb_str_ends(const char *s, const char *suffix);
/** Equal without regard to ASCII case. */
bool cb_str_ieq(const char *a, const char *b);
/** NULL equals NULL only. */
bool cb_str_eq(const char *a, const char *b);
/** Lower-cases ASCII letters in place; returns @s. */
char *cb_str_lower(char *s);
/** A new string without leading and trailing ASCII white space. */
char *cb_str_trim(const char *s);
/** The candidate nearest to @s by edit distance (case ignored) when near enough to be a likely typo, else NULL. */
const char *cb_str_nearest(const char *s, const char *const *candidates, size_t n);
/** Appends @s as a Go-syntax (%q) double-quoted string. */
struct cb_buf;
void cb_str_quote(struct cb_buf *out, const char *s);

#endif
