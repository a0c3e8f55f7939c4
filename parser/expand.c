#include "parser/expand.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/unicode.h"
#include "parser/replace.h"

/** The state of one expansion: a cursor over the input. */
struct lexer {
	const char *p, *end;
	const struct cb_expand *how;
	char escape;
	bool raw_escapes;
	unsigned int depth;
	size_t work;           /* left for substitutions */
	struct cb_buf scratch; /* names, NUL-terminated for lookups */
};

/** Collects words while the top level is read; NULL below it. */
struct words {
	struct cb_buf word;
	bool open;
	struct cb_strv list;
};

static int expand_until(
	struct lexer *lexer, int stop, bool raw_escapes, struct cb_buf *out, struct words *words, struct cb_err **err);
static int expand_dollar(struct lexer *lexer, struct cb_buf *out, struct cb_err **err);

static int peek(const struct lexer *lexer)
{
	return lexer->p < lexer->end ? (unsigned char)*lexer->p : -1;
}

static void words_close(struct words *words)
{
	if (!words->word.len)
		return;
	cb_strv_addn(&words->list, words->word.data, words->word.len);
	cb_buf_clear(&words->word);
	words->open = false;
}

static void words_add_raw(struct words *words, const char *data, size_t len)
{
	if (!words)
		return;
	cb_buf_add(&words->word, data, len);
	words->open = true;
}

/** Adds text whose white space separates words. */
static void words_add(struct words *words, const char *data, size_t len)
{
	const char *p = data, *end = data + len;

	while (words && p < end) {
		uint32_t rune;
		size_t n = cb_utf8_decode(p, end, &rune);

		if (!cb_rune_is_space(rune))
			words_add_raw(words, p, n);
		else if (words->open)
			words_close(words);
		p += n;
	}
}

static int check_size(const struct cb_buf *out, struct cb_err **err)
{
	if (out->len <= CB_EXPAND_SIZE_MAX)
		return 0;
	return cb_err_set(err, CB_ERR_LIMIT, "expanded text is longer than %u bytes", CB_EXPAND_SIZE_MAX);
}

/** Length of the character at the cursor. */
static size_t rune_len(const struct lexer *lexer)
{
	uint32_t rune;

	return cb_utf8_decode(lexer->p, lexer->end, &rune);
}

static int expand_single(struct lexer *lexer, struct cb_buf *out, struct cb_err **err)
{
	bool raw = lexer->how->flags & CB_EXPAND_RAW_QUOTES;
	const char *start = ++lexer->p, *close;

	close = memchr(start, '\'', (size_t)(lexer->end - start));
	if (!close) {
		lexer->p = lexer->end;
		return cb_err_set(
			err, CB_ERR_INPUT, "unexpected end of statement while looking for matching single-quote");
	}
	if (raw)
		cb_buf_addc(out, '\'');
	cb_buf_add(out, start, (size_t)(close - start));
	if (raw)
		cb_buf_addc(out, '\'');
	lexer->p = close + 1;
	return 0;
}

static int expand_double(struct lexer *lexer, struct cb_buf *out, struct cb_err **err)
{
	bool raw = lexer->how->flags & CB_EXPAND_RAW_QUOTES;
	int c, r;

	lexer->p++;
	if (raw)
		cb_buf_addc(out, '"');
	while ((c = peek(lexer)) >= 0 && c != '"') {
		if (c == '$') {
			r = expand_dollar(lexer, out, err);
			if (r < 0)
				return r;
			continue;
		}
		lexer->p++;
		if (c == (unsigned char)lexer->escape) {
			int next = peek(lexer);

			if (lexer->raw_escapes)
				cb_buf_addc(out, (char)c);
			if (next < 0)
				break;
			if (next == '"' || next == '$' || next == c) {
				c = next;
				lexer->p++;
			} else if (lexer->raw_escapes && lexer->how->flags & CB_EXPAND_RAW_ESCAPES) {
				/* Kept once; in a pattern BuildKit keeps it twice, an escaped backslash. */
				continue;
			}
		}
		cb_buf_addc(out, (char)c);
	}
	if (c < 0 || peek(lexer) < 0)
		return cb_err_set(
			err, CB_ERR_INPUT, "unexpected end of statement while looking for matching double-quote");
	lexer->p++;
	if (raw)
		cb_buf_addc(out, '"');
	return 0;
}

static bool is_special(int c)
{
	return c > 0 && c < 0x80 && strchr("@*#?-$!0", c);
}

/** Reads a variable's name into the scratch buffer; it may be empty. */
static const char *read_name(struct lexer *lexer)
{
	bool digits = false;

	cb_buf_clear(&lexer->scratch);
	while (lexer->p < lexer->end) {
		uint32_t rune;
		size_t n = cb_utf8_decode(lexer->p, lexer->end, &rune);
		bool first = !lexer->scratch.len;

		/* A name that starts with a digit is a positional parameter: digits only. */
		if (first && cb_rune_is_digit(rune))
			digits = true;
		else if (first && is_special((int)rune)) {
			cb_buf_add(&lexer->scratch, lexer->p, n);
			lexer->p += n;
			break;
		}
		if (!cb_rune_is_digit(rune) && (digits || (!cb_rune_is_letter(rune) && rune != '_')))
			break;
		cb_buf_add(&lexer->scratch, lexer->p, n);
		lexer->p += n;
	}
	return cb_buf_str(&lexer->scratch);
}

static const char *look_up(const struct lexer *lexer, const char *name)
{
	const struct cb_expand *how = lexer->how;
	const char *value;
	struct cb_strv *seen;

	value = how->get ? how->get(how->arg, name) : how->env ? cb_env_get(how->env, name) : NULL;
	seen = value ? how->used : how->unset;
	if (seen && !cb_strv_has(seen, name))
		cb_strv_add(seen, name);
	return value;
}

static bool keeps(const struct lexer *lexer, const char *value)
{
	return !value && lexer->how->flags & CB_EXPAND_KEEP_UNSET;
}

/** Reads an operand up to @stop. At the end of the input the message is @missing. */
static int read_operand(
	struct lexer *lexer, char stop, bool raw_escapes, const char *missing, struct cb_buf *out, struct cb_err **err)
{
	int r = expand_until(lexer, stop, raw_escapes, out, NULL, err);

	if (r == CB_ERR_INPUT && peek(lexer) < 0)
		return cb_err_set(err, CB_ERR_INPUT, "syntax error: missing '%s", missing);
	return r;
}

static int bad_modifier(const char *colon, const char *modifier, size_t len, struct cb_err **err)
{
	return cb_err_set(
		err, CB_ERR_INPUT, "unsupported modifier (%s%.*s) in substitution", colon, (int)len, modifier);
}

/** `${NAME/pattern/with}` and `//`; the cursor is behind the first slash. */
static int expand_replace(struct lexer *lexer, const char *name, struct cb_buf *out, struct cb_err **err)
{
	cleanup_buf struct cb_buf pattern = { 0 }, with = { 0 };
	bool all = peek(lexer) == '/';
	const char *value;
	int r;

	lexer->p += all;
	r = read_operand(lexer, '/', true, "/' in ${}", &pattern, err);
	if (r < 0)
		return r;
	r = read_operand(lexer, '}', true, "}'", &with, err);
	if (r < 0)
		return r;
	value = look_up(lexer, name);
	if (keeps(lexer, value)) {
		cb_buf_addf(out, "${%s/%s%s/%s}", name, all ? "/" : "", cb_buf_str(&pattern), cb_buf_str(&with));
		return 0;
	}
	return cb_replace_match(
		out, value ? value : "", cb_buf_str(&pattern), cb_buf_str(&with), all, &lexer->work, err);
}

/** The operators with one operand; the cursor is behind @op. */
static int expand_operator(
	struct lexer *lexer, const char *name, bool colon, const char *op, struct cb_buf *out, struct cb_err **err)
{
	cleanup_buf struct cb_buf word = { 0 };
	bool trim = *op == '#' || *op == '%', have, greedy;
	const char *value, *text;
	int r;

	r = read_operand(lexer, '}', trim, "}'", &word, err);
	if (r < 0)
		return r;
	if (!strchr("-+?#%", *op) || (colon && trim)) {
		uint32_t rune;

		return bad_modifier(colon ? ":" : "", op, cb_utf8_decode(op, lexer->end, &rune), err);
	}
	value = look_up(lexer, name);
	text = cb_buf_str(&word);
	if (keeps(lexer, value)) {
		cb_buf_addf(out, "${%s%s%c%s}", name, colon ? ":" : "", *op, text);
		return 0;
	}
	have = value && (!colon || *value);
	switch (*op) {
	case '-':
		cb_buf_adds(out, have ? value : text);
		return 0;
	case '+':
		cb_buf_adds(out, have ? text : "");
		return 0;
	case '?':
		if (have) {
			cb_buf_adds(out, value);
			return 0;
		}
		if (*text)
			return cb_err_set(err, CB_ERR_INPUT, "%s: %s", name, text);
		return cb_err_set(err, CB_ERR_INPUT, "%s: is not allowed to be %s", name, value ? "empty" : "unset");
	default:
		greedy = *text == *op;
		return cb_replace_trim(out, value ? value : "", text + greedy, *op == '%', greedy, &lexer->work, err);
	}
}

/** `${...}`; the cursor is behind the brace. */
static int expand_braces(struct lexer *lexer, struct cb_buf *out, struct cb_err **err)
{
	cleanup_free char *name = NULL;
	const char *op, *value;
	bool colon = false;

	if (peek(lexer) < 0)
		return cb_err_set(err, CB_ERR_INPUT, "syntax error: missing '}'");
	if (strchr("{}:", *lexer->p))
		return cb_err_set(err, CB_ERR_INPUT, "syntax error: bad substitution");
	name = cb_xstrdup(read_name(lexer));
	if (peek(lexer) == ':') {
		colon = true;
		lexer->p++;
	}
	if (peek(lexer) < 0)
		return cb_err_set(err, CB_ERR_INPUT, "syntax error: missing '}'");
	op = lexer->p;
	lexer->p += rune_len(lexer);
	if (*op == '}' && !colon) {
		value = look_up(lexer, name);
		if (keeps(lexer, value))
			cb_buf_addf(out, "${%s}", name);
		else
			cb_buf_adds(out, value ? value : "");
		return 0;
	}
	if (*op == '/' && !colon)
		return expand_replace(lexer, name, out, err);
	if (!colon && !strchr("-+?#%", *op))
		return bad_modifier("", op, (size_t)(lexer->p - op), err);
	return expand_operator(lexer, name, colon, op, out, err);
}

static int expand_dollar(struct lexer *lexer, struct cb_buf *out, struct cb_err **err)
{
	const char *name, *value;
	int r;

	lexer->p++;
	if (peek(lexer) == '{') {
		if (lexer->depth == CB_EXPAND_DEPTH_MAX)
			return cb_err_set(
				err, CB_ERR_LIMIT, "substitutions are nested deeper than %d", CB_EXPAND_DEPTH_MAX);
		lexer->p++;
		lexer->depth++;
		r = expand_braces(lexer, out, err);
		lexer->depth--;
		return r < 0 ? r : check_size(out, err);
	}
	name = read_name(lexer);
	if (!*name) {
		cb_buf_addc(out, '$');
		return 0;
	}
	value = look_up(lexer, name);
	if (keeps(lexer, value)) {
		cb_buf_addc(out, '$');
		value = name;
	}
	cb_buf_adds(out, value ? value : "");
	return check_size(out, err);
}

/** One character outside quotes: itself, or what an escape makes of the next. */
static void expand_plain(struct lexer *lexer, struct cb_buf *out, struct words *words)
{
	const char *start = lexer->p;
	size_t n = rune_len(lexer);

	lexer->p += n;
	if (*start != lexer->escape) {
		words_add(words, start, n);
		cb_buf_add(out, start, n);
		return;
	}
	if (lexer->raw_escapes) {
		words_add_raw(words, start, n);
		cb_buf_add(out, start, n);
	}
	if (lexer->p == lexer->end)
		return;
	start = lexer->p;
	n = rune_len(lexer);
	lexer->p += n;
	words_add_raw(words, start, n);
	cb_buf_add(out, start, n);
}

/** What stands behind the first @before bytes; an empty buffer has no address to count from. */
static const char *added(const struct cb_buf *out, size_t before)
{
	return out->data ? out->data + before : "";
}

/** Takes "<<" and the white space behind it, which does not separate it from the delimiter of a here-document. */
static void expand_heredoc_operator(struct lexer *lexer, struct cb_buf *out)
{
	const char *start = lexer->p;
	int c;

	lexer->p += 2;
	while ((c = peek(lexer)) == ' ' || c == '\t' || c == '\r')
		lexer->p++;
	cb_buf_add(out, start, (size_t)(lexer->p - start));
}

/** Expands up to the character @stop, which is consumed, or for -1 to the end. */
static int expand_until(
	struct lexer *lexer, int stop, bool raw_escapes, struct cb_buf *out, struct words *words, struct cb_err **err)
{
	bool quotes = !(lexer->how->flags & CB_EXPAND_NO_QUOTES), outer = lexer->raw_escapes;
	int c, r = 0;

	lexer->raw_escapes = raw_escapes;
	while ((c = peek(lexer)) >= 0 && c != stop && r >= 0) {
		size_t before = out->len;

		if (c == '$') {
			r = expand_dollar(lexer, out, err);
			if (r >= 0)
				words_add(words, added(out, before), out->len - before);
		} else if (quotes && (c == '\'' || c == '"')) {
			r = c == '"' ? expand_double(lexer, out, err) : expand_single(lexer, out, err);
			if (r >= 0)
				words_add_raw(words, added(out, before), out->len - before);
		} else if (words && c == '<' && lexer->end - lexer->p > 1 && lexer->p[1] == '<') {
			expand_heredoc_operator(lexer, out);
			words_add_raw(words, added(out, before), out->len - before);
		} else {
			expand_plain(lexer, out, words);
		}
	}
	lexer->raw_escapes = outer;
	if (r < 0)
		return r;
	if (stop >= 0 && c != stop)
		return cb_err_set(err, CB_ERR_INPUT, "unexpected end of statement while looking for matching %c", stop);
	lexer->p += stop >= 0;
	return check_size(out, err);
}

static int expand(
	const char *input, const struct cb_expand *how, struct cb_buf *out, struct words *words, struct cb_err **err)
{
	static const struct cb_expand nothing = { 0 };
	struct lexer lexer = { .p = input, .how = how ? how : &nothing, .work = CB_REPLACE_WORK_MAX };
	size_t len;
	int r;

	assert(input);
	len = strlen(input);
	if (len > CB_EXPAND_SIZE_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "text to expand is longer than %u bytes", CB_EXPAND_SIZE_MAX);
	lexer.end = input + len;
	lexer.escape = lexer.how->escape ? lexer.how->escape : '\\';
	r = expand_until(&lexer, -1, lexer.how->flags & CB_EXPAND_RAW_ESCAPES, out, words, err);
	cb_buf_done(&lexer.scratch);
	return r < 0 ? r : 0;
}

int cb_expand_word(const char *input, const struct cb_expand *how, char **ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf out = { 0 };
	int r = expand(input, how, &out, NULL, err);

	if (r < 0)
		return r;
	*ret = cb_buf_take(&out);
	return 0;
}

int cb_expand_words(const char *input, const struct cb_expand *how, struct cb_strv *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf out = { 0 };
	struct words words = { 0 };
	int r = expand(input, how, &out, &words, err);

	if (r >= 0) {
		words_close(&words);
		for (size_t i = 0; i < words.list.n; i++)
			cb_strv_take(ret, CB_TAKE_PTR(words.list.v[i]));
	}
	cb_buf_done(&words.word);
	cb_strv_done(&words.list);
	return r;
}
