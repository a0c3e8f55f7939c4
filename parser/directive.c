/* Parser directives. */
#include "parser/directive.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "parser/chars.h"

enum key { KEY_NONE, KEY_SYNTAX, KEY_ESCAPE, KEY_CHECK };

struct directive {
	enum key key;
	struct cb_span value;
};

static bool is_alnum(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* White space inside a directive: not VT, and nothing beyond ASCII. */
static bool is_gap(int c)
{
	return c == ' ' || c == '\t' || c == '\f' || c == '\r' || c == '\n';
}

static enum key find_key(struct cb_span word)
{
	static const struct {
		const char *name;
		enum key key;
	} keys[] = { { "syntax", KEY_SYNTAX }, { "escape", KEY_ESCAPE }, { "check", KEY_CHECK } };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strlen(keys[i].name) == cb_span_len(word) &&
			strncasecmp(keys[i].name, word.p, cb_span_len(word)) == 0)
			return keys[i].key;
	}
	return KEY_NONE;
}

/* Splits "#key = value". The value keeps at least one byte: "# escape= " has the value " ". */
static bool split(struct cb_span text, struct directive *ret)
{
	struct cb_span word, value;

	if (cb_span_peek(text, 0) != '#')
		return false;
	text.p++;
	text = cb_span_trim_left(text);

	word = (struct cb_span){ text.p, text.p };
	while (word.end < text.end && is_alnum((unsigned char)*word.end))
		word.end++;
	if (cb_span_empty(word) || (*word.p >= '0' && *word.p <= '9'))
		return false;

	value = (struct cb_span){ word.end, text.end };
	while (is_gap(cb_span_peek(value, 0)))
		value.p++;
	if (cb_span_peek(value, 0) != '=')
		return false;
	value.p++;
	while (cb_span_len(value) > 1 && is_gap((unsigned char)*value.p))
		value.p++;
	if (cb_span_empty(value))
		return false;
	while (cb_span_len(value) > 1 && is_gap((unsigned char)value.end[-1]))
		value.end--;

	*ret = (struct directive){ find_key(word), value };
	return ret->key != KEY_NONE;
}

/* The first word of the value: what stands behind a space is for the program that the directive names. */
static struct cb_text first_word(
	struct cb_arena *arena, struct cb_span text, struct cb_span value, unsigned int line, unsigned int col)
{
	const char *space = memchr(value.p, ' ', cb_span_len(value));
	size_t len = space ? (size_t)(space - value.p) : cb_span_len(value);

	return (struct cb_text){ cb_arena_strndup(arena, value.p, len), line, col + (unsigned int)(value.p - text.p) };
}

static int repeated(struct cb_err **err, unsigned int line, unsigned int col, const char *name)
{
	return cb_err_at(err, CB_ERR_INPUT, line, col, "only one %s parser directive can be used", name);
}

int cb_directive_line(struct cb_directive_reader *reader, struct cb_span text, unsigned int line, unsigned int col,
	struct cb_err **err)
{
	struct directive d;

	assert(reader);

	if (reader->done)
		return 0;
	if (!split(text, &d)) {
		reader->done = true;
		return 0;
	}

	if (d.key == KEY_SYNTAX) {
		if (reader->seen_syntax)
			return repeated(err, line, col, "syntax");
		reader->seen_syntax = true;
		reader->found->syntax = first_word(reader->arena, text, d.value, line, col);
		return 1;
	}
	if (d.key == KEY_CHECK) {
		if (reader->seen_check)
			return repeated(err, line, col, "check");
		reader->seen_check = true;
		reader->found->check = first_word(reader->arena, text, d.value, line, col);
		return 1;
	}

	if (reader->seen_escape)
		return repeated(err, line, col, "escape");
	if (cb_span_len(d.value) != 1 || (*d.value.p != '\\' && *d.value.p != '`')) {
		cb_err_at(err, CB_ERR_INPUT, line, col + (unsigned int)(d.value.p - text.p),
			"invalid escape character \"%.*s\"", (int)CB_MIN(cb_span_len(d.value), (size_t)64), d.value.p);
		return cb_err_hint(err, CB_ERR_INPUT, "it can only be \\ or `");
	}
	reader->seen_escape = true;
	reader->found->escape = *d.value.p;
	return 1;
}

void cb_directive_after_shebang(struct cb_arena *arena, struct cb_span data, struct cb_directives *found)
{
	struct cb_directives late = { .escape = '\\' };
	struct cb_directive_reader reader = { .arena = arena, .found = &late };
	unsigned int line = 1;
	const char *lf;

	if (cb_span_peek(data, 0) != '#' || cb_span_peek(data, 1) != '!')
		return;

	while ((lf = memchr(data.p, '\n', cb_span_len(data)))) {
		struct cb_span text = { lf + 1, data.end };

		data.p = lf + 1;
		line++;
		lf = memchr(text.p, '\n', cb_span_len(text));
		if (lf)
			text.end = lf;
		if (cb_directive_line(&reader, text, line, 1, NULL) <= 0)
			break;
	}
	found->syntax = late.syntax;
	found->check = late.check;
}
