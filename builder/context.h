/*
 * Build contexts: the directories that COPY, ADD and bind mounts read from, and the Buildfile itself.
 *
 * There is the main context, one for each --build-context that is no image, and one for each remote source of ADD. A
 * context is opened (its .dockerignore read or its files fetched, its tree and stat index made) by the job of its
 * vertex, once; afterwards it is read-only and shared by threads. The main context, when it is remote, is opened
 * before the plan, since the Buildfile is in it.
 */
#ifndef CB_BUILDER_CONTEXT_H
#define CB_BUILDER_CONTEXT_H

#include <stdbool.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "builder/settings.h"
#include "layers/checksum.h"
#include "layers/contenthash.h"
#include "layers/giturl.h"
#include "layers/platform.h"
#include "layers/snapshot.h"
#include "layers/store.h"
#include "layers/tree.h"

struct cb_ignore;
struct cb_stat_index;

/** Where the files of a context come from. */
enum cb_remote {
	CB_REMOTE_NONE, /* a directory of this machine */
	CB_REMOTE_STDIN,
	CB_REMOTE_URL, /* http or https */
	CB_REMOTE_GIT,
};

/** Largest .dockerignore is CB_IGNORE_FILE_MAX, largest Buildfile CB_BUILDFILE_MAX. */
struct cb_context {
	char *name;        /* NULL: the main context, or a source of ADD */
	char *path;        /* directory on the host; of a remote one what the user wrote */
	char *ignore_file; /* replaces .dockerignore of the context when it exists; or NULL */
	/* of a remote one: */
	enum cb_remote remote;
	char *shown;                 /* path without credentials */
	struct cb_git_url *git;      /* of CB_REMOTE_GIT */
	bool unpack;                 /* an archive becomes what is in it */
	struct cb_checksum checksum; /* that the content of an URL must have; or unset */
	char *file_name;             /* of CB_REMOTE_URL: what its file is called */
	unsigned int line, col;      /* of the ADD, or 0 */
	/* once opened: */
	struct cb_tree *tree;
	struct cb_ignore *ignore;       /* NULL: nothing is ignored */
	struct cb_digest ignore_digest; /* of its file's bytes; or unset */
	char *store;                    /* where the store is below the context, which then is no part of it; or NULL */
	struct cb_stat_index *stats;
	struct cb_hash_index index;
	int dirfd;                    /* of a remote one: its snapshot, held; else -1 */
	struct cb_snapshot *snapshot; /* that is thrown away at the end; or NULL */
	bool is_file;                 /* nothing but the file file_name */
	struct timespec mtime;        /* of that file */
	bool wants_time;              /* set before it is opened: look into an archive for has_time, too */
	bool has_time;                /* what is remote says when it was made, ... */
	int64_t time;                 /* ... in seconds: commit, Last-Modified, or newest file of an archive */
	struct cb_buf buildfile;      /* standard input and URLs: what came was no archive but a Buildfile */
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
	struct cb_context **added; /* remote sources of ADD */
	size_t n_added;
};

/** The contexts of @settings; nothing is opened. */
int cb_contexts_new(const struct cb_settings *settings, struct cb_contexts **ret, struct cb_err **err);
struct cb_contexts *cb_contexts_free(struct cb_contexts *contexts);
CB_DEFINE_CLEANUP(struct cb_contexts *, cb_contexts_free)
/**
 * The named context for @name as a stage name or image reference ("alpine" also serves "alpine:latest"), or NULL. One
 * called "name::os/arch" goes before "name" for that platform, and is none for others.
 */
const struct cb_named_context *cb_contexts_find(
	const struct cb_contexts *contexts, const char *name, const struct cb_platform *platform);

/** A remote source of ADD. */
struct cb_remote_source {
	const char *text;     /* URL or git address */
	const char *checksum; /* --checksum, or NULL */
	bool has_keep_git_dir, keep_git_dir;
	unsigned int line, col;
};
/** True when ADD fetches @source. */
bool cb_context_is_remote(const char *source);
/** The context of @source; equal sources share one. CB_ERR_INPUT without a place. */
int cb_contexts_add_remote(struct cb_contexts *contexts, const struct cb_remote_source *source, struct cb_context **ret,
	struct cb_err **err);
/** Tells the main context which Buildfile was read, for <Buildfile>.dockerignore beside it. */
void cb_contexts_note_file(struct cb_contexts *contexts, const char *path);

/** Opens @context, which is local; @store may be NULL (no index is kept). Remote ones: builder/remote.h. */
int cb_context_open(struct cb_context *context, struct cb_store *store, struct cb_err **err);
/** @stats (may be NULL) as what contenthash.h asks. */
struct cb_hash_index cb_context_stat_index(struct cb_stat_index *stats);
/** Makes context->index that of context->stats. For who opens contexts. */
void cb_context_use_index(struct cb_context *context);
/** What cb_ignore_match says, as a walk wants to hear it. */
enum cb_path_verdict cb_context_verdict(const struct cb_ignore *ignore, const char *path, bool is_dir);
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
 * CB_ERR_UNSUPPORTED when that has to be fetched.
 */
int cb_context_read_file(const struct cb_settings *settings, struct cb_context_file *ret, struct cb_err **err);
/** The same in a remote main context that is open; -f names a file in it. */
int cb_context_read_remote_file(const struct cb_settings *settings, struct cb_context *context,
	struct cb_context_file *ret, struct cb_err **err);
/** True for -f URL. */
bool cb_context_file_is_url(const struct cb_settings *settings);
/** How the context of @settings is to be had: a directory of that name goes before everything else. */
enum cb_remote cb_context_kind_of(const char *text);

#endif
