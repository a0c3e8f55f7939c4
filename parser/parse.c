/* Drivers: bytes to nodes, nodes to stages. */
#include "parser/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/strv.h"
#include "parser/chars.h"
#include "parser/flags.h"
#include "parser/heredoc.h"
#include "parser/instr.h"
#include "parser/lexer.h"
#include "parser/node.h"

/* Nodes while they are read. */
struct reader {
	struct cb_buildfile *file;
	struct cb_lexer *lexer; /* of the file being read */
	const struct cb_includer *includer;
	struct open_file *top;
	struct cb_source_file *sources;
	size_t n_sources, cap_sources;
	size_t bytes;       /* of all files */
	unsigned int lines; /* of all files: where the numbers of the next one begin */
	struct cb_node **nodes;
	size_t n_nodes, cap_nodes;
	struct cb_parse_warning *warnings;
	size_t n_warnings, cap_warnings;
};

/* A file being read, and the one whose INCLUDE named it. */
struct open_file {
	const struct open_file *parent;
	const struct cb_include_file *file;
	unsigned int depth;
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
	const char *start = rd->lexer->src.rest.p;
	unsigned int almost = 0;
	struct cb_phys_line line;
	int r;

	doc->line = rd->lexer->src.line + 1;
	while ((r = cb_line_reader_next(&rd->lexer->src, &line, err)) == 0) {
		struct cb_span trimmed;

		if (cb_heredoc_ends(doc, line.text.p, cb_span_len(line.text))) {
			doc->len = (size_t)(line.full.p - start);
			doc->content = cb_arena_strndup(rd->file->arena, start, doc->len);
			return 0;
		}
		trimmed = cb_span_trim(line.text);
		if (!almost && cb_heredoc_ends(doc, trimmed.p, cb_span_len(trimmed)))
			almost = rd->lexer->src.line;
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
		.line = rd->lexer->src.line,
	};
}

/* The logical line that the lexer has read becomes a node. */
static int add_node(struct reader *rd, struct cb_err **err)
{
	struct cb_arena *arena = rd->file->arena;
	struct cb_span line = cb_span_of(cb_buf_str(&rd->lexer->text), rd->lexer->text.len);
	const struct cb_linemap *map = cb_lexer_map(rd->lexer);
	struct cb_texts comments = cb_lexer_comments(rd->lexer);
	unsigned int first = rd->lexer->line;
	struct cb_node *node;
	int r;

	if (rd->lexer->empty_continuation)
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
		at->end_line = rd->lexer->src.line;
	CB_GROW(rd->nodes, rd->cap_nodes, rd->n_nodes + 1);
	rd->nodes[rd->n_nodes++] = node;
	return 0;
}

/* ---- INCLUDE ---------------------------------------------------------------------------------------------------- */

static unsigned int count_lines(const char *data, size_t len)
{
	const char *p = data, *end = data + len;
	unsigned int n = 1;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		p++;
		n++;
	}
	return n;
}

/* Enters a file into the list of sources: its lines get their numbers. */
static struct cb_source_file *add_source(
	struct reader *rd, const struct cb_include_file *file, const struct cb_node *include, struct cb_err **err)
{
	struct cb_source_file *source;

	rd->bytes += file->len;
	if (file->len > CB_BUILDFILE_MAX || rd->bytes > CB_BUILDFILE_MAX) {
		cb_err_set(err, CB_ERR_LIMIT, "the Buildfile has more than %zu bytes", CB_BUILDFILE_MAX);
		return NULL;
	}
	CB_GROW(rd->sources, rd->cap_sources, rd->n_sources + 1);
	source = &rd->sources[rd->n_sources++];
	*source = (struct cb_source_file){
		.name = include ? cb_arena_strdup(rd->file->arena, file->name) : NULL,
		.data = file->data,
		.len = file->len,
		.base = rd->lines,
		.lines = count_lines(file->data, file->len),
		.include = include,
	};
	rd->lines += source->lines;
	return source;
}

static const char *file_id(const struct cb_include_file *file)
{
	return file->id ? file->id : file->name;
}

/* What keeps @file from being included by rd->top. */
static int check_include(
	const struct reader *rd, const struct cb_node *node, const struct cb_include_file *file, struct cb_err **err)
{
	assert(rd->top);
	for (const struct open_file *at = rd->top; at; at = at->parent) {
		const char *id = file_id(at->file);

		if (id && cb_str_eq(id, file_id(file)))
			return cb_err_at(err, CB_ERR_INPUT, node->args.v[0].line, node->args.v[0].col,
				"%.200s includes itself", file->name);
	}
	if (rd->top->depth == CB_INCLUDE_DEPTH_MAX)
		return cb_err_at(err, CB_ERR_LIMIT, node->line, node->col, "INCLUDE is nested more than %d deep",
			CB_INCLUDE_DEPTH_MAX);
	if (rd->n_sources > CB_INCLUDES_MAX)
		return cb_err_at(
			err, CB_ERR_LIMIT, node->line, node->col, "more than %d files are included", CB_INCLUDES_MAX);
	return 0;
}

static int check_include_node(struct cb_arena *arena, const struct cb_node *node, struct cb_err **err)
{
	int r = cb_flags_check(arena, node, NULL, 0, err);

	if (r < 0)
		return r;
	if (!node->args.n) {
		cb_err_at(err, CB_ERR_INPUT, node->line, node->col, "INCLUDE requires exactly one argument");
		return cb_err_hint(err, CB_ERR_INPUT, "write INCLUDE FILE");
	}
	if (strchr(node->args.v[0].s, '$')) {
		cb_err_at(err, CB_ERR_INPUT, node->args.v[0].line, node->args.v[0].col,
			"INCLUDE does not expand variables");
		return cb_err_hint(err, CB_ERR_INPUT, "write the name of the file as it is");
	}
	return 0;
}

static int read_source(
	struct reader *rd, const struct open_file *open, const struct cb_node *include, struct cb_err **err);

/* Reads what @node names in its place. */
static int include(struct reader *rd, const struct cb_node *node, struct cb_err **err)
{
	struct cb_include_file file = { 0 };
	struct open_file open = { .parent = rd->top, .file = &file, .depth = rd->top->depth + 1 };
	struct open_file *top = rd->top;
	struct cb_lexer *lexer = rd->lexer;
	int r = check_include_node(rd->file->arena, node, err);

	if (r < 0)
		return r;
	r = rd->includer->read(rd->includer->ctx, top->file->name, node->args.v[0].s, &file, err);
	if (r >= 0)
		r = check_include(rd, node, &file, err);
	if (r < 0)
		return cb_err_locate(err, r, node->args.v[0].line, node->args.v[0].col, 0);
	rd->top = &open;
	r = read_source(rd, &open, node, err);
	rd->top = top;
	rd->lexer = lexer;
	return r;
}

/* ---- a file ----------------------------------------------------------------------------------------------------- */

/* A directive of an included file cannot mean more than that file. */
static int check_escape(
	const struct reader *rd, const struct cb_directives *own, unsigned int line, struct cb_err **err)
{
	if (own->escape == rd->file->directives.escape)
		return 0;
	return cb_err_at(err, CB_ERR_INPUT, line, 1, "an included file cannot have another escape character");
}

static int read_lines(struct reader *rd, const struct cb_directives *own, unsigned int base, struct cb_err **err)
{
	int r;

	while ((r = cb_lexer_next(rd->lexer, err)) == 0) {
		const struct cb_node *node;

		r = check_escape(rd, own, base + 1, err);
		if (r == 0)
			r = add_node(rd, err);
		if (r < 0)
			break;
		assert(rd->nodes);
		node = rd->nodes[rd->n_nodes - 1];
		if (node->kw != CB_KW_INCLUDE || !rd->includer)
			continue;
		r = include(rd, node, err);
		if (r < 0)
			break;
	}
	return CB_MIN(r, 0);
}

/* The depth of this recursion is bounded by CB_INCLUDE_DEPTH_MAX. */
static int read_source(
	struct reader *rd, const struct open_file *open, const struct cb_node *include, struct cb_err **err)
{
	const struct cb_include_file *file = open->file;
	struct cb_directives local = { .escape = rd->file->directives.escape };
	struct cb_directives *own = include ? &local : &rd->file->directives;
	struct cb_lexer lexer = { 0 };
	unsigned int base = rd->lines;
	int r;

	if (!add_source(rd, file, include, err))
		return CB_ERR_LIMIT;
	r = cb_lexer_init(&lexer, rd->file->arena, file->data, file->len, own, err);
	if (r < 0) {
		if (include && err && *err && !(*err)->file)
			(*err)->file = cb_xstrdup(file->name);
		return r;
	}
	lexer.src.line = base;
	rd->lexer = &lexer;
	if (!include)
		cb_directive_after_shebang(rd->file->arena, lexer.src.rest, own);
	r = read_lines(rd, own, base, err);
	cb_lexer_done(&lexer);
	rd->lexer = NULL;
	return r;
}

static void *copy_array(struct cb_arena *arena, const void *v, size_t n, size_t size)
{
	void *to = cb_arena_alloc(arena, n * size);

	if (n)
		memcpy(to, v, n * size);
	return to;
}

static void keep_nodes(struct cb_buildfile *file, const struct reader *rd)
{
	struct cb_arena *arena = file->arena;

	file->nodes = copy_array(arena, rd->nodes, rd->n_nodes, sizeof(*rd->nodes));
	file->n_nodes = rd->n_nodes;
	file->warnings = copy_array(arena, rd->warnings, rd->n_warnings, sizeof(*rd->warnings));
	file->n_warnings = rd->n_warnings;
	file->sources = copy_array(arena, rd->sources, rd->n_sources, sizeof(*rd->sources));
	file->n_sources = rd->n_sources;
}

/* Reads nodes; *ret is set even on failure, so that the places of errors can be told. */
static int read_nodes(const char *data, size_t len, const struct cb_includer *includer, struct cb_buildfile **ret,
	struct cb_err **err)
{
	const struct cb_include_file main = { .data = data, .len = len, .id = includer ? includer->id : NULL };
	struct cb_arena *arena = cb_arena_new();
	struct cb_buildfile *file = cb_arena_alloc(arena, sizeof(*file));
	struct open_file open = { .file = &main };
	struct reader rd = { .file = file, .includer = includer, .top = &open };
	int r;

	file->arena = arena;
	file->directives.escape = '\\';
	if (len == 0)
		r = cb_err_set(err, CB_ERR_INPUT, "the Buildfile cannot be empty");
	else
		r = read_source(&rd, &open, NULL, err);
	if (r == 0 && rd.n_nodes == 0)
		r = cb_err_set(err, CB_ERR_INPUT, "the Buildfile has no instructions");
	keep_nodes(file, &rd);
	free(rd.nodes);
	free(rd.warnings);
	free(rd.sources);
	*ret = file;
	return r;
}

int cb_parse_nodes(const char *data, size_t len, struct cb_buildfile **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	int r;

	assert(ret);

	r = read_nodes(data, len, NULL, &file, err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(file);
	return 0;
}

struct cb_buildfile *cb_buildfile_free(struct cb_buildfile *file)
{
	if (file)
		cb_arena_free(file->arena);
	return NULL;
}

/* ---- stages ----------------------------------------------------------------------------------------------------- */

/* Typed instructions of a file, INCLUDE left out. */
struct instrs {
	struct cb_instr *v;
	size_t n;
};

static int make_instrs(struct cb_buildfile *file, bool followed, struct instrs *ret, struct cb_err **err)
{
	struct instrs instrs = { .v = cb_arena_alloc(file->arena, file->n_nodes * sizeof(*instrs.v)) };
	int r;

	for (size_t i = 0; i < file->n_nodes; i++) {
		if (followed && file->nodes[i]->kw == CB_KW_INCLUDE)
			continue;
		r = cb_instr_init(&instrs.v[instrs.n++], file->arena, file->nodes[i], file->nodes[i], err);
		if (r < 0)
			return r;
	}
	*ret = instrs;
	return 0;
}

static size_t count_stages(const struct instrs *instrs)
{
	size_t n = 0;

	for (size_t i = 0; i < instrs->n; i++)
		n += instrs->v[i].kw == CB_KW_FROM;
	return n;
}

/* The global ARGs: all that stands before the first FROM. */
static int set_globals(struct cb_buildfile *file, const struct instrs *instrs, struct cb_err **err)
{
	const struct cb_node *node;
	size_t n = 0;

	for (; n < instrs->n && instrs->v[n].kw != CB_KW_FROM; n++) {
		node = instrs->v[n].node;
		if (node->kw == CB_KW_ARG)
			continue;
		cb_err_at(err, CB_ERR_INPUT, node->line, node->col, "no build stage in current context: %s before FROM",
			cb_keyword_upper(node->kw));
		return cb_err_hint(err, CB_ERR_INPUT, "only ARG may stand before the first FROM");
	}
	file->globals = instrs->v;
	file->n_globals = n;
	if (n < instrs->n)
		return 0;
	node = file->nodes[file->n_nodes - 1];
	cb_err_at(err, CB_ERR_INPUT, node->line, node->col, "the Buildfile contains no stages to build");
	return cb_err_hint(err, CB_ERR_INPUT, "a stage begins with FROM");
}

static void set_stages(struct cb_buildfile *file, const struct instrs *instrs)
{
	size_t n = count_stages(instrs), at = file->n_globals;
	struct cb_stage *stages = cb_arena_alloc(file->arena, n * sizeof(*stages));

	for (size_t i = 0; i < n; i++) {
		const struct cb_instr *from = &instrs->v[at];
		size_t end = at + 1;

		while (end < instrs->n && instrs->v[end].kw != CB_KW_FROM)
			end++;
		stages[i] = (struct cb_stage){
			.index = (unsigned int)i,
			.name = from->from.name.s,
			.base = from->from.image,
			.platform = from->from.platform,
			.from = from,
			.instrs = from + 1,
			.n_instrs = end - at - 1,
			.line = from->node->line,
			.end_line = instrs->v[end - 1].node->end_line,
		};
		at = end;
	}
	file->stages = stages;
	file->n_stages = n;
}

static int make_stages(struct cb_buildfile *file, bool followed, struct cb_err **err)
{
	struct instrs instrs = { 0 };
	int r = make_instrs(file, followed, &instrs, err);

	if (r == 0)
		r = set_globals(file, &instrs, err);
	if (r == 0)
		set_stages(file, &instrs);
	return r;
}

int cb_parse_files(const char *data, size_t len, const struct cb_includer *includer, struct cb_buildfile **ret,
	struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	int r;

	assert(ret);

	r = read_nodes(data, len, includer, &file, err);
	if (r == 0)
		r = make_stages(file, includer, err);
	if (r < 0) {
		if (err && *err)
			cb_buildfile_localise(file, *err);
		return r;
	}
	*ret = CB_TAKE_PTR(file);
	return 0;
}

int cb_parse(const char *data, size_t len, struct cb_buildfile **ret, struct cb_err **err)
{
	return cb_parse_files(data, len, NULL, ret, err);
}

const struct cb_source_file *cb_buildfile_place(
	const struct cb_buildfile *file, unsigned int line, unsigned int *ret_line)
{
	size_t low = 0, high = file->n_sources;

	assert(high > 0);

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (file->sources[mid].base < line)
			low = mid;
		else
			high = mid;
	}
	*ret_line = line ? line - file->sources[low].base : 0;
	return &file->sources[low];
}

void cb_buildfile_localise(const struct cb_buildfile *file, struct cb_err *err)
{
	const struct cb_source_file *source;

	if (err->file || !err->line || !file->n_sources)
		return;
	source = cb_buildfile_place(file, err->line, &err->line);
	if (err->end_line > source->base)
		err->end_line -= source->base;
	if (source->name)
		err->file = cb_xstrdup(source->name);
}

int cb_parse_trigger(const char *text, struct cb_buildfile **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	struct instrs instrs = { 0 };
	struct cb_stage *stage;
	enum cb_keyword kw;
	int r;

	assert(text);
	assert(ret);

	r = cb_parse_nodes(text, strlen(text), &file, err);
	if (r < 0)
		return r;
	r = make_instrs(file, false, &instrs, err);
	if (r < 0)
		return r;
	if (file->n_nodes != 1)
		return cb_err_set(err, CB_ERR_INPUT, "an ONBUILD trigger must be one instruction");
	kw = instrs.v[0].kw;
	if (kw == CB_KW_FROM || kw == CB_KW_ONBUILD || kw == CB_KW_MAINTAINER)
		return cb_err_at(
			err, CB_ERR_INPUT, 1, 1, "%s isn't allowed as an ONBUILD trigger", cb_keyword_upper(kw));

	stage = cb_arena_alloc(file->arena, sizeof(*stage));
	*stage =
		(struct cb_stage){ .instrs = instrs.v, .n_instrs = 1, .line = 1, .end_line = file->nodes[0]->end_line };
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
