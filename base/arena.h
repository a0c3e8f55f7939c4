/*
 * Bump allocator: everything taken from it lives until the arena ends. For trees that are built once.
 */
#ifndef CB_BASE_ARENA_H
#define CB_BASE_ARENA_H

#include <stddef.h>

#include "base/mem.h"

struct cb_arena;

struct cb_arena *cb_arena_new(void);
struct cb_arena *cb_arena_free(struct cb_arena *arena);
CB_DEFINE_CLEANUP(struct cb_arena *, cb_arena_free)

/** Zeroed, aligned to 16 bytes. */
void *cb_arena_alloc(struct cb_arena *arena, size_t size) __attribute__((returns_nonnull));
char *cb_arena_strdup(struct cb_arena *arena, const char *s) __attribute__((returns_nonnull));
char *cb_arena_strndup(struct cb_arena *arena, const char *s, size_t n) __attribute__((returns_nonnull));
char *cb_arena_printf(struct cb_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
