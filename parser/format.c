/* The formatter: line by line, guided by the nodes. */
#include "parser/format.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "parser/chars.h"
#include "parser/lexer.h"
#include "parser/parse.h"
#include "parser/physline.h"
#include "parser/sametree.h"
#include "parser/shelltext.h"

#define INDENT 4
/** Deeper indentation is left as it is. */
#define WIDTH_MAX 1000

struct formatter {
	const struct cb_buildfile *file;
	struct cb_phys_line *lines;
	size_t n_lines, cap_lines;
	int *indent; /* by line: the new indentation, -1: as it is */
	struct cb_buf out;
	const char *eol;
	bool posix;   /* RUN commands are read by a Bourne shell */
	bool shebang; /* comments before the first instruction are told apart by their indentation */
	bool started; /* something was written */
	bool blank;   /* blank lines wait to be written as one */
};

static bool is_space(int c)
{
	return c == ' ' || c == '\t';
}

/* What is kept or compared as it was written. */
static bool is_stored(const struct cb_node *node)
{
	return node->kw == CB_KW_ONBUILD || node->kw == CB_KW_UNKNOWN;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

static bool all_crlf(const struct formatter *f)
{
	for (size_t i = 0; i < f->n_lines; i++) {
		const struct cb_phys_line *line = &f->lines[i];

		if (line->full.end[-1] == '\n' && line->text.end + 2 > line->full.end)
			return false;
	}
	return f->n_lines > 1;
}

static int split_lines(struct formatter *f, const char *data, size_t len, struct cb_err **err)
{
	struct cb_line_reader reader;
	struct cb_phys_line line;
	int r = cb_line_reader_init(&reader, data, len, err);

	if (r < 0)
		return r;
	cb_buf_add(&f->out, data, (size_t)(reader.rest.p - data));
	while ((r = cb_line_reader_next(&reader, &line, err)) == 0) {
		CB_GROW(f->lines, f->cap_lines, f->n_lines + 1);
		f->lines[f->n_lines++] = line;
	}
	if (r < 0)
		return r;
	f->eol = all_crlf(f) ? "\r\n" : "\n";
	f->indent = cb_xcalloc(f->n_lines + 1, sizeof(*f->indent));
	for (size_t i = 0; i <= f->n_lines; i++)
		f->indent[i] = -1;
	return 0;
}

/* The line end as it stands in the file, or the file's kind of it at the end. */
static void add_eol(struct formatter *f, const struct cb_phys_line *line)
{
	if (line->full.end > line->text.p && line->full.end[-1] == '\n')
		cb_buf_add(&f->out, line->text.end, (size_t)(line->full.end - line->text.end));
	else
		cb_buf_adds(&f->out, f->eol);
}

static struct cb_span cut_end(struct cb_span text)
{
	struct cb_span cut = text;

	while (cut.end > cut.p && is_space((unsigned char)cut.end[-1]))
		cut.end--;
	/* A CR in front of them would become part of the line end. */
	return cut.end > cut.p && cut.end[-1] == '\r' ? text : cut;
}

static struct cb_span cut_start(struct cb_span text)
{
	while (is_space(cb_span_peek(text, 0)))
		text.p++;
	return text;
}

static void begin(struct formatter *f)
{
	if (f->blank)
		cb_buf_adds(&f->out, f->eol);
	f->blank = false;
	f->started = true;
}

static void add_line(struct formatter *f, const struct cb_phys_line *line, int indent)
{
	struct cb_span text = cut_end(line->text);

	if (indent >= 0) {
		text = cut_start(text);
		cb_buf_addf(&f->out, "%*s", indent, "");
	}
	cb_buf_add(&f->out, text.p, cb_span_len(text));
	add_eol(f, line);
}

/* ---- continuation lines ----------------------------------------------------------------------------------------- */

/* free[] of a node's logical line. */
static void find_free(const struct formatter *f, const struct cb_node *node, bool *free)
{
	size_t len = strlen(node->original), head = (size_t)(node->rest - node->original);
	const char *rest = node->rest;
	struct cb_span line;
	bool *body = free + head;

	memset(free, 0, (len + 1) * sizeof(*free));
	switch (node->kw) {
	case CB_KW_RUN:
		if (!node->json && f->posix)
			cb_shell_free_places(rest, len - head, body);
		break;
	case CB_KW_COPY:
	case CB_KW_ADD:
	case CB_KW_VOLUME:
	case CB_KW_EXPOSE:
	case CB_KW_FROM:
		if (!node->json && !strpbrk(rest, "'\"\\`"))
			memset(body, true, (len - head + 1) * sizeof(*body));
		break;
	case CB_KW_ENV:
	case CB_KW_LABEL:
		if (node->args.n >= 3 && *node->args.v[2].s)
			cb_word_free_places(rest, len - head, f->file->directives.escape, body);
		break;
	case CB_KW_ARG:
		cb_word_free_places(rest, len - head, f->file->directives.escape, body);
		break;
	case CB_KW_ONBUILD:
	case CB_KW_UNKNOWN:
		return;
	default:
		break;
	}
	if (node->json && node->kw != CB_KW_HEALTHCHECK)
		cb_json_free_places(rest, len - head, body);
	/* Keyword and flags. */
	if (!memchr(node->original, '\'', head) && !memchr(node->original, '"', head) &&
		!memchr(node->original, f->file->directives.escape, head))
		memset(free, true, (head + 1) * sizeof(*free));
	line = cb_span_trim_left(cb_span_of(node->original, len));
	memset(free, 0, CB_MIN((size_t)(line.p - node->original) + strlen(node->word), len) * sizeof(*free));
}

/* Width of the indentation of a piece that may change, or -1. */
static int free_width(const struct cb_node *node, const bool *free, size_t piece)
{
	const struct cb_linemap *map = node->map;
	size_t at = map->v[piece].offset;
	size_t end = piece + 1 < map->n ? map->v[piece + 1].offset : strlen(node->original);
	int width = 0;
	bool gap = at > 0 && is_space((unsigned char)node->original[at - 1]) && free[at - 1];

	for (; free[at] && at < end && is_space((unsigned char)node->original[at]); at++) {
		width = node->original[at] == '\t' ? width - width % INDENT + INDENT : width + 1;
		gap = true;
		if (width > WIDTH_MAX)
			return -1;
	}
	return gap && at < end && free[at] && !is_space((unsigned char)node->original[at]) ? width : -1;
}

/* Comments inside an instruction go where the line after them goes. */
static void indent_comments(struct formatter *f, const struct cb_node *node, unsigned int last)
{
	int next = -1;

	for (unsigned int line = last; line > node->line; line--) {
		struct cb_span text = cb_span_trim_left(f->lines[line - 1].text);

		if (cb_span_peek(text, 0) != '#')
			next = cb_span_empty(text) ? next : f->indent[line - 1];
		else if (next >= 0 && text.p == cut_start(f->lines[line - 1].text).p)
			f->indent[line - 1] = next;
	}
}

static unsigned int last_line(const struct cb_node *node)
{
	return node->n_heredocs ? node->heredocs[0].line - 1 : node->end_line;
}

static void indent_node(struct formatter *f, const struct cb_node *node)
{
	cleanup_free bool *free = NULL;
	int least = WIDTH_MAX + 1;

	if (last_line(node) == node->line || node->map->base)
		return;
	free = cb_xcalloc(strlen(node->original) + 1, sizeof(*free));
	find_free(f, node, free);
	for (size_t i = 1; i < node->map->n; i++) {
		int width = free_width(node, free, i);

		if (width >= 0)
			least = CB_MIN(least, width);
	}
	for (size_t i = 1; i < node->map->n; i++) {
		int width = free_width(node, free, i);

		if (width >= 0)
			f->indent[node->map->v[i].line - 1] = INDENT + width - least;
	}
	if (!is_stored(node))
		indent_comments(f, node, last_line(node));
}

/* ---- instructions ----------------------------------------------------------------------------------------------- */

/* The first line of an instruction: keyword in capitals, one blank. */
static void add_first_line(struct formatter *f, const struct cb_node *node)
{
	const struct cb_phys_line *line = &f->lines[node->line - 1];
	size_t len = strlen(node->word), column = node->col - 1;
	struct cb_span text = is_stored(node) ? line->text : cut_end(line->text), rest;
	const struct cb_text *as = node->kw == CB_KW_FROM && node->args.n == 3 ? &node->args.v[1] : NULL;
	size_t start;

	/* The keyword may go on in the next line. */
	if (node->kw == CB_KW_UNKNOWN || column + len > cb_span_len(text) ||
		memcmp(text.p + column, node->word, len) != 0) {
		cb_buf_add(&f->out, text.p, cb_span_len(text));
		add_eol(f, line);
		return;
	}
	cb_buf_adds(&f->out, cb_keyword_upper(node->kw));
	rest = (struct cb_span){ text.p + column + len, text.end };
	if (is_space(cb_span_peek(rest, 0))) {
		rest = cut_start(rest);
		cb_buf_addc(&f->out, ' ');
	}
	start = f->out.len;
	cb_buf_add(&f->out, rest.p, cb_span_len(rest));
	if (as && as->line == node->line && as->col > (size_t)(rest.p - text.p) && cb_str_ieq(as->s, "as"))
		memcpy(f->out.data + start + (as->col - 1) - (rest.p - text.p), "AS", 2);
	add_eol(f, line);
}

static void add_node(struct formatter *f, const struct cb_node *node)
{
	unsigned int last = last_line(node);

	begin(f);
	indent_node(f, node);
	add_first_line(f, node);
	for (unsigned int i = node->line + 1; i <= last; i++) {
		const struct cb_phys_line *line = &f->lines[i - 1];

		if (i == last && is_stored(node)) {
			cb_buf_add(&f->out, line->text.p, cb_span_len(line->text));
			add_eol(f, line);
		} else {
			add_line(f, line, f->indent[i - 1]);
		}
	}
	for (unsigned int i = last + 1; i <= node->end_line; i++) {
		cb_buf_add(&f->out, f->lines[i - 1].text.p, cb_span_len(f->lines[i - 1].text));
		add_eol(f, &f->lines[i - 1]);
	}
}

/* Blank lines and comments between instructions. */
static void add_between(struct formatter *f, unsigned int line, bool head)
{
	struct cb_span text = cb_span_trim_left(f->lines[line - 1].text);
	struct cb_span plain = cut_start(f->lines[line - 1].text);
	struct cb_span next = line < f->n_lines ? cb_span_trim_left(f->lines[line].text) : cb_span_str("");
	bool fragile;

	if (cb_span_empty(text)) {
		f->blank |= f->started;
		/* It may keep the comment behind it from being a directive. */
		if (!f->started && cb_span_peek(next, 0) == '#' &&
			(cb_span_peek(next, 1) == '!' || memchr(next.p, '=', cb_span_len(next))))
			f->blank = true;
		return;
	}
	fragile = text.p != plain.p || (head && (f->shebang || (line == 1 && cb_span_peek(text, 1) == '!')));
	begin(f);
	add_line(f, &f->lines[line - 1], fragile ? -1 : 0);
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static bool bourne_shell(const char *path)
{
	static const char *const names[] = { "sh", "bash", "ash", "dash", "ksh", "zsh", "busybox" };
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (cb_str_eq(slash ? slash + 1 : path, names[i]))
			return true;
	return false;
}

static bool is_posix(const struct cb_buildfile *file)
{
	if (file->directives.escape != '\\')
		return false;
	for (size_t i = 0; i < file->n_nodes; i++) {
		const struct cb_node *node = file->nodes[i];

		if (node->kw == CB_KW_SHELL && !(node->json && node->args.n && bourne_shell(node->args.v[0].s)))
			return false;
	}
	return true;
}

static void format_lines(struct formatter *f)
{
	unsigned int line = 1;

	for (size_t i = 0; i < f->file->n_nodes; i++) {
		const struct cb_node *node = f->file->nodes[i];

		for (; line < node->line; line++)
			add_between(f, line, i == 0);
		add_node(f, node);
		line = node->end_line + 1;
	}
	for (; line <= f->n_lines; line++)
		add_between(f, line, false);
}

static bool begins_as_mark(const char *text)
{
	return cb_str_starts(text, "\xef\xbb\xbf") || cb_str_starts(text, "\xfe\xff") ||
	       cb_str_starts(text, "\xff\xfe");
}

/* An instruction may begin with what is a byte order mark at the very beginning of a file: the next one is none. */
static void guard_mark(struct formatter *f)
{
	struct cb_buf guarded = { 0 };

	if (!f->file->n_nodes || !begins_as_mark(f->file->nodes[0]->original) || !begins_as_mark(cb_buf_str(&f->out)) ||
		cb_str_starts(cb_buf_str(&f->out), "\xef\xbb\xbf\xef\xbb\xbf"))
		return;
	cb_buf_adds(&guarded, f->eol);
	cb_buf_add(&guarded, f->out.data, f->out.len);
	cb_buf_done(&f->out);
	f->out = guarded;
}

static int verify(const struct formatter *f, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *made = NULL;
	unsigned int line = 1;

	if (cb_parse_nodes(f->out.data, f->out.len, &made, NULL) == 0 && cb_same_tree(f->file, made, &line))
		return 0;
	cb_err_at(err, CB_ERR_INTERNAL, line, 1, "formatting would change what this means");
	return cb_err_hint(err, CB_ERR_INTERNAL, "the file is left as it is; please report this line");
}

int cb_format(const char *data, size_t len, struct cb_buf *out, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	struct formatter f = { 0 };
	int r;

	assert(out);

	r = cb_parse_nodes(data, len, &file, err);
	if (r < 0)
		return r;
	f.file = file;
	f.posix = is_posix(file);
	f.shebang = len >= 2 && data[0] == '#' && data[1] == '!';
	r = split_lines(&f, data, len, err);
	if (r == 0) {
		format_lines(&f);
		guard_mark(&f);
		r = verify(&f, err);
	}
	if (r == 0)
		cb_buf_add(out, f.out.data, f.out.len);
	cb_buf_done(&f.out);
	free(f.lines);
	free(f.indent);
	return r;
}
