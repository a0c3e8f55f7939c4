#include "parser/scope.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "parser/expand.h"

/* ---- globals -------------------------------------------------------------------------------------------------- */

static void add_platform(struct cb_strv *ret, const char *prefix, const char *platform)
{
	cleanup_strv struct cb_strv parts = { 0 };

	cb_strv_split(&parts, platform, '/');
	cb_strv_addf(ret, "%sPLATFORM=%s", prefix, platform);
	cb_strv_addf(ret, "%sOS=%s", prefix, parts.n > 0 ? parts.v[0] : "");
	cb_strv_addf(ret, "%sOSVERSION=", prefix);
	cb_strv_addf(ret, "%sARCH=%s", prefix, parts.n > 1 ? parts.v[1] : "");
	cb_strv_addf(ret, "%sVARIANT=%s", prefix, parts.n > 2 ? parts.v[2] : "");
}

void cb_globals_init(
	struct cb_globals *globals, const struct cb_strv *build_args, const struct cb_platform_args *args, char escape)
{
	*globals = (struct cb_globals){ .build_args = build_args, .escape = escape };
	add_platform(&globals->platform, "BUILD", args->build);
	add_platform(&globals->platform, "TARGET", args->target);
	cb_strv_addf(&globals->platform, "TARGETSTAGE=%s", args->stage);

	/* A build argument replaces a platform argument even where no ARG says so. */
	for (size_t i = 0; i < globals->platform.n; i++) {
		const char *pair = globals->platform.v[i];
		cleanup_free char *key = cb_xstrndup(pair, strcspn(pair, "="));
		const char *given = cb_env_get(build_args, key);

		cb_env_set(&globals->values, key, given ? given : pair + strlen(key) + 1);
	}
}

void cb_globals_done(struct cb_globals *globals)
{
	cb_strv_done(&globals->values);
	cb_strv_done(&globals->platform);
}

static int expand_at(const struct cb_expand *how, struct cb_text text, char **ret, struct cb_err **err)
{
	int r = cb_expand_word(text.s, how, ret, err);

	return r < 0 ? cb_err_locate(err, r, text.line, text.col, text.line) : r;
}

int cb_globals_expand(const struct cb_globals *globals, struct cb_text text, char **ret, struct cb_err **err)
{
	struct cb_expand how = { .env = &globals->values, .escape = globals->escape };

	how.used = globals->used;
	how.unset = globals->unset;
	return expand_at(&how, text, ret, err);
}

int cb_globals_eval(struct cb_globals *globals, const struct cb_instr *args, size_t n, struct cb_err **err)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < args[i].pairs.n; k++) {
			const struct cb_pair *arg = &args[i].pairs.v[k];
			const char *given = cb_env_get(globals->build_args, arg->key.s);
			cleanup_free char *value = NULL;
			int r;

			if (given) {
				cb_env_set(&globals->values, arg->key.s, given);
				continue;
			}
			if (!arg->value.s)
				continue;
			r = cb_globals_expand(globals, arg->value, &value, err);
			if (r < 0)
				return r;
			cb_env_set(&globals->values, arg->key.s, value);
		}
	}
	return 0;
}

/* ---- stages --------------------------------------------------------------------------------------------------- */

void cb_scope_init(struct cb_scope *scope, const struct cb_globals *globals)
{
	*scope = (struct cb_scope){ .globals = globals };
}

void cb_scope_copy(struct cb_scope *to, const struct cb_scope *from)
{
	cb_scope_init(to, from->globals);
	cb_strv_copy(&to->env, &from->env);
	cb_strv_copy(&to->args, &from->args);
}

void cb_scope_done(struct cb_scope *scope)
{
	cb_strv_done(&scope->env);
	cb_strv_done(&scope->args);
}

static struct cb_expand how_of(const struct cb_scope *scope)
{
	return (struct cb_expand){ .env = &scope->env, .escape = scope->globals->escape, .unset = scope->unset };
}

int cb_scope_expand(const struct cb_scope *scope, struct cb_text text, char **ret, struct cb_err **err)
{
	struct cb_expand how = how_of(scope);

	return expand_at(&how, text, ret, err);
}

int cb_scope_expand_words(const struct cb_scope *scope, struct cb_text text, struct cb_strv *ret, struct cb_err **err)
{
	struct cb_expand how = how_of(scope);
	int r = cb_expand_words(text.s, &how, ret, err);

	return r < 0 ? cb_err_locate(err, r, text.line, text.col, text.line) : r;
}

int cb_scope_expand_body(
	const struct cb_scope *scope, const char *body, unsigned int line, char **ret, struct cb_err **err)
{
	struct cb_expand how = { .env = &scope->env, .escape = '\\', .flags = CB_EXPAND_NO_QUOTES };
	int r;

	how.unset = scope->unset;
	r = cb_expand_word(body, &how, ret, err);
	return r < 0 ? cb_err_locate(err, r, line, 1, line) : r;
}

char *cb_scope_expand_name(const struct cb_scope *scope, const char *text)
{
	struct cb_expand how = how_of(scope);
	char *ret = NULL;

	how.flags = CB_EXPAND_KEEP_UNSET | CB_EXPAND_RAW_QUOTES | CB_EXPAND_RAW_ESCAPES;
	if (cb_expand_word(text, &how, &ret, NULL) < 0)
		return cb_xstrdup(text);
	return ret;
}

void cb_scope_set(struct cb_scope *scope, const char *key, const char *value)
{
	cb_env_set(&scope->env, key, value);
}

void cb_scope_forget(struct cb_scope *scope, const struct cb_strv *env)
{
	size_t kept = 0;

	for (size_t i = 0; i < scope->env.n; i++) {
		if (cb_strv_has(env, scope->env.v[i]))
			free(scope->env.v[i]);
		else
			scope->env.v[kept++] = scope->env.v[i];
	}
	scope->env.n = kept;
}

const char *cb_scope_get(const struct cb_scope *scope, const char *key)
{
	return cb_env_get(&scope->env, key);
}

/* Arguments that steer the build and never become variables. */
static bool never_env(const char *name)
{
	return cb_str_eq(name, "BUILDKIT_SBOM_SCAN_CONTEXT") || cb_str_eq(name, "BUILDKIT_SBOM_SCAN_STAGE");
}

int cb_scope_arg(struct cb_scope *scope, const struct cb_pair *arg, char **ret_value, struct cb_err **err)
{
	const char *name = arg->key.s;
	const char *given = cb_env_get(scope->globals->build_args, name);
	cleanup_free char *value = NULL;
	int r;

	if (given) {
		value = cb_xstrdup(given);
	} else if (arg->value.s) {
		r = cb_scope_expand(scope, arg->value, &value, err);
		if (r < 0)
			return r;
	} else {
		value = cb_xstrdup_null(cb_env_get(&scope->globals->values, name));
	}
	if (!cb_strv_has(&scope->args, name))
		cb_strv_add(&scope->args, name);
	if (value && !never_env(name))
		cb_env_set(&scope->env, name, value);
	if (ret_value)
		*ret_value = CB_TAKE_PTR(value);
	return 0;
}

bool cb_scope_is_proxy(const char *name)
{
	static const char *const names[] = { "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (cb_str_ieq(name, names[i]))
			return true;
	return false;
}

void cb_scope_proxies(const struct cb_scope *scope, struct cb_strv *ret)
{
	const struct cb_strv *given = scope->globals->build_args;

	for (size_t i = 0; i < given->n; i++) {
		const char *value = strchr(given->v[i], '=');
		cleanup_free char *key = cb_xstrndup(given->v[i], strcspn(given->v[i], "="));
		cleanup_free char *upper = cb_xstrdup(key);

		if (!value || !cb_scope_is_proxy(key))
			continue;
		for (char *c = upper; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		cb_str_lower(key);
		if (!cb_strv_has(&scope->args, upper) && !cb_scope_get(scope, upper))
			cb_env_set(ret, upper, value + 1);
		if (!cb_strv_has(&scope->args, key) && !cb_scope_get(scope, key))
			cb_env_set(ret, key, value + 1);
	}
}
