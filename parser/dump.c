/* Prints nodes as JSON and as S-expressions. */
#include "parser/dump.h"

#include <string.h>

#include "base/unicode.h"
#include "parser/jsonform.h"

/* Bytes that stand for themselves in a string. */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void add_special(struct cb_buf *out, unsigned char c)
{
	static const char names[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *found = c ? strchr(names, c) : NULL;

	if (found)
		cb_buf_addf(out, "\\%c", letters[found - names]);
	else
		cb_buf_addf(out, "\\u%04x", c);
}

/* The inside of a quoted string. */
static void add_bytes(struct cb_buf *out, const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		const char *start = s;
		uint32_t rune;

		while (s < end && is_plain((unsigned char)*s))
			s++;
		cb_buf_add(out, start, (size_t)(s - start));
		if (s == end)
			break;
		if ((unsigned char)*s < 0x80) {
			add_special(out, (unsigned char)*s++);
		} else {
			s += cb_utf8_decode(s, end, &rune);
			cb_utf8_add(out, rune);
		}
	}
}

static void add_string(struct cb_buf *out, const char *s, size_t len)
{
	cb_buf_addc(out, '"');
	add_bytes(out, s, len);
	cb_buf_addc(out, '"');
}

static void add_text(struct cb_buf *out, const char *s)
{
	add_string(out, s, strlen(s));
}

/* An argument; one of the exec form may have NUL characters. */
static void add_arg(struct cb_buf *out, const struct cb_node *node, const char *s)
{
	const char *nul;

	cb_buf_addc(out, '"');
	while (node->json && (nul = strstr(s, CB_JSON_NUL))) {
		add_bytes(out, s, (size_t)(nul - s));
		add_special(out, '\0');
		s = nul + strlen(CB_JSON_NUL);
	}
	add_bytes(out, s, strlen(s));
	cb_buf_addc(out, '"');
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static void json_words(struct cb_buf *out, const struct cb_node *node)
{
	cb_buf_adds(out, "\"flags\": [");
	for (size_t i = 0; i < node->flags.n; i++) {
		cb_buf_adds(out, i ? ", " : "");
		add_text(out, node->flags.v[i].s);
	}
	cb_buf_adds(out, "], \"args\": [");
	for (size_t i = 0; i < node->args.n; i++) {
		cb_buf_adds(out, i ? ", " : "");
		add_arg(out, node, node->args.v[i].s);
	}
	cb_buf_adds(out, "], ");
}

static void json_heredocs(struct cb_buf *out, const struct cb_node *node)
{
	cb_buf_adds(out, "\"heredocs\": [");
	for (size_t i = 0; i < node->n_heredocs; i++) {
		const struct cb_heredoc *doc = &node->heredocs[i];

		cb_buf_adds(out, i ? ", {\"name\": " : "{\"name\": ");
		add_text(out, doc->name);
		cb_buf_adds(out, ", \"content\": ");
		add_string(out, doc->content, doc->len);
		cb_buf_addf(out, ", \"expand\": %s, \"chomp\": %s, \"fd\": %ju}", doc->expand ? "true" : "false",
			doc->chomp ? "true" : "false", (uintmax_t)doc->fd);
	}
	cb_buf_addc(out, ']');
}

static void lower_word(struct cb_buf *out, const struct cb_node *node)
{
	for (const char *p = node->word; *p; p++)
		cb_buf_addc(out, (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p));
}

/* What stands before "child": the child is printed between head and tail. */
static void json_head(struct cb_buf *out, const struct cb_node *node)
{
	cleanup_buf struct cb_buf word = { 0 };

	lower_word(&word, node);
	cb_buf_adds(out, "{\"instruction\": ");
	add_text(out, cb_buf_str(&word));
	cb_buf_adds(out, ", ");
	json_words(out, node);
	cb_buf_addf(out, "\"json\": %s, \"original\": ", node->json ? "true" : "false");
	add_text(out, node->original);
	cb_buf_addf(out, ", \"line\": %u, \"end_line\": %u, \"child\": ", node->line, node->end_line);
}

static void json_tail(struct cb_buf *out, const struct cb_node *node)
{
	cb_buf_adds(out, ", ");
	json_heredocs(out, node);
	cb_buf_addc(out, '}');
}

/* The grammar bounds the depth of children (CB_ONBUILD_DEPTH_MAX). */
static void json_node(struct cb_buf *out, const struct cb_node *node)
{
	json_head(out, node);
	if (node->child)
		json_node(out, node->child);
	else
		cb_buf_adds(out, "null");
	json_tail(out, node);
}

void cb_dump_json(const struct cb_buildfile *file, struct cb_buf *out)
{
	cb_buf_addc(out, '[');
	for (size_t i = 0; i < file->n_nodes; i++) {
		cb_buf_adds(out, i ? ",\n  " : "\n  ");
		json_node(out, file->nodes[i]);
	}
	cb_buf_adds(out, "\n]\n");
}

/* ---- S-expressions ---------------------------------------------------------------------------------------------- */

static void sexp_heredoc(struct cb_buf *out, const struct cb_heredoc *doc)
{
	cb_buf_adds(out, " (heredoc");
	if (!doc->expand)
		cb_buf_adds(out, " :raw");
	if (doc->chomp)
		cb_buf_adds(out, " :chomp");
	if (doc->fd)
		cb_buf_addf(out, " :fd %ju", (uintmax_t)doc->fd);
	cb_buf_addc(out, ' ');
	add_text(out, doc->name);
	cb_buf_addc(out, ' ');
	add_string(out, doc->content, doc->len);
	cb_buf_addc(out, ')');
}

static void sexp_node(struct cb_buf *out, const struct cb_node *node)
{
	cb_buf_addc(out, '(');
	lower_word(out, node);
	for (size_t i = 0; i < node->flags.n; i++) {
		cb_buf_adds(out, i ? " " : " (");
		add_text(out, node->flags.v[i].s);
	}
	if (node->flags.n)
		cb_buf_addc(out, ')');
	if (node->json)
		cb_buf_adds(out, " :json");
	for (size_t i = 0; i < node->args.n; i++) {
		cb_buf_addc(out, ' ');
		add_arg(out, node, node->args.v[i].s);
	}
	if (node->child) {
		cb_buf_addc(out, ' ');
		sexp_node(out, node->child);
	}
	for (size_t i = 0; i < node->n_heredocs; i++)
		sexp_heredoc(out, &node->heredocs[i]);
	cb_buf_addc(out, ')');
}

void cb_dump_sexp(const struct cb_buildfile *file, struct cb_buf *out)
{
	for (size_t i = 0; i < file->n_nodes; i++) {
		sexp_node(out, file->nodes[i]);
		cb_buf_addc(out, '\n');
	}
}
