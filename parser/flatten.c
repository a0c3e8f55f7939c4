/* Writes included files in the place of INCLUDE. */
#include "parser/flatten.h"

#include <assert.h>
#include <string.h>

#include "base/span.h"
#include "base/strv.h"
#include "parser/chars.h"
#include "parser/directive.h"
#include "parser/lexer.h"
#include "parser/parse.h"
#include "parser/physline.h"

struct flattener {
	const struct cb_buildfile *file;
	struct cb_buf *out;
	size_t node;  /* the next node to write */
	size_t stage; /* the next stage */
	size_t start; /* of the output */
};

/* A source file being written. */
struct reading {
	struct flattener *f;
	const struct cb_source_file *source;
	struct cb_line_reader reader;
	struct cb_directive_reader directives;
};

static void add_line(struct cb_buf *out, const struct cb_phys_line *line)
{
	cb_buf_add(out, line->full.p, cb_span_len(line->full));
	if (cb_span_empty(line->full) || line->full.end[-1] != '\n')
		cb_buf_addc(out, '\n');
}

static bool is_comment(const struct cb_phys_line *line)
{
	return cb_span_peek(cb_span_trim_left(line->text), 0) == '#';
}

/* Takes off blanks at the end and the escape character that continues a line, if there is one. */
static bool cut_escape(struct cb_span *text, char escape)
{
	const char *end = text->end;

	while (end > text->p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (end == text->p || end[-1] != escape || (end - 1 > text->p && end[-2] == escape))
		return false;
	text->end = end - 1;
	return true;
}

/* A file may end with an instruction that would go on: without that the next one would continue it. */
static int add_last_piece(
	struct flattener *f, const struct cb_phys_line *line, unsigned int number, struct cb_err **err)
{
	struct cb_span text = line->text, left;

	if (!cut_escape(&text, f->file->directives.escape)) {
		add_line(f->out, line);
		return 0;
	}
	left = text;
	/* What stands at the end of a line now is part of that end. */
	while (left.end > left.p && left.end[-1] == '\r')
		left.end--;
	if (cut_escape(&left, f->file->directives.escape)) {
		cb_err_at(err, CB_ERR_INPUT, number, 1, "a file ends with a line that would go on twice");
		return cb_err_hint(err, CB_ERR_INPUT, "take the escape characters off its end");
	}
	cb_buf_add(f->out, text.p, cb_span_len(text));
	cb_buf_addc(f->out, '\n');
	return 0;
}

/* ---- FROM --reset ----------------------------------------------------------------------------------------------- */

static const struct {
	unsigned int part;
	const char *name, *plain; /* NULL: there is none */
} parts[] = {
	{ CB_RESET_ENTRYPOINT, "entrypoint", "ENTRYPOINT []" },
	{ CB_RESET_CMD, "cmd", "CMD []" },
	{ CB_RESET_HEALTHCHECK, "healthcheck", "HEALTHCHECK NONE" },
	{ CB_RESET_USER, "user", "USER 0" },
	{ CB_RESET_WORKDIR, "workdir", "WORKDIR /" },
	{ CB_RESET_VOLUMES, "volumes", NULL },
	{ CB_RESET_EXPOSE, "expose", NULL },
	{ CB_RESET_ENV, "env", NULL },
	{ CB_RESET_LABELS, "labels", NULL },
	{ CB_RESET_ONBUILD, "onbuild", NULL },
};

/* Whether the stage says by itself what becomes of an inherited CMD. */
static bool sets_command(const struct cb_stage *stage)
{
	for (size_t i = 0; i < stage->n_instrs; i++)
		if (stage->instrs[i].kw == CB_KW_CMD || stage->instrs[i].kw == CB_KW_ENTRYPOINT)
			return true;
	return false;
}

static int check_reset(const struct cb_stage *stage, struct cb_err **err)
{
	const struct cb_from *from = &stage->from->from;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!(from->reset & parts[i].part) || parts[i].plain)
			continue;
		cb_err_at(err, CB_ERR_INPUT, from->reset_at.line, from->reset_at.col,
			"no plain instruction can clear %s of the base", parts[i].name);
		return cb_err_hint(
			err, CB_ERR_INPUT, "a Dockerfile can clear entrypoint, cmd, healthcheck, user and workdir");
	}
	if (from->reset & CB_RESET_ENTRYPOINT && !(from->reset & CB_RESET_CMD) && !sets_command(stage)) {
		cb_err_at(err, CB_ERR_INPUT, from->reset_at.line, from->reset_at.col,
			"no plain instruction can clear entrypoint of the base and keep its cmd");
		return cb_err_hint(err, CB_ERR_INPUT, "add cmd to --reset, or a CMD to the stage");
	}
	return 0;
}

static void add_from(struct flattener *f, const struct cb_node *node)
{
	cb_buf_adds(f->out, "FROM");
	for (size_t i = 0; i < node->flags.n; i++)
		if (!cb_str_eq(node->flags.v[i].s, "--reset") && !cb_str_starts(node->flags.v[i].s, "--reset="))
			cb_buf_addf(f->out, " %s", node->flags.v[i].s);
	for (size_t i = 0; i < node->args.n; i++)
		cb_buf_addf(f->out, " %s", node->args.v[i].s);
	cb_buf_addc(f->out, '\n');
}

/* The FROM of @stage, whose lines are @rd's next ones, without --reset but with its effect. */
static int write_reset(struct reading *rd, const struct cb_stage *stage, struct cb_err **err)
{
	const struct cb_from *from = &stage->from->from;
	bool scratch = cb_str_eq(from->image.s, "scratch");
	struct cb_phys_line line;
	int r = scratch ? 0 : check_reset(stage, err);

	while (r == 0 && rd->reader.line < stage->from->node->end_line - rd->source->base) {
		r = cb_line_reader_next(&rd->reader, &line, err);
		if (r == 0 && is_comment(&line))
			add_line(rd->f->out, &line);
	}
	if (r < 0)
		return r;
	add_from(rd->f, stage->from->node);
	for (size_t i = 0; i < ARRAY_SIZE(parts) && !scratch; i++)
		if (from->reset & parts[i].part)
			cb_buf_addf(rd->f->out, "%s\n", parts[i].plain);
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static int write_source(struct flattener *f, const struct cb_source_file *source, struct cb_err **err);

static const struct cb_source_file *included_by(const struct cb_buildfile *file, const struct cb_node *node)
{
	for (size_t i = 0; i < file->n_sources; i++)
		if (file->sources[i].include == node)
			return &file->sources[i];
	return NULL;
}

static int write_include(struct reading *rd, const struct cb_node *node, struct cb_err **err)
{
	struct flattener *f = rd->f;
	const struct cb_source_file *source = included_by(f->file, node);
	struct cb_phys_line line;
	int r = 0;

	while (r == 0 && rd->reader.line < node->end_line - rd->source->base) {
		r = cb_line_reader_next(&rd->reader, &line, err);
		if (r == 0 && is_comment(&line))
			add_line(f->out, &line);
	}
	/* What follows must not become a directive. */
	if (f->out->len == f->start)
		cb_buf_addc(f->out, '\n');
	return r < 0 || !source ? CB_MIN(r, 0) : write_source(f, source, err);
}

static int write_node(struct reading *rd, const struct cb_node *node, struct cb_err **err)
{
	struct flattener *f = rd->f;
	unsigned int base = rd->source->base, last = node->map->v[node->map->n - 1].line;
	struct cb_phys_line line;

	f->node++;
	rd->directives.done = true;
	if (node->kw == CB_KW_INCLUDE)
		return write_include(rd, node, err);
	if (node->kw == CB_KW_FROM && f->file->stages[f->stage++].from->from.reset_at.s)
		return write_reset(rd, &f->file->stages[f->stage - 1], err);
	while (rd->reader.line < node->end_line - base) {
		int r = cb_line_reader_next(&rd->reader, &line, err);

		if (r != 0)
			return CB_MIN(r, 0);
		if (rd->reader.line + base == last && !node->n_heredocs)
			r = add_last_piece(f, &line, last, err);
		else
			add_line(f->out, &line);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A line between instructions. The directives of an included file were for that file. */
static int write_between(struct reading *rd, struct cb_err **err)
{
	struct cb_phys_line line;
	int r = cb_line_reader_next(&rd->reader, &line, err);

	if (r != 0)
		return r;
	if (rd->source->include &&
		cb_directive_line(&rd->directives, cb_span_trim_left(line.text), rd->reader.line, 1, NULL) != 0)
		return 0;
	add_line(rd->f->out, &line);
	return 0;
}

/* The depth of this recursion is bounded by CB_INCLUDE_DEPTH_MAX. */
static int write_source(struct flattener *f, const struct cb_source_file *source, struct cb_err **err)
{
	struct cb_directives found = { .escape = '\\' };
	struct reading rd = { .f = f, .source = source, .directives = { .arena = f->file->arena, .found = &found } };
	int r = cb_line_reader_init(&rd.reader, source->data, source->len, err);

	while (r == 0) {
		const struct cb_node *node = f->node < f->file->n_nodes ? f->file->nodes[f->node] : NULL;

		if (node && node->line == source->base + rd.reader.line + 1)
			r = write_node(&rd, node, err);
		else
			r = write_between(&rd, err);
	}
	return CB_MIN(r, 0);
}

int cb_flatten(const struct cb_buildfile *file, struct cb_buf *out, struct cb_err **err)
{
	struct flattener f = { .file = file, .out = out, .start = out->len };

	assert(file && file->n_sources);

	return write_source(&f, &file->sources[0], err);
}
