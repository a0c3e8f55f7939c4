/*
 * The instruction words of the language and what the grammar does with each: one table for all files of the parser.
 */
#ifndef CB_PARSER_KEYWORD_H
#define CB_PARSER_KEYWORD_H

#include <stddef.h>

#include "base/err.h"

/** An instruction. UNKNOWN nodes exist only in the grammar tree; no typed instruction has it. */
enum cb_keyword {
	CB_KW_UNKNOWN,
	CB_KW_ADD,
	CB_KW_ARG,
	CB_KW_CMD,
	CB_KW_COPY,
	CB_KW_ENTRYPOINT,
	CB_KW_ENV,
	CB_KW_EXPOSE,
	CB_KW_FROM,
	CB_KW_HEALTHCHECK,
	CB_KW_INCLUDE,
	CB_KW_LABEL,
	CB_KW_MAINTAINER,
	CB_KW_ONBUILD,
	CB_KW_RUN,
	CB_KW_SHELL,
	CB_KW_STOPSIGNAL,
	CB_KW_USER,
	CB_KW_VOLUME,
	CB_KW_WORKDIR,
	CB_KW_MAX_,
};

/** The instruction of the word @s of @len bytes, case ignored. */
enum cb_keyword cb_keyword_find(const char *s, size_t len);
/** "RUN"; "" for UNKNOWN. */
const char *cb_keyword_upper(enum cb_keyword kw);
/** Adds the keyword that @word was probably meant to be as a hint. Returns @code. */
int cb_keyword_unknown(struct cb_err **err, int code, const char *word);

#endif
