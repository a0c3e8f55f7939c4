#include "builder/plan.h"

#include <stdlib.h>
#include <string.h>

#include "builder/planner.h"
#include "layers/pull.h"

static bool has_implicit_source(const struct cb_planner *p)
{
	size_t own = p->stages[0].base.kind == FROM_BASE ? 1 : 0;

	return p->n_bases > own;
}

/* Equal instructions for two platforms have histories of their own. */
static const char *named_place(const struct cb_planner *p, const struct stage_plan *sp)
{
	char platform[CB_PLATFORM_TEXT_MAX];

	cb_platform_format(&sp->platform, platform);
	return cb_arena_printf(p->plan->graph.arena, "%s%s%s", platform, *sp->label ? " " : "", sp->label);
}

/* Steps of a file with one stage need no stage name. */
static void label_stages(struct cb_planner *p)
{
	bool alone = p->n_stages == 1 && !has_implicit_source(p);

	for (size_t i = 0; i < p->n_stages; i++) {
		struct stage_plan *sp = &p->stages[i];

		if (sp->stage->name)
			sp->label = sp->stage->name;
		else if (alone)
			sp->label = "";
		else
			sp->label = cb_arena_printf(p->plan->graph.arena, "stage-%u", sp->stage->index);
		sp->place = p->named ? named_place(p, sp) : sp->label;
	}
}

static const char *target_stage_name(const struct cb_plan_options *opts)
{
	const struct cb_stage *last = &opts->file->stages[opts->file->n_stages - 1];

	if (opts->settings->target)
		return opts->settings->target;
	return last->name ? last->name : "default";
}

static struct cb_planner *planner_new(
	const struct cb_plan_options *opts, const struct cb_platform *platform, struct cb_plan *plan)
{
	struct cb_planner *p = cb_new0(struct cb_planner);
	char target[CB_PLATFORM_TEXT_MAX], build[CB_PLATFORM_TEXT_MAX];
	struct cb_platform_args args = { target, build, target_stage_name(opts) };

	cb_platform_format(platform, target);
	cb_platform_format(&opts->build, build);
	p->opts = *opts;
	p->platform = *platform;
	p->named = opts->n_targets > 1;
	p->plan = plan;
	p->n_stages = opts->file->n_stages;
	p->stages = cb_newa0(struct stage_plan, p->n_stages);
	for (size_t i = 0; i < p->n_stages; i++)
		p->stages[i].stage = &opts->file->stages[i];
	cb_strv_copy(&p->build_args, &opts->settings->build_args);
	cb_globals_init(&p->globals, &p->build_args, &args, opts->file->directives.escape);
	return p;
}

static void planner_free(struct cb_planner *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_stages; i++) {
		struct stage_plan *sp = &p->stages[i];

		for (size_t k = 0; k < sp->triggers.n; k++)
			cb_buildfile_free(sp->triggers.v[k]);
		free(sp->triggers.v);
		cb_scope_done(&sp->scope);
		cb_imagestate_free(sp->state);
	}
	for (size_t i = 0; i < p->n_mounts; i++)
		cb_mount_free(p->mounts[i]);
	free(p->mounts);
	free(p->stages);
	free(p->bases);
	cb_globals_done(&p->globals);
	cb_strv_done(&p->build_args);
	free(p);
}

struct cb_plan *cb_plan_free(struct cb_plan *plan)
{
	if (!plan)
		return NULL;
	for (size_t i = 0; i < plan->n_targets; i++) {
		planner_free(plan->targets[i].planner);
		cb_imagestate_free(plan->targets[i].image);
	}
	free(plan->targets);
	for (size_t i = 0; i < plan->n_bases; i++)
		cb_image_free(plan->bases[i]->image);
	cb_graph_done(&plan->graph);
	cb_chain_set_free(plan->chains);
	cb_map_free(plan->known);
	free(plan->root);
	free(plan->bases);
	free(plan);
	return NULL;
}

/* --label: the last word on the image. */
static void add_labels(const struct cb_strv *labels, struct cb_imagestate *image)
{

	for (size_t i = 0; i < labels->n; i++) {
		const char *value = strchr(labels->v[i], '=');
		cleanup_free char *key = cb_xstrndup(labels->v[i], strcspn(labels->v[i], "="));

		cb_image_config_set_label(image->config, key, value ? value + 1 : "");
	}
}

/* What the Buildfile sees of SOURCE_DATE_EPOCH is seconds, whatever it was asked for as. */
static int plan_epoch(struct cb_planner *p, struct cb_err **err)
{
	struct cb_epoch_source source = { .file = p->opts.file,
		.globals = &p->globals,
		.contexts = p->opts.contexts,
		.target = &p->platform,
		.fetch = p->opts.fetch,
		.ctx = p->opts.ctx };
	struct cb_epoch *epoch = &p->plan->epoch;
	cleanup_free char *text = NULL;
	int r = cb_epoch_find(&source, epoch, err);

	if (r > 0 && !p->opts.settings->reproducible)
		return 0;
	if (r >= 0 && !epoch->set && p->opts.settings->reproducible)
		r = cb_epoch_fallback(&source, epoch, err);
	if (r < 0)
		return r;
	text = epoch->set ? cb_xasprintf("%lld", (long long)epoch->seconds) : cb_xstrdup("");
	if (cb_env_get(&p->build_args, CB_EPOCH_ARG))
		cb_env_set(&p->build_args, CB_EPOCH_ARG, text);
	cb_env_set(&p->globals.values, CB_EPOCH_ARG, text);
	return 0;
}

const struct cb_base *cb_plan_base(const struct cb_plan *plan, size_t at, unsigned int index)
{
	const struct cb_planner *p = plan->targets[at].planner;
	const struct stage_plan *sp = index < p->n_stages ? &p->stages[index] : NULL;

	return sp && sp->reachable && sp->base.kind == FROM_BASE ? sp->base.base : NULL;
}

static int plan_target(struct cb_plan_target *target, struct cb_err **err)
{
	struct cb_planner *p = target->planner;
	int r = 0;

	label_stages(p);
	/* Everything that a stage uses stands before it. */
	for (size_t i = 0; i < p->n_stages && r == 0; i++)
		if (p->stages[i].reachable)
			r = plan_stage(p, &p->stages[i], err);
	if (r < 0)
		return r;
	target->fs = p->target->fs;
	target->image = CB_TAKE_PTR(p->target->state);
	add_labels(&p->opts.settings->labels, target->image);
	p->plan->target_name = p->target->stage->name;
	return 0;
}

int cb_plan_new(const struct cb_plan_options *options, struct cb_plan **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_plan_free) struct cb_plan *plan = cb_new0(struct cb_plan);
	int r = 0;

	cb_graph_init(&plan->graph);
	plan->chains = cb_chain_set_new();
	plan->known = cb_map_new(NULL);
	plan->targets = cb_newa0(struct cb_plan_target, options->n_targets);
	for (size_t i = 0; i < options->n_targets && r == 0; i++) {
		struct cb_plan_target *target = &plan->targets[plan->n_targets++];
		struct cb_planner *p = planner_new(options, &options->targets[i], plan);

		target->platform = options->targets[i];
		target->planner = p;
		r = cb_globals_eval(&p->globals, options->file->globals, options->file->n_globals, err);
		if (r == 0)
			r = plan_epoch(p, err);
	}
	if (r == 0)
		r = plan_resolve(plan, err);
	for (size_t i = 0; i < plan->n_targets && r == 0; i++)
		r = plan_target(&plan->targets[i], err);
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(plan);
	return 0;
}
