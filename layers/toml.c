#include "layers/toml.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/span.h"

struct parser {
	struct cb_span s;
	unsigned int line;
	const char *name;
	const struct cb_toml_handler *handler;
	struct cb_err **err;
};

static int fail(struct parser *p, const char *what)
{
	return cb_err_set(p->err, CB_ERR_INPUT, "%s: line %u: %s", p->name, p->line, what);
}

static int peek(const struct parser *p)
{
	return cb_span_peek(p->s, 0);
}

static bool take(struct parser *p, const char *text)
{
	size_t len = strlen(text);

	if (cb_span_len(p->s) < len || memcmp(p->s.p, text, len) != 0)
		return false;
	p->s.p += len;
	return true;
}

static void skip_blanks(struct parser *p)
{
	while (peek(p) == ' ' || peek(p) == '\t')
		p->s.p++;
}

/* White space, comments and line ends. */
static void skip_lines(struct parser *p)
{
	for (;;) {
		int c;

		skip_blanks(p);
		c = peek(p);
		if (c == '#') {
			while (peek(p) >= 0 && peek(p) != '\n')
				p->s.p++;
		} else if (c == '\n') {
			p->line++;
			p->s.p++;
		} else if (c == '\r' && cb_span_peek(p->s, 1) == '\n') {
			p->s.p++;
		} else {
			return;
		}
	}
}

static int end_of_line(struct parser *p)
{
	skip_blanks(p);
	if (peek(p) == '#')
		while (peek(p) >= 0 && peek(p) != '\n')
			p->s.p++;
	if (peek(p) == '\r' && cb_span_peek(p->s, 1) == '\n')
		p->s.p++;
	if (peek(p) >= 0 && peek(p) != '\n')
		return fail(p, "expected the end of the line");
	return 0;
}

static void add_utf8(struct cb_buf *out, uint32_t c)
{
	if (c < 0x80) {
		cb_buf_addc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		cb_buf_addc(out, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			cb_buf_addc(out, (char)(0xe0 | c >> 12));
		} else {
			cb_buf_addc(out, (char)(0xf0 | c >> 18));
			cb_buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		cb_buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	cb_buf_addc(out, (char)(0x80 | (c & 0x3f)));
}

static int take_unicode(struct parser *p, int digits, struct cb_buf *out)
{
	uint32_t c = 0;

	for (int i = 0; i < digits; i++) {
		int d = peek(p);

		if (d < 0 || !isxdigit(d))
			return fail(p, "a \\u escape needs hexadecimal digits");
		c = c << 4 | (uint32_t)(isdigit(d) ? d - '0' : (d | 0x20) - 'a' + 10);
		p->s.p++;
	}
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return fail(p, "an escape names no character");
	add_utf8(out, c);
	return 0;
}

/* After the backslash; @multi: a line end and the space after it vanish. */
static int take_escape(struct parser *p, bool multi, struct cb_buf *out)
{
	static const char from[] = "btnfre\"\\", to[] = "\b\t\n\f\r\033\"\\";
	int c = peek(p);
	const char *at = c > 0 ? strchr(from, c) : NULL;

	if (at) {
		cb_buf_addc(out, to[at - from]);
		p->s.p++;
		return 0;
	}
	if (c == 'u' || c == 'U') {
		p->s.p++;
		return take_unicode(p, c == 'u' ? 4 : 8, out);
	}
	if (!multi || (c != '\n' && c != '\r' && c != ' ' && c != '\t'))
		return fail(p, "unknown escape in a string");
	while ((c = peek(p)) == '\n' || c == '\r' || c == ' ' || c == '\t') {
		p->line += c == '\n';
		p->s.p++;
	}
	return 0;
}

/* A string with quotes @q ('"' knows escapes), one or three of them. */
static int take_string(struct parser *p, struct cb_buf *out)
{
	char triple[4] = { 0 };
	int q = peek(p), c, r;
	bool multi;

	memset(triple, q, 3);
	multi = take(p, triple);
	if (!multi)
		p->s.p++;
	if (multi && (take(p, "\r\n") || take(p, "\n")))
		p->line++; /* a line end right after the quotes is not part of it */
	for (;;) {
		c = peek(p);
		if (c < 0 || (!multi && c == '\n'))
			return fail(p, "a string is not closed");
		if (c == q && (!multi || take(p, triple))) {
			p->s.p += !multi;
			return 0;
		}
		if (c == 0)
			return fail(p, "a string holds a NUL byte");
		p->line += c == '\n';
		p->s.p++;
		if (c != '\\' || q == '\'') {
			cb_buf_addc(out, (char)c);
			continue;
		}
		r = take_escape(p, multi, out);
		if (r < 0)
			return r;
	}
}

/* "a.b.'c d'" */
static int take_path(struct parser *p, struct cb_strv *path)
{
	for (;;) {
		cleanup_buf struct cb_buf part = { 0 };
		int c, r;

		skip_blanks(p);
		c = peek(p);
		if (c == '"' || c == '\'') {
			r = take_string(p, &part);
			if (r < 0)
				return r;
		} else {
			while ((c = peek(p)) > 0 && (isalnum(c) || c == '-' || c == '_')) {
				cb_buf_addc(&part, (char)c);
				p->s.p++;
			}
			if (!part.len)
				return fail(p, "expected a key");
		}
		if (path->n == CB_TOML_DEPTH_MAX)
			return fail(p, "a key has too many parts");
		cb_strv_add(path, cb_buf_str(&part));
		skip_blanks(p);
		if (!take(p, "."))
			return 0;
	}
}

/* Floats, dates and times are recognised by their beginning; nobody asks for their value. */
static bool is_number(const char *text)
{
	text += *text == '+' || *text == '-';
	return isdigit((unsigned char)*text) || strcmp(text, "inf") == 0 || strcmp(text, "nan") == 0;
}

/* true, 12, 1_000, 0x1f, 1.5, 1979-05-27: whatever goes on to the next delimiter. */
static int take_bare(struct parser *p, struct cb_toml_value *v)
{
	cleanup_buf struct cb_buf text = { 0 };
	int c;

	while ((c = peek(p)) > 0 && (isalnum(c) || strchr("+-_.:", c))) {
		if (c != '_')
			cb_buf_addc(&text, (char)c);
		p->s.p++;
	}
	if (!text.len)
		return fail(p, "expected a value");
	v->boolean = strcmp(text.data, "true") == 0;
	if (v->boolean || strcmp(text.data, "false") == 0)
		v->type = CB_TOML_BOOL;
	else if (cb_num_i64(text.data, &v->number))
		v->type = CB_TOML_INT;
	else if (is_number(text.data))
		v->type = CB_TOML_OTHER;
	else
		return fail(p, "expected a value");
	return 0;
}

static int take_value(struct parser *p, struct cb_toml_value *v, struct cb_buf *text, int depth);

static int take_array(struct parser *p, struct cb_toml_value *v, int depth)
{
	v->type = CB_TOML_ARRAY;
	p->s.p++;
	for (;;) {
		cleanup_buf struct cb_buf text = { 0 };
		struct cb_toml_value item = { 0 };
		int r;

		skip_lines(p);
		if (take(p, "]"))
			return 0;
		r = take_value(p, &item, &text, depth + 1);
		if (r == 0 && item.type == CB_TOML_STRING)
			cb_strv_add(&v->items, cb_buf_str(&text));
		cb_strv_done(&item.items);
		if (r < 0)
			return r;
		skip_lines(p);
		if (!take(p, ",") && peek(p) != ']')
			return fail(p, "an array needs \",\" or \"]\" here");
	}
}

static int take_inline_table(struct parser *p, struct cb_toml_value *v, int depth)
{
	v->type = CB_TOML_OTHER;
	p->s.p++;
	for (;;) {
		cleanup_buf struct cb_buf text = { 0 };
		cleanup_strv struct cb_strv path = { 0 };
		struct cb_toml_value item = { 0 };
		int r;

		skip_blanks(p);
		if (take(p, "}"))
			return 0;
		r = take_path(p, &path);
		if (r < 0)
			return r;
		if (!take(p, "="))
			return fail(p, "expected \"=\" after a key");
		skip_blanks(p);
		r = take_value(p, &item, &text, depth + 1);
		cb_strv_done(&item.items);
		if (r < 0)
			return r;
		skip_blanks(p);
		if (!take(p, ",") && peek(p) != '}')
			return fail(p, "an inline table needs \",\" or \"}\" here");
	}
}

static int take_value(struct parser *p, struct cb_toml_value *v, struct cb_buf *text, int depth)
{
	int c = peek(p), r;

	if (depth > CB_TOML_DEPTH_MAX)
		return fail(p, "values are nested too deeply");
	v->line = p->line;
	if (c == '[')
		return take_array(p, v, depth);
	if (c == '{')
		return take_inline_table(p, v, depth);
	if (c != '"' && c != '\'')
		return take_bare(p, v);
	r = take_string(p, text);
	v->type = CB_TOML_STRING;
	v->string = cb_buf_str(text);
	return r;
}

static int take_table(struct parser *p)
{
	cleanup_strv struct cb_strv path = { 0 };
	unsigned int line = p->line;
	bool array;
	int r;

	p->s.p++;
	array = take(p, "[");
	r = take_path(p, &path);
	if (r < 0)
		return r;
	if (!take(p, array ? "]]" : "]"))
		return fail(p, array ? "expected \"]]\"" : "expected \"]\"");
	r = end_of_line(p);
	if (r < 0 || !p->handler->table)
		return r;
	return p->handler->table(p->handler->userdata, &path, array, line, p->err);
}

static int take_key(struct parser *p)
{
	cleanup_strv struct cb_strv path = { 0 };
	cleanup_buf struct cb_buf text = { 0 };
	struct cb_toml_value v = { 0 };
	int r;

	r = take_path(p, &path);
	if (r < 0)
		return r;
	if (!take(p, "="))
		return fail(p, "expected \"=\" after a key");
	skip_blanks(p);
	r = take_value(p, &v, &text, 0);
	if (r == 0)
		r = end_of_line(p);
	if (r == 0)
		r = p->handler->key(p->handler->userdata, &path, &v, p->err);
	cb_strv_done(&v.items);
	return r;
}

int cb_toml_parse(
	const char *data, size_t len, const char *name, const struct cb_toml_handler *handler, struct cb_err **err)
{
	struct parser p = { .s = cb_span_of(data, len), .line = 1, .name = name, .handler = handler, .err = err };

	for (;;) {
		int r;

		skip_lines(&p);
		if (peek(&p) < 0)
			return 0;
		r = peek(&p) == '[' ? take_table(&p) : take_key(&p);
		if (r < 0)
			return r;
	}
}
