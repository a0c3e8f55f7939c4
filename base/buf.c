#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void cb_buf_done(struct cb_buf *buf)
{
	free(buf->data);
	*buf = (struct cb_buf){ 0 };
}

void cb_buf_clear(struct cb_buf *buf)
{
	buf->len = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

void cb_buf_truncate(struct cb_buf *buf, size_t len)
{
	assert(len <= buf->len);
	buf->len = len;
	if (buf->data)
		buf->data[len] = '\0';
}

void cb_buf_reserve(struct cb_buf *buf, size_t extra)
{
	size_t need;

	if (__builtin_add_overflow(buf->len, extra, &need) || __builtin_add_overflow(need, 1, &need))
		abort();
	CB_GROW(buf->data, buf->cap, need);
}

void cb_buf_add(struct cb_buf *buf, const void *data, size_t len)
{
	cb_buf_reserve(buf, len);
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void cb_buf_addc(struct cb_buf *buf, char c)
{
	cb_buf_add(buf, &c, 1);
}

void cb_buf_adds(struct cb_buf *buf, const char *s)
{
	cb_buf_add(buf, s, strlen(s));
}

void cb_buf_addf(struct cb_buf *buf, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = cb_xvasprintf(fmt, ap);
	va_end(ap);
	cb_buf_adds(buf, text);
	free(text);
}

const char *cb_buf_str(struct cb_buf *buf)
{
	return buf->data ? buf->data : "";
}

char *cb_buf_take(struct cb_buf *buf)
{
	char *data = buf->data ? buf->data : cb_xstrdup("");

	*buf = (struct cb_buf){ 0 };
	return data;
}
