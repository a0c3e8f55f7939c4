#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define BLOCK_MIN ((size_t)64 * 1024)

struct block {
	struct block *next;
	size_t used, size;
	char data[] __attribute__((aligned(16)));
};

struct cb_arena {
	struct block *head;
};

struct cb_arena *cb_arena_new(void)
{
	return cb_new0(struct cb_arena);
}

struct cb_arena *cb_arena_free(struct cb_arena *arena)
{
	struct block *next;

	if (!arena)
		return NULL;
	for (struct block *block = arena->head; block; block = next) {
		next = block->next;
		free(block);
	}
	free(arena);
	return NULL;
}

static struct block *add_block(struct cb_arena *arena, size_t need)
{
	size_t size = CB_MAX(need, BLOCK_MIN);
	struct block *block = cb_xcalloc(1, sizeof(*block) + size);

	block->size = size;
	/* An outsized block goes behind the head, so that the head's free room stays in use. */
	if (arena->head && need >= BLOCK_MIN) {
		block->next = arena->head->next;
		arena->head->next = block;
	} else {
		block->next = arena->head;
		arena->head = block;
	}
	return block;
}

void *cb_arena_alloc(struct cb_arena *arena, size_t size)
{
	struct block *block = arena->head;
	void *p;

	if (size > SIZE_MAX / 2)
		abort();
	size = (size + 15) & ~(size_t)15;
	if (!block || block->size - block->used < size)
		block = add_block(arena, size);
	p = block->data + block->used;
	block->used += size;
	return p;
}

char *cb_arena_strndup(struct cb_arena *arena, const char *s, size_t n)
{
	char *copy = cb_arena_alloc(arena, n + 1);

	if (n)
		memcpy(copy, s, n);
	return copy;
}

char *cb_arena_strdup(struct cb_arena *arena, const char *s)
{
	return cb_arena_strndup(arena, s, strlen(s));
}

char *cb_arena_printf(struct cb_arena *arena, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = cb_xvasprintf(fmt, ap);
	va_end(ap);
	return cb_arena_strdup(arena, text);
}
