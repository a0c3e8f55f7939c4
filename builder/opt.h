/*
 * Command-line options from a table: parsing, help and completion read the same entries.
 *
 * `--name=value`, `--name value`, `-n value`, `-nvalue`; flags `--name`, `--name=true|false`; an optional value only as
 * `--name=value`; options and operands in any order, `--` ends options. No bundling of short flags, no abbreviations.
 * An unknown option is CB_ERR_USAGE with the nearest name as hint.
 */
#ifndef CB_BUILDER_OPT_H
#define CB_BUILDER_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"

enum cb_opt_kind {
	CB_OPT_VALUE,    /* needs a value */
	CB_OPT_FLAG,     /* a boolean */
	CB_OPT_OPTIONAL, /* takes a value or none, which is the value "" */
};

struct cb_opt {
	const char *name; /* long name without dashes; NULL ends a table */
	char letter;      /* short name or 0 */
	enum cb_opt_kind kind;
	int id;              /* what the parser hands back */
	const char *value;   /* metavariable, "FILE"; NULL for flags */
	const char *help;    /* one line; NULL: hidden from help and completion */
	const char *choices; /* "a|b|c" for completion, "file", "dir", or NULL */
};

/** Iterator over an argument vector. Initialise argc, argv and tables; either table may be NULL. */
struct cb_opt_parser {
	int argc;
	char *const *argv;
	const struct cb_opt *tables[2];
	int at;
	bool only_operands;
};

/**
 * The next option or operand: 1 and *ret_opt (NULL for an operand) with *ret_value (borrowed from argv; "true" or
 * "false" for flags); 0 at the end; CB_ERR_USAGE.
 */
int cb_opt_next(
	struct cb_opt_parser *parser, const struct cb_opt **ret_opt, const char **ret_value, struct cb_err **err);
/** Stops interpreting: everything from parser->at on is the caller's (for `run IMAGE CMD...`). */
void cb_opt_stop(struct cb_opt_parser *parser);

/** What a command does with each of its arguments. Initialise command, tables and option. */
struct cb_opt_reader {
	const char *command; /* its name, for errors */
	const struct cb_opt *tables[2];
	int (*option)(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err);
	void *arg;
	/* Operands are handed to a function or added to a list; without either they are refused. */
	int (*operand)(void *arg, const char *value, struct cb_err **err);
	struct cb_strv *operands;
};
/** Reads all arguments, or those before --help: then 1. The first failure ends it. */
int cb_opt_read(const struct cb_opt_reader *reader, int argc, char *const *argv, struct cb_err **err);

/** Every command has --help/-h with this id; tables do not list it. */
#define CB_OPT_HELP (-1)
/** True for the value "true" of a flag. */
bool cb_opt_bool(const char *value);

/** Appends the aligned option lines of a help text, that of --help last. Either table may be NULL. */
void cb_opt_help(struct cb_buf *out, const struct cb_opt *const tables[2]);

#endif
