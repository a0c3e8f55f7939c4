/*
 * Growable byte string, always NUL-terminated once something was added. Zero-initialise, end with cb_buf_done.
 */
#ifndef CB_BASE_BUF_H
#define CB_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct cb_buf {
	char *data; /* NULL while empty and never grown */
	size_t len, cap;
};

void cb_buf_done(struct cb_buf *buf);
#define cleanup_buf __attribute__((cleanup(cb_buf_done)))

/** Keeps the memory. */
void cb_buf_clear(struct cb_buf *buf);
/** Cuts the content to @len, which is no more than it has. */
void cb_buf_truncate(struct cb_buf *buf, size_t len);
/** Makes room for @extra more bytes and a NUL. */
void cb_buf_reserve(struct cb_buf *buf, size_t extra);
void cb_buf_add(struct cb_buf *buf, const void *data, size_t len);
void cb_buf_addc(struct cb_buf *buf, char c);
void cb_buf_adds(struct cb_buf *buf, const char *s);
void cb_buf_addf(struct cb_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The content as a C string, "" when empty. Borrowed until the next change. */
const char *cb_buf_str(struct cb_buf *buf);
/** Gives the content away (never NULL) and empties the buffer. */
char *cb_buf_take(struct cb_buf *buf);

#endif
