/*
 * RUN --mount: comma separated key=value fields (CSV quoting allowed).
 *
 * Which keys are allowed depends on values (type=...), and values may hold variables, so it goes in two steps: the
 * parser splits the flag and checks the keys (and, when nothing in it can expand, everything); the planner calls
 * cb_mount_resolve with its expander and gets the final mount.
 */
#ifndef CB_PARSER_MOUNTFLAG_H
#define CB_PARSER_MOUNTFLAG_H

#include "base/err.h"
#include "base/mem.h"
#include "parser/ast.h"

struct cb_arena;

enum cb_mount_key {
	CB_MOUNT_KEY_TYPE,
	CB_MOUNT_KEY_FROM,
	CB_MOUNT_KEY_SOURCE,
	CB_MOUNT_KEY_TARGET,
	CB_MOUNT_KEY_READONLY,
	CB_MOUNT_KEY_READWRITE,
	CB_MOUNT_KEY_REQUIRED,
	CB_MOUNT_KEY_SIZE,
	CB_MOUNT_KEY_ID,
	CB_MOUNT_KEY_SHARING,
	CB_MOUNT_KEY_MODE,
	CB_MOUNT_KEY_UID,
	CB_MOUNT_KEY_GID,
	CB_MOUNT_KEY_ENV,
};

struct cb_mount_field {
	enum cb_mount_key key;
	struct cb_text value; /* unexpanded; absent for a bare "ro", "rw", "required" */
	const char *word;     /* the whole field as written, for messages */
};

/** One --mount flag, in the arena of the tree. */
struct cb_mount_spec {
	struct cb_text text; /* the flag's value */
	const char *from;    /* literal stage, context or image name; NULL when absent (never expanded) */
	const struct cb_mount_field *fields;
	size_t n_fields;
};

/** A mount after expansion. Strings are owned and NULL when absent. */
struct cb_mount {
	enum cb_mount_type type;
	char *from, *source, *target;
	char *id;      /* default filled in for cache (NULL: take the cleaned target), secret and ssh stay NULL */
	char *env;     /* secret; other types take it and ignore it */
	bool readonly; /* bind: true unless rw; cache, tmpfs: as written */
	bool required; /* secret, ssh */
	bool has_size, has_uid, has_gid, has_mode;
	uint64_t size; /* tmpfs */
	uint32_t uid, gid, mode;
	enum cb_mount_sharing sharing; /* cache */
};

/** Expands @text into *ret (owned by the caller). */
typedef int cb_mount_expand_fn(void *arg, const char *text, char **ret, struct cb_err **err);

/** Splits the flag value @text; keys are checked, values only when they are constant. */
int cb_mount_spec_parse(struct cb_arena *arena, struct cb_text text, struct cb_mount_spec *ret, struct cb_err **err);
/** The final mount of @spec; @expand NULL takes the values as they are. Every rule of the language is checked. */
int cb_mount_resolve(const struct cb_mount_spec *spec, cb_mount_expand_fn *expand, void *arg, struct cb_mount **ret,
	struct cb_err **err);
/** "bind", "cache", ... */
const char *cb_mount_type_name(enum cb_mount_type type);
/** Reads 1, t, true, 0, f or false, each also in capitals or with one; false for anything else. */
bool cb_mount_bool(const char *s, bool *ret);
struct cb_mount *cb_mount_free(struct cb_mount *mount);
CB_DEFINE_CLEANUP(struct cb_mount *, cb_mount_free)

#endif
