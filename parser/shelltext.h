/*
 * Where white space of a shell command may change without changing what the command means.
 *
 * No shell is parsed: quotes, escapes, comments and substitutions are recognised just well enough to know the places
 * that are certainly outside of them. What cannot be told counts as inside, up to the end of the text.
 */
#ifndef CB_PARSER_SHELLTEXT_H
#define CB_PARSER_SHELLTEXT_H

#include <stdbool.h>
#include <stddef.h>

/** Sets free[i], for 0 <= i <= len, to whether the place before byte i of @text is outside of quotes and the like. */
void cb_shell_free_places(const char *text, size_t len, bool *free);
/** The same for a JSON array: outside of its strings. */
void cb_json_free_places(const char *text, size_t len, bool *free);
/** The same for words that quotes and the escape character protect, as ENV, LABEL and ARG have them. */
void cb_word_free_places(const char *text, size_t len, char escape, bool *free);
/** Whether two commands differ only in the number of blanks where some are, outside of quotes and the like. */
bool cb_shell_same(const char *a, const char *b);

#endif
