/* Rules about FROM lines and the arguments that they use. */
#include <stdlib.h>
#include <string.h>

#include "parser/checker.h"

/* No name worth a suggestion is longer, and comparing them costs its square. */
#define NAME_MAX_ 128
#define CANDIDATES_MAX 10000

static bool is_reference(const struct checker *c, const char *text)
{
	return *text && (!c->options->is_reference || c->options->is_reference(text));
}

/* As if no build argument were given. */
static void check_defaults(struct checker *c)
{
	struct cb_strv none = { 0 };
	struct cb_globals defaults;

	cb_globals_init(&defaults, &none, &c->options->platforms, c->file->directives.escape);
	if (cb_globals_eval(&defaults, c->file->globals, c->file->n_globals, NULL) == 0) {
		for (size_t i = 0; i < c->file->n_stages; i++) {
			const struct cb_stage *stage = &c->file->stages[i];
			cleanup_free char *name = NULL;

			if (cb_globals_expand(&defaults, stage->base, &name, NULL) == 0 && !is_reference(c, name))
				check_report(c, CB_RULE_INVALID_DEFAULT_ARG_IN_FROM, stage->from->node,
					"Default value for ARG %s results in empty or invalid base image name",
					stage->base.s);
		}
	}
	cb_globals_done(&defaults);
}

static bool declared(const struct checker *c, const char *name)
{
	for (size_t i = 0; i < c->file->n_globals; i++)
		for (size_t k = 0; k < c->file->globals[i].pairs.n; k++)
			if (!strcmp(c->file->globals[i].pairs.v[k].key.s, name))
				return true;
	return false;
}

static char *suggestion(const struct checker *c, const char *name)
{
	cleanup_strv struct cb_strv names = { 0 };

	if (strlen(name) > NAME_MAX_)
		return NULL;
	for (size_t i = 0; i < c->globals.values.n && names.n < CANDIDATES_MAX; i++)
		cb_strv_addn(&names, c->globals.values.v[i], strcspn(c->globals.values.v[i], "="));
	for (size_t i = 0; i < c->file->n_globals; i++)
		for (size_t k = 0; k < c->file->globals[i].pairs.n && names.n < CANDIDATES_MAX; k++)
			cb_strv_add(&names, c->file->globals[i].pairs.v[k].key.s);
	return cb_xstrdup_null(cb_str_nearest(name, (const char *const *)names.v, names.n));
}

static void check_unset(struct checker *c, const struct cb_node *node)
{
	for (size_t i = 0; i < c->unset.n; i++) {
		const char *name = c->unset.v[i];
		cleanup_free char *near = NULL;

		if (declared(c, name))
			continue;
		near = suggestion(c, name);
		check_report(c, CB_RULE_UNDEFINED_ARG_IN_FROM, node, "FROM argument '%s' is not declared%s%s%s", name,
			near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
}

static void check_constant(struct checker *c, const struct cb_stage *stage, const char *platform)
{
	cleanup_free char *os = NULL, *arch = NULL;

	if (!c->options->split_platform || !c->options->split_platform(platform, &os, &arch))
		return;
	if (stage->name && (strstr(stage->name, os) || strstr(stage->name, arch)))
		return;
	check_report(c, CB_RULE_FROM_PLATFORM_FLAG_CONST_DISALLOWED, stage->from->node,
		"FROM --platform flag should not use constant value \"%s\"", platform);
}

static int check_platform(struct checker *c, struct check_stage *at, struct cb_err **err)
{
	const struct cb_stage *stage = at->stage;
	cleanup_strv struct cb_strv used = { 0 };
	cleanup_free char *value = NULL;
	const char *target;
	int r;

	if (!stage->platform.s)
		return 0;
	cb_strv_done(&c->unset);
	c->globals.used = &used;
	r = cb_globals_expand(&c->globals, stage->platform, &value, err);
	c->globals.used = NULL;
	for (size_t i = 0; i < used.n; i++)
		cb_strv_add(&at->used, used.v[i]);
	check_unset(c, stage->from->node);
	if (r < 0)
		return r;
	if (!used.n && !c->unset.n)
		check_constant(c, stage, value);
	at->platform = cb_xstrdup(value);
	target = cb_env_get(&c->globals.values, "TARGETPLATFORM");
	if (used.n == 1 && !c->unset.n && !strcmp(used.v[0], "TARGETPLATFORM") && cb_str_eq(value, target))
		check_report(c, CB_RULE_REDUNDANT_TARGET_PLATFORM, stage->from->node,
			"Setting platform to predefined %s in FROM is redundant as this is the default behavior",
			stage->platform.s);
	return 0;
}

static void take_base(struct checker *c, struct check_stage *stage, const char *name)
{
	bool context = c->options->is_context && c->options->is_context(c->options->arg, name);

	stage->base = context ? NULL : cb_map_get(c->names, name);
	stage->base_known = stage->base ? stage->base->base_known : !strcmp(name, "scratch");
	if (!stage->base && !context && strcmp(name, "scratch") != 0 && !c->unset.n)
		check_pinned(c, stage->stage->from->node, name);
}

int check_from_lines(struct checker *c, struct cb_err **err)
{
	int r;

	check_defaults(c);
	r = cb_globals_eval(&c->globals, c->file->globals, c->file->n_globals, err);
	if (r < 0)
		return r;
	c->globals.unset = &c->unset;
	for (size_t i = 0; i < c->file->n_stages && r == 0; i++) {
		struct check_stage *stage = &c->stages[i];
		cleanup_free char *name = NULL;

		stage->stage = &c->file->stages[i];
		cb_strv_done(&c->unset);
		c->globals.used = &stage->used;
		r = cb_globals_expand(&c->globals, stage->stage->base, &name, err);
		c->globals.used = NULL;
		check_unset(c, stage->stage->from->node);
		if (r < 0)
			break;
		take_base(c, stage, name);
		stage->image = CB_TAKE_PTR(name);
		r = check_platform(c, stage, err);
		if (stage->stage->name)
			cb_map_set(c->names, stage->stage->name, stage);
	}
	c->globals.unset = NULL;
	return r;
}
