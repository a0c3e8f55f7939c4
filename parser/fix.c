/* Findings to edits, edits to a new file. */
#include "parser/fix.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "parser/chars.h"
#include "parser/fix_verify.h"
#include "parser/words.h"

struct edit {
	size_t at, remove; /* bytes of the file */
	char insert[4];    /* short, or .text */
	char *text;
	size_t order;
};

struct fixer {
	const char *data;
	size_t len;
	char escape;
	size_t *lines; /* where each starts */
	size_t n_lines, cap_lines;
	struct edit *edits;
	size_t n, cap;
	const struct cb_findings *findings;
};

static void fixer_done(struct fixer *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->edits[i].text);
	free(f->edits);
	free(f->lines);
}

/* ---- places --------------------------------------------------------------------------------------------------- */

static void find_lines(struct fixer *f)
{
	size_t at = f->len >= 3 && !memcmp(f->data, "\xef\xbb\xbf", 3) ? 3 : 0;

	for (;;) {
		const char *eol;

		CB_GROW(f->lines, f->cap_lines, f->n_lines + 1);
		f->lines[f->n_lines++] = at;
		eol = memchr(f->data + at, '\n', f->len - at);
		if (!eol)
			return;
		at = (size_t)(eol - f->data) + 1;
	}
}

/* The byte at line and column, if it is inside the file. */
static bool offset_of(const struct fixer *f, unsigned int line, unsigned int col, size_t *ret)
{
	if (!line || line > f->n_lines || !col)
		return false;
	*ret = f->lines[line - 1] + col - 1;
	return *ret <= f->len;
}

static bool stands_at(const struct fixer *f, size_t at, const char *text)
{
	size_t len = strlen(text);

	return at <= f->len && f->len - at >= len && !memcmp(f->data + at, text, len);
}

static struct edit *edit(struct fixer *f, size_t at, size_t take)
{
	CB_GROW(f->edits, f->cap, f->n + 1);
	f->edits[f->n] = (struct edit){ .at = at, .remove = take, .order = f->n };
	return &f->edits[f->n++];
}

/* ---- edits ---------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* The bytes from @at to before @end with the edits, which are all there. */
static void apply(struct fixer *f, size_t at, size_t end, struct cb_buf *ret)
{
	if (f->n)
		qsort(f->edits, f->n, sizeof(*f->edits), compare);
	for (size_t i = 0; i < f->n; i++) {
		const struct edit *e = &f->edits[i];

		assert(e->at >= at);
		cb_buf_add(ret, f->data + at, e->at - at);
		cb_buf_adds(ret, e->text ? e->text : e->insert);
		at = e->at + e->remove;
	}
	assert(end >= at);
	cb_buf_add(ret, f->data + at, end - at);
}

/* ---- words ---------------------------------------------------------------------------------------------------- */

static bool replace_word(struct fixer *f, unsigned int line, unsigned int col, const char *old, const char *with)
{
	size_t at;

	/* A word cut by a continuation does not stand anywhere as a whole. */
	if (!offset_of(f, line, col, &at) || !stands_at(f, at, old))
		return false;
	edit(f, at, strlen(old))->text = cb_xstrdup(with);
	return true;
}

static const struct cb_finding *finding_of(const struct fixer *f, const struct cb_finding *like, enum cb_rule_id rule)
{
	/* Findings of one line stand together. */
	for (const struct cb_finding *p = like; p >= f->findings->v && p->line == like->line; p--)
		if (p->node == like->node && p->rule == &cb_rules[rule])
			return p;
	for (const struct cb_finding *p = like; p < f->findings->v + f->findings->n && p->line == like->line; p++)
		if (p->node == like->node && p->rule == &cb_rules[rule])
			return p;
	return NULL;
}

static bool fix_keyword(struct fixer *f, const struct cb_finding *finding)
{
	const struct cb_node *node = finding->node;
	char as[3] = "AS";

	/* The whole line is replaced anyhow. */
	if (node->kw == CB_KW_MAINTAINER && finding_of(f, finding, CB_RULE_MAINTAINER_DEPRECATED))
		return false;
	if (!replace_word(f, node->line, node->col, node->word, finding->wanted))
		return false;
	if (islower((unsigned char)finding->wanted[0]))
		cb_str_lower(as);
	/* AS goes with FROM. */
	if (node->kw == CB_KW_FROM && node->args.n == 3 && strcmp(node->args.v[1].s, as) != 0)
		replace_word(f, node->args.v[1].line, node->args.v[1].col, node->args.v[1].s, as);
	return true;
}

static bool fix_argument(struct fixer *f, const struct cb_finding *finding, size_t index)
{
	const struct cb_text *text = &finding->node->args.v[index];

	if (index == 1 && finding_of(f, finding, CB_RULE_CONSISTENT_INSTRUCTION_CASING))
		return false;
	return replace_word(f, text->line, text->col, text->s, finding->wanted);
}

/* ---- pairs ---------------------------------------------------------------------------------------------------- */

static bool byte_at(const struct fixer *f, const struct cb_node *node, size_t offset, size_t *ret)
{
	unsigned int line, col;

	cb_node_place(node, offset, &line, &col);
	return offset_of(f, line, col, ret) && *ret < f->len && f->data[*ret] == node->original[offset];
}

/* Puts @insert before the byte of the logical line at @offset. */
static bool insert(struct fixer *f, const struct cb_node *node, size_t offset, char c)
{
	size_t at;

	if (!byte_at(f, node, offset, &at))
		return false;
	edit(f, at, 0)->insert[0] = c;
	return true;
}

/* White space of one byte that is neither quoted nor escaped gets an escape character. */
static bool escape_blanks(struct fixer *f, const struct cb_node *node, size_t from, size_t to)
{
	const char *s = node->original;
	char quote = 0;

	for (size_t i = from; i < to; i++) {
		size_t width = cb_space_width(s + i, s + to);

		if (quote == '\'') {
			quote = s[i] == '\'' ? 0 : quote;
		} else if (s[i] == f->escape) {
			i++;
		} else if (quote) {
			quote = s[i] == '"' ? 0 : quote;
		} else if (s[i] == '\'' || s[i] == '"') {
			quote = s[i];
		} else if (width > 1 || (width == 1 && !insert(f, node, i, f->escape))) {
			return false;
		}
	}
	return !quote;
}

/* Makes one word of the value, which is original[from..to). */
static bool quote_value(struct fixer *f, const struct cb_node *node, size_t from, size_t to)
{
	struct cb_span rest = { node->original + from, node->original + to };
	cleanup_buf struct cb_buf word = { 0 };
	char special[] = { '"', '\'', f->escape, '\0' };
	const char *at;
	size_t last;

	if (cb_word_quoted(&rest, f->escape, &word, &at) && word.len == to - from)
		return true;
	if (strcspn(node->original + from, special) < to - from)
		return escape_blanks(f, node, from, to);
	if (!insert(f, node, from, '"') || !byte_at(f, node, to - 1, &last))
		return false;
	edit(f, last + 1, 0)->insert[0] = '"';
	return true;
}

static size_t trimmed_length(const char *s)
{
	struct cb_span span = cb_span_trim(cb_span_str(s));

	return cb_span_empty(span) ? 0 : (size_t)(span.end - s);
}

/* The legacy form splits at blanks only and knows no quotes in a key: not every key can be written in the new form. */
static bool is_plain_key(const struct fixer *f, const char *key)
{
	char special[] = { '"', '\'', '=', f->escape, '\0' };
	struct cb_span rest = cb_span_str(key);
	cleanup_buf struct cb_buf word = { 0 };
	const char *at;

	return !strpbrk(key, special) && cb_word_quoted(&rest, f->escape, &word, &at) && word.len == strlen(key);
}

/* What the edits from @first on make of @node, which they alone are about, still means the same. */
static bool keeps_pair(const struct fixer *f, const struct cb_node *node, size_t first)
{
	struct fixer own = { .data = f->data, .len = f->len };
	size_t from = f->lines[node->line - 1], to = node->end_line < f->n_lines ? f->lines[node->end_line] : f->len;
	cleanup_buf struct cb_buf line = { 0 };

	if (f->escape != '\\')
		cb_buf_addf(&line, "# escape=%c\n", f->escape);
	own.n = f->n - first;
	own.edits = cb_xcalloc(own.n + 1, sizeof(*own.edits));
	memcpy(own.edits, f->edits + first, own.n * sizeof(*own.edits));
	apply(&own, from, to, &line);
	free(own.edits);
	return cb_fix_same_pair(node, cb_buf_str(&line), line.len, f->escape);
}

/* "ENV key value" becomes "ENV key=value", where that can be written: in a pattern of ${x%y} no blank can be. */
static bool fix_pair(struct fixer *f, const struct cb_finding *finding)
{
	const struct cb_node *node = finding->node;
	size_t first = f->n;
	const char *key, *value;
	size_t end = trimmed_length(node->original), from, gap, at;

	if (node->args.n != 3)
		return false;
	key = node->args.v[0].s;
	value = node->args.v[1].s;
	/* The key is the first word behind the keyword, the value is the end of the line. */
	gap = strlen(node->original) - strlen(node->rest);
	gap += (size_t)(cb_span_trim_left(cb_span_str(node->original + gap)).p - (node->original + gap)) + strlen(key);
	if (!*value || strlen(value) >= end || !is_plain_key(f, key))
		return false;
	from = end - strlen(value);
	if (gap >= from || strncmp(node->original + gap - strlen(key), key, strlen(key)) != 0 ||
		memcmp(node->original + from, value, strlen(value)) != 0)
		return false;
	for (size_t i = gap; i < from; i++) {
		if (!cb_space_width(node->original + i, node->original + i + 1) || !byte_at(f, node, i, &at))
			return false;
		edit(f, at, 1)->insert[0] = i == gap ? '=' : '\0';
	}
	return quote_value(f, node, from, end) && keeps_pair(f, node, first);
}

/* ---- MAINTAINER ----------------------------------------------------------------------------------------------- */

static void add_quoted(struct cb_buf *out, const char *text, char escape)
{
	bool single = !strchr(text, '\'');

	cb_buf_addc(out, single ? '\'' : '"');
	for (const char *p = text; *p; p++) {
		if (!single && (*p == '"' || *p == '$' || *p == escape))
			cb_buf_addc(out, escape);
		cb_buf_addc(out, *p);
	}
	cb_buf_addc(out, single ? '\'' : '"');
}

static bool fix_maintainer(struct fixer *f, const struct cb_finding *finding)
{
	const struct cb_node *node = finding->node;
	const struct cb_finding *casing = finding_of(f, finding, CB_RULE_CONSISTENT_INSTRUCTION_CASING);
	const char *word = casing ? casing->wanted : node->word;
	cleanup_free char *original = cb_xstrndup(node->original, trimmed_length(node->original));
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *author = NULL;
	size_t at;

	if (node->args.n < 2 || node->line != node->end_line || !offset_of(f, node->line, node->col, &at) ||
		!stands_at(f, at, original))
		return false;
	author = cb_fix_author(node);
	cb_buf_adds(&text, islower((unsigned char)word[0]) ? "label" : "LABEL");
	cb_buf_adds(&text, " " CB_FIX_AUTHORS "=");
	add_quoted(&text, author, f->escape);
	edit(f, at, strlen(original))->text = cb_buf_take(&text);
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static bool fix_one(struct fixer *f, const struct cb_finding *finding)
{
	switch ((enum cb_rule_id)(finding->rule - cb_rules)) {
	case CB_RULE_CONSISTENT_INSTRUCTION_CASING:
		return fix_keyword(f, finding);
	case CB_RULE_FROM_AS_CASING:
		return fix_argument(f, finding, 1);
	case CB_RULE_STAGE_NAME_CASING:
		return fix_argument(f, finding, 2);
	case CB_RULE_LEGACY_KEY_VALUE_FORMAT:
		return fix_pair(f, finding);
	case CB_RULE_MAINTAINER_DEPRECATED:
		return fix_maintainer(f, finding);
	default:
		return false;
	}
}

int cb_fix(const char *data, size_t len, const struct cb_buildfile *file, const struct cb_findings *findings,
	struct cb_buf *ret, size_t *ret_n, struct cb_err **err)
{
	__attribute__((cleanup(fixer_done))) struct fixer f = { .data = data, .len = len, .findings = findings };
	cleanup_buf struct cb_buf out = { 0 };
	size_t n = 0;
	int r;

	if (file->n_sources > 1)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "files with INCLUDE are not mended");
	f.escape = file->directives.escape;
	find_lines(&f);
	for (size_t i = 0; i < findings->n; i++) {
		const struct cb_finding *finding = &findings->v[i];
		size_t before = f.n;

		if (!finding->node || !finding->rule->fixable)
			continue;
		if (fix_one(&f, finding)) {
			n++;
			continue;
		}
		/* Half an edit is none. */
		while (f.n > before)
			free(f.edits[--f.n].text);
	}
	*ret_n = n;
	if (!n)
		return 0;
	apply(&f, 0, len, &out);
	r = cb_fix_verify(file, cb_buf_str(&out), out.len, err);
	if (r < 0)
		return r;
	cb_buf_add(ret, out.data, out.len);
	return 0;
}
