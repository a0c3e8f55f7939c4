/*
 * Hash map from strings to pointers, insertion-ordered iteration. Keys are copied; values are borrowed unless a free
 * function is given.
 */
#ifndef CB_BASE_MAP_H
#define CB_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct cb_map;

/** @free_value may be NULL. */
struct cb_map *cb_map_new(void (*free_value)(void *value));
struct cb_map *cb_map_free(struct cb_map *map);
CB_DEFINE_CLEANUP(struct cb_map *, cb_map_free)

/** The value, or NULL. */
void *cb_map_get(const struct cb_map *map, const char *key);
bool cb_map_has(const struct cb_map *map, const char *key);
/** Sets or replaces (an old value is freed; the first position is kept). */
void cb_map_set(struct cb_map *map, const char *key, void *value);
/** True when there was one. */
bool cb_map_del(struct cb_map *map, const char *key);
size_t cb_map_len(const struct cb_map *map);
/** Iterates in insertion order: start with *at = 0; false at the end. No deletion while iterating. */
bool cb_map_next(const struct cb_map *map, size_t *at, const char **key, void **value);

#endif
