/*
 * Help texts, made from the tables of commands and options.
 */
#ifndef CB_BUILDER_HELP_H
#define CB_BUILDER_HELP_H

#include "base/buf.h"
#include "builder/command.h"

/** Appends the help of @command, or of cbuild itself for NULL. */
void cb_help_text(struct cb_buf *out, const struct cb_command *command);
/** Prints it on @fd; an enum cb_exit. */
int cb_help_print(const struct cb_command *command, int fd);
/** As cb_help_print on standard output, for --help of the command called @name. */
int cb_help_command(const char *name);

#endif
