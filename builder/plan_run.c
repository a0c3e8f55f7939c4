/* Pass two: RUN and its mounts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/path.h"
#include "builder/planner.h"
#include "layers/cachemount.h"

struct mounts {
	struct cb_op_mount *v;
	size_t n;
	struct cb_input *inputs;
	size_t n_inputs;
};

static int expand_mount(void *arg, const char *text, char **ret, struct cb_err **err)
{
	return cb_scope_expand(arg, (struct cb_text){ .s = text }, ret, err);
}

/* A directory name that no id can lead out of the store with; another owner is another cache. */
static const char *cache_name(struct cb_planner *p, const struct cb_mount *mount)
{
	const char *space = cb_env_get(&p->opts.settings->build_args, "BUILDKIT_CACHE_MOUNT_NS");
	cleanup_free char *target = mount->id ? NULL : cb_path_clean(mount->target);
	cleanup_free char *name = cb_cachemount_name(space, mount->id ? mount->id : target,
		mount->has_uid ? mount->uid : 0, mount->has_gid ? mount->gid : 0, mount->has_mode ? mount->mode : 0755);

	return cb_arena_strndup(p->plan->graph.arena, name, strlen(name));
}

/* What a bind mount shows and a cache mount begins with: its digest counts, its file system is read. */
static int bind_source(struct cb_planner *p, const struct plan_step *step, struct mounts *mounts,
	struct cb_op_mount *out, struct cb_text text, struct cb_err **err)
{
	const struct cb_mount *mount = out->mount;
	struct from from = { .kind = FROM_CONTEXT, .context = p->opts.contexts->main };
	const char *path = mount->source ? mount->source : "/";
	struct cb_vertex *source, *select;

	if (mount->from) {
		int r = plan_find_from(p, step->stage, mount->from, false, text.line, text.col, &from, err);

		if (r < 0)
			return r;
	}
	source = plan_source(p, &from);
	out->sub = plan_str(p, path);
	if (source && source->kind == CB_VERTEX_CONTEXT) {
		source = plan_context_copy(p, step, source, path, "/m", NULL, &select);
		out->sub = "/m";
	} else {
		struct cb_op_select *op = cb_arena_alloc(p->plan->graph.arena, sizeof(*op));
		const char **words = cb_arena_alloc(p->plan->graph.arena, 2 * sizeof(*words));

		words[0] = out->sub;
		op->sources = (struct cb_words){ words, 1 };
		op->literal = true;
		select = plan_select(p, step, source, op);
	}
	out->source = source;
	mounts->inputs[mounts->n_inputs++] =
		(struct cb_input){ .vertex = select, .role = CB_INPUT_FILES, .late = !select->content_defined };
	mounts->n_inputs = plan_fs_inputs(p, mounts->inputs, mounts->n_inputs, source, CB_INPUT_MOUNT);
	return 0;
}

static int add_mount(struct cb_planner *p, const struct plan_step *step, const struct cb_mount_spec *spec,
	struct mounts *mounts, struct cb_err **err)
{
	struct cb_op_mount *out = &mounts->v[mounts->n];
	struct cb_mount *mount;
	const char *cwd = cb_imagestate_cwd(step->stage->state);
	int r = cb_mount_resolve(spec, expand_mount, &step->stage->scope, &mount, err);

	if (r < 0)
		return cb_err_locate(err, r, spec->text.line, spec->text.col, spec->text.line);
	p->mounts = cb_xreallocarray(p->mounts, p->n_mounts + 1, sizeof(struct cb_mount *));
	p->mounts[p->n_mounts++] = mount;
	/* Without a target a mount hides the working directory; secrets and agents have targets of their own. */
	if (!mount->target && mount->type != CB_MOUNT_SECRET && mount->type != CB_MOUNT_SSH)
		mount->target = cb_xstrdup(".");
	if (mount->target) {
		char *absolute = *mount->target == '/' ? cb_path_abs(mount->target) : cb_path_join(cwd, mount->target);

		if (mount->type == CB_MOUNT_CACHE)
			out->cache_name = cache_name(p, mount);
		free(mount->target);
		mount->target = absolute;
		if (cb_str_eq(absolute, "/")) {
			cb_err_at(err, CB_ERR_INPUT, spec->text.line, spec->text.col, "invalid mount target \"/\"");
			return cb_err_hint(err, CB_ERR_INPUT, "name a directory or file with target=PATH");
		}
	}
	out->mount = mount;
	mounts->n++;
	if (mount->type == CB_MOUNT_BIND || (mount->type == CB_MOUNT_CACHE && mount->from))
		return bind_source(p, step, mounts, out, spec->text, err);
	if (mount->type == CB_MOUNT_CACHE && mount->source) {
		cleanup_free char *sub = cb_path_abs(mount->source);

		/* Of an empty directory there is nothing else. */
		if (!cb_str_eq(sub, "/"))
			return cb_err_at(err, CB_ERR_INPUT, spec->text.line, spec->text.col,
				"\"%s\" is not in an empty cache mount: source needs from", mount->source);
	}
	return 0;
}

static int check_rights(struct cb_planner *p, const struct cb_run *run, struct cb_err **err)
{
	const struct cb_strv *allow = &p->opts.settings->allow;
	const char *missing = NULL;
	struct cb_text at = { 0 };

	if (run->security == CB_SECURITY_INSECURE && !cb_strv_has(allow, "security.insecure")) {
		missing = "security.insecure";
		at = run->security_at;
	}
	if (run->network_at.s && run->network == CB_NETWORK_HOST && !cb_strv_has(allow, "network.host")) {
		missing = "network.host";
		at = run->network_at;
	}
	/* No device of that kind (CDI) is ever there: who can do without runs without, as with BuildKit. */
	for (size_t i = 0; i < run->n_devices; i++)
		if (run->devices[i].required) {
			cb_err_at(err, CB_ERR_UNSUPPORTED, run->devices[i].name.line, run->devices[i].name.col,
				"required device \"%s\" is not available: cbuild reads no device specifications (CDI)",
				run->devices[i].name.s);
			return cb_err_hint(err, CB_ERR_UNSUPPORTED,
				"without \"required\" the step runs without it; with RUN --security=insecure, --allow "
				"security.insecure and --isolation root, the step may make device nodes itself and open them");
		}
	if (!missing)
		return 0;
	cb_err_at(err, CB_ERR_DENIED, at.line, at.col, "entitlement %s is not allowed", missing);
	return cb_err_hint(err, CB_ERR_DENIED, "allow it with --allow %s", missing);
}

static void command(struct cb_planner *p, const struct plan_step *step, struct cb_op_run *op, struct cb_strv *argv)
{
	const struct cb_run *run = &step->instr->run;

	if (run->is_file) {
		op->script = run->script.s;
		op->script_path = cb_arena_printf(p->plan->graph.arena, "/dev/pipes/%s", run->file_name);
		cb_imagestate_shell_argv(step->stage->state, argv);
		cb_strv_add(argv, op->script_path);
	} else if (run->shell || run->file_name) {
		cb_imagestate_shell_argv(step->stage->state, argv);
		cb_strv_add(argv, run->script.s);
	} else {
		for (size_t i = 0; i < run->argv.n; i++)
			cb_strv_add(argv, run->argv.v[i].s);
	}
}

/* "RUN |2 A=1 B= /bin/sh -c make # buildkit" */
static void history(struct stage_plan *sp, const struct cb_strv *argv)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *joined = cb_strv_join(argv, " ");

	cb_buf_adds(&text, "RUN ");
	if (sp->scope.args.n)
		cb_buf_addf(&text, "|%zu ", sp->scope.args.n);
	for (size_t i = 0; i < sp->scope.args.n; i++) {
		const char *value = cb_scope_get(&sp->scope, sp->scope.args.v[i]);

		cb_buf_addf(&text, "%s=%s ", sp->scope.args.v[i], value ? value : "");
	}
	cb_buf_addf(&text, "%s # buildkit", joined);
	cb_imagestate_history(sp->state, cb_buf_str(&text), true);
}

static void environment(struct cb_planner *p, const struct plan_step *step, struct cb_op_run *op)
{
	const struct cb_settings *settings = p->opts.settings;
	const struct cb_scope *scope = &step->stage->scope;
	cleanup_strv struct cb_strv proxies = { 0 }, hosts = { 0 }, ulimits = { 0 }, args = { 0 };

	op->env = plan_words(p, &scope->env);
	for (size_t i = 0; i < scope->args.n; i++)
		if (!cb_env_get(&step->stage->state->config->env, scope->args.v[i]))
			cb_strv_add(&args, scope->args.v[i]);
	op->args = plan_words(p, &args);
	cb_scope_proxies(&step->stage->scope, &proxies);
	op->proxies = plan_words(p, &proxies);
	for (size_t i = 0; i < settings->add_hosts.n; i++)
		cb_strv_addn(&hosts, settings->add_hosts.v[i], strcspn(settings->add_hosts.v[i], "="));
	op->hosts = plan_words(p, &hosts);
	for (size_t i = 0; i < settings->n_ulimits; i++)
		cb_strv_addf(&ulimits, "%s=%lld:%lld", settings->ulimits[i].name, (long long)settings->ulimits[i].soft,
			(long long)settings->ulimits[i].hard);
	op->ulimits = plan_words(p, &ulimits);
}

int plan_run(struct cb_planner *p, const struct plan_step *step, struct cb_err **err)
{
	struct cb_arena *arena = p->plan->graph.arena;
	const struct cb_run *run = &step->instr->run;
	struct stage_plan *sp = step->stage;
	cleanup_strv struct cb_strv argv = { 0 };
	cleanup_buf struct cb_buf shown = { 0 };
	cleanup_free char *joined = NULL;
	/* A mount brings its digest, its file system and the image below that; the stage brings two. */
	cleanup_free struct cb_input *inputs = cb_xcalloc(3 * run->n_mounts + 4, sizeof(*inputs));
	struct mounts mounts = { .inputs = inputs };
	struct cb_op_run *op = cb_arena_alloc(arena, sizeof(*op));
	struct cb_vertex_spec spec = { .kind = CB_VERTEX_RUN, .op = op };
	int r = check_rights(p, run, err);

	if (r < 0)
		return r;
	spec.name = plan_step_name(p, step);
	mounts.v = cb_arena_alloc(arena, (run->n_mounts + 1) * sizeof(*mounts.v));
	for (size_t i = 0; i < run->n_mounts && r == 0; i++)
		r = add_mount(p, step, &run->mounts[i], &mounts, err);
	if (r < 0)
		return r;
	command(p, step, op, &argv);
	environment(p, step, op);
	joined = cb_strv_join(&argv, " ");
	cb_str_quote(&shown, joined);
	op->argv = plan_words(p, &argv);
	op->shown = plan_str(p, cb_buf_str(&shown));
	op->arch = plan_str(p, sp->state->config->platform.arch);
	op->cwd = plan_str(p, cb_imagestate_cwd(sp->state));
	op->user = plan_str(p, sp->state->config->user ? sp->state->config->user : "");
	op->network = run->network_at.s ? run->network : p->opts.settings->network;
	op->security = run->security;
	op->mounts = mounts.v;
	op->n_mounts = mounts.n;
	history(sp, &argv);
	plan_emit(p, step, &spec, inputs, mounts.n_inputs);
	return 0;
}
