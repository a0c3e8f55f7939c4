#include "parser/pattern.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/strv.h"
#include "base/unicode.h"

/*
 * A pattern is a row of chunks: stars, then text up to the next star. A chunk is matched at one place only, and after a
 * star at the first place that fits, as Go does it: that is linear in chunks, with no backtracking over earlier stars.
 */
static int bad_pattern(const char *pattern, struct cb_err **err)
{
	cleanup_buf struct cb_buf quoted = { 0 };

	cb_str_quote(&quoted, pattern);
	return cb_err_set(err, CB_ERR_INPUT, "syntax error in pattern %s", cb_buf_str(&quoted));
}

/** Takes stars and a chunk off @pattern; true when there was a star. */
static bool next_chunk(struct cb_span *pattern, struct cb_span *ret)
{
	const char *p = pattern->p;
	bool star = false, in_class = false;

	while (p < pattern->end && *p == '*') {
		star = true;
		p++;
	}
	ret->p = p;
	for (; p < pattern->end; p++) {
		if (*p == '\\') {
			if (p + 1 < pattern->end)
				p++;
		} else if (*p == '[') {
			in_class = true;
		} else if (*p == ']') {
			in_class = false;
		} else if (*p == '*' && !in_class) {
			break;
		}
	}
	ret->end = pattern->p = p;
	return star;
}

/** One character of a class, maybe escaped; something must follow it. */
static bool class_rune(struct cb_span *chunk, uint32_t *ret)
{
	size_t n;

	if (chunk->p == chunk->end || *chunk->p == '-' || *chunk->p == ']')
		return false;
	if (*chunk->p == '\\' && ++chunk->p == chunk->end)
		return false;
	n = cb_utf8_decode(chunk->p, chunk->end, ret);
	if (n == 1 && *ret == CB_RUNE_BAD)
		return false;
	chunk->p += n;
	return chunk->p < chunk->end;
}

/** A class, the cursor behind its bracket: 1 when @rune is of it, 0 when not, -1 for bad syntax. */
static int match_class(struct cb_span *chunk, uint32_t rune)
{
	bool negated = chunk->p < chunk->end && *chunk->p == '^', match = false;
	uint32_t lo, hi;

	chunk->p += negated;
	for (size_t ranges = 0;; ranges++) {
		if (chunk->p < chunk->end && *chunk->p == ']' && ranges)
			break;
		if (!class_rune(chunk, &lo))
			return -1;
		hi = lo;
		if (*chunk->p == '-') {
			chunk->p++;
			if (!class_rune(chunk, &hi))
				return -1;
		}
		match |= lo <= rune && rune <= hi;
	}
	chunk->p++;
	return match != negated;
}

/**
 * Matches @chunk at the start of @name: 1 with *ret behind the match, 0 for none, -1 for bad syntax. Reads the chunk to
 * its end even after a mismatch, for the syntax.
 */
static int match_chunk(struct cb_span chunk, struct cb_span name, const char **ret)
{
	bool failed = false;

	while (chunk.p < chunk.end) {
		uint32_t rune = 0;
		size_t n = 0;

		failed |= name.p == name.end;
		if (!failed)
			n = cb_utf8_decode(name.p, name.end, &rune);
		switch (*chunk.p) {
		case '[': {
			int r;

			chunk.p++;
			r = match_class(&chunk, rune);
			if (r < 0)
				return r;
			failed |= !r;
			break;
		}
		case '?':
			chunk.p++;
			failed |= rune == '/';
			break;
		case '\\':
			if (++chunk.p == chunk.end)
				return -1;
			/* fall through */
		default:
			failed |= !failed && *chunk.p != *name.p;
			chunk.p++;
			n = 1;
		}
		if (!failed)
			name.p += n;
	}
	if (failed)
		return 0;
	*ret = name.p;
	return 1;
}

/** The places after a star: 1 with *ret behind the chunk. */
static int match_after_star(struct cb_span chunk, bool last, struct cb_span name, const char **ret)
{
	while (name.p < name.end && *name.p != '/') {
		int r;

		name.p++;
		r = match_chunk(chunk, name, ret);
		if (r < 0 || (r && !(last && *ret < name.end)))
			return r;
	}
	return 0;
}

static int match_pattern(const char *pattern, const char *text)
{
	struct cb_span rest = { pattern, pattern + strlen(pattern) }, name = { text, text + strlen(text) };

	while (rest.p < rest.end) {
		struct cb_span chunk;
		bool star = next_chunk(&rest, &chunk), last = rest.p == rest.end;
		const char *after = NULL;
		int r;

		if (star && chunk.p == chunk.end)
			return !memchr(name.p, '/', (size_t)(name.end - name.p));
		r = match_chunk(chunk, name, &after);
		if (r > 0 && last && after < name.end)
			r = 0;
		if (!r && star)
			r = match_after_star(chunk, last, name, &after);
		if (r < 0)
			return r;
		if (!r)
			return 0;
		name.p = after;
	}
	return name.p == name.end;
}

int cb_pattern_match(const char *pattern, const char *name, struct cb_err **err)
{
	int r;

	assert(pattern);
	assert(name);
	r = match_pattern(pattern, name);
	return r < 0 ? bad_pattern(pattern, err) : r;
}

int cb_pattern_check(const char *pattern, struct cb_err **err)
{
	struct cb_span rest = { pattern, pattern + strlen(pattern) };

	while (rest.p < rest.end) {
		struct cb_span chunk;
		const char *after;

		next_chunk(&rest, &chunk);
		if (match_chunk(chunk, cb_span_str(""), &after) < 0)
			return bad_pattern(pattern, err);
	}
	return 0;
}

bool cb_pattern_is_wild(const char *s)
{
	return strpbrk(s, "*?[\\") != NULL;
}
