/*
 * Operands and results of the vertices: what the planner writes, the executor reads and the cache remembers.
 *
 * Everything lives in the graph's arena and is immutable once the vertex is made. Strings never contain unexpanded
 * variables.
 */
#ifndef CB_BUILDER_STEP_H
#define CB_BUILDER_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "builder/chain.h"
#include "layers/digest.h"
#include "layers/platform.h"
#include "parser/ast.h"
#include "parser/mountflag.h"

struct cb_image;
struct cb_context;
struct cb_vertex;

/** A list of strings in the arena. */
struct cb_words {
	const char *const *v; /* NULL-terminated */
	size_t n;
};

/** A base image: one of its name and platform in a build. */
struct cb_base {
	const char *name; /* normalised reference, or "oci-layout://…" */
	struct cb_platform platform;
	struct cb_image *image;       /* the plan's; NULL when it was not resolved (cbuild graph) */
	const struct cb_chain *chain; /* of its layers; NULL for none */
	struct cb_vertex *vertex;
	unsigned int line, col; /* of the first instruction that named it */
};

struct cb_op_image {
	struct cb_base *base;
};

struct cb_op_context {
	struct cb_context *context;
};

/** Some files of the vertex of role SOURCE. */
struct cb_op_select {
	struct cb_words sources;  /* patterns as written */
	struct cb_words excludes; /* of --exclude */
	bool parents, literal;
	const struct cb_text *places; /* of the sources in the Buildfile, for messages; or NULL */
};

/** A here-document, expanded. */
struct cb_op_file {
	const char *name, *data;
	size_t len;
};

/**
 * COPY and ADD. Sources are read from the vertices behind the role SOURCE of the inputs of role FILES, in their order;
 * more than one when ADD has remote sources, each of which is one of its own.
 */
struct cb_op_copy {
	struct cb_words sources, excludes;
	const struct cb_op_file *files;
	size_t n_files;
	const char *dest, *workdir;
	const char *chown, *chmod; /* or NULL */
	bool add, parents, link;
	bool keep_archives; /* ADD --unpack=false */
	bool unpack;        /* ADD --unpack=true: what was downloaded too */
};

struct cb_op_workdir {
	const char *path;    /* absolute */
	const char *user;    /* of the image state, "" for none */
	const char *created; /* SOURCE_DATE_EPOCH, the time of new directories, or NULL */
};

/** A RUN --mount, resolved. */
struct cb_op_mount {
	const struct cb_mount *mount; /* target absolute */
	struct cb_vertex *source;     /* bind, cache with from=: whose files; NULL: none (empty) */
	const char *sub;              /* path in the source; NULL without from= of a cache */
	const char *cache_name;       /* cache: directory name in the store */
};

struct cb_op_run {
	struct cb_words argv, env;
	struct cb_words args;    /* which names of env are ARGs; in no key */
	struct cb_words proxies; /* joins env, not in keys */
	struct cb_words hosts;   /* names of --add-host; the addresses are no part of keys */
	struct cb_words ulimits;
	const char *arch;               /* whose programs the image has; no part of keys */
	const char *cwd, *user, *shown; /* shown: the command for the error message, quoted */
	enum cb_network network;
	enum cb_security security;
	const struct cb_op_mount *mounts;
	size_t n_mounts;
	const char *script; /* a here-document with "#!", to be found at script_path; or NULL */
	const char *script_path;
};

/** How a vertex came to its result. */
enum cb_step_how {
	CB_STEP_CACHED,  /* found by a key */
	CB_STEP_RAN,     /* executed */
	CB_STEP_ADOPTED, /* executed, and its result was that of an earlier run, which was taken in its place */
};

/** What is known of the execution of a vertex, for explaining it; made by its job, read when that is done. */
struct cb_step_note {
	enum cb_step_how how;
	json_t *inputs;      /* builder/inputs.h; or NULL */
	struct cb_buf files; /* list of the files read; may be empty */
	int64_t record;      /* that it was put under, or 0 */
	const char *from;    /* the remote cache that had it, or NULL; borrowed */
	uint64_t duration_ns;
};

/** What a vertex gave. */
struct cb_step_result {
	const struct cb_chain *chain; /* the file system (IMAGE, COPY, ADD, RUN, WORKDIR, MERGE); NULL: empty */
	struct cb_digest content;     /* SELECT */
	int64_t record;               /* of the cache, 0 for none */
};

#endif
