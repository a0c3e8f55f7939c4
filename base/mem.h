/*
 * Memory: allocation that aborts when there is none, and scope-bound ownership.
 *
 * Out of memory aborts (as in git and crun), so every size and depth that comes from outside needs a named limit
 * before it reaches these functions.
 */
#ifndef CB_BASE_MEM_H
#define CB_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CB_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CB_MAX(a, b) ((a) > (b) ? (a) : (b))
#define CB_UNUSED __attribute__((unused))
#define CB_NORETURN __attribute__((noreturn))

/** All return memory that the caller frees with free(); none returns NULL. */
void *cb_xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *cb_xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/** realloc to n * size bytes; overflow aborts. */
void *cb_xreallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *cb_xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/** NULL stays NULL. */
char *cb_xstrdup_null(const char *s);
/** Copies @n bytes and adds a NUL. */
char *cb_xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *cb_xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *cb_xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *cb_xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0), returns_nonnull));

#define cb_new0(type) ((type *)cb_xcalloc(1, sizeof(type)))
#define cb_newa0(type, n) ((type *)cb_xcalloc((n), sizeof(type)))

/** Grows the array *(p) with capacity *(cap) so that it holds at least @need items. */
#define CB_GROW(p, cap, need)                                                                                          \
	do {                                                                                                           \
		if ((need) > (cap)) {                                                                                  \
			(cap) = CB_MAX((size_t)(need), (cap) + (cap) / 2 + 8);                                         \
			(p) = cb_xreallocarray((p), (cap), sizeof(*(p)));                                              \
		}                                                                                                      \
	} while (0)

/** Declares the cleanup handler that CB_CLEANUP(fn) uses; @fn takes NULL. */
#define CB_DEFINE_CLEANUP(type, fn)                                                                                    \
	static inline __attribute__((unused)) void fn##p(type *p)                                                      \
	{                                                                                                              \
		if (*p)                                                                                                \
			fn(*p);                                                                                        \
	}
#define CB_CLEANUP(fn) __attribute__((cleanup(fn##p)))

static inline void cb_freep(void *p)
{
	free(*(void **)p);
}
#define cleanup_free __attribute__((cleanup(cb_freep)))

/** Gives a pointer away: the local becomes NULL. */
#define CB_TAKE_PTR(p)                                                                                                 \
	({                                                                                                             \
		__typeof__(p) *taken_from = &(p);                                                                      \
		__typeof__(p) taken = *taken_from;                                                                     \
		*taken_from = NULL;                                                                                    \
		taken;                                                                                                 \
	})

#endif
