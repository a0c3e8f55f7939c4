/*
 * Completions for shells, made from the tables of commands and options: what a table says is what is offered.
 *
 * What a value or an operand may be follows from the tables as well: from the choices of an option, and from the
 * metavariables in its value and in the arguments of a command (CONTEXT and DIR are directories, FILE is a file, IMAGE,
 * NAME and SOURCE are images of the store, STAGE is a stage of the Buildfile; words in lower case are themselves).
 */
#ifndef CB_BUILDER_COMPLETION_H
#define CB_BUILDER_COMPLETION_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/strv.h"
#include "builder/command.h"

enum cb_offer {
	CB_OFFER_NOTHING,
	CB_OFFER_WORDS, /* the choices of the option */
	CB_OFFER_FILES,
	CB_OFFER_DIRS,
	CB_OFFER_STAGES,
};

/** What can be said of the value of @opt, which takes one. */
enum cb_offer cb_completion_value(const struct cb_opt *opt);
/** Is @opt shown at all? */
bool cb_completion_shown(const struct cb_opt *opt);
/** Appends "a b c" for the choices "a|b|c". */
void cb_completion_words(struct cb_buf *out, const char *choices);

struct cb_operands {
	bool files, dirs, images, commands;
	bool program;         /* after the first one, a command line of its own */
	struct cb_strv words; /* literal ones */
};

/** What the operands of @command may be; *ret is overwritten, its words are the caller's. */
void cb_completion_operands(const struct cb_command *command, struct cb_operands *ret);

/** A table of options, once, however many commands have it. */
struct cb_option_table {
	const struct cb_opt *options;
	unsigned int number;     /* from 1 on */
	struct cb_strv commands; /* that have it */
};

struct cb_option_tables {
	struct cb_option_table *v;
	size_t n;
};

void cb_option_tables_init(struct cb_option_tables *tables);
void cb_option_tables_done(struct cb_option_tables *tables);
/** The number of @options in @tables, which has it. */
unsigned int cb_option_tables_number(const struct cb_option_tables *tables, const struct cb_opt *options);

/** Append the script of one shell. */
void cb_completion_bash(struct cb_buf *out);
void cb_completion_zsh(struct cb_buf *out);
void cb_completion_fish(struct cb_buf *out);

#endif
