/*
 * The bytes of a Buildfile as physical lines.
 */
#ifndef CB_PARSER_PHYSLINE_H
#define CB_PARSER_PHYSLINE_H

#include "base/err.h"
#include "base/span.h"

/** A reader of lines; the bytes are borrowed. */
struct cb_line_reader {
	struct cb_span rest;
	unsigned int line; /* number of the line read last, 0 before the first */
};

/** One physical line. */
struct cb_phys_line {
	struct cb_span text; /* without CR and LF at its end */
	struct cb_span full; /* with them */
};

/** Checks what concerns all bytes (size, NUL, UTF-16) and skips a byte order mark. */
int cb_line_reader_init(struct cb_line_reader *src, const char *data, size_t len, struct cb_err **err);
/** The next line; 1 at the end; CB_ERR_INPUT when the line is longer than CB_LINE_MAX. */
int cb_line_reader_next(struct cb_line_reader *src, struct cb_phys_line *ret, struct cb_err **err);

#endif
