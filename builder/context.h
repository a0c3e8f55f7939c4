/*
 * Build contexts: the directories that COPY, ADD and bind mounts read from, and the Buildfile itself.
 *
 * There is the main context and one for each --build-context NAME=DIR. A context is opened (its .dockerignore read, its
 * tree and stat index made) by the job of its vertex, once; afterwards it is read-only and shared by threads.
 */
#ifndef CB_BUILDER_CONTEXT_H
#define CB_BUILDER_CONTEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "builder/settings.h"
#include "layers/contenthash.h"
#include "layers/store.h"
#include "layers/tree.h"

struct cb_ignore;
struct cb_stat_index;

/** Largest .dockerignore is CB_IGNORE_FILE_MAX, largest Buildfile CB_BUILDFILE_MAX. */
struct cb_context {
	char *name;        /* NULL: the main context */
	char *path;        /* directory on the host */
	char *ignore_file; /* replaces .dockerignore of the context when it exists; or NULL */
	/* once opened: */
	struct cb_tree *tree;
	struct cb_ignore *ignore; /* NULL: nothing is ignored */
	struct cb_stat_index *stats;
	struct cb_hash_index index;
};

enum cb_context_kind { CB_CONTEXT_DIR, CB_CONTEXT_IMAGE };

/** One --build-context. */
struct cb_named_context {
	char *name;
	enum cb_context_kind kind;
	char *image; /* reference, or "oci-layout://…" */
	struct cb_context *dir;
};

struct cb_contexts {
	struct cb_context *main;
	struct cb_named_context *named;
	size_t n_named;
};

/** The contexts of @settings; nothing is opened. CB_ERR_UNSUPPORTED for kinds that are not there yet. */
int cb_contexts_new(const struct cb_settings *settings, struct cb_contexts **ret, struct cb_err **err);
struct cb_contexts *cb_contexts_free(struct cb_contexts *contexts);
CB_DEFINE_CLEANUP(struct cb_contexts *, cb_contexts_free)
/** The named context for @name as a stage name or image reference ("alpine" also serves "alpine:latest"), or NULL. */
const struct cb_named_context *cb_contexts_find(const struct cb_contexts *contexts, const char *name);

/** Opens @context; @store may be NULL (no index is kept). */
int cb_context_open(struct cb_context *context, struct cb_store *store, struct cb_err **err);
/** Writes the stat index of an opened context back. */
int cb_context_flush(struct cb_context *context, struct cb_err **err);

/** A Buildfile as it was read. */
struct cb_context_file {
	char *shown; /* as the user knows it: "Buildfile", "dir/Buildfile", "<stdin>" */
	char *path;  /* on the host, or NULL for standard input */
	struct cb_buf data;
};
void cb_context_file_done(struct cb_context_file *file);

/**
 * Reads the Buildfile that @settings names: -f, else Buildfile, Dockerfile, Containerfile, dockerfile of the context.
 */
int cb_context_read_file(const struct cb_settings *settings, struct cb_context_file *ret, struct cb_err **err);

#endif
