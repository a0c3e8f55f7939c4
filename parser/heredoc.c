/* Here-documents. */
#include "parser/heredoc.h"

#include <assert.h>
#include <string.h>

#include "base/strv.h"
#include "parser/expand.h"

/* Splits @line into words: 0, or 1 when it cannot be read as words. */
static int split(const char *line, unsigned int flags, struct cb_strv *ret, struct cb_err **err)
{
	const struct cb_expand how = { .escape = '\\', .flags = flags | CB_EXPAND_KEEP_UNSET };
	cleanup_err struct cb_err *inner = NULL;
	int r = cb_expand_words(line, &how, ret, &inner);

	if (r == CB_ERR_INPUT)
		return 1;
	return r < 0 ? cb_err_move(err, CB_TAKE_PTR(inner)) : 0;
}

static size_t count_quotes(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '\'' || *s == '"';
	return n;
}

/* Digits, "<<" and "-": true with *delimiter at what follows. */
static bool read_operator(const char *word, struct cb_heredoc *doc, const char **delimiter)
{
	const char *p = word;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(doc->fd, (uint64_t)10, &doc->fd) ||
			__builtin_add_overflow(doc->fd, (uint64_t)(*p - '0'), &doc->fd)) {
			p += strspn(p, "0123456789");
			doc->fd = UINT64_MAX;
			break;
		}
	}
	if (p[0] != '<' || p[1] != '<')
		return false;
	p += 2;
	doc->chomp = *p == '-';
	p += doc->chomp;
	p += strspn(p, " \t\n\f\r");
	*delimiter = p;
	return *p && !strchr(p, '<');
}

int cb_heredoc_token(struct cb_arena *arena, const char *word, struct cb_heredoc *ret, struct cb_err **err)
{
	cleanup_strv struct cb_strv plain = { 0 }, raw = { 0 };
	struct cb_heredoc doc = { 0 };
	const char *delimiter;
	int r;

	assert(arena);
	assert(word);

	if (!read_operator(word, &doc, &delimiter))
		return 0;
	r = split(delimiter, 0, &plain, err);
	if (r == 0 && plain.n == 1)
		r = split(delimiter, CB_EXPAND_RAW_QUOTES, &raw, err);
	if (r < 0)
		return r;
	if (r > 0)
		return cb_err_set(err, CB_ERR_INPUT, "cannot read the delimiter of the here-document \"%.100s\"", word);
	if (plain.n != 1 || raw.n != 1)
		return 0;

	/* A quote that vanished when the delimiter was read was not escaped: it quotes. */
	doc.expand = count_quotes(plain.v[0]) == count_quotes(raw.v[0]);
	doc.name = cb_arena_strdup(arena, plain.v[0]);
	*ret = doc;
	return 1;
}

int cb_heredoc_find(struct cb_arena *arena, const char *line, struct cb_heredoc **ret, size_t *n, struct cb_err **err)
{
	cleanup_strv struct cb_strv words = { 0 };
	cleanup_free struct cb_heredoc *docs = NULL;
	size_t count = 0, cap = 0;
	int r;

	assert(ret && n);

	if (strstr(line, "<<")) {
		r = split(line, CB_EXPAND_RAW_QUOTES | CB_EXPAND_RAW_ESCAPES, &words, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < words.n; i++) {
		CB_GROW(docs, cap, count + 1);
		r = cb_heredoc_token(arena, words.v[i], &docs[count], err);
		if (r < 0)
			return r;
		count += r > 0;
	}
	*n = count;
	*ret = NULL;
	if (count) {
		*ret = cb_arena_alloc(arena, count * sizeof(**ret));
		memcpy(*ret, docs, count * sizeof(**ret));
	}
	return 0;
}

bool cb_heredoc_ends(const struct cb_heredoc *doc, const char *text, size_t len)
{
	while (doc->chomp && len > 0 && *text == '\t') {
		text++;
		len--;
	}
	return strlen(doc->name) == len && memcmp(doc->name, text, len) == 0;
}

void cb_heredoc_text(const struct cb_heredoc *doc, struct cb_buf *out)
{
	const char *p = doc->content, *end = p + doc->len;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf ? lf + 1 : end;

		while (doc->chomp && p < stop && *p == '\t')
			p++;
		cb_buf_add(out, p, (size_t)(stop - p));
		p = stop;
	}
}
