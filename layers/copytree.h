/*
 * COPY, and ADD of local files, into a fresh snapshot directory beside its parents: no mount, no container.
 *
 * The rules are those of BuildKit's file copy. A directory source copies its content; the top directory of a copy keeps
 * its owner and mode or is made like a missing parent; directories below take the source's metadata; a file replaces a
 * file or symlink, never a directory; a directory never replaces anything else. Hard links inside one source stay
 * links. Of the extended attributes only security.capability is kept.
 */
#ifndef CB_LAYERS_COPYTREE_H
#define CB_LAYERS_COPYTREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/pool.h"
#include "layers/chmod.h"
#include "layers/chown.h"
#include "layers/contenthash.h"
#include "layers/match.h"
#include "layers/tree.h"

/** A heredoc source: a file of mode 0644, owner 0:0. */
struct cb_copy_file {
	const char *name;
	const char *data;
	size_t len;
};

/** May be read by another thread while the copy runs. */
struct cb_copy_progress {
	_Atomic uint64_t entries, bytes;
};

struct cb_copy_spec {
	struct cb_tree *src; /* NULL when there are only files */
	const struct cb_sources *sources;
	const struct cb_copy_file *files; /* after the sources */
	size_t n_files;
	const char *dest;    /* as written, variables expanded; a slash at the end means directory */
	const char *workdir; /* absolute; what a relative dest is relative to; NULL: "/" */

	struct cb_tree *parents; /* what the destination has already; NULL for --link or scratch */
	int upper;               /* the fresh snapshot directory */

	const struct cb_owner *chown;         /* --chown, or NULL */
	const struct cb_chmod *chmod;         /* --chmod, or NULL */
	const struct cb_path_filter *exclude; /* relative to each source that is a directory; or NULL */
	bool untimed;                         /* the top of @src has no time of its own: CB_DIFF_NSEC_CHANGED */
	bool unlink;                          /* each name of a file becomes a file of its own */
	struct timespec created;              /* time stamps of what has no source (parents, heredocs) */

	/*
	 * When set, file data is hashed while it is copied, looked up and remembered for the source. Costs nothing
	 * when the files were hashed before.
	 */
	const struct cb_hash_index *index;
	struct cb_pool *pool;              /* helps when not NULL; the caller may itself run on it */
	const struct cb_cancel *cancel;    /* or NULL */
	struct cb_copy_progress *progress; /* or NULL */
};

/** On failure the upper holds a part and is thrown away by the caller. CB_ERR_INPUT for what the rules forbid. */
int cb_copy_run(const struct cb_copy_spec *spec, struct cb_err **err);

#endif
