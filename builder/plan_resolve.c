/* Pass one: which stages, base images and contexts the target needs. */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "builder/planner.h"
#include "layers/pull.h"
#include "layers/ref.h"

/* ---- names ---------------------------------------------------------------------------------------------------- */

/*
 * The base image called @name on @platform, made when it is new. Only the command line may name a directory of this
 * machine (@layout): a Buildfile sees nothing outside of its contexts.
 */
static int base_of(struct cb_planner *p, const char *name, bool layout, const struct cb_platform *platform,
	unsigned int line, unsigned int col, struct cb_base **ret, struct cb_err **err)
{
	char platform_text[CB_PLATFORM_TEXT_MAX];
	cleanup_free char *full = NULL, *key = NULL;
	struct cb_base *base;

	if (layout && cb_str_starts(name, "oci-layout://")) {
		full = cb_xstrdup(name);
	} else {
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		int r = cb_ref_parse(name, &ref, err);

		if (r < 0)
			return cb_err_locate(err, r, line, col, line);
		full = cb_ref_format(ref);
	}
	cb_platform_format(platform, platform_text);
	key = cb_xasprintf("%s %s", full, platform_text);
	base = cb_map_get(p->plan->known, key);
	if (!base) {
		base = cb_arena_alloc(p->plan->graph.arena, sizeof(*base));
		base->name = plan_str(p, full);
		base->platform = *platform;
		base->line = line;
		base->col = col;
		cb_map_set(p->plan->known, key, base);
	}
	*ret = base;
	return 0;
}

static int from_named(struct cb_planner *p, const struct cb_named_context *named, const struct cb_platform *platform,
	unsigned int line, unsigned int col, struct from *ret, struct cb_err **err)
{
	if (named->kind == CB_CONTEXT_DIR) {
		*ret = (struct from){ .kind = FROM_CONTEXT, .context = named->dir };
		return 0;
	}
	if (cb_str_eq(named->image, "scratch")) {
		*ret = (struct from){ .kind = FROM_SCRATCH };
		return 0;
	}
	ret->kind = FROM_BASE;
	return base_of(p, named->image, true, platform, line, col, &ret->base, err);
}

/* The stage that COPY --from=@name (@numbers) or a mount means, wherever it stands, or NULL. */
static const struct cb_stage *stage_of(const struct cb_planner *p, const char *name, bool numbers)
{
	const char *digits = name + (*name == '+' || *name == '-');
	uint32_t index;

	if (!numbers || !cb_num_u32(digits, &index))
		return cb_buildfile_stage(p->opts.file, name);
	return index < p->n_stages && (*name != '-' || !index) ? p->stages[index].stage : NULL;
}

static bool is_number(const char *name)
{
	uint32_t index;

	return cb_num_u32(name + (*name == '+' || *name == '-'), &index);
}

/* Stages that are still to be looked at. */
struct pending {
	const struct cb_stage **v;
	bool *seen; /* by index */
	size_t n;
};

static void pend(struct pending *pending, const struct cb_stage *stage)
{
	if (!stage || pending->seen[stage->index])
		return;
	pending->seen[stage->index] = true;
	pending->v[pending->n++] = stage;
}

/* Whether @from takes files of @what, itself or by way of others: then none of the two can be first. */
static bool takes_from(const struct cb_planner *p, const struct cb_stage *from, const struct cb_stage *what)
{
	cleanup_free const struct cb_stage **v = cb_xcalloc(p->n_stages, sizeof(*v));
	cleanup_free bool *seen = cb_xcalloc(p->n_stages, sizeof(*seen));
	struct pending pending = { .v = v, .seen = seen };

	pend(&pending, from);
	while (pending.n && !seen[what->index]) {
		const struct cb_stage *stage = pending.v[--pending.n];

		for (size_t i = 0; i < stage->n_instrs; i++) {
			const struct cb_instr *instr = &stage->instrs[i];

			if (instr->kw == CB_KW_COPY && instr->copy.from.s)
				pend(&pending, stage_of(p, instr->copy.from.s, true));
			for (size_t k = 0; instr->kw == CB_KW_RUN && k < instr->run.n_mounts; k++)
				if (instr->run.mounts[k].from)
					pend(&pending, stage_of(p, instr->run.mounts[k].from, false));
		}
	}
	return seen[what->index];
}

int plan_find_from(struct cb_planner *p, struct stage_plan *at, const char *name, bool numbers, unsigned int line,
	unsigned int col, struct from *ret, struct cb_err **err)
{
	const struct cb_named_context *named = cb_contexts_find(p->opts.contexts, name, &p->platform);
	const struct cb_stage *stage = stage_of(p, name, numbers);

	*ret = (struct from){ .kind = FROM_SCRATCH };
	/* A stage that a context takes the place of is not there under its number either. */
	if (!named && numbers && stage && stage->name)
		named = cb_contexts_find(p->opts.contexts, stage->name, &p->platform);
	if (named)
		return from_named(p, named, &p->platform, line, col, ret, err);
	if (!stage && numbers && is_number(name))
		return cb_err_at(err, CB_ERR_INPUT, line, col,
			"invalid stage index %s: the last stage of the file is %zu", name, p->n_stages - 1);
	if (stage) {
		if (stage == at->stage)
			return cb_err_at(err, CB_ERR_INPUT, line, col,
				"circular dependency: the stage \"%s\" copies from itself", name);
		if (stage->index > at->stage->index && takes_from(p, stage, at->stage))
			return cb_err_at(err, CB_ERR_INPUT, line, col,
				"circular dependency: stage \"%s\" needs this stage, too", name);
		if (stage->index > at->stage->index)
			return cb_err_at(err, CB_ERR_INPUT, line, col,
				"cannot copy from stage \"%s\": it needs to be defined before the current stage", name);
		*ret = (struct from){ .kind = FROM_STAGE, .stage = &p->stages[stage->index] };
		return 0;
	}
	if (cb_str_eq(name, "scratch"))
		return 0;
	ret->kind = FROM_BASE;
	return base_of(p, name, false, &p->platform, line, col, &ret->base, err);
}

/* ---- bases of stages ------------------------------------------------------------------------------------------ */

static int hint_value(struct cb_err **err)
{
	return cb_err_hint(err, CB_ERR_INPUT,
		"an ARG before the first FROM gives it a value: ARG NAME=VALUE, or --build-arg NAME=VALUE");
}

static int stage_platform(struct cb_planner *p, struct stage_plan *sp, struct cb_err **err)
{
	const struct cb_text text = sp->stage->platform;
	cleanup_free char *value = NULL;
	int r;

	sp->platform = p->platform;
	if (!text.s)
		return 0;
	r = cb_globals_expand(&p->globals, text, &value, err);
	if (r < 0)
		return r;
	if (!*value) {
		cb_err_at(err, CB_ERR_INPUT, text.line, text.col, "empty platform value from expression %s", text.s);
		return hint_value(err);
	}
	r = cb_platform_parse(value, &sp->platform, err);
	return r < 0 ? cb_err_locate(err, r, text.line, text.col, text.line) : 0;
}

/* Stages are found as they were named so far: the latest earlier one. */
static int stage_base(struct cb_planner *p, struct stage_plan *sp, struct cb_map *by_name, struct cb_err **err)
{
	const struct cb_text text = sp->stage->base;
	const struct cb_named_context *named;
	cleanup_free char *name = NULL;
	int r = cb_globals_expand(&p->globals, text, &name, err);

	if (r < 0)
		return r;
	if (!*name) {
		cb_err_at(err, CB_ERR_INPUT, text.line, text.col, "base name (%s) should not be blank", text.s);
		return hint_value(err);
	}
	if (cb_str_eq(name, "scratch")) {
		sp->base.kind = FROM_SCRATCH;
		return 0;
	}
	named = cb_contexts_find(p->opts.contexts, name, &sp->platform);
	if (named)
		return from_named(p, named, &sp->platform, text.line, text.col, &sp->base, err);
	sp->base.stage = cb_map_get(by_name, name);
	if (sp->base.stage) {
		sp->base.kind = FROM_STAGE;
		if (!sp->stage->platform.s)
			sp->platform = sp->base.stage->platform;
		return 0;
	}
	sp->base.kind = FROM_BASE;
	return base_of(p, name, false, &sp->platform, text.line, text.col, &sp->base.base, err);
}

static int find_target(struct cb_planner *p, struct cb_err **err)
{
	const char *name = p->opts.settings->target;
	const struct cb_stage *stage;
	cleanup_strv struct cb_strv names = { 0 };
	cleanup_free char *all = NULL;
	const char *near;

	if (!name) {
		p->target = &p->stages[p->n_stages - 1];
		return 0;
	}
	stage = cb_buildfile_stage(p->opts.file, name);
	if (stage) {
		p->target = &p->stages[stage->index];
		return 0;
	}
	for (size_t i = 0; i < p->n_stages; i++)
		if (p->stages[i].stage->name)
			cb_strv_add(&names, p->stages[i].stage->name);
	near = cb_str_nearest(name, (const char *const *)names.v, names.n);
	cb_err_set(err, CB_ERR_INPUT, "target stage \"%s\" could not be found", name);
	if (near)
		return cb_err_hint(err, CB_ERR_INPUT, "did you mean %s?", near);
	all = cb_strv_join(&names, ", ");
	return names.n ? cb_err_hint(err, CB_ERR_INPUT, "the stages are: %s", all) : CB_ERR_INPUT;
}

/* ---- reachability --------------------------------------------------------------------------------------------- */

struct reach {
	struct cb_planner *p;
	struct stage_plan **todo;
	size_t n, cap;
};

static void reach_stage(struct reach *reach, struct stage_plan *sp)
{
	if (sp->reachable)
		return;
	sp->reachable = true;
	CB_GROW(reach->todo, reach->cap, reach->n + 1);
	reach->todo[reach->n++] = sp;
}

static bool listed(struct cb_base *const *list, size_t n, const struct cb_base *base)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == base)
			return true;
	return false;
}

/* A base image is needed: its config will be fetched. */
static void reach_base(struct cb_planner *p, struct cb_base *base)
{
	struct cb_plan *plan = p->plan;

	if (listed(p->bases, p->n_bases, base))
		return;
	CB_GROW(p->bases, p->cap_bases, p->n_bases + 1);
	p->bases[p->n_bases++] = base;
	if (listed(plan->bases, plan->n_bases, base))
		return;
	plan->bases = cb_xreallocarray(plan->bases, plan->n_bases + 1, sizeof(*plan->bases));
	plan->bases[plan->n_bases++] = base;
}

static int reach_from(struct reach *reach, struct stage_plan *at, const char *name, bool numbers, unsigned int line,
	unsigned int col, struct cb_err **err)
{
	struct from from;
	int r = plan_find_from(reach->p, at, name, numbers, line, col, &from, err);

	if (r < 0)
		return r;
	if (from.kind == FROM_STAGE)
		reach_stage(reach, from.stage);
	if (from.kind == FROM_BASE)
		reach_base(reach->p, from.base);
	return 0;
}

/* @line and @col: where a trigger of another file is to be reported, or 0. */
static int reach_instr(struct reach *reach, struct stage_plan *at, const struct cb_instr *instr, unsigned int line,
	unsigned int col, struct cb_err **err)
{
	int r = 0;

	if ((instr->kw == CB_KW_COPY || instr->kw == CB_KW_ADD) && instr->copy.from.s)
		return reach_from(reach, at, instr->copy.from.s, true, line ? line : instr->copy.from.line,
			line ? col : instr->copy.from.col, err);
	for (size_t i = 0; instr->kw == CB_KW_RUN && i < instr->run.n_mounts && r == 0; i++) {
		const struct cb_mount_spec *mount = &instr->run.mounts[i];

		if (mount->from)
			r = reach_from(reach, at, mount->from, false, line ? line : mount->text.line,
				line ? col : mount->text.col, err);
	}
	return r;
}

static int scan_stages(struct reach *reach, struct cb_err **err)
{
	while (reach->n) {
		struct stage_plan *sp = reach->todo[--reach->n];

		if (sp->base.kind == FROM_STAGE)
			reach_stage(reach, sp->base.stage);
		if (sp->base.kind == FROM_BASE)
			reach_base(reach->p, sp->base.base);
		for (size_t i = 0; i < sp->stage->n_instrs; i++) {
			int r = reach_instr(reach, sp, &sp->stage->instrs[i], 0, 0, err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int add_trigger(struct stage_plan *sp, const char *text, struct cb_err **err)
{
	struct cb_buildfile *file = NULL;
	unsigned int line = sp->stage->from->node->line;
	int r = cb_parse_trigger(text, &file, err);

	if (r < 0) {
		/* The place is inside the trigger's text, which is not the user's file. */
		if (err && *err)
			(*err)->line = 0;
		cb_err_wrap(err, r, "ONBUILD trigger \"%s\" of the base", text);
		return cb_err_locate(err, r, line, 1, line);
	}
	sp->triggers.v = cb_xreallocarray(sp->triggers.v, sp->triggers.n + 1, sizeof(*sp->triggers.v));
	sp->triggers.v[sp->triggers.n++] = file;
	return 0;
}

/* The triggers that FROM fires in @sp, once they can be known. */
static int find_triggers(struct reach *reach, struct stage_plan *sp, struct cb_err **err)
{
	const struct cb_image *image = sp->base.kind == FROM_BASE ? sp->base.base->image : NULL;
	int r = 0;

	sp->triggers.known = true;
	if (sp->stage->from->from.reset & CB_RESET_ONBUILD)
		return 0;
	if (image) {
		const struct cb_strv *texts = &image->config->onbuild;

		for (size_t i = 0; i < texts->n && r == 0; i++)
			r = add_trigger(sp, texts->v[i], err);
	} else if (sp->base.kind == FROM_STAGE) {
		const struct cb_stage *base = sp->base.stage->stage;

		for (size_t i = 0; i < base->n_instrs && r == 0; i++)
			if (base->instrs[i].kw == CB_KW_ONBUILD)
				r = add_trigger(sp, base->instrs[i].onbuild.text.s, err);
	}
	for (size_t i = 0; i < sp->triggers.n && r == 0; i++) {
		const struct cb_stage *stage = &sp->triggers.v[i]->stages[0];

		for (size_t k = 0; k < stage->n_instrs && r == 0; k++)
			r = reach_instr(reach, sp, &stage->instrs[k], sp->stage->from->node->line, 1, err);
	}
	return r;
}

static int resolve_bases(struct cb_plan *plan, struct cb_err **err)
{
	const struct cb_plan_options *opts = &plan->targets[0].planner->opts;
	cleanup_free struct cb_base **missing = cb_xcalloc(plan->n_bases + 1, sizeof(*missing));
	size_t n = 0;
	int r;

	for (size_t i = 0; i < plan->n_bases; i++)
		if (!plan->bases[i]->image)
			missing[n++] = plan->bases[i];
	if (!n || !opts->resolve)
		return 0;
	r = opts->resolve(opts->ctx, missing, n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct cb_image *image = missing[i]->image;

		for (size_t k = 0; k < image->n_layers; k++)
			missing[i]->chain = cb_chain_add_base(
				plan->chains, missing[i]->chain, &image->layers[k].diff_id, missing[i], k);
	}
	return 0;
}

/* Names of one platform: what every FROM means. */
static int begin(struct reach *reach, struct cb_err **err)
{
	CB_CLEANUP(cb_map_free) struct cb_map *by_name = cb_map_new(NULL);
	struct cb_planner *p = reach->p;
	int r = 0;

	for (size_t i = 0; i < p->n_stages && r == 0; i++) {
		struct stage_plan *sp = &p->stages[i];

		r = stage_platform(p, sp, err);
		if (r == 0)
			r = stage_base(p, sp, by_name, err);
		if (sp->stage->name)
			cb_map_set(by_name, sp->stage->name, sp);
	}
	if (r == 0)
		r = find_target(p, err);
	if (r == 0)
		reach_stage(reach, p->target);
	return r;
}

/* 1 when triggers were looked at, which may have brought in more stages and bases. */
static int next_triggers(struct reach *reach, struct cb_err **err)
{
	struct cb_planner *p = reach->p;
	int r = 0, found = 0;

	for (size_t i = 0; i < p->n_stages && r == 0; i++) {
		if (!p->stages[i].reachable || p->stages[i].triggers.known)
			continue;
		found = 1;
		r = find_triggers(reach, &p->stages[i], err);
	}
	return r < 0 ? r : found;
}

int plan_resolve(struct cb_plan *plan, struct cb_err **err)
{
	cleanup_free struct reach *list = cb_xcalloc(plan->n_targets, sizeof(*list));
	bool again = true;
	int r = 0;

	for (size_t i = 0; i < plan->n_targets && r == 0; i++) {
		list[i].p = plan->targets[i].planner;
		r = begin(&list[i], err);
	}
	while (again && r == 0) {
		again = false;
		for (size_t i = 0; i < plan->n_targets && r == 0; i++)
			r = scan_stages(&list[i], err);
		if (r == 0)
			r = resolve_bases(plan, err);
		for (size_t i = 0; i < plan->n_targets && r >= 0; i++) {
			r = next_triggers(&list[i], err);
			again |= r > 0;
		}
		r = CB_MIN(r, 0);
	}
	for (size_t i = 0; i < plan->n_targets; i++)
		free(list[i].todo);
	return r;
}
