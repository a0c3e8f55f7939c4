/*
 * .dockerignore: which paths of a context do not exist for the build.
 *
 * Patterns are anchored at the context root; per path component `*`, `?`, `[...]` and `\c` as in parser/pattern.h, and
 * `**` for any number of components. A pattern that matches a directory covers everything beneath. `!` re-includes;
 * the last pattern that matches decides, so a file inside an ignored directory can come back.
 *
 * A set is immutable once made: threads may share it. Matching allocates nothing for paths below PATH_MAX.
 */
#ifndef CB_PARSER_DOCKERIGNORE_H
#define CB_PARSER_DOCKERIGNORE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strv.h"

/** More patterns than this, or a longer file, are CB_ERR_LIMIT. */
#define CB_IGNORE_PATTERNS_MAX 100000
#define CB_IGNORE_FILE_MAX (4U << 20)

struct cb_ignore;

enum cb_ignore_verdict {
	CB_IGNORE_KEEP,  /* part of the context */
	CB_IGNORE_DROP,  /* ignored; if it is a directory, something beneath may still be kept: it must be walked */
	CB_IGNORE_PRUNE, /* ignored, and so is everything beneath */
};

/**
 * Reads the lines of an ignore file into patterns: byte order mark, comments (`#` in the first column) and blank lines
 * dropped, white space trimmed, paths cleaned, the leading `/` removed. CB_ERR_LIMIT.
 */
int cb_ignore_read(const char *data, size_t len, struct cb_strv *ret, struct cb_err **err);

/**
 * Compiles @patterns in their order. CB_ERR_INPUT for a bad pattern or a lone `!`; err->line is then the 1-based number
 * of the pattern in the list.
 */
int cb_ignore_new(const struct cb_strv *patterns, struct cb_ignore **ret, struct cb_err **err);
/** cb_ignore_read and cb_ignore_new; err->line is the line of @data. */
int cb_ignore_parse(const char *data, size_t len, struct cb_ignore **ret, struct cb_err **err);
struct cb_ignore *cb_ignore_free(struct cb_ignore *ignore);
CB_DEFINE_CLEANUP(struct cb_ignore *, cb_ignore_free)

/**
 * Judges the clean relative path @path ("a/b", no leading slash). "." and "" are kept. With @is_dir false the verdict
 * is never CB_IGNORE_PRUNE. NULL for @ignore keeps everything.
 */
enum cb_ignore_verdict cb_ignore_match(const struct cb_ignore *ignore, const char *path, bool is_dir);
/** True when there is any `!` pattern. */
bool cb_ignore_has_exceptions(const struct cb_ignore *ignore);
size_t cb_ignore_count(const struct cb_ignore *ignore);

#endif
