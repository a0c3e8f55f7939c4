/* Nodes from logical lines. */
#include "parser/node.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/strv.h"
#include "parser/chars.h"
#include "parser/flags.h"
#include "parser/jsonform.h"
#include "parser/words.h"

/* A node under construction. */
struct maker {
	struct cb_arena *arena;
	struct cb_node *node;
	char escape;
	struct cb_span rest; /* of node->original: what stands behind keyword and flags */
	struct cb_buf buf;
	struct cb_text *texts; /* collects flags, then arguments */
	size_t n, cap;
};

void cb_node_place(const struct cb_node *node, size_t offset, unsigned int *line, unsigned int *col)
{
	const struct cb_linemap *map = node->map;
	size_t low = 0, high = map->n;

	offset += map->base;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (map->v[mid].offset <= offset)
			low = mid;
		else
			high = mid;
	}
	*line = map->v[low].line;
	*col = map->v[low].col + (unsigned int)(offset - map->v[low].offset);
}

struct cb_text cb_node_text(
	struct cb_arena *arena, const struct cb_node *node, const char *at, size_t len, const char *origin)
{
	struct cb_text text = { .s = cb_arena_strndup(arena, at, len) };

	cb_node_place(node, (size_t)(origin - node->original), &text.line, &text.col);
	return text;
}

int cb_node_err(struct cb_err **err, const struct cb_node *node, const char *origin, const char *fmt, ...)
{
	cleanup_free char *msg = NULL;
	unsigned int line, col;
	va_list ap;

	va_start(ap, fmt);
	msg = cb_xvasprintf(fmt, ap);
	va_end(ap);
	cb_node_place(node, (size_t)(origin - node->original), &line, &col);
	return cb_err_at(err, CB_ERR_INPUT, line, col, "%s", msg);
}

static void add(struct maker *m, const char *at, size_t len, const char *origin)
{
	CB_GROW(m->texts, m->cap, m->n + 1);
	m->texts[m->n++] = cb_node_text(m->arena, m->node, at, len, origin);
}

static void add_span(struct maker *m, struct cb_span s)
{
	add(m, s.p, cb_span_len(s), s.p);
}

/* Moves what was collected to @ret. */
static void collected(struct maker *m, struct cb_texts *ret)
{
	*ret = (struct cb_texts){ .n = m->n };
	if (m->n) {
		ret->v = cb_arena_alloc(m->arena, m->n * sizeof(*ret->v));
		memcpy(ret->v, m->texts, m->n * sizeof(*ret->v));
	}
	m->n = 0;
}

/* Keyword and flags. */
static void read_head(struct maker *m)
{
	struct cb_node *node = m->node;
	struct cb_span line = cb_span_trim(cb_span_str(node->original)), word = { line.p, line.p };
	const char *at;

	while (word.end < line.end && !cb_is_blank((unsigned char)*word.end))
		word.end++;
	node->word = cb_arena_strndup(m->arena, word.p, cb_span_len(word));
	node->kw = cb_keyword_find(word.p, cb_span_len(word));
	cb_node_place(node, (size_t)(word.p - node->original), &node->line, &node->col);
	node->end_line = node->line;

	m->rest = (struct cb_span){ word.end, line.end };
	while (cb_flag_next(&m->rest, m->escape, &m->buf, &at))
		add(m, cb_buf_str(&m->buf), m->buf.len, at);
	collected(m, &node->flags);
	m->rest = cb_span_trim(m->rest);
	node->rest = m->rest.p;
}

/* A JSON array of strings: 1 when @text is one. */
static int read_json(struct maker *m, struct cb_span text, struct cb_err **err)
{
	cleanup_free struct cb_json_item *items = NULL;
	const char *bad = text.p;
	size_t n = 0;

	switch (cb_json_form_parse(m->arena, text, &items, &n, &bad)) {
	case CB_JSON_NONE:
		return 0;
	case CB_JSON_OTHER:
		cb_node_err(err, m->node, bad, "a JSON array must hold strings only");
		return cb_err_hint(err, CB_ERR_INPUT, "put the item between double quotes");
	case CB_JSON_STRINGS:
		break;
	}
	for (size_t i = 0; i < n; i++)
		add(m, items[i].value, strlen(items[i].value), items[i].at);
	m->node->json = true;
	return 1;
}

/* RUN, CMD, ENTRYPOINT, SHELL: exec form or one text. */
static int read_command(struct maker *m, struct cb_err **err)
{
	int r = cb_span_empty(m->rest) ? 1 : read_json(m, m->rest, err);

	if (r == 0)
		add_span(m, m->rest);
	return CB_MIN(r, 0);
}

static int read_words(struct maker *m, struct cb_err **err)
{
	struct cb_span word;

	(void)err;
	while (cb_word_plain(&m->rest, &word))
		add_span(m, word);
	return 0;
}

/* ADD, COPY, VOLUME: JSON array or words. */
static int read_json_or_words(struct maker *m, struct cb_err **err)
{
	int r = read_json(m, m->rest, err);

	return r ? CB_MIN(r, 0) : read_words(m, err);
}

static int read_text(struct maker *m, struct cb_err **err)
{
	(void)err;
	if (!cb_span_empty(m->rest))
		add_span(m, m->rest);
	return 0;
}

/* ARG: words with quotes. */
static int read_names(struct maker *m, struct cb_err **err)
{
	const char *at;

	(void)err;
	while (cb_word_quoted(&m->rest, m->escape, &m->buf, &at))
		add(m, cb_buf_str(&m->buf), m->buf.len, at);
	return 0;
}

/* "ENV name value with blanks": the value is the rest of the line. */
static int read_legacy_pair(struct maker *m, struct cb_err **err)
{
	struct cb_span rest = m->rest, key;

	cb_word_plain(&rest, &key);
	while (cb_is_blank(cb_span_peek(rest, 0)))
		rest.p++;
	if (rest.p == key.end) {
		cb_node_err(err, m->node, key.p, "%s must have two arguments", cb_keyword_upper(m->node->kw));
		return cb_err_hint(err, CB_ERR_INPUT, "write %s %.*s=VALUE", cb_keyword_upper(m->node->kw),
			(int)CB_MIN(cb_span_len(key), (size_t)64), key.p);
	}
	add_span(m, key);
	add_span(m, rest);
	add(m, "", 0, rest.p);
	return 0;
}

/* ENV, LABEL: name, value and separator of each pair. */
static int read_pairs(struct maker *m, struct cb_err **err)
{
	struct cb_span rest = m->rest;
	const char *at;

	for (bool first = true; cb_word_quoted(&rest, m->escape, &m->buf, &at); first = false) {
		const char *word = cb_buf_str(&m->buf), *eq = strchr(word, '=');

		if (!eq && first)
			return read_legacy_pair(m, err);
		if (!eq) {
			cb_node_err(err, m->node, at, "no \"=\" in \"%.100s\"", word);
			return cb_err_hint(
				err, CB_ERR_INPUT, "each word must be name=value; quote a value with blanks");
		}
		add(m, word, (size_t)(eq - word), at);
		add(m, eq + 1, strlen(eq + 1), CB_MIN(at + (eq - word) + 1, rest.p));
		add(m, "=", 1, CB_MIN(at + (eq - word), rest.p));
	}
	return 0;
}

/* MAINTAINER: the pair that LABEL maintainer would make in the legacy form. */
static int read_maintainer(struct maker *m, struct cb_err **err)
{
	(void)err;
	if (cb_span_empty(m->rest))
		return 0;
	add(m, "maintainer", strlen("maintainer"), m->node->original);
	add_span(m, m->rest);
	add(m, "", 0, m->rest.p);
	return 0;
}

/* HEALTHCHECK: type, then what CMD has. */
static int read_health(struct maker *m, struct cb_err **err)
{
	struct cb_span type;

	if (!cb_word_plain(&m->rest, &type))
		return 0;
	add_span(m, type);
	while (cb_is_blank(cb_span_peek(m->rest, 0)))
		m->rest.p++;
	return read_command(m, err);
}

static int read_none(struct maker *m, struct cb_err **err)
{
	(void)m;
	(void)err;
	return 0;
}

static int (*const readers[CB_KW_MAX_])(struct maker *m, struct cb_err **err) = {
	[CB_KW_UNKNOWN] = read_none,
	[CB_KW_ADD] = read_json_or_words,
	[CB_KW_ARG] = read_names,
	[CB_KW_CMD] = read_command,
	[CB_KW_COPY] = read_json_or_words,
	[CB_KW_ENTRYPOINT] = read_command,
	[CB_KW_ENV] = read_pairs,
	[CB_KW_EXPOSE] = read_words,
	[CB_KW_FROM] = read_words,
	[CB_KW_HEALTHCHECK] = read_health,
	[CB_KW_INCLUDE] = read_text,
	[CB_KW_LABEL] = read_pairs,
	[CB_KW_MAINTAINER] = read_maintainer,
	[CB_KW_ONBUILD] = read_none,
	[CB_KW_RUN] = read_command,
	[CB_KW_SHELL] = read_command,
	[CB_KW_STOPSIGNAL] = read_text,
	[CB_KW_USER] = read_text,
	[CB_KW_VOLUME] = read_json_or_words,
	[CB_KW_WORKDIR] = read_text,
};

/* Makes one node; an ONBUILD node is left without its child. */
static int make(struct cb_arena *arena, struct cb_span line, const struct cb_linemap *map, char escape,
	struct cb_node **ret, struct cb_span *rest, struct cb_err **err)
{
	struct maker m = { .arena = arena, .escape = escape };
	int r;

	m.node = cb_arena_alloc(arena, sizeof(*m.node));
	m.node->map = map;
	m.node->original = cb_arena_strndup(arena, line.p, cb_span_len(line));
	read_head(&m);
	*rest = m.rest;
	r = readers[m.node->kw](&m, err);
	collected(&m, &m.node->args);
	cb_buf_done(&m.buf);
	free(m.texts);
	*ret = m.node;
	return r;
}

int cb_node_new(struct cb_arena *arena, struct cb_span line, const struct cb_linemap *map, char escape,
	struct cb_node **ret, struct cb_err **err)
{
	struct cb_node *top = NULL, **at = &top;
	struct cb_span rest;
	int r;

	assert(arena);
	assert(map && map->n > 0);

	for (unsigned int depth = 0;; depth++) {
		struct cb_linemap *shifted;
		struct cb_node *node;

		r = make(arena, line, map, escape, at, &rest, err);
		if (r < 0)
			return r;
		node = *at;
		if (node->kw != CB_KW_ONBUILD || cb_span_empty(rest))
			break;
		if (depth == CB_ONBUILD_DEPTH_MAX)
			return cb_node_err(err, node, rest.p, "ONBUILD is nested too deep");

		shifted = cb_arena_alloc(arena, sizeof(*shifted));
		*shifted = *map;
		shifted->base += (size_t)(rest.p - node->original);
		map = shifted;
		line = rest;
		at = &node->child;
	}
	*ret = top;
	return 0;
}
