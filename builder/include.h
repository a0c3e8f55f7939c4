/*
 * The files that INCLUDE names: found in the build context, never outside of it, and kept as long as the tree needs
 * them.
 *
 * A path is relative to the file that includes, or to the top of the context when it begins with "/" or when the
 * Buildfile is not in the context. .dockerignore does not count, as it does not for the Buildfile. One thread.
 */
#ifndef CB_BUILDER_INCLUDE_H
#define CB_BUILDER_INCLUDE_H

#include "builder/report.h"
#include "parser/parse.h"

struct cb_includes;

/** @context is the directory, @buildfile the path of the Buildfile or NULL; neither is touched before the first
 * INCLUDE. */
struct cb_includes *cb_includes_new(const char *context, const char *buildfile);
/** The same for a context that was fetched: the directory @rootfd (duplicated) and the Buildfile's path in it, or NULL.
 */
struct cb_includes *cb_includes_new_at(int rootfd, const char *buildfile);
struct cb_includes *cb_includes_free(struct cb_includes *includes);
CB_DEFINE_CLEANUP(struct cb_includes *, cb_includes_free)

/** For cb_parse_files; borrowed, valid as long as @includes. */
const struct cb_includer *cb_includes_reader(struct cb_includes *includes);
/** Makes @source, which is the Buildfile's, know the files that were read, for excerpts. */
void cb_includes_report(const struct cb_includes *includes, struct cb_report_source *source);

#endif
