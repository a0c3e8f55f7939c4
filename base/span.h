/*
 * A cursor over bytes that are not ours: never reads past the end, knows line and column.
 */
#ifndef CB_BASE_SPAN_H
#define CB_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct cb_span {
	const char *p, *end;
};

static inline struct cb_span cb_span_of(const char *data, size_t len)
{
	return (struct cb_span){ data, data + len };
}
static inline struct cb_span cb_span_str(const char *s)
{
	return (struct cb_span){ s, s + strlen(s) };
}
static inline size_t cb_span_len(struct cb_span s)
{
	return (size_t)(s.end - s.p);
}
static inline bool cb_span_empty(struct cb_span s)
{
	return s.p >= s.end;
}
/** The byte at @ahead, or -1 past the end. */
static inline int cb_span_peek(struct cb_span s, size_t ahead)
{
	return ahead < cb_span_len(s) ? (unsigned char)s.p[ahead] : -1;
}

#endif
