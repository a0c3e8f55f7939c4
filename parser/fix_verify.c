#include "parser/fix_verify.h"

#include <string.h>

#include "base/strv.h"
#include "parser/expand.h"

char *cb_fix_author(const struct cb_node *node)
{
	const char *text = node->args.v[1].s;
	size_t len = strlen(text);

	if (len > 2 && *text == '"' && text[len - 1] == '"' && strcspn(text + 1, "\"\\`") == len - 2)
		return cb_xstrndup(text + 1, len - 2);
	return cb_xstrdup(text);
}

/* A value that shows whether an expansion was quoted, and where it stood. */
static const char *odd_value(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return " \"a' b\\";
}

static bool same_when(const struct cb_expand *how, const char *a, const char *b)
{
	cleanup_free char *x = NULL, *y = NULL;
	int r = cb_expand_word(a, how, &x, NULL);

	return r == cb_expand_word(b, how, &y, NULL) && (r < 0 || !strcmp(x, y));
}

static bool same_value(const char *a, const char *b, char escape)
{
	struct cb_expand unset = { .escape = escape }, set = { .escape = escape, .get = odd_value };

	return !strcmp(a, b) || (same_when(&unset, a, b) && same_when(&set, a, b));
}

static bool same_texts(const struct cb_texts *a, const struct cb_texts *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].s, b->v[i].s) != 0)
			return false;
	return true;
}

/* Everything but keyword and arguments. */
static bool same_frame(const struct cb_node *a, const struct cb_node *b)
{
	if (a->json != b->json || a->n_heredocs != b->n_heredocs || !same_texts(&a->flags, &b->flags) ||
		!same_texts(&a->comments, &b->comments))
		return false;
	for (size_t i = 0; i < a->n_heredocs; i++)
		if (a->heredocs[i].len != b->heredocs[i].len ||
			memcmp(a->heredocs[i].content, b->heredocs[i].content, a->heredocs[i].len) != 0)
			return false;
	return true;
}

static bool same_pairs(const struct cb_instr *a, const struct cb_instr *b, char escape)
{
	if (a->pairs.n != b->pairs.n)
		return false;
	for (size_t i = 0; i < a->pairs.n; i++)
		if (strcmp(a->pairs.v[i].key.s, b->pairs.v[i].key.s) != 0 ||
			!same_value(a->pairs.v[i].value.s, b->pairs.v[i].value.s, escape))
			return false;
	return true;
}

static bool is_author(const struct cb_instr *a, const struct cb_instr *b, char escape)
{
	struct cb_expand how = { .escape = escape, .get = odd_value };
	cleanup_free char *author = cb_fix_author(a->node), *value = NULL;

	return b->kw == CB_KW_LABEL && b->pairs.n == 1 && !strcmp(b->pairs.v[0].key.s, CB_FIX_AUTHORS) &&
	       cb_expand_word(b->pairs.v[0].value.s, &how, &value, NULL) == 0 && !strcmp(author, value);
}

static bool same_instr(const struct cb_instr *a, const struct cb_instr *b, char escape)
{
	if (!same_frame(a->node, b->node))
		return false;
	if (a->kw == CB_KW_MAINTAINER && b->kw != CB_KW_MAINTAINER)
		return is_author(a, b, escape);
	if (a->kw != b->kw)
		return false;
	if ((a->kw == CB_KW_ENV || a->kw == CB_KW_LABEL) && a->pairs.legacy != b->pairs.legacy)
		return same_pairs(a, b, escape);
	if (a->kw == CB_KW_FROM)
		return cb_str_eq(a->from.image.s, b->from.image.s) && cb_str_eq(a->from.name.s, b->from.name.s) &&
		       cb_str_eq(a->from.platform.s, b->from.platform.s);
	return !strcmp(a->node->rest, b->node->rest);
}

static bool same_stage(const struct cb_stage *a, const struct cb_stage *b, char escape)
{
	if (a->n_instrs != b->n_instrs || !same_instr(a->from, b->from, escape))
		return false;
	for (size_t i = 0; i < a->n_instrs; i++)
		if (!same_instr(&a->instrs[i], &b->instrs[i], escape))
			return false;
	return true;
}

static bool same_file(const struct cb_buildfile *a, const struct cb_buildfile *b)
{
	char escape = a->directives.escape;

	if (escape != b->directives.escape || a->n_nodes != b->n_nodes || a->n_globals != b->n_globals ||
		a->n_stages != b->n_stages || !cb_str_eq(a->directives.check.s, b->directives.check.s) ||
		!cb_str_eq(a->directives.syntax.s, b->directives.syntax.s))
		return false;
	for (size_t i = 0; i < a->n_globals; i++)
		if (!same_instr(&a->globals[i], &b->globals[i], escape))
			return false;
	for (size_t i = 0; i < a->n_stages; i++)
		if (!same_stage(&a->stages[i], &b->stages[i], escape))
			return false;
	return true;
}

bool cb_fix_same_pair(const struct cb_node *before, const char *line, size_t len, char escape)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *after = NULL;
	const struct cb_node *node;

	if (cb_parse_nodes(line, len, &after, NULL) < 0 || after->n_nodes != 1)
		return false;
	node = after->nodes[0];
	return node->kw == before->kw && node->args.n == before->args.n && node->args.n == 3 &&
	       !strcmp(node->args.v[0].s, before->args.v[0].s) &&
	       same_value(node->args.v[1].s, before->args.v[1].s, escape);
}

int cb_fix_verify(const struct cb_buildfile *before, const char *data, size_t len, struct cb_err **err)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *after = NULL;
	int r = cb_parse(data, len, &after, err);

	if (r < 0)
		return cb_err_wrap(err, CB_ERR_INTERNAL, "the mended file");
	if (!same_file(before, after))
		return cb_err_set(
			err, CB_ERR_INTERNAL, "mending would change what the file means; nothing was written");
	return 0;
}
