#include "parser/dockerignore.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/unicode.h"
#include "parser/pattern.h"

/*
 * A pattern is a literal head, compared bytewise, and tokens that run as a nondeterministic automaton over the rest of
 * the path: one bit a token, no backtracking, whatever the number of stars. A directory's pattern covers what is
 * beneath because the automaton is asked at every slash, not only at the end.
 */
enum token_kind {
	TOKEN_RUNE,  /* exactly this character */
	TOKEN_ANY,   /* `?` */
	TOKEN_CLASS, /* `[...]` */
	TOKEN_STAR,  /* `*` */
	TOKEN_DIRS,  /* a `**` with something behind it: nothing, or anything that ends in a slash */
	TOKEN_ALL,   /* anything at all: a `**` at the end, or the one before a plain name as in `**.go` */
};

struct range {
	uint32_t lo, hi;
};

struct token {
	enum token_kind kind;
	bool negated;  /* TOKEN_CLASS */
	uint32_t rune; /* TOKEN_RUNE; TOKEN_CLASS: number of ranges */
	size_t range;  /* TOKEN_CLASS: the first in pattern->ranges */
};

struct pattern {
	bool exception;
	char *head; /* what every match starts with */
	size_t head_len;
	struct token *tokens;
	size_t n, cap;
	struct range *ranges;
	size_t n_ranges, cap_ranges;
};

struct cb_ignore {
	struct pattern *patterns;
	size_t n, cap;
	size_t exceptions;
};

#define WORDS_MAX (PATH_MAX / 64 + 2)

/** The live tokens; bit n of a pattern of n tokens is acceptance. */
struct states {
	uint64_t bits[WORDS_MAX];
};

static void pattern_done(struct pattern *pattern)
{
	free(pattern->head);
	free(pattern->tokens);
	free(pattern->ranges);
}

static struct token *add_token(struct pattern *pattern, enum token_kind kind, uint32_t rune)
{
	CB_GROW(pattern->tokens, pattern->cap, pattern->n + 1);
	pattern->tokens[pattern->n] = (struct token){ .kind = kind, .rune = rune };
	return &pattern->tokens[pattern->n++];
}

static uint32_t take_rune(const char **p, const char *end)
{
	uint32_t rune;
	size_t n = cb_utf8_decode(*p, end, &rune);

	/* Names need not be UTF-8: an odd byte stands for itself, outside of Unicode. */
	if (n == 1 && rune == CB_RUNE_BAD)
		rune = 0x110000U + (unsigned char)**p;
	*p += n;
	return rune;
}

static uint32_t take_escaped(const char **p, const char *end)
{
	*p += **p == '\\';
	return take_rune(p, end);
}

/** `[...]`, known to be well-formed; @p is behind the bracket. */
static const char *add_class(struct pattern *pattern, const char *p, const char *end)
{
	struct token *token = add_token(pattern, TOKEN_CLASS, 0);

	token->range = pattern->n_ranges;
	token->negated = *p == '^';
	p += token->negated;
	do {
		struct range range;

		range.lo = range.hi = take_escaped(&p, end);
		if (*p == '-') {
			p++;
			range.hi = take_escaped(&p, end);
		}
		CB_GROW(pattern->ranges, pattern->cap_ranges, pattern->n_ranges + 1);
		pattern->ranges[pattern->n_ranges++] = range;
		token->rune++;
	} while (*p != ']');
	return p + 1;
}

static void add_tokens(struct pattern *pattern, const char *p, const char *end)
{
	while (p < end) {
		if (p[0] == '*' && p[1] == '*') {
			p += 2;
			p += *p == '/';
			add_token(pattern, p == end ? TOKEN_ALL : TOKEN_DIRS, 0);
		} else if (*p == '*') {
			p++;
			add_token(pattern, TOKEN_STAR, 0);
		} else if (*p == '?') {
			p++;
			add_token(pattern, TOKEN_ANY, 0);
		} else if (*p == '[') {
			p = add_class(pattern, p + 1, end);
		} else {
			add_token(pattern, TOKEN_RUNE, take_escaped(&p, end));
		}
	}
}

/** @text is cleaned, without `!`. */
static int pattern_compile(struct pattern *pattern, const char *text, struct cb_err **err)
{
	const char *end = text + strlen(text), *p = text + strcspn(text, "*?[\\");
	int r;

	if (end - text >= PATH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "pattern is longer than %d bytes", PATH_MAX - 1);
	r = cb_pattern_check(text, err);
	if (r < 0)
		return r;
	pattern->head = cb_xstrndup(text, (size_t)(p - text));
	pattern->head_len = (size_t)(p - text);
	/* BuildKit: a `**` before a plain text means any path that ends so, even within a name. */
	if (cb_str_starts(text, "**") && text[2] && text[2] != '/' && !strpbrk(text + 2, "*?[\\")) {
		add_token(pattern, TOKEN_ALL, 0);
		p += 2;
	}
	add_tokens(pattern, p, end);
	return 0;
}

static bool has_class(const struct pattern *pattern, const struct token *token, uint32_t rune)
{
	for (size_t i = 0; i < token->rune; i++) {
		const struct range *range = &pattern->ranges[token->range + i];

		if (range->lo <= rune && rune <= range->hi)
			return !token->negated;
	}
	return token->negated;
}

static void enter(const struct pattern *pattern, struct states *states, size_t at)
{
	for (;; at++) {
		states->bits[at / 64] |= UINT64_C(1) << (at % 64);
		if (at == pattern->n || pattern->tokens[at].kind < TOKEN_STAR)
			break;
	}
}

static bool accepts(const struct pattern *pattern, const struct states *states)
{
	return states->bits[pattern->n / 64] >> (pattern->n % 64) & 1;
}

static void step_token(const struct pattern *pattern, size_t at, uint32_t rune, struct states *next)
{
	const struct token *token = &pattern->tokens[at];

	switch (token->kind) {
	case TOKEN_RUNE:
		if (rune == token->rune)
			enter(pattern, next, at + 1);
		break;
	case TOKEN_ANY:
		if (rune != '/')
			enter(pattern, next, at + 1);
		break;
	case TOKEN_CLASS:
		if (has_class(pattern, token, rune))
			enter(pattern, next, at + 1);
		break;
	case TOKEN_STAR:
		if (rune != '/')
			enter(pattern, next, at);
		break;
	case TOKEN_ALL:
		enter(pattern, next, at);
		break;
	case TOKEN_DIRS:
		/* Not entered anew: what follows may begin behind a slash only. */
		next->bits[at / 64] |= UINT64_C(1) << (at % 64);
		if (rune == '/')
			enter(pattern, next, at + 1);
		break;
	}
}

/** One character; false when no token is live any more. */
static bool step(const struct pattern *pattern, struct states *states, size_t words, uint32_t rune)
{
	struct states next;
	uint64_t any = 0;

	memset(next.bits, 0, words * sizeof(next.bits[0]));
	for (size_t w = 0; w < words; w++) {
		for (uint64_t bits = states->bits[w]; bits; bits &= bits - 1) {
			size_t at = w * 64 + (size_t)__builtin_ctzll(bits);

			if (at < pattern->n)
				step_token(pattern, at, rune, &next);
		}
	}
	for (size_t w = 0; w < words; w++)
		any |= states->bits[w] = next.bits[w];
	return any;
}

/** With nothing live but the `**` that the pattern starts with, only a slash can change that. */
static const char *skip_to_slash(
	const struct pattern *pattern, const struct states *states, size_t words, const char *p)
{
	if (words != 1 || pattern->tokens[0].kind != TOKEN_DIRS || states->bits[0] != 1)
		return p;
	return p + strcspn(p, "/");
}

/**
 * Runs the pattern over @path. True when it matches the path or one of its parents, or, with @beneath, when it might
 * match something below the path.
 */
static bool run(const struct pattern *pattern, const char *path, size_t len, bool beneath)
{
	const char *p, *end = path + len;
	size_t words = pattern->n / 64 + 1;
	struct states states;

	/* A path shorter than the head: only something beneath it can match. */
	if (len < pattern->head_len)
		return beneath && !memcmp(path, pattern->head, len) && pattern->head[len] == '/';
	if (memcmp(path, pattern->head, pattern->head_len))
		return false;
	p = path + pattern->head_len;
	if (!pattern->n)
		return !beneath && (p == end || *p == '/');
	memset(states.bits, 0, words * sizeof(states.bits[0]));
	enter(pattern, &states, 0);
	while ((p = skip_to_slash(pattern, &states, words, p)) < end) {
		if (*p == '/' && !beneath && accepts(pattern, &states))
			return true;
		if (!step(pattern, &states, words, take_rune(&p, end)))
			return false;
	}
	return beneath ? step(pattern, &states, words, '/') : accepts(pattern, &states);
}

/** Adds one pattern as written. */
static int add_pattern(struct cb_ignore *ignore, const char *text, struct cb_err **err)
{
	cleanup_free char *trimmed = cb_str_trim(text), *rest = NULL, *clean = NULL;
	struct pattern pattern = { 0 };
	const char *path;
	int r;

	if (!*trimmed)
		return 0;
	pattern.exception = *trimmed == '!';
	rest = cb_str_trim(trimmed + pattern.exception);
	clean = cb_path_clean(rest);
	/* "!/" is refused too, as BuildKit does, which cleans it to "!". */
	if (pattern.exception && (!*rest || !strcmp(clean, "/")))
		return cb_err_set(err, CB_ERR_INPUT, "illegal exclusion pattern: \"!\"");
	path = *clean == '/' && clean[1] ? clean + 1 : clean;
	if (ignore->n == CB_IGNORE_PATTERNS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "more than %d ignore patterns", CB_IGNORE_PATTERNS_MAX);
	r = pattern_compile(&pattern, path, err);
	if (r < 0) {
		pattern_done(&pattern);
		return r;
	}
	CB_GROW(ignore->patterns, ignore->cap, ignore->n + 1);
	ignore->patterns[ignore->n++] = pattern;
	ignore->exceptions += pattern.exception;
	return 0;
}

/** The next line of [*p, end) without its end, or NULL. Caller frees. */
static char *next_line(const char **p, const char *end)
{
	const char *start = *p, *stop;

	if (start == end)
		return NULL;
	stop = memchr(start, '\n', (size_t)(end - start));
	*p = stop ? stop + 1 : end;
	return cb_xstrndup(start, (size_t)((stop ? stop : end) - start));
}

static const char *skip_mark(const char *data, const char *end)
{
	return end - data >= 3 && !memcmp(data, "\xEF\xBB\xBF", 3) ? data + 3 : data;
}

/** A line as a pattern, or NULL for a comment or blank line. Caller frees. */
static char *line_pattern(const char *line)
{
	cleanup_free char *trimmed = NULL, *rest = NULL, *clean = NULL;
	const char *path;
	bool exception;

	if (*line == '#')
		return NULL;
	trimmed = cb_str_trim(line);
	if (!*trimmed)
		return NULL;
	exception = *trimmed == '!';
	rest = cb_str_trim(trimmed + exception);
	if (!*rest)
		return cb_xstrdup("!");
	clean = cb_path_clean(rest);
	path = *clean == '/' && clean[1] ? clean + 1 : clean;
	return cb_xasprintf("%s%s", exception ? "!" : "", path);
}

static int check_file_size(size_t len, struct cb_err **err)
{
	if (len <= CB_IGNORE_FILE_MAX)
		return 0;
	return cb_err_set(err, CB_ERR_LIMIT, "ignore file is longer than %u bytes", CB_IGNORE_FILE_MAX);
}

int cb_ignore_read(const char *data, size_t len, struct cb_strv *ret, struct cb_err **err)
{
	const char *end = data + len, *p = skip_mark(data, end);
	char *line;
	int r;

	r = check_file_size(len, err);
	if (r < 0)
		return r;
	while ((line = next_line(&p, end))) {
		char *pattern = line_pattern(line);

		free(line);
		if (pattern)
			cb_strv_take(ret, pattern);
	}
	return 0;
}

int cb_ignore_new(const struct cb_strv *patterns, struct cb_ignore **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = cb_new0(struct cb_ignore);

	for (size_t i = 0; i < patterns->n; i++) {
		int r = add_pattern(ignore, patterns->v[i], err);

		if (r < 0)
			return cb_err_locate(err, r, (unsigned int)i + 1, 0, 0);
	}
	*ret = CB_TAKE_PTR(ignore);
	return 0;
}

int cb_ignore_parse(const char *data, size_t len, struct cb_ignore **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = cb_new0(struct cb_ignore);
	const char *end = data + len, *p = skip_mark(data, end);
	unsigned int number = 0;
	char *line;
	int r;

	r = check_file_size(len, err);
	if (r < 0)
		return r;
	while ((line = next_line(&p, end))) {
		cleanup_free char *pattern = line_pattern(line);

		free(line);
		number++;
		r = pattern ? add_pattern(ignore, pattern, err) : 0;
		if (r < 0)
			return cb_err_locate(err, r, number, 0, 0);
	}
	*ret = CB_TAKE_PTR(ignore);
	return 0;
}

struct cb_ignore *cb_ignore_free(struct cb_ignore *ignore)
{
	if (!ignore)
		return NULL;
	for (size_t i = 0; i < ignore->n; i++)
		pattern_done(&ignore->patterns[i]);
	free(ignore->patterns);
	free(ignore);
	return NULL;
}

enum cb_ignore_verdict cb_ignore_match(const struct cb_ignore *ignore, const char *path, bool is_dir)
{
	size_t len = strlen(path), at;

	if (!ignore || !len || !strcmp(path, "."))
		return CB_IGNORE_KEEP;
	/* The last match decides, so the search goes backwards. */
	for (at = ignore->n; at > 0; at--) {
		if (run(&ignore->patterns[at - 1], path, len, false))
			break;
	}
	if (!at || ignore->patterns[at - 1].exception)
		return CB_IGNORE_KEEP;
	if (!is_dir)
		return CB_IGNORE_DROP;
	for (; at < ignore->n; at++) {
		if (ignore->patterns[at].exception && run(&ignore->patterns[at], path, len, true))
			return CB_IGNORE_DROP;
	}
	return CB_IGNORE_PRUNE;
}

bool cb_ignore_has_exceptions(const struct cb_ignore *ignore)
{
	return ignore && ignore->exceptions;
}

size_t cb_ignore_count(const struct cb_ignore *ignore)
{
	return ignore ? ignore->n : 0;
}
