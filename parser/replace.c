#include "parser/replace.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/unicode.h"

enum item_kind { ITEM_RUNE, ITEM_ANY, ITEM_STAR };

struct item {
	enum item_kind kind;
	uint32_t rune;
};

struct pattern {
	struct item *items;
	size_t n;
};

/** Text as characters with the byte offset of each; at[n] is the length. */
struct text {
	uint32_t *runes;
	size_t *at;
	size_t n;
};

/**
 * can: one bitmap a star (and one for the pattern's start), telling at which characters the pattern from there on can
 * match. That is all a leftmost-first match needs to choose each star's length without backtracking.
 */
struct table {
	uint8_t *bits;
	size_t row; /* bytes a bitmap */
};

static void pattern_done(struct pattern *pattern)
{
	free(pattern->items);
}

static void text_done(struct text *text)
{
	free(text->runes);
	free(text->at);
}

static void table_done(struct table *table)
{
	free(table->bits);
}

/** @shown is the pattern as the user wrote it. */
static int pattern_parse(const char *s, const char *shown, struct pattern *ret, struct cb_err **err)
{
	const char *p = s, *end = s + strlen(s);

	ret->items = cb_newa0(struct item, (size_t)(end - s) + 1);
	ret->n = 0;
	while (p < end) {
		struct item *item = &ret->items[ret->n++];
		uint32_t rune;

		p += cb_utf8_decode(p, end, &rune);
		*item = (struct item){ rune == '*' ? ITEM_STAR : rune == '?' ? ITEM_ANY : ITEM_RUNE, rune };
		if (rune != '\\')
			continue;
		if (p == end || !strchr("*?\\/}", *p)) {
			int len = p == end ? 0 : (int)cb_utf8_decode(p, end, &rune);

			return cb_err_set(err, CB_ERR_INPUT,
				"invalid pattern (%s) in substitution: invalid escape '\\%.*s'", shown, len, p);
		}
		item->rune = (unsigned char)*p++;
	}
	return 0;
}

/**
 * The pattern from its end to its start, escapes kept whole. A backslash at the end comes to escape what was before it,
 * as it does in BuildKit. Caller frees.
 */
static char *reverse_pattern(const char *s)
{
	size_t len = strlen(s);
	const char *p = s, *end = s + len;
	char *ret = cb_xmalloc(len + 1), *to = ret + len;

	*to = '\0';
	while (p < end) {
		const char *start = p;
		uint32_t rune;

		p += cb_utf8_decode(p, end, &rune);
		if (rune == '\\' && p < end)
			p += cb_utf8_decode(p, end, &rune);
		to -= p - start;
		memcpy(to, start, (size_t)(p - start));
	}
	return ret;
}

static void text_parse(const char *s, bool reverse, struct text *ret)
{
	size_t len = strlen(s);
	const char *p = s, *end = s + len;

	ret->runes = cb_newa0(uint32_t, len + 1);
	ret->at = cb_newa0(size_t, len + 1);
	ret->n = 0;
	while (p < end) {
		ret->at[ret->n] = (size_t)(p - s);
		p += cb_utf8_decode(p, end, &ret->runes[ret->n++]);
	}
	ret->at[ret->n] = len;
	if (!reverse)
		return;
	for (size_t i = 0, j = ret->n; i + 1 < j; i++) {
		uint32_t rune = ret->runes[i];

		ret->runes[i] = ret->runes[--j];
		ret->runes[j] = rune;
	}
}

static bool item_takes(const struct item *item, uint32_t rune)
{
	return item->kind == ITEM_RUNE ? rune == item->rune : rune != '\n';
}

static bool row_get(const uint8_t *row, size_t at)
{
	return row[at / 8] >> (at % 8) & 1;
}

static void row_set(uint8_t *row, size_t at)
{
	row[at / 8] |= (uint8_t)(1U << (at % 8));
}

/** Fills @table from the last item to the first. */
static int table_fill(
	struct table *table, const struct pattern *pattern, const struct text *text, size_t *work, struct cb_err **err)
{
	size_t stars = 0, row = text->n / 8 + 1, keep;
	size_t cost = (pattern->n + 1) * (text->n + 1);
	uint8_t *now, *next;

	if (cost > *work)
		return cb_err_set(err, CB_ERR_LIMIT,
			"pattern and value of a substitution are too long (%zu and %zu characters)", pattern->n,
			text->n);
	*work -= cost;
	for (size_t i = 0; i < pattern->n; i++)
		stars += pattern->items[i].kind == ITEM_STAR;
	/* Row 0 is the whole pattern, row k what follows the k-th star; two more to work in. */
	table->row = row;
	table->bits = cb_xcalloc(stars + 3, row);
	keep = stars;
	now = table->bits + (stars + 1) * row;
	next = table->bits + (stars + 2) * row;
	memset(now, 0xff, row);
	for (size_t i = pattern->n; i-- > 0;) {
		const struct item *item = &pattern->items[i];
		uint8_t *swap = next;

		next = now;
		now = swap;
		memset(now, 0, row);
		if (item->kind == ITEM_STAR)
			memcpy(table->bits + keep-- * row, next, row);
		for (size_t j = text->n + 1; j-- > 0;) {
			bool can;

			if (item->kind == ITEM_STAR)
				can = row_get(next, j) ||
				      (j < text->n && text->runes[j] != '\n' && row_get(now, j + 1));
			else
				can = j < text->n && item_takes(item, text->runes[j]) && row_get(next, j + 1);
			if (can)
				row_set(now, j);
		}
	}
	memcpy(table->bits, now, row);
	return 0;
}

/** Where the preferred match that starts at @at ends; the table says that there is one. */
static size_t match_end(
	const struct table *table, const struct pattern *pattern, const struct text *text, size_t at, bool greedy)
{
	size_t star = 0;

	for (size_t i = 0; i < pattern->n; i++) {
		const uint8_t *rest;
		size_t end;

		if (pattern->items[i].kind != ITEM_STAR) {
			at++;
			continue;
		}
		rest = table->bits + ++star * table->row;
		for (end = at; at <= text->n; at++) {
			if (row_get(rest, at)) {
				end = at;
				if (!greedy)
					break;
			}
			if (at == text->n || text->runes[at] == '\n')
				break;
		}
		at = end;
	}
	return at;
}

int cb_replace_trim(struct cb_buf *out, const char *value, const char *pattern, bool suffix, bool greedy, size_t *work,
	struct cb_err **err)
{
	__attribute__((cleanup(pattern_done))) struct pattern items = { 0 };
	__attribute__((cleanup(text_done))) struct text text = { 0 };
	__attribute__((cleanup(table_done))) struct table table = { 0 };
	cleanup_free char *reversed = suffix ? reverse_pattern(pattern) : NULL;
	size_t cut = 0;
	int r;

	r = pattern_parse(suffix ? reversed : pattern, pattern, &items, err);
	if (r < 0)
		return r;
	text_parse(value, suffix, &text);
	r = table_fill(&table, &items, &text, work, err);
	if (r < 0)
		return r;
	if (row_get(table.bits, 0))
		cut = match_end(&table, &items, &text, 0, greedy);
	if (suffix)
		cb_buf_add(out, value, text.at[text.n - cut]);
	else
		cb_buf_adds(out, value + text.at[cut]);
	return 0;
}

/** Appends @with, a template of a regular expression without groups. */
static void add_template(struct cb_buf *out, const char *with, const char *match, size_t match_len)
{
	const char *p = with, *end = with + strlen(with);

	while (p < end) {
		const char *name, *name_end;
		bool brace;

		if (*p != '$') {
			size_t plain = strcspn(p, "$");

			cb_buf_add(out, p, plain);
			p += plain;
			continue;
		}
		if (p[1] == '$') {
			cb_buf_addc(out, '$');
			p += 2;
			continue;
		}
		brace = p[1] == '{';
		name = name_end = p + 1 + brace;
		while (name_end < end) {
			uint32_t rune;
			size_t n = cb_utf8_decode(name_end, end, &rune);

			if (rune != '_' && !cb_rune_is_letter(rune) && !cb_rune_is_digit(rune))
				break;
			name_end += n;
		}
		if (name_end == name || (brace && *name_end != '}')) {
			cb_buf_addc(out, *p++);
			continue;
		}
		if (name_end == name + 1 && *name == '0')
			cb_buf_add(out, match, match_len);
		p = name_end + brace;
	}
}

int cb_replace_match(struct cb_buf *out, const char *value, const char *pattern, const char *with, bool all,
	size_t *work, struct cb_err **err)
{
	__attribute__((cleanup(pattern_done))) struct pattern items = { 0 };
	__attribute__((cleanup(text_done))) struct text text = { 0 };
	__attribute__((cleanup(table_done))) struct table table = { 0 };
	size_t copied = 0; /* characters of @value that are settled */
	size_t start = out->len;
	int r;

	r = pattern_parse(pattern, pattern, &items, err);
	if (r < 0)
		return r;
	text_parse(value, false, &text);
	r = table_fill(&table, &items, &text, work, err);
	if (r < 0)
		return r;
	for (size_t at = 0; at <= text.n; at++) {
		size_t end;

		if (!row_get(table.bits, at))
			continue;
		end = match_end(&table, &items, &text, at, true);
		cb_buf_add(out, value + text.at[copied], text.at[at] - text.at[copied]);
		if (!all) {
			cb_buf_adds(out, with);
			copied = end;
			break;
		}
		/* An empty match right behind another match is none. */
		if (end > copied || at == 0)
			add_template(out, with, value + text.at[at], text.at[end] - text.at[at]);
		copied = end;
		if (end > at)
			at = end - 1;
		if (out->len - start > *work)
			return cb_err_set(err, CB_ERR_LIMIT, "result of a substitution is too long");
	}
	cb_buf_adds(out, value + text.at[copied]);
	*work -= CB_MIN(*work, out->len - start);
	return 0;
}
