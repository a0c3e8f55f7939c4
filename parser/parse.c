/* Drivers: bytes to nodes, nodes to stages. */
#include "parser/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/strv.h"
#include "parser/chars.h"
#include "parser/heredoc.h"
#include "parser/instr.h"
#include "parser/lexer.h"
#include "parser/node.h"

/* Nodes while they are read. */
struct reader {
	struct cb_buildfile *file;
	struct cb_lexer lexer;
	struct cb_node **nodes;
	size_t n_nodes, cap_nodes;
	struct cb_parse_warning *warnings;
	size_t n_warnings, cap_warnings;
};

static bool takes_heredocs(const struct cb_node *node)
{
	if (node->kw == CB_KW_ONBUILD && node->child)
		node = node->child;
	return !node->json && (node->kw == CB_KW_RUN || node->kw == CB_KW_COPY || node->kw == CB_KW_ADD);
}

/* Where the @index'th "<<" of the node's line stands: near enough to where the token begins. */
static const char *token_place(const struct cb_node *node, size_t index)
{
	const char *at = strstr(node->original, "<<");

	while (at && index-- > 0)
		at = strstr(at + 2, "<<");
	return at ? at : node->original;
}

/* The end of the file came before the terminator; @almost is a line that was nearly one, or 0. */
static int unterminated(struct cb_err **err, const struct cb_node *node, size_t index, unsigned int almost)
{
	const struct cb_heredoc *doc = &node->heredocs[index];

	cb_node_err(err, node, token_place(node, index), "the here-document \"%.100s\" does not end", doc->name);
	if (almost)
		return cb_err_hint(err, CB_ERR_INPUT,
			"line %u has white space around \"%.100s\"; <<- allows tabs before it", almost, doc->name);
	return cb_err_hint(err, CB_ERR_INPUT, "end it with a line that is exactly \"%.100s\"", doc->name);
}

/* Reads the body of one here-document. */
static int read_body(struct reader *rd, const struct cb_node *node, size_t index, struct cb_err **err)
{
	struct cb_heredoc *doc = &node->heredocs[index];
	const char *start = rd->lexer.src.rest.p;
	unsigned int almost = 0;
	struct cb_phys_line line;
	int r;

	doc->line = rd->lexer.src.line + 1;
	while ((r = cb_line_reader_next(&rd->lexer.src, &line, err)) == 0) {
		struct cb_span trimmed;

		if (cb_heredoc_ends(doc, line.text.p, cb_span_len(line.text))) {
			doc->len = (size_t)(line.full.p - start);
			doc->content = cb_arena_strndup(rd->file->arena, start, doc->len);
			return 0;
		}
		trimmed = cb_span_trim(line.text);
		if (!almost && cb_heredoc_ends(doc, trimmed.p, cb_span_len(trimmed)))
			almost = rd->lexer.src.line;
	}
	return r < 0 ? r : unterminated(err, node, index, almost);
}

static int read_heredocs(struct reader *rd, struct cb_node *node, struct cb_err **err)
{
	int r;

	if (!takes_heredocs(node))
		return 0;
	r = cb_heredoc_find(rd->file->arena, node->original, &node->heredocs, &node->n_heredocs, err);
	for (size_t i = 0; r == 0 && i < node->n_heredocs; i++)
		r = read_body(rd, node, i, err);
	return r < 0 ? cb_err_locate(err, r, node->line, node->col, 0) : 0;
}

static void add_warning(struct reader *rd)
{
	CB_GROW(rd->warnings, rd->cap_warnings, rd->n_warnings + 1);
	rd->warnings[rd->n_warnings++] = (struct cb_parse_warning){
		.rule = "NoEmptyContinuation",
		.msg = "Empty continuation line",
		.line = rd->lexer.src.line,
	};
}

/* The logical line that the lexer has read becomes a node. */
static int add_node(struct reader *rd, struct cb_err **err)
{
	struct cb_arena *arena = rd->file->arena;
	struct cb_span line = cb_span_of(cb_buf_str(&rd->lexer.text), rd->lexer.text.len);
	const struct cb_linemap *map = cb_lexer_map(&rd->lexer);
	struct cb_texts comments = cb_lexer_comments(&rd->lexer);
	unsigned int first = rd->lexer.line;
	struct cb_node *node;
	int r;

	if (rd->lexer.empty_continuation)
		add_warning(rd);
	r = cb_node_new(arena, line, map, rd->file->directives.escape, &node, err);
	if (r == 0)
		r = read_heredocs(rd, node, err);
	if (r < 0)
		return r;

	if (node->line != first) { /* the first line has a continuation character only */
		node->line = first;
		node->col = 1;
	}
	node->comments = comments;
	for (struct cb_node *at = node; at; at = at->child)
		at->end_line = rd->lexer.src.line;
	CB_GROW(rd->nodes, rd->cap_nodes, rd->n_nodes + 1);
	rd->nodes[rd->n_nodes++] = node;
	return 0;
}

static int read_nodes(struct reader *rd, const char *data, size_t len, struct cb_err **err)
{
	struct cb_buildfile *file = rd->file;
	int r;

	if (len == 0)
		return cb_err_set(err, CB_ERR_INPUT, "the Buildfile cannot be empty");
	r = cb_lexer_init(&rd->lexer, file->arena, data, len, &file->directives, err);
	if (r < 0)
		return r;
	cb_directive_after_shebang(file->arena, rd->lexer.src.rest, &file->directives);
	while ((r = cb_lexer_next(&rd->lexer, err)) == 0) {
		r = add_node(rd, err);
		if (r < 0)
			break;
	}
	if (r < 0)
		return r;
	if (rd->n_nodes == 0)
		return cb_err_set(err, CB_ERR_INPUT, "the Buildfile has no instructions");
	return 0;
}

static void *copy_array(struct cb_arena *arena, const void *v, size_t n, size_t size)
{
	void *to = cb_arena_alloc(arena, n * size);

	if (n)
		memcpy(to, v, n * size);
	return to;
}

int cb_parse_nodes(const char *data, size_t len, struct cb_buildfile **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	struct cb_arena *arena = cb_arena_new();
	struct reader rd = { 0 };
	int r;

	assert(ret);

	file = cb_arena_alloc(arena, sizeof(*file));
	file->arena = arena;
	file->directives.escape = '\\';
	rd.file = file;
	r = read_nodes(&rd, data, len, err);
	if (r >= 0) {
		file->nodes = copy_array(arena, rd.nodes, rd.n_nodes, sizeof(*rd.nodes));
		file->n_nodes = rd.n_nodes;
		file->warnings = copy_array(arena, rd.warnings, rd.n_warnings, sizeof(*rd.warnings));
		file->n_warnings = rd.n_warnings;
		*ret = CB_TAKE_PTR(file);
	}
	cb_lexer_done(&rd.lexer);
	free(rd.nodes);
	free(rd.warnings);
	return CB_MIN(r, 0);
}

struct cb_buildfile *cb_buildfile_free(struct cb_buildfile *file)
{
	if (file)
		cb_arena_free(file->arena);
	return NULL;
}

/* ---- stages ----------------------------------------------------------------------------------------------------- */

/* Instructions of all nodes, in one array. */
static int make_instrs(struct cb_buildfile *file, struct cb_instr **ret, struct cb_err **err)
{
	struct cb_instr *instrs = cb_arena_alloc(file->arena, file->n_nodes * sizeof(*instrs));
	int r;

	for (size_t i = 0; i < file->n_nodes; i++) {
		r = cb_instr_init(&instrs[i], file->arena, file->nodes[i], file->nodes[i], err);
		if (r < 0)
			return r;
	}
	*ret = instrs;
	return 0;
}

static size_t count_stages(const struct cb_buildfile *file)
{
	size_t n = 0;

	for (size_t i = 0; i < file->n_nodes; i++)
		n += file->nodes[i]->kw == CB_KW_FROM;
	return n;
}

/* The global ARGs: all that stands before the first FROM. */
static int set_globals(struct cb_buildfile *file, const struct cb_instr *instrs, struct cb_err **err)
{
	size_t n = 0;

	for (; n < file->n_nodes && instrs[n].kw != CB_KW_FROM; n++) {
		const struct cb_node *node = instrs[n].node;

		if (instrs[n].kw == CB_KW_ARG)
			continue;
		cb_err_at(err, CB_ERR_INPUT, node->line, node->col, "no build stage in current context: %s before FROM",
			cb_keyword_upper(node->kw));
		return cb_err_hint(err, CB_ERR_INPUT, "only ARG may stand before the first FROM");
	}
	file->globals = instrs;
	file->n_globals = n;
	if (n < file->n_nodes)
		return 0;
	cb_err_at(err, CB_ERR_INPUT, file->nodes[n - 1]->line, file->nodes[n - 1]->col,
		"the Buildfile contains no stages to build");
	return cb_err_hint(err, CB_ERR_INPUT, "a stage begins with FROM");
}

static void set_stages(struct cb_buildfile *file, const struct cb_instr *instrs)
{
	size_t n = count_stages(file), at = file->n_globals;
	struct cb_stage *stages = cb_arena_alloc(file->arena, n * sizeof(*stages));

	for (size_t i = 0; i < n; i++) {
		struct cb_stage *stage = &stages[i];
		size_t end = at + 1;

		while (end < file->n_nodes && instrs[end].kw != CB_KW_FROM)
			end++;
		*stage = (struct cb_stage){
			.index = (unsigned int)i,
			.name = instrs[at].from.name.s,
			.base = instrs[at].from.image,
			.platform = instrs[at].from.platform,
			.from = &instrs[at],
			.instrs = &instrs[at] + 1,
			.n_instrs = end - at - 1,
			.line = file->nodes[at]->line,
			.end_line = file->nodes[end - 1]->end_line,
		};
		at = end;
	}
	file->stages = stages;
	file->n_stages = n;
}

int cb_parse(const char *data, size_t len, struct cb_buildfile **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	struct cb_instr *instrs = NULL;
	int r;

	assert(ret);

	r = cb_parse_nodes(data, len, &file, err);
	if (r < 0)
		return r;
	r = make_instrs(file, &instrs, err);
	if (r < 0)
		return r;
	r = set_globals(file, instrs, err);
	if (r < 0)
		return r;
	set_stages(file, instrs);
	*ret = CB_TAKE_PTR(file);
	return 0;
}

int cb_parse_trigger(const char *text, struct cb_buildfile **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	struct cb_instr *instrs = NULL;
	struct cb_stage *stage;
	enum cb_keyword kw;
	int r;

	assert(text);
	assert(ret);

	r = cb_parse_nodes(text, strlen(text), &file, err);
	if (r < 0)
		return r;
	r = make_instrs(file, &instrs, err);
	if (r < 0)
		return r;
	if (file->n_nodes != 1)
		return cb_err_set(err, CB_ERR_INPUT, "an ONBUILD trigger must be one instruction");
	kw = instrs[0].kw;
	if (kw == CB_KW_FROM || kw == CB_KW_ONBUILD || kw == CB_KW_MAINTAINER)
		return cb_err_at(
			err, CB_ERR_INPUT, 1, 1, "%s isn't allowed as an ONBUILD trigger", cb_keyword_upper(kw));

	stage = cb_arena_alloc(file->arena, sizeof(*stage));
	*stage = (struct cb_stage){ .instrs = instrs, .n_instrs = 1, .line = 1, .end_line = file->nodes[0]->end_line };
	file->stages = stage;
	file->n_stages = 1;
	*ret = CB_TAKE_PTR(file);
	return 0;
}

const struct cb_stage *cb_buildfile_stage(const struct cb_buildfile *file, const char *name)
{
	for (size_t i = file->n_stages; i > 0; i--) {
		const struct cb_stage *stage = &file->stages[i - 1];

		if (stage->name && cb_str_ieq(stage->name, name))
			return stage;
	}
	return NULL;
}
