/*
 * Variables: which names have which value at a line of the Buildfile.
 *
 * Globals are the ARGs before the first FROM and the platform arguments; only FROM lines and the ARGs of stages see
 * them. A scope is the environment of one stage as it grows from line to line: the image's ENV, ENV and ARG of the
 * stage, the last writer wins. Command-line values (--build-arg) beat defaults; predefined proxy arguments reach RUN
 * without ARG and stay out of keys and history then.
 *
 * One thread. Globals must outlive their scopes.
 */
#ifndef CB_PARSER_SCOPE_H
#define CB_PARSER_SCOPE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strv.h"
#include "parser/ast.h"

struct cb_globals {
	const struct cb_strv *build_args; /* "K=V" of the command line; borrowed */
	struct cb_strv values;            /* "K=V" that have a value, platform arguments included */
	struct cb_strv platform;          /* the platform arguments alone */
	char escape;
	struct cb_strv *used, *unset; /* what expansions add names to, as struct cb_expand has it; NULL after init */
};

/** What the platform arguments say; platforms as "os/arch[/variant]". */
struct cb_platform_args {
	const char *target, *build; /* platforms */
	const char *stage;          /* TARGETSTAGE */
};

/** @build_args is borrowed for the life of @globals. */
void cb_globals_init(
	struct cb_globals *globals, const struct cb_strv *build_args, const struct cb_platform_args *args, char escape);
void cb_globals_done(struct cb_globals *globals);
/** Evaluates the ARGs before the first FROM, in order. Errors carry the place. */
int cb_globals_eval(struct cb_globals *globals, const struct cb_instr *args, size_t n, struct cb_err **err);
/** Expands @text with globals only (FROM image and --platform). */
int cb_globals_expand(const struct cb_globals *globals, struct cb_text text, char **ret, struct cb_err **err);

struct cb_scope {
	const struct cb_globals *globals;
	struct cb_strv env;    /* "K=V" in order of first appearance */
	struct cb_strv args;   /* names declared by ARG, in order of first declaration, each once */
	struct cb_strv *unset; /* gets the names that expansions found unset; NULL after init and copy */
};

void cb_scope_init(struct cb_scope *scope, const struct cb_globals *globals);
/** What FROM stage inherits: variables and declared arguments. */
void cb_scope_copy(struct cb_scope *to, const struct cb_scope *from);
void cb_scope_done(struct cb_scope *scope);

/** Expands @text into *ret (caller frees); errors carry the place of @text. */
int cb_scope_expand(const struct cb_scope *scope, struct cb_text text, char **ret, struct cb_err **err);
/** Expands @text and appends its words. */
int cb_scope_expand_words(const struct cb_scope *scope, struct cb_text text, struct cb_strv *ret, struct cb_err **err);
/** The body of an unquoted here-document. */
int cb_scope_expand_body(
	const struct cb_scope *scope, const char *body, unsigned int line, char **ret, struct cb_err **err);
/** For names of steps: unset variables stay as written, quotes too, a word that does not expand stays. Never fails. */
char *cb_scope_expand_name(const struct cb_scope *scope, const char *text);

/** ENV: sets the pair for the lines that follow. */
void cb_scope_set(struct cb_scope *scope, const char *key, const char *value);
/** FROM --reset=env: @env ("K=V") of the base no longer counts, unless ARG gave the name another value since. */
void cb_scope_forget(struct cb_scope *scope, const struct cb_strv *env);
/**
 * ARG name[=default]: the value is the build argument, else the expanded default, else the global of that name, else
 * none. *ret_value (may be NULL) is the value, or NULL without one (caller frees).
 */
int cb_scope_arg(struct cb_scope *scope, const struct cb_pair *arg, char **ret_value, struct cb_err **err);

/** The value of @key, or NULL; borrowed. */
const char *cb_scope_get(const struct cb_scope *scope, const char *key);
/** True for HTTP_PROXY, HTTPS_PROXY, FTP_PROXY, NO_PROXY, ALL_PROXY in any case. */
bool cb_scope_is_proxy(const char *name);
/** Adds "K=V" of the proxy arguments given on the command line, in upper and lower case, unless ARG declared them. */
void cb_scope_proxies(const struct cb_scope *scope, struct cb_strv *ret);

#endif
