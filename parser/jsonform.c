/* JSON arrays of strings, read without recursion. */
#include "parser/jsonform.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "parser/chars.h"

#define DEPTH_MAX 10000

static void skip_ws(struct cb_span *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
		s->p++;
}

static bool take(struct cb_span *s, char c)
{
	if (cb_span_peek(*s, 0) != c)
		return false;
	s->p++;
	return true;
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The four digits of a \u escape at @s, or -1. */
static int32_t hex4(struct cb_span s)
{
	int32_t value = 0;

	for (size_t i = 0; i < 4; i++) {
		int digit = hex_digit(cb_span_peek(s, i));

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* The code point of a \u escape whose first digits are at *s; a surrogate pair takes two escapes. */
static bool read_unicode(struct cb_span *s, uint32_t *ret)
{
	int32_t high = hex4(*s), low;

	if (high < 0)
		return false;
	s->p += 4;
	*ret = (uint32_t)high;
	if (high < 0xd800 || high > 0xdfff)
		return true;

	*ret = CB_RUNE_BAD;
	if (high >= 0xdc00 || cb_span_peek(*s, 0) != '\\' || cb_span_peek(*s, 1) != 'u')
		return true;
	low = hex4((struct cb_span){ s->p + 2, s->end });
	if (low < 0xdc00 || low > 0xdfff)
		return true;
	s->p += 6;
	*ret = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
	return true;
}

static bool read_escape(struct cb_span *s, struct cb_buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int c = cb_span_peek(*s, 0);
	const char *found;
	uint32_t rune;

	if (c <= 0)
		return false;
	s->p++;
	if (c == 'u') {
		if (!read_unicode(s, &rune))
			return false;
		if (rune == 0)
			cb_buf_adds(out, CB_JSON_NUL);
		else
			cb_utf8_add(out, rune);
		return true;
	}
	found = strchr(from, c);
	if (!found)
		return false;
	cb_buf_addc(out, to[found - from]);
	return true;
}

/* A string, its opening quote already taken; @out gets the decoded bytes. */
static bool read_string(struct cb_span *s, struct cb_buf *out)
{
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p;
		uint32_t rune;

		if (c < 0x20)
			return false;
		if (c == '"') {
			s->p++;
			return true;
		}
		if (c == '\\') {
			s->p++;
			if (!read_escape(s, out))
				return false;
			continue;
		}
		s->p += cb_utf8_decode(s->p, s->end, &rune);
		cb_utf8_add(out, rune);
	}
	return false;
}

static size_t digits(struct cb_span *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return (size_t)(s->p - start);
}

static bool read_number(struct cb_span *s)
{
	const char *start = s->p;
	cleanup_free char *text = NULL;

	take(s, '-');
	if (!take(s, '0') && digits(s) == 0)
		return false;
	if (take(s, '.') && digits(s) == 0)
		return false;
	if (take(s, 'e') || take(s, 'E')) {
		if (!take(s, '+'))
			take(s, '-');
		if (digits(s) == 0)
			return false;
	}
	text = cb_xstrndup(start, (size_t)(s->p - start));
	return !isinf(strtod(text, NULL));
}

static bool read_word(struct cb_span *s)
{
	static const char *const names[] = { "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = strlen(names[i]);

		if (cb_span_len(*s) >= len && memcmp(s->p, names[i], len) == 0) {
			s->p += len;
			return true;
		}
	}
	return false;
}

/* The state of a read: which brackets are open. */
struct reader {
	struct cb_span rest;
	struct cb_buf str; /* the string read last */
	size_t depth;
	unsigned char is_object[DEPTH_MAX / 8 + 1]; /* one bit for each open bracket */
};

static bool in_object(const struct reader *r)
{
	return r->is_object[r->depth / 8] >> (r->depth % 8) & 1;
}

static bool open_bracket(struct reader *r, bool object)
{
	if (r->depth >= DEPTH_MAX)
		return false;
	r->depth++;
	r->is_object[r->depth / 8] &= (unsigned char)~(1U << (r->depth % 8));
	r->is_object[r->depth / 8] |= (unsigned char)((unsigned int)object << (r->depth % 8));
	return true;
}

/* "key": of an object. */
static bool read_key(struct reader *r)
{
	skip_ws(&r->rest);
	cb_buf_clear(&r->str);
	if (!take(&r->rest, '"') || !read_string(&r->rest, &r->str))
		return false;
	skip_ws(&r->rest);
	return take(&r->rest, ':');
}

/* What stands behind a value: closes brackets. True when there is another value, false at the end or *bad. */
static bool next_value(struct reader *r, bool *bad)
{
	while (r->depth > 0) {
		skip_ws(&r->rest);
		if (take(&r->rest, ',')) {
			*bad = in_object(r) && !read_key(r);
			return !*bad;
		}
		if (!take(&r->rest, in_object(r) ? '}' : ']')) {
			*bad = true;
			return false;
		}
		r->depth--;
	}
	skip_ws(&r->rest);
	*bad = !cb_span_empty(r->rest);
	return false;
}

enum value { VALUE_BAD, VALUE_STRING, VALUE_OTHER, VALUE_OPENED };

/* One value, or the opening of one that has members. */
static enum value read_value(struct reader *r)
{
	bool object;

	skip_ws(&r->rest);
	if (take(&r->rest, '"')) {
		cb_buf_clear(&r->str);
		return read_string(&r->rest, &r->str) ? VALUE_STRING : VALUE_BAD;
	}
	object = cb_span_peek(r->rest, 0) == '{';
	if (!object && cb_span_peek(r->rest, 0) != '[') {
		int c = cb_span_peek(r->rest, 0);

		if (c == '-' || (c >= '0' && c <= '9'))
			return read_number(&r->rest) ? VALUE_OTHER : VALUE_BAD;
		return read_word(&r->rest) ? VALUE_OTHER : VALUE_BAD;
	}

	r->rest.p++;
	if (!open_bracket(r, object))
		return VALUE_BAD;
	skip_ws(&r->rest);
	if (take(&r->rest, object ? '}' : ']')) {
		r->depth--;
		return VALUE_OTHER;
	}
	return object && !read_key(r) ? VALUE_BAD : VALUE_OPENED;
}

/* Notes the value at @at, which stands directly in the outer array. */
static enum cb_json_form add_item(
	struct cb_arena *arena, struct reader *r, enum value value, const char *at, struct cb_json_item *item)
{
	if (value != VALUE_STRING)
		return CB_JSON_OTHER;
	*item = (struct cb_json_item){ cb_arena_strndup(arena, cb_buf_str(&r->str), r->str.len), at };
	return CB_JSON_STRINGS;
}

static enum cb_json_form read_array(
	struct cb_arena *arena, struct reader *r, struct cb_json_item **items, size_t *n, const char **bad)
{
	enum cb_json_form form = CB_JSON_STRINGS;
	size_t cap = 0;
	bool wrong = false, more;

	do {
		bool outer = r->depth == 1;
		const char *at;
		enum value value;

		skip_ws(&r->rest);
		at = r->rest.p;
		value = read_value(r);
		if (value == VALUE_BAD)
			return CB_JSON_NONE;
		if (outer && form == CB_JSON_STRINGS) {
			CB_GROW(*items, cap, *n + 1);
			form = add_item(arena, r, value, at, &(*items)[*n]);
			*bad = at;
			*n += form == CB_JSON_STRINGS;
		}
		more = value == VALUE_OPENED || next_value(r, &wrong);
	} while (more);
	return wrong ? CB_JSON_NONE : form;
}

enum cb_json_form cb_json_form_parse(
	struct cb_arena *arena, struct cb_span text, struct cb_json_item **items, size_t *n, const char **bad)
{
	cleanup_free struct reader *r = NULL;
	cleanup_free struct cb_json_item *found = NULL;
	enum cb_json_form form;
	size_t count = 0;

	assert(arena);
	assert(items && n && bad);

	text = cb_span_trim_left(text);
	if (cb_span_peek(text, 0) != '[')
		return CB_JSON_NONE;

	r = cb_new0(struct reader);
	r->rest = (struct cb_span){ text.p + 1, text.end };
	skip_ws(&r->rest);
	if (take(&r->rest, ']')) {
		skip_ws(&r->rest);
		form = cb_span_empty(r->rest) ? CB_JSON_STRINGS : CB_JSON_NONE;
	} else {
		open_bracket(r, false);
		form = read_array(arena, r, &found, &count, bad);
	}
	cb_buf_done(&r->str);
	if (form == CB_JSON_STRINGS) {
		*items = CB_TAKE_PTR(found);
		*n = count;
	}
	return form;
}
