/*
 * Variable expansion and quote removal of one word, as Dockerfile instructions do it (not as a shell does it).
 *
 * `$NAME`, `${NAME}` and the operators `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/pat/rep` `//pat/rep`, with
 * operands expanded recursively. Outside quotes the escape character makes the next character literal; inside "..." it
 * does so before `"`, `$` and itself only; '...' is literal. Quotes are removed. Pure and re-entrant.
 *
 * Patterns of # % / know `*`, `?` and backslash escapes of `* ? \ / }`. `*` and `?` do not match a newline, and in the
 * replacement of `//` a `$` that is still there after expansion is a template (`$$` is `$`, `$0` the match, any other
 * `$name` nothing): BuildKit's regular expressions behave so.
 */
#ifndef CB_PARSER_EXPAND_H
#define CB_PARSER_EXPAND_H

#include "base/err.h"
#include "base/strv.h"

/** Operands nested deeper than this are CB_ERR_LIMIT. */
#define CB_EXPAND_DEPTH_MAX 128
/** A result, or the values that it is made of, longer than this is CB_ERR_LIMIT. */
#define CB_EXPAND_SIZE_MAX (8U << 20)

enum {
	CB_EXPAND_RAW_QUOTES = 1 << 0,  /* quotes guard as usual but stay in the result */
	CB_EXPAND_RAW_ESCAPES = 1 << 1, /* escape characters act as usual but stay in the result */
	CB_EXPAND_NO_QUOTES = 1 << 2,   /* quotes are ordinary characters: bodies of heredocs */
	CB_EXPAND_KEEP_UNSET = 1 << 3,  /* an unset variable stays as it is written: names of steps */
};

/** How to expand. Zero is valid: no variable is set, the escape character is the backslash. */
struct cb_expand {
	/* The value of @name or NULL when unset; borrowed until the next call. NULL: use @env. */
	const char *(*get)(void *arg, const char *name);
	void *arg;
	const struct cb_strv *env; /* "K=V" list that is used without @get; may be NULL */
	char escape;               /* '\\' (also when 0) or '`' */
	unsigned int flags;        /* CB_EXPAND_* */
	struct cb_strv *used;      /* gets the names found set, once each, in order; or NULL */
	struct cb_strv *unset;     /* gets the names found unset, once each, in order; or NULL */
};

/**
 * Expands @input into *ret (caller frees). CB_ERR_INPUT for bad syntax and for `?` ("NAME: message").
 * Error messages do not name the input: the caller knows its place.
 */
int cb_expand_word(const char *input, const struct cb_expand *how, char **ret, struct cb_err **err);

/**
 * Expands @input and appends its words to @ret: split at Unicode white space that is unquoted, that of expanded values
 * included. Blanks behind "<<" do not split. Empty words do not appear. @ret is untouched on failure.
 */
int cb_expand_words(const char *input, const struct cb_expand *how, struct cb_strv *ret, struct cb_err **err);

#endif
