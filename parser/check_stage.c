/* Rules that need the scope: one stage, instruction by instruction, as a build sees it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "parser/checker.h"
#include "parser/outline.h"

#define NAME_MAX_ 128
#define CANDIDATES_MAX 10000

/* An instruction and where its findings go: FROM for a trigger of the base. */
struct step {
	struct checker *c;
	struct check_stage *stage;
	const struct cb_instr *instr;
	const struct cb_node *node;
};

/* ---- expansion ------------------------------------------------------------------------------------------------ */

static char *suggestion(const struct check_stage *stage, const char *name)
{
	cleanup_strv struct cb_strv names = { 0 };
	const struct cb_strv *env = &stage->scope.env, *args = &stage->scope.args;

	if (strlen(name) > NAME_MAX_)
		return NULL;
	for (size_t i = 0; i < env->n && names.n < CANDIDATES_MAX; i++)
		cb_strv_addn(&names, env->v[i], strcspn(env->v[i], "="));
	for (size_t i = 0; i < args->n && names.n < CANDIDATES_MAX; i++)
		cb_strv_add(&names, args->v[i]);
	return cb_xstrdup_null(cb_str_nearest(name, (const char *const *)names.v, names.n));
}

/* Arguments that steer the build are never in the environment. */
static bool steers(const char *name)
{
	return !strcmp(name, "BUILDKIT_SBOM_SCAN_CONTEXT") || !strcmp(name, "BUILDKIT_SBOM_SCAN_STAGE");
}

static void report_unset(const struct step *step)
{
	struct checker *c = step->c;

	for (size_t i = 0; i < c->unset.n; i++) {
		const char *name = c->unset.v[i];
		cleanup_free char *near = NULL;

		if (cb_strv_has(&step->stage->scope.args, name) || steers(name))
			continue;
		near = suggestion(step->stage, name);
		check_report(c, CB_RULE_UNDEFINED_VAR, step->node, "Usage of undefined variable '$%s'%s%s%s", name,
			near ? " (did you mean $" : "", near ? near : "", near ? "?)" : "");
	}
}

/* What depends on a variable that an unknown base image may set cannot be judged: 1. */
static int settle(const struct step *step, int r, struct cb_err **err)
{
	report_unset(step);
	if (step->stage->base_known || !step->c->unset.n)
		return r;
	if (r < 0 && err)
		*err = cb_err_free(*err);
	return 1;
}

/* 0 with the value, 1 when it is not known (*ret is then NULL). */
static int expand(const struct step *step, struct cb_text text, char **ret, struct cb_err **err)
{
	char *value = NULL;
	int r;

	*ret = NULL;
	if (!text.s)
		return 1;
	cb_strv_done(&step->c->unset);
	r = settle(step, cb_scope_expand(&step->stage->scope, text, &value, err), err);
	if (r == 0)
		*ret = CB_TAKE_PTR(value);
	free(value);
	return r;
}

static int look(const struct step *step, struct cb_text text, struct cb_err **err)
{
	cleanup_free char *value = NULL;
	int r = expand(step, text, &value, err);

	return r < 0 ? r : 0;
}

/* ---- ENV, LABEL, ARG ------------------------------------------------------------------------------------------ */

static bool has_token(const char *key, const char *const *tokens, size_t n)
{
	for (const char *p = key;;) {
		size_t len = strcspn(p, "_");

		for (size_t i = 0; i < n; i++)
			if (strlen(tokens[i]) == len && !strncasecmp(p, tokens[i], len))
				return true;
		if (!p[len])
			return false;
		p += len + 1;
	}
}

static void check_secret(const struct step *step, const char *key)
{
	static const char *const secrets[] = { "apikey", "auth", "credential", "credentials", "key", "password",
		"pword", "passwd", "secret", "token" };
	static const char *const harmless[] = { "public", "file", "version" };

	if (has_token(key, secrets, ARRAY_SIZE(secrets)) && !has_token(key, harmless, ARRAY_SIZE(harmless)))
		check_report(step->c, CB_RULE_SECRETS_USED_IN_ARG_OR_ENV, step->node,
			"Do not use ARG or ENV instructions for sensitive data (%s \"%s\")",
			cb_keyword_upper(step->instr->kw), key);
}

static int check_pairs(const struct step *step, struct cb_err **err)
{
	const struct cb_instr *instr = step->instr;
	cleanup_strv struct cb_strv keys = { 0 }, values = { 0 };
	int r = 0;

	if (instr->pairs.legacy)
		check_report(step->c, CB_RULE_LEGACY_KEY_VALUE_FORMAT, step->node,
			"\"%s key=value\" should be used instead of legacy \"%s key value\" format",
			cb_keyword_upper(instr->kw), cb_keyword_upper(instr->kw));
	for (size_t i = 0; i < instr->pairs.n && r >= 0; i++) {
		cleanup_free char *key = NULL, *value = NULL;

		r = expand(step, instr->pairs.v[i].key, &key, err);
		if (r >= 0)
			r = expand(step, instr->pairs.v[i].value, &value, err);
		if (!key)
			continue;
		cb_strv_add(&keys, key);
		cb_strv_add(&values, value ? value : "");
	}
	if (r < 0 || instr->kw == CB_KW_LABEL)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < keys.n; i++) {
		check_secret(step, keys.v[i]);
		cb_scope_set(&step->stage->scope, keys.v[i], values.v[i]);
	}
	return 0;
}

/* The ARG before the first FROM that declares @name, in *ret the node of its line. */
static const struct cb_pair *global_of(const struct checker *c, const char *name, const struct cb_node **ret)
{
	for (size_t i = 0; i < c->file->n_globals; i++) {
		const struct cb_instr *instr = &c->file->globals[i];

		for (size_t k = 0; k < instr->pairs.n; k++) {
			if (strcmp(instr->pairs.v[k].key.s, name) != 0)
				continue;
			*ret = instr->node;
			return &instr->pairs.v[k];
		}
	}
	return NULL;
}

static void outline_arg(struct checker *c, const char *name, const char *value, const struct cb_node *node)
{
	const struct cb_node *global = NULL;
	const struct cb_pair *pair = global_of(c, name, &global);
	struct cb_outline_item item = { .name = (char *)name, .value = (char *)value };

	if (!c->options->outline || (!node && !pair))
		return;
	item.description = node ? (char *)cb_outline_description(node, name) : NULL;
	if (!item.description && global)
		item.description = (char *)cb_outline_description(global, name);
	item.line = node ? node->line : global ? global->line : 0;
	cb_outline_add(&c->options->outline->args, &item);
}

static int expand_mount(void *arg, const char *text, char **ret, struct cb_err **err)
{
	const struct step *step = arg;

	return cb_scope_expand(&step->stage->scope, (struct cb_text){ text, step->node->line, 1 }, ret, err);
}

static void outline_mount(const struct step *step, const struct cb_mount_spec *spec)
{
	CB_CLEANUP(cb_mount_free) struct cb_mount *mount = NULL;
	struct cb_outline *outline = step->c->options->outline;
	struct cb_outline_item item = { .line = step->node->line };
	const char *slash;

	if (!outline || cb_mount_resolve(spec, expand_mount, (void *)step, &mount, NULL) < 0)
		return;
	slash = mount->target ? strrchr(mount->target, '/') : NULL;
	item.required = mount->required;
	item.name = mount->id;
	if (mount->type == CB_MOUNT_SECRET) {
		if (!item.name)
			item.name = slash ? (char *)slash + 1 : mount->target;
		if (item.name && *item.name)
			cb_outline_add(&outline->secrets, &item);
	} else if (mount->type == CB_MOUNT_SSH) {
		static char default_id[] = "default";

		if (!item.name)
			item.name = default_id;
		cb_outline_add(&outline->ssh, &item);
	}
}

static int check_args(const struct step *step, struct cb_err **err)
{
	for (size_t i = 0; i < step->instr->pairs.n; i++) {
		const struct cb_pair *arg = &step->instr->pairs.v[i];
		char *value = NULL;
		int r;

		check_secret(step, arg->key.s);
		cb_strv_done(&step->c->unset);
		r = settle(step, cb_scope_arg(&step->stage->scope, arg, &value, err), err);
		outline_arg(step->c, arg->key.s, value, step->node);
		free(value);
		if (r < 0)
			return r;
		if (r > 0 && !cb_strv_has(&step->stage->scope.args, arg->key.s))
			cb_strv_add(&step->stage->scope.args, arg->key.s);
	}
	return 0;
}

/* ---- the others ----------------------------------------------------------------------------------------------- */

static int check_copy(const struct step *step, struct cb_err **err)
{
	const struct cb_copy *copy = &step->instr->copy;
	const struct cb_text others[] = { copy->dest, copy->chown, copy->chmod, copy->checksum };
	int r = 0;

	for (size_t i = 0; i < copy->sources.n && r >= 0; i++) {
		cleanup_free char *source = NULL;

		r = expand(step, copy->sources.v[i], &source, err);
		if (r == 0 && !copy->from.s)
			check_ignored(step->c, step->instr, step->node, source);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others) && r >= 0; i++)
		r = look(step, others[i], err);
	for (size_t i = 0; i < copy->n_files && r >= 0; i++) {
		const struct cb_inline_file *file = &copy->files[i];
		char *body = NULL;

		if (!file->expand)
			continue;
		cb_strv_done(&step->c->unset);
		r = settle(step, cb_scope_expand_body(&step->stage->scope, file->data, file->line, &body, err), err);
		free(body);
	}
	return r < 0 ? r : 0;
}

static int check_mounts(const struct step *step, struct cb_err **err)
{
	const struct cb_run *run = &step->instr->run;
	int r = 0;

	for (size_t i = 0; i < run->n_mounts && r >= 0; i++) {
		for (size_t k = 0; k < run->mounts[i].n_fields && r >= 0; k++)
			if (run->mounts[i].fields[k].key != CB_MOUNT_KEY_FROM)
				r = look(step, run->mounts[i].fields[k].value, err);
		outline_mount(step, &run->mounts[i]);
	}
	return r < 0 ? r : 0;
}

static int check_ports(const struct step *step, struct cb_err **err)
{
	const struct cb_texts *texts = &step->instr->words;

	for (size_t i = 0; i < texts->n; i++) {
		cleanup_strv struct cb_strv words = { 0 };
		int r;

		cb_strv_done(&step->c->unset);
		r = settle(step, cb_scope_expand_words(&step->stage->scope, texts->v[i], &words, err), err);
		if (r < 0)
			return r;
		for (size_t k = 0; r == 0 && k < words.n; k++)
			check_port(step->c, step->node, words.v[k]);
	}
	return 0;
}

/* "/a"; for Windows "C:\\a" and "\\a" as well. */
static bool is_absolute(const struct checker *c, const char *path)
{
	if (*path == '/' || !cb_str_starts(c->options->platforms.target, "windows"))
		return *path == '/';
	if (isalpha((unsigned char)path[0]) && path[1] == ':')
		path += 2;
	return *path == '\\' || *path == '/';
}

static int check_workdir(const struct step *step, struct cb_err **err)
{
	cleanup_free char *path = NULL;
	int r = expand(step, step->instr->text, &path, err);

	if (r == 0 && !step->stage->workdir_set && !is_absolute(step->c, path))
		check_report(step->c, CB_RULE_WORKDIR_RELATIVE_PATH, step->node,
			"Relative workdir \"%s\" can have unexpected results if the base image changes", path);
	step->stage->workdir_set = true;
	return r < 0 ? r : 0;
}

static int check_user(const struct step *step, struct cb_err **err)
{
	cleanup_free char *user = NULL;
	int r = expand(step, step->instr->text, &user, err);
	size_t len = user ? strcspn(user, ":") : 0;

	step->stage->user = step->node;
	step->stage->user_root = user && ((len == 4 && !memcmp(user, "root", 4)) || (len == 1 && *user == '0'));
	return r < 0 ? r : 0;
}

static void check_once(const struct step *step)
{
	const struct cb_node **last = &step->stage->once[step->instr->kw];

	if (*last &&
		check_config_wants(&step->c->config, &cb_rules[CB_RULE_MULTIPLE_INSTRUCTIONS_DISALLOWED], step->node))
		check_report(step->c, CB_RULE_MULTIPLE_INSTRUCTIONS_DISALLOWED, *last,
			"Multiple %s instructions should not be used in the same stage because only the last one "
			"will be used",
			cb_keyword_upper(step->instr->kw));
	*last = step->node;
}

static void check_command(const struct step *step)
{
	check_once(step);
	if (step->instr->command.shell && !step->stage->shell_set)
		check_report(step->c, CB_RULE_JSON_ARGS_RECOMMENDED, step->node,
			"JSON arguments recommended for %s to prevent unintended behavior related to OS signals",
			cb_keyword_upper(step->instr->kw));
}

static int check_instr(const struct step *step, struct cb_err **err)
{
	const struct cb_instr *instr = step->instr;
	int r = 0;

	switch (instr->kw) {
	case CB_KW_ENV:
	case CB_KW_LABEL:
		return check_pairs(step, err);
	case CB_KW_ARG:
		return check_args(step, err);
	case CB_KW_COPY:
	case CB_KW_ADD:
		return check_copy(step, err);
	case CB_KW_RUN:
		check_run(step->c, step->stage, instr);
		return check_mounts(step, err);
	case CB_KW_EXPOSE:
		return check_ports(step, err);
	case CB_KW_WORKDIR:
		return check_workdir(step, err);
	case CB_KW_USER:
		return check_user(step, err);
	case CB_KW_STOPSIGNAL:
		return look(step, instr->text, err);
	case CB_KW_VOLUME:
		for (size_t i = 0; i < instr->words.n && r == 0; i++)
			r = look(step, instr->words.v[i], err);
		return r;
	case CB_KW_CMD:
	case CB_KW_ENTRYPOINT:
		check_command(step);
		return 0;
	case CB_KW_HEALTHCHECK:
		check_once(step);
		return 0;
	case CB_KW_SHELL:
		step->stage->shell_set = true;
		return 0;
	case CB_KW_MAINTAINER:
		check_report(step->c, CB_RULE_MAINTAINER_DEPRECATED, step->node,
			"Maintainer instruction is deprecated in favor of using label");
		return 0;
	case CB_KW_ONBUILD:
	case CB_KW_FROM:
	case CB_KW_INCLUDE:
	case CB_KW_UNKNOWN:
	case CB_KW_MAX_:
		break;
	}
	return 0;
}

/* ---- the stage ------------------------------------------------------------------------------------------------ */

static void start(struct checker *c, struct check_stage *stage)
{
	struct cb_check_base base = { 0 };

	if (stage->base) {
		cb_scope_copy(&stage->scope, &stage->base->scope);
		stage->workdir_set = stage->base->workdir_set;
		stage->shell_set = stage->base->shell_set;
		stage->user = stage->base->user;
		stage->user_root = stage->base->user_root;
	} else {
		cb_scope_init(&stage->scope, &c->globals);
		cb_scope_set(&stage->scope, "PATH", "");
		if (c->options->base && !cb_str_eq(stage->image, "scratch") &&
			c->options->base(c->options->arg, stage->stage->index, stage->image, stage->platform, &base)) {
			stage->base_known = true;
			stage->shell_set = base.has_shell;
		}
		if (stage->stage->from->from.reset & CB_RESET_ENV) {
			stage->base_known = true;
			base.env = NULL;
		}
		for (size_t i = 0; base.env && i < base.env->n; i++) {
			cleanup_free char *key = cb_xstrndup(base.env->v[i], strcspn(base.env->v[i], "="));

			cb_scope_set(&stage->scope, key, base.env->v[i] + strlen(key) + 1);
		}
	}
	stage->scope.unset = &c->unset;
	for (size_t i = 0; i < stage->used.n; i++)
		outline_arg(c, stage->used.v[i], cb_env_get(&c->globals.values, stage->used.v[i]), NULL);
}

int check_stage(struct checker *c, struct check_stage *stage, struct cb_err **err)
{
	int r = 0;

	start(c, stage);
	for (size_t i = 0; stage->base && i < stage->base->stage->n_instrs && r == 0; i++) {
		const struct cb_instr *instr = &stage->base->stage->instrs[i];
		struct step step = { c, stage, instr, stage->stage->from->node };

		if (instr->kw != CB_KW_ONBUILD || !instr->onbuild.child)
			continue;
		step.instr = instr->onbuild.child;
		r = check_instr(&step, err);
	}
	for (size_t i = 0; i < stage->stage->n_instrs && r == 0; i++) {
		struct step step = { c, stage, &stage->stage->instrs[i], stage->stage->instrs[i].node };

		r = check_instr(&step, err);
	}
	if (r == 0 && stage->final && stage->user && stage->user_root)
		check_report(c, CB_RULE_LAST_USER_ROOT, stage->user, "Last USER of the image is root");
	return r;
}
