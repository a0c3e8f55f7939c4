/*
 * Source patterns of COPY and ADD on a tree: from what a Buildfile says to the entries that are copied.
 *
 * One source text becomes zero or more cb_copy_source, in the order of a sorted walk. Only directories that can hold a
 * match are read. How one component of a pattern matches one name is not known here: the caller gives the function.
 */
#ifndef CB_LAYERS_MATCH_H
#define CB_LAYERS_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "layers/tree.h"

/**
 * Go's filepath.Match for one component (neither side has a '/'): 1 matches, 0 does not, negative with *err for a
 * malformed pattern. Thread-safe.
 */
typedef int (*cb_match_fn)(const char *pattern, const char *name, struct cb_err **err);

/* --- Patterns of whole paths ------------------------------------------------------------------------------------ */

/** A path pattern with "**" for any number of components. Immutable, thread-safe. */
struct cb_glob;

/** @pattern is cleaned, leading slashes dropped. CB_ERR_INPUT for a malformed one. */
int cb_glob_new(const char *pattern, cb_match_fn match, struct cb_glob **ret, struct cb_err **err);
struct cb_glob *cb_glob_free(struct cb_glob *glob);
CB_DEFINE_CLEANUP(struct cb_glob *, cb_glob_free)
/** TAKE: @path or a parent of it matches; PEEK: something below it can; DROP: neither. */
enum cb_path_verdict cb_glob_test(const struct cb_glob *glob, const char *path);
/** True when @text has a character that filepath.Match treats specially (* ? [ \). */
bool cb_glob_is_wild(const char *text);

/* --- Sources ----------------------------------------------------------------------------------------------------- */

struct cb_copy_source {
	char *path;              /* canonical path in the tree, symlinks resolved; "" is the root */
	char *name;              /* name at the destination: last component as written or matched; "" for the root */
	char *shown;             /* path as written or matched, for messages */
	bool is_dir;             /* a directory: its content is copied */
	bool wild;               /* found by a pattern: its name belongs to the content */
	struct cb_glob *include; /* --parents: what is taken below path; NULL: everything. Shared by `owner` */
};

struct cb_sources {
	struct cb_copy_source *v;
	size_t n, cap;
	struct cb_glob **globs; /* owned */
	size_t n_globs, cap_globs;
};
void cb_sources_done(struct cb_sources *sources);
#define cleanup_sources __attribute__((cleanup(cb_sources_done)))

struct cb_match_spec {
	struct cb_tree *tree;
	cb_match_fn match;
	bool parents; /* --parents: keep the path (from a "/./" on), "**" allowed */
	bool literal; /* no wildcards at all (RUN --mount source=) */
};

/**
 * Adds what the source @text selects. A literal that is not there is CB_ERR_NOT_FOUND with the message
 * "\"/x\": not found"; a pattern without match adds nothing.
 */
int cb_sources_add(struct cb_sources *sources, const struct cb_match_spec *spec, const char *text, struct cb_err **err);

#endif
