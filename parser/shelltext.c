/* Free places of commands. */
#include "parser/shelltext.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* The place behind the byte @close that ends what begins at @at, when that is simple: nothing nested, no quotes. */
static size_t skip_simple(const char *text, size_t len, size_t at, char close)
{
	for (; at < len; at++) {
		if (text[at] == close)
			return at + 1;
		if (strchr("'\"\\`$(){}", text[at]))
			return len + 1;
	}
	return len + 1;
}

/* The place behind the substitution at @at ("$x", "${x}", "$(x)", "`x`"), beyond @len when it cannot be told. */
static size_t skip_substitution(const char *text, size_t len, size_t at)
{
	char next = at + 1 < len ? text[at + 1] : '\0';

	if (text[at] == '`')
		return skip_simple(text, len, at + 1, '`');
	if (next == '{')
		return skip_simple(text, len, at + 2, '}');
	if (next == '(')
		return skip_simple(text, len, at + 2, ')');
	return at + 1;
}

/* The place behind the "..." that begins before @at. */
static size_t skip_double(const char *text, size_t len, size_t at)
{
	while (at < len && text[at] != '"') {
		if (text[at] == '\\')
			at += 2;
		else if (text[at] == '$' || text[at] == '`')
			at = skip_substitution(text, len, at);
		else
			at++;
	}
	return at + 1;
}

static size_t skip_single(const char *text, size_t len, size_t at)
{
	const char *end = memchr(text + at, '\'', len - at);

	return end ? (size_t)(end - text) + 1 : len + 1;
}

/* The place behind what begins at @at outside of quotes; beyond @len when the rest cannot be told. */
static size_t next_place(const char *text, size_t len, size_t at)
{
	char next = at + 1 < len ? text[at + 1] : '\0';

	switch (text[at]) {
	case '\\':
		return at + 2;
	case '\'':
		return skip_single(text, len, at + 1);
	case '"':
		return skip_double(text, len, at + 1);
	case '`':
		return skip_substitution(text, len, at);
	case '$':
		if (next == '\'')
			return len + 1;
		/* Blanks in $(...) separate words as those outside do. */
		return next == '{' ? skip_substitution(text, len, at) : at + 1;
	case '#':
		return at == 0 || strchr(" \t;&|()", text[at - 1]) ? len + 1 : at + 1;
	default:
		return at + 1;
	}
}

void cb_shell_free_places(const char *text, size_t len, bool *free)
{
	size_t at = 0;

	memset(free, 0, (len + 1) * sizeof(*free));
	while (at <= len) {
		free[at] = true;
		if (at == len)
			break;
		at = next_place(text, len, at);
	}
}

void cb_json_free_places(const char *text, size_t len, bool *free)
{
	bool in = false;

	for (size_t i = 0; i <= len; i++) {
		free[i] = !in;
		if (i == len)
			break;
		if (text[i] == '"')
			in = !in;
		else if (in && text[i] == '\\' && i + 1 < len)
			free[++i] = false;
	}
}

void cb_word_free_places(const char *text, size_t len, char escape, bool *free)
{
	char quote = '\0';

	for (size_t i = 0; i <= len; i++) {
		free[i] = !quote;
		if (i == len)
			break;
		if (text[i] == escape && quote != '\'' && i + 1 < len)
			free[++i] = false;
		else if (quote ? text[i] == quote : text[i] == '\'' || text[i] == '"')
			quote = quote ? '\0' : text[i];
	}
}

bool cb_shell_same(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b), i = 0, k = 0;
	cleanup_free bool *a_free = cb_xcalloc(a_len + 1, sizeof(*a_free));
	cleanup_free bool *b_free = cb_xcalloc(b_len + 1, sizeof(*b_free));

	cb_shell_free_places(a, a_len, a_free);
	cb_shell_free_places(b, b_len, b_free);
	while (i < a_len && k < b_len) {
		if (is_space(a[i]) && is_space(b[k]) && a_free[i] && b_free[k]) {
			while (is_space(a[i]) && a_free[i])
				i++;
			while (is_space(b[k]) && b_free[k])
				k++;
		} else if (a[i++] != b[k++]) {
			return false;
		}
	}
	return i == a_len && k == b_len;
}
