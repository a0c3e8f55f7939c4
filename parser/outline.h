/*
 * What a build can be given: the arguments, secrets and ssh agents that a target uses, with their descriptions.
 *
 * A description is the comment "# NAME text" directly above ARG or FROM.
 */
#ifndef CB_PARSER_OUTLINE_H
#define CB_PARSER_OUTLINE_H

#include "parser/check.h"

struct cb_outline_item {
	char *name;
	char *value;       /* of an argument that has one; else NULL */
	char *description; /* or NULL */
	bool required;     /* of secrets and ssh */
	unsigned int line; /* of the tree */
};

struct cb_outline_list {
	struct cb_outline_item *v;
	size_t n, cap;
};

/** Each list has a name once, in the order of the file. */
struct cb_outline {
	struct cb_outline_list args, secrets, ssh;
};

void cb_outline_done(struct cb_outline *outline);
#define cleanup_outline __attribute__((cleanup(cb_outline_done)))

/** Fills a zeroed @ret for @options->target, or the last stage. */
int cb_outline(const struct cb_buildfile *file, const struct cb_check_options *options, struct cb_outline *ret,
	struct cb_err **err);
/** The text behind "NAME " in the comments above @node, or NULL. Borrowed. */
const char *cb_outline_description(const struct cb_node *node, const char *name);

/** Adds @name, or the value, description and need that an earlier entry of it lacks. For the walk of checks. */
void cb_outline_add(struct cb_outline_list *list, const struct cb_outline_item *item);

#endif
