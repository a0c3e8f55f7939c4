#include "base/strv.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

void cb_strv_done(struct cb_strv *sv)
{
	for (size_t i = 0; i < sv->n; i++)
		free(sv->v[i]);
	free(sv->v);
	*sv = (struct cb_strv){ 0 };
}

void cb_strv_take(struct cb_strv *sv, char *s)
{
	CB_GROW(sv->v, sv->cap, sv->n + 2);
	sv->v[sv->n++] = s;
	sv->v[sv->n] = NULL;
}

void cb_strv_add(struct cb_strv *sv, const char *s)
{
	cb_strv_take(sv, cb_xstrdup(s));
}

void cb_strv_addn(struct cb_strv *sv, const char *s, size_t n)
{
	cb_strv_take(sv, cb_xstrndup(s, n));
}

void cb_strv_addf(struct cb_strv *sv, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cb_strv_take(sv, cb_xvasprintf(fmt, ap));
	va_end(ap);
}

void cb_strv_copy(struct cb_strv *to, const struct cb_strv *from)
{
	for (size_t i = 0; i < from->n; i++)
		cb_strv_add(to, from->v[i]);
}

bool cb_strv_has(const struct cb_strv *sv, const char *s)
{
	for (size_t i = 0; i < sv->n; i++)
		if (!strcmp(sv->v[i], s))
			return true;
	return false;
}

bool cb_strv_equal(const struct cb_strv *a, const struct cb_strv *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]))
			return false;
	return true;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void cb_strv_sort(struct cb_strv *sv)
{
	if (sv->n > 1)
		qsort(sv->v, sv->n, sizeof(*sv->v), compare);
}

void cb_strv_remove(struct cb_strv *sv, size_t at)
{
	free(sv->v[at]);
	memmove(sv->v + at, sv->v + at + 1, (sv->n - at) * sizeof(*sv->v));
	sv->n--;
}

char *cb_strv_join(const struct cb_strv *sv, const char *sep)
{
	struct cb_buf out = { 0 };

	for (size_t i = 0; i < sv->n; i++) {
		if (i)
			cb_buf_adds(&out, sep);
		cb_buf_adds(&out, sv->v[i]);
	}
	return cb_buf_take(&out);
}

void cb_strv_split(struct cb_strv *sv, const char *s, char sep)
{
	for (;;) {
		const char *end = strchrnul(s, sep);

		cb_strv_addn(sv, s, (size_t)(end - s));
		if (!*end)
			return;
		s = end + 1;
	}
}

static bool is_key(const char *entry, const char *key, size_t len)
{
	return !strncmp(entry, key, len) && entry[len] == '=';
}

const char *cb_env_get(const struct cb_strv *env, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = env->n; i-- > 0;)
		if (is_key(env->v[i], key, len))
			return env->v[i] + len + 1;
	return NULL;
}

void cb_env_set(struct cb_strv *env, const char *key, const char *value)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < env->n; i++) {
		if (is_key(env->v[i], key, len)) {
			char *entry = cb_xasprintf("%s=%s", key, value);

			free(env->v[i]);
			env->v[i] = entry;
			return;
		}
	}
	cb_strv_addf(env, "%s=%s", key, value);
}

bool cb_str_starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool cb_str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && !memcmp(s + n - k, suffix, k);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool cb_str_ieq(const char *a, const char *b)
{
	for (; *a && lower(*a) == lower(*b); a++, b++)
		;
	return lower(*a) == lower(*b);
}

bool cb_str_eq(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

char *cb_str_lower(char *s)
{
	for (char *p = s; *p; p++)
		*p = lower(*p);
	return s;
}

char *cb_str_trim(const char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n\v\f");
	n = strlen(s);
	while (n && strchr(" \t\r\n\v\f", s[n - 1]))
		n--;
	return cb_xstrndup(s, n);
}

#define NEAREST_MAX 64 /* longer words are no typing errors worth a table */

/* Edits that turn @a into @b: insertion, deletion, replacement, or exchange of two neighbours, each counting one. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	size_t rows[3][NEAREST_MAX + 1];

	if (n > NEAREST_MAX || m > NEAREST_MAX)
		return NEAREST_MAX;
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);

			row[j] = CB_MIN(above[j - 1] + !same, CB_MIN(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
				row[j] = CB_MIN(row[j], rows[(i - 2) % 3][j - 2] + 1);
		}
	}
	return rows[n % 3][m];
}

const char *cb_str_nearest(const char *s, const char *const *candidates, size_t n)
{
	size_t limit = CB_MAX(strlen(s) / 3, (size_t)1) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t distance = edit_distance(s, candidates[i]);

		if (distance < limit && distance < strlen(candidates[i])) {
			limit = distance;
			found = candidates[i];
		}
	}
	return found;
}

/* Go's strconv.Quote: printable UTF-8 as it is, the rest escaped. Invalid bytes become \xNN. */
static size_t utf8_len(const unsigned char *p)
{
	size_t n = *p < 0x80                 ? 1
		   : *p >= 0xc2 && *p < 0xe0 ? 2
		   : *p >= 0xe0 && *p < 0xf0 ? 3
		   : *p >= 0xf0 && *p < 0xf5 ? 4
					     : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void cb_str_quote(struct cb_buf *out, const char *s)
{
	static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";

	cb_buf_addc(out, '"');
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		const char *at = strchr(from, *p);
		size_t n = utf8_len(p);

		if (at) {
			cb_buf_addf(out, "\\%c", to[at - from]);
			n = 1;
		} else if (!n || *p < 0x20 || *p == 0x7f) {
			cb_buf_addf(out, "\\x%02x", *p);
			n = 1;
		} else {
			cb_buf_add(out, p, n);
		}
		p += n;
	}
	cb_buf_addc(out, '"');
}
