#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *check(void *p)
{
	if (!p) {
		fputs("cbuild: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *cb_xmalloc(size_t size)
{
	return check(malloc(size ? size : 1));
}

void *cb_xcalloc(size_t n, size_t size)
{
	return check(calloc(n ? n : 1, size ? size : 1));
}

void *cb_xreallocarray(void *p, size_t n, size_t size)
{
	return check(reallocarray(p, n ? n : 1, size ? size : 1));
}

char *cb_xstrdup(const char *s)
{
	return check(strdup(s));
}

char *cb_xstrdup_null(const char *s)
{
	return s ? cb_xstrdup(s) : NULL;
}

char *cb_xstrndup(const char *s, size_t n)
{
	char *copy = cb_xmalloc(n + 1);

	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

void *cb_xmemdup(const void *p, size_t n)
{
	void *copy = cb_xmalloc(n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *cb_xvasprintf(const char *fmt, va_list ap)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	return check(text);
}

char *cb_xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = cb_xvasprintf(fmt, ap);
	va_end(ap);
	return text;
}
