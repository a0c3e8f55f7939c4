/* Compares trees. */
#include "parser/sametree.h"

#include <assert.h>
#include <string.h>

#include "base/strv.h"
#include "parser/shelltext.h"

static bool same_texts(const struct cb_texts *a, const struct cb_texts *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!cb_str_eq(a->v[i].s, b->v[i].s))
			return false;
	return true;
}

static bool same_heredocs(const struct cb_node *a, const struct cb_node *b)
{
	if (a->n_heredocs != b->n_heredocs)
		return false;
	for (size_t i = 0; i < a->n_heredocs; i++) {
		const struct cb_heredoc *x = &a->heredocs[i], *y = &b->heredocs[i];

		if (!cb_str_eq(x->name, y->name) || x->len != y->len || memcmp(x->content, y->content, x->len) != 0 ||
			x->expand != y->expand || x->chomp != y->chomp || x->fd != y->fd)
			return false;
	}
	return true;
}

static bool same_args(const struct cb_node *a, const struct cb_node *b)
{
	if (a->kw == CB_KW_RUN && !a->json && a->args.n == 1 && b->args.n == 1)
		return cb_shell_same(a->args.v[0].s, b->args.v[0].s);
	if (a->kw == CB_KW_FROM && a->args.n == 3 && b->args.n == 3 && cb_str_ieq(a->args.v[1].s, "as"))
		return cb_str_eq(a->args.v[0].s, b->args.v[0].s) && cb_str_ieq(a->args.v[1].s, b->args.v[1].s) &&
		       cb_str_eq(a->args.v[2].s, b->args.v[2].s);
	return same_texts(&a->args, &b->args);
}

/* What an ONBUILD keeps for later: its text, not its meaning. */
static bool same_stored(const struct cb_node *a, const struct cb_node *b)
{
	if (!a || !b)
		return a == b;
	return cb_str_eq(a->original, b->original) && same_texts(&a->flags, &b->flags) &&
	       same_texts(&a->args, &b->args);
}

static bool same_node(const struct cb_node *a, const struct cb_node *b)
{
	if (a->kw != b->kw || a->json != b->json)
		return false;
	if (a->kw == CB_KW_UNKNOWN && !cb_str_eq(a->original, b->original))
		return false;
	return same_texts(&a->flags, &b->flags) && same_args(a, b) && same_heredocs(a, b) &&
	       same_stored(a->child, b->child) && same_texts(&a->comments, &b->comments);
}

bool cb_same_tree(const struct cb_buildfile *a, const struct cb_buildfile *b, unsigned int *ret_line)
{
	size_t n = CB_MIN(a->n_nodes, b->n_nodes);

	assert(ret_line);

	*ret_line = 1;
	if (a->directives.escape != b->directives.escape ||
		!cb_str_eq(a->directives.syntax.s, b->directives.syntax.s) ||
		!cb_str_eq(a->directives.check.s, b->directives.check.s))
		return false;
	for (size_t i = 0; i < n; i++) {
		*ret_line = a->nodes[i]->line;
		if (!same_node(a->nodes[i], b->nodes[i]))
			return false;
	}
	return a->n_nodes == b->n_nodes;
}
