/*
 * The exec form: telling whether a line is a JSON array of strings.
 *
 * What is not valid JSON, or has something behind it, is no error: the instruction then has its shell or word form. A
 * valid array with a member that is no string is an error. Strict RFC 8259 syntax; bad UTF-8 and lone surrogates become
 * U+FFFD; nesting beyond 10000 and numbers beyond a double count as invalid. U+0000 becomes CB_JSON_NUL, two bytes that
 * no string of the language holds otherwise, so that it can be shown; validation refuses it.
 */
#ifndef CB_PARSER_JSONFORM_H
#define CB_PARSER_JSONFORM_H

#include "base/arena.h"
#include "base/span.h"

#define CB_JSON_NUL "\xc0\x80"

/** A member of the array. */
struct cb_json_item {
	const char *value; /* decoded */
	const char *at;    /* its opening quote */
};

enum cb_json_form {
	CB_JSON_NONE,    /* not a JSON array */
	CB_JSON_STRINGS, /* an array of strings, perhaps empty */
	CB_JSON_OTHER,   /* valid, but with a member of another type */
};

/** Reads @text. STRINGS: *items (malloc'ed, caller frees) with values in @arena. OTHER: *bad is the member. */
enum cb_json_form cb_json_form_parse(
	struct cb_arena *arena, struct cb_span text, struct cb_json_item **items, size_t *n, const char **bad);

#endif
