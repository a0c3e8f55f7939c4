/* Typed instructions: the small ones, and the table of all. */
#include "parser/instr.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/strv.h"
#include "parser/chars.h"
#include "parser/flags.h"
#include "parser/heredoc.h"
#include "parser/jsonform.h"

int cb_instr_err(struct cb_err **err, const struct cb_node *node, const char *fmt, ...)
{
	const struct cb_text *at = node->args.n && node->args.v[0].line ? &node->args.v[0] : NULL;
	cleanup_free char *msg = NULL;
	va_list ap;

	va_start(ap, fmt);
	msg = cb_xvasprintf(fmt, ap);
	va_end(ap);
	return cb_err_at(err, CB_ERR_INPUT, at ? at->line : node->line, at ? at->col : node->col, "%s", msg);
}

static int no_flags(struct cb_arena *arena, const struct cb_node *node, struct cb_err **err)
{
	return cb_flags_check(arena, node, NULL, 0, err);
}

static int at_least_one(const struct cb_node *node, struct cb_err **err)
{
	if (node->args.n > 0)
		return 0;
	return cb_instr_err(err, node, "%s requires at least one argument", cb_keyword_upper(node->kw));
}

static int exactly_one(const struct cb_node *node, struct cb_err **err)
{
	if (node->args.n > 0)
		return 0;
	return cb_instr_err(err, node, "%s requires exactly one argument", cb_keyword_upper(node->kw));
}

static int blank_name(const struct cb_node *node, const struct cb_text *at, struct cb_err **err)
{
	return cb_err_at(
		err, CB_ERR_INPUT, at->line, at->col, "%s: the name before \"=\" is blank", cb_keyword_upper(node->kw));
}

/* ENV, LABEL */
static int init_pairs(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	const struct cb_node *node = ret->node;
	size_t n = node->args.n / 3;
	struct cb_pair *v;
	int r;

	(void)docs;
	r = no_flags(arena, node, err);
	if (r == 0)
		r = at_least_one(node, err);
	if (r < 0)
		return r;

	v = cb_arena_alloc(arena, n * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[i] = (struct cb_pair){ node->args.v[3 * i], node->args.v[3 * i + 1] };
		if (*v[i].key.s == '\0')
			return blank_name(node, &v[i].key, err);
	}
	ret->pairs.v = v;
	ret->pairs.n = n;
	ret->pairs.legacy = *node->args.v[2].s == '\0';
	return 0;
}

/* ARG: flags are never looked at. */
static int init_arg(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	const struct cb_node *node = ret->node;
	struct cb_pair *v;
	int r = at_least_one(node, err);

	(void)docs;
	if (r < 0)
		return r;

	v = cb_arena_alloc(arena, node->args.n * sizeof(*v));
	for (size_t i = 0; i < node->args.n; i++) {
		const struct cb_text *word = &node->args.v[i];
		size_t len = strcspn(word->s, "=");

		if (word->s[len] == '\0') {
			v[i].key = *word;
			continue;
		}
		if (len == 0)
			return blank_name(node, word, err);
		v[i].key = (struct cb_text){ cb_arena_strndup(arena, word->s, len), word->line, word->col };
		v[i].value = (struct cb_text){ word->s + len + 1, word->line, word->col + (unsigned int)len + 1 };
	}
	ret->pairs.v = v;
	ret->pairs.n = node->args.n;
	return 0;
}

/* CMD, ENTRYPOINT */
static int init_command(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	(void)docs;
	ret->command.shell = !ret->node->json;
	ret->command.argv = ret->node->args;
	return no_flags(arena, ret->node, err);
}

/* USER, WORKDIR */
static int init_text(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	int r = exactly_one(ret->node, err);

	(void)docs;
	if (r < 0)
		return r;
	ret->text = ret->node->args.v[0];
	return no_flags(arena, ret->node, err);
}

/* STOPSIGNAL: flags are never looked at. */
static int init_stopsignal(
	struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	int r = exactly_one(ret->node, err);

	(void)arena;
	(void)docs;
	if (r == 0)
		ret->text = ret->node->args.v[0];
	return r;
}

static int init_maintainer(
	struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	int r = exactly_one(ret->node, err);

	(void)docs;
	if (r < 0)
		return r;
	ret->text = ret->node->args.v[1];
	return no_flags(arena, ret->node, err);
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(((const struct cb_text *)a)->s, ((const struct cb_text *)b)->s);
}

/* Room for as many words as there are arguments. */
static int new_words(struct cb_instr *ret, struct cb_arena *arena, struct cb_err **err)
{
	const struct cb_texts *args = &ret->node->args;
	int r = at_least_one(ret->node, err);

	if (r == 0)
		r = no_flags(arena, ret->node, err);
	if (r < 0)
		return r;
	ret->words.n = args->n;
	ret->words.v = cb_arena_alloc(arena, args->n * sizeof(*args->v));
	return 0;
}

/* EXPOSE: the words in bytewise order, as they appear in the history. */
static int init_expose(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	const struct cb_texts *args = &ret->node->args;
	int r = new_words(ret, arena, err);

	(void)docs;
	if (r < 0)
		return r;
	memcpy(ret->words.v, args->v, args->n * sizeof(*args->v));
	qsort(ret->words.v, args->n, sizeof(*args->v), compare_words);
	return 0;
}

static int init_volume(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	const struct cb_texts *args = &ret->node->args;
	int r = new_words(ret, arena, err);

	(void)docs;
	if (r < 0)
		return r;
	for (size_t i = 0; i < args->n; i++) {
		struct cb_span s = cb_span_trim(cb_span_str(args->v[i].s));

		ret->words.v[i] = args->v[i];
		ret->words.v[i].s = cb_arena_strndup(arena, s.p, cb_span_len(s));
		if (cb_span_empty(s))
			return cb_err_at(
				err, CB_ERR_INPUT, args->v[i].line, args->v[i].col, "VOLUME cannot be an empty string");
	}
	return 0;
}

static int init_shell(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	const struct cb_node *node = ret->node;
	int r = no_flags(arena, node, err);

	(void)docs;
	if (r == 0)
		r = at_least_one(node, err);
	if (r < 0)
		return r;
	if (!node->json) {
		cb_instr_err(err, node, "SHELL requires the arguments to be in JSON form");
		return cb_err_hint(err, CB_ERR_INPUT, "for example SHELL [\"/bin/sh\", \"-c\"]");
	}
	ret->words = node->args;
	return 0;
}

static int init_from(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	(void)docs;
	return cb_instr_from(ret, arena, err);
}

static int init_health(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	(void)docs;
	return cb_instr_health(ret, arena, err);
}

/* The text that is stored for later: the line behind the keyword, with bodies and terminators. */
static struct cb_text onbuild_text(struct cb_arena *arena, const struct cb_node *node)
{
	cleanup_buf struct cb_buf out = { 0 };
	struct cb_span line = cb_span_str(node->original);
	struct cb_text text = { .line = node->child->line, .col = node->child->col };

	line = cb_span_trim_left(line);
	line.p += strlen("ONBUILD");
	line = cb_span_trim_left(line);
	cb_buf_add(&out, line.p, cb_span_len(line));
	for (size_t i = 0; i < node->n_heredocs; i++) {
		cb_buf_addc(&out, '\n');
		cb_buf_add(&out, node->heredocs[i].content, node->heredocs[i].len);
		cb_buf_adds(&out, node->heredocs[i].name);
	}
	text.s = cb_arena_strndup(arena, cb_buf_str(&out), out.len);
	return text;
}

static int init_onbuild(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	const struct cb_node *node = ret->node, *child = node->child;
	struct cb_instr *trigger;
	int r = no_flags(arena, node, err);

	if (r < 0)
		return r;
	if (!child)
		return cb_instr_err(err, node, "ONBUILD requires at least one argument");
	if (child->kw == CB_KW_ONBUILD)
		return cb_instr_err(err, child, "ONBUILD cannot be the trigger of ONBUILD");
	if (child->kw == CB_KW_FROM || child->kw == CB_KW_MAINTAINER || child->kw == CB_KW_INCLUDE)
		return cb_err_at(err, CB_ERR_INPUT, child->line, child->col, "%s isn't allowed as an ONBUILD trigger",
			cb_keyword_upper(child->kw));

	trigger = cb_arena_alloc(arena, sizeof(*trigger));
	r = cb_instr_init(trigger, arena, child, docs, err);
	if (r < 0)
		return r;
	ret->onbuild.text = onbuild_text(arena, node);
	ret->onbuild.child = trigger;
	return 0;
}

/* Those that are followed never get here. */
static int init_include(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	(void)arena;
	(void)docs;
	cb_err_at(err, CB_ERR_INPUT, ret->node->line, ret->node->col, "INCLUDE cannot be used here");
	return cb_err_hint(err, CB_ERR_INPUT, "files are included only when a build context is known");
}

static int (*const inits[CB_KW_MAX_])(
	struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err) = {
	[CB_KW_ADD] = cb_instr_copy,
	[CB_KW_ARG] = init_arg,
	[CB_KW_CMD] = init_command,
	[CB_KW_COPY] = cb_instr_copy,
	[CB_KW_ENTRYPOINT] = init_command,
	[CB_KW_ENV] = init_pairs,
	[CB_KW_EXPOSE] = init_expose,
	[CB_KW_FROM] = init_from,
	[CB_KW_HEALTHCHECK] = init_health,
	[CB_KW_INCLUDE] = init_include,
	[CB_KW_LABEL] = init_pairs,
	[CB_KW_MAINTAINER] = init_maintainer,
	[CB_KW_ONBUILD] = init_onbuild,
	[CB_KW_RUN] = cb_instr_run,
	[CB_KW_SHELL] = init_shell,
	[CB_KW_STOPSIGNAL] = init_stopsignal,
	[CB_KW_USER] = init_text,
	[CB_KW_VOLUME] = init_volume,
	[CB_KW_WORKDIR] = init_text,
};

/* What no program and no file name can hold. */
static int check_nul(const struct cb_node *node, struct cb_err **err)
{
	for (size_t i = 0; node->json && i < node->args.n; i++) {
		if (strstr(node->args.v[i].s, CB_JSON_NUL))
			return cb_err_at(err, CB_ERR_INPUT, node->args.v[i].line, node->args.v[i].col,
				"a NUL character cannot be part of an argument");
	}
	return 0;
}

int cb_instr_init(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *node, const struct cb_node *docs,
	struct cb_err **err)
{
	assert(ret);
	assert(arena);
	assert(node && docs);

	*ret = (struct cb_instr){ .kw = node->kw, .node = node };
	if (node->kw == CB_KW_UNKNOWN) {
		cb_err_at(err, CB_ERR_INPUT, node->line, node->col, "unknown instruction: \"%.100s\"", node->word);
		return cb_keyword_unknown(err, CB_ERR_INPUT, node->word);
	}
	if (check_nul(node, err) < 0)
		return CB_ERR_INPUT;
	return inits[node->kw](ret, arena, docs, err);
}
