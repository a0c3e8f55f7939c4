/* Outlines: the walk of the checks gathers them. */
#include "parser/outline.h"

#include <stdlib.h>
#include <string.h>

static void list_done(struct cb_outline_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].name);
		free(list->v[i].value);
		free(list->v[i].description);
	}
	free(list->v);
	*list = (struct cb_outline_list){ 0 };
}

void cb_outline_done(struct cb_outline *outline)
{
	list_done(&outline->args);
	list_done(&outline->secrets);
	list_done(&outline->ssh);
}

const char *cb_outline_description(const struct cb_node *node, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < node->comments.n; i++) {
		const char *comment = node->comments.v[i].s;

		if (!strncmp(comment, name, len) && comment[len] == ' ')
			return comment + len + 1 + strspn(comment + len + 1, " ");
	}
	return NULL;
}

void cb_outline_add(struct cb_outline_list *list, const struct cb_outline_item *item)
{
	struct cb_outline_item *found = NULL;

	for (size_t i = 0; i < list->n && !found; i++)
		if (!strcmp(list->v[i].name, item->name))
			found = &list->v[i];
	if (!found) {
		CB_GROW(list->v, list->cap, list->n + 1);
		found = &list->v[list->n++];
		*found = (struct cb_outline_item){ .name = cb_xstrdup(item->name), .line = item->line };
	}
	if (!found->value)
		found->value = cb_xstrdup_null(item->value);
	if (!found->description)
		found->description = cb_xstrdup_null(item->description);
	found->required |= item->required;
}

int cb_outline(const struct cb_buildfile *file, const struct cb_check_options *options, struct cb_outline *ret,
	struct cb_err **err)
{
	cleanup_findings struct cb_findings findings = { 0 };
	struct cb_check_options walk = *options;
	const struct cb_stage *last = &file->stages[file->n_stages - 1];

	walk.outline = ret;
	/* A stage without a name is asked for by its place. */
	if (!walk.target)
		walk.target_index = last->index + 1;
	return cb_check(file, &walk, &findings, err);
}
