/*
 * Buildfile bytes to tree. Pure: no file, clock or environment; time and memory are linear in the input.
 *
 * Arguments (cb_node.args), as written, quotes kept:
 *   RUN CMD ENTRYPOINT SHELL    one text (the rest of the line), or the items of a JSON array (json is set)
 *   ADD COPY VOLUME             words, or the items of a JSON array
 *   EXPOSE FROM                 words
 *   ENV LABEL                   name, value, separator for each pair; separator "=", or "" for "ENV name value"
 *   MAINTAINER                  as a LABEL of the legacy form
 *   ARG                         words, each name or name=value
 *   INCLUDE STOPSIGNAL USER WORKDIR  one text
 *   HEALTHCHECK                 type, then the command as CMD has it
 *   ONBUILD                     none: see child
 *   unknown instruction         none
 *
 * Errors are CB_ERR_INPUT with line and column of the offending token and often a hint.
 */
#ifndef CB_PARSER_PARSE_H
#define CB_PARSER_PARSE_H

#include "base/err.h"
#include "base/mem.h"
#include "parser/ast.h"
#include "parser/mountflag.h"

/** Longest physical line, without its line end. */
#define CB_LINE_MAX 65535
/** Largest Buildfile. */
#define CB_BUILDFILE_MAX ((size_t)128 << 20)

/** Parses and validates: nodes, stages, typed instructions. INCLUDE is refused. */
int cb_parse(const char *data, size_t len, struct cb_buildfile **ret, struct cb_err **err);
/** Deepest INCLUDE inside of INCLUDE, and most INCLUDEs in one build. */
#define CB_INCLUDE_DEPTH_MAX 16
#define CB_INCLUDES_MAX 4096

/** A file that INCLUDE names; what it points to must live as long as the tree. */
struct cb_include_file {
	const char *name; /* as errors show it, and what .read gets as @from for the INCLUDEs inside */
	const char *id;   /* equal for equal files, for finding cycles; NULL: the name is */
	const char *data;
	size_t len;
};

/** How cb_parse_files gets at files. */
struct cb_includer {
	/** Reads @path as written in the file @from (the .name that it got, NULL for the Buildfile). */
	int (*read)(void *ctx, const char *from, const char *path, struct cb_include_file *ret, struct cb_err **err);
	void *ctx;
	const char *id; /* of the Buildfile, or NULL */
};

/**
 * cb_parse that follows INCLUDE: its instructions are as if they stood in its place. All files together have at most
 * CB_BUILDFILE_MAX bytes. @data must live as long as the tree. Errors in an included file have .file set and its lines.
 */
int cb_parse_files(const char *data, size_t len, const struct cb_includer *includer, struct cb_buildfile **ret,
	struct cb_err **err);
/** The file that @line of the tree stands in, and its line there in *ret_line. */
const struct cb_source_file *cb_buildfile_place(
	const struct cb_buildfile *file, unsigned int line, unsigned int *ret_line);
/** Turns the lines of @err, unless it names a file, into lines of the file they stand in, and names that file. */
void cb_buildfile_localise(const struct cb_buildfile *file, struct cb_err *err);

/** The grammar alone: only .arena, .directives, .nodes and .warnings are filled. Unknown instructions are accepted. */
int cb_parse_nodes(const char *data, size_t len, struct cb_buildfile **ret, struct cb_err **err);
/**
 * One instruction of an ONBUILD list, with the default escape character. The result has one stage without FROM (base
 * absent) holding the instruction. FROM, ONBUILD and MAINTAINER are refused.
 */
int cb_parse_trigger(const char *text, struct cb_buildfile **ret, struct cb_err **err);
struct cb_buildfile *cb_buildfile_free(struct cb_buildfile *file);
CB_DEFINE_CLEANUP(struct cb_buildfile *, cb_buildfile_free)

/** True for what a stage may be called: a lower-case letter, then letters, digits, '-', '_' and '.'. */
bool cb_stage_name_valid(const char *name);
/** The last stage called @name (case ignored), or NULL: how COPY --from, mounts and --target look names up. */
const struct cb_stage *cb_buildfile_stage(const struct cb_buildfile *file, const char *name);

#endif
