/* Logical lines. */
#include "parser/lexer.h"

#include <assert.h>
#include <string.h>

#include "parser/chars.h"

int cb_lexer_init(struct cb_lexer *lexer, struct cb_arena *arena, const char *data, size_t len,
	struct cb_directives *directives, struct cb_err **err)
{
	assert(lexer);
	assert(arena);
	assert(directives);

	*lexer = (struct cb_lexer){ .arena = arena, .directives = directives };
	lexer->reader = (struct cb_directive_reader){ .arena = arena, .found = directives };
	return cb_line_reader_init(&lexer->src, data, len, err);
}

void cb_lexer_done(struct cb_lexer *lexer)
{
	cb_buf_done(&lexer->text);
	free(lexer->pieces);
	free(lexer->comments);
	lexer->pieces = NULL;
	lexer->comments = NULL;
}

static bool is_comment(struct cb_span text)
{
	return cb_span_peek(cb_span_trim_left(text), 0) == '#';
}

/* Keeps the comment @text (white space at its start gone, "#" first) for the next instruction. */
static void add_comment(struct cb_lexer *lexer, struct cb_span text, unsigned int col)
{
	struct cb_span body = cb_span_trim((struct cb_span){ text.p + 1, text.end });

	if (cb_span_empty(body)) {
		lexer->n_comments = 0;
		return;
	}
	CB_GROW(lexer->comments, lexer->cap_comments, lexer->n_comments + 1);
	lexer->comments[lexer->n_comments++] = (struct cb_text){
		.s = cb_arena_strndup(lexer->arena, body.p, cb_span_len(body)),
		.line = lexer->src.line,
		.col = col + (unsigned int)(body.p - text.p),
	};
}

/* Cuts the escape character and blanks that continue the line off the end of *text; false when there are none. */
static bool cut_continuation(struct cb_span *text, char escape)
{
	const char *end = text->end;

	while (end > text->p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (end == text->p || end[-1] != escape)
		return false;
	end--;
	/* An escaped escape character is data; this asks for the one byte before only, as BuildKit does. */
	if (end > text->p && end[-1] == escape)
		return false;
	text->end = end;
	return true;
}

static void add_piece(struct cb_lexer *lexer, struct cb_span text, unsigned int col)
{
	CB_GROW(lexer->pieces, lexer->cap_pieces, lexer->n_pieces + 1);
	lexer->pieces[lexer->n_pieces++] = (struct cb_line_piece){ lexer->text.len, lexer->src.line, col };
	cb_buf_add(&lexer->text, text.p, cb_span_len(text));
}

/* Reads the lines that continue the logical line. */
static int read_rest(struct cb_lexer *lexer, struct cb_err **err)
{
	struct cb_phys_line line;
	int r;

	while ((r = cb_line_reader_next(&lexer->src, &line, err)) == 0) {
		bool continues;

		if (is_comment(line.text))
			continue;
		if (cb_span_blank(line.text)) {
			lexer->empty_continuation = true;
			continue;
		}
		continues = cut_continuation(&line.text, lexer->directives->escape);
		add_piece(lexer, line.text, 1);
		if (!continues)
			break;
	}
	return CB_MIN(r, 0);
}

int cb_lexer_next(struct cb_lexer *lexer, struct cb_err **err)
{
	struct cb_phys_line line;
	int r;

	assert(lexer);

	cb_buf_clear(&lexer->text);
	lexer->n_pieces = 0;
	lexer->empty_continuation = false;
	while ((r = cb_line_reader_next(&lexer->src, &line, err)) == 0) {
		struct cb_span text = cb_span_trim_left(line.text);
		unsigned int col = (unsigned int)(text.p - line.text.p) + 1;
		bool continues;

		r = cb_directive_line(&lexer->reader, text, lexer->src.line, col, err);
		if (r < 0)
			return r;
		if (r > 0 || cb_span_empty(text))
			continue;
		if (*text.p == '#') {
			add_comment(lexer, text, col);
			continue;
		}
		lexer->line = lexer->src.line;
		continues = cut_continuation(&text, lexer->directives->escape);
		add_piece(lexer, text, col);
		return continues ? read_rest(lexer, err) : 0;
	}
	return r;
}

const struct cb_linemap *cb_lexer_map(struct cb_lexer *lexer)
{
	struct cb_linemap *map = cb_arena_alloc(lexer->arena, sizeof(*map));
	struct cb_line_piece *v = cb_arena_alloc(lexer->arena, lexer->n_pieces * sizeof(*v));

	memcpy(v, lexer->pieces, lexer->n_pieces * sizeof(*v));
	*map = (struct cb_linemap){ .v = v, .n = lexer->n_pieces };
	return map;
}

struct cb_texts cb_lexer_comments(struct cb_lexer *lexer)
{
	struct cb_texts texts = { .n = lexer->n_comments };

	if (texts.n) {
		texts.v = cb_arena_alloc(lexer->arena, texts.n * sizeof(*texts.v));
		memcpy(texts.v, lexer->comments, texts.n * sizeof(*texts.v));
	}
	lexer->n_comments = 0;
	return texts;
}
