/*
 * --chown and the owner of WORKDIR: user[:group], numbers or names of the destination's /etc/passwd and /etc/group.
 *
 * A number alone is the group too; a name alone brings its primary group; an unknown name is 0, an unknown group leaves
 * what the user brought, an empty one (after a colon) is 0. "root" is 0 without a look-up.
 */
#ifndef CB_LAYERS_CHOWN_H
#define CB_LAYERS_CHOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "layers/tree.h"

/** Bytes of passwd and group files; a bigger file counts as missing. */
#define CB_CHOWN_FILE_MAX ((size_t)10 << 20)

struct cb_owner {
	uint32_t uid, gid;
};

/** Pure: the files as bytes (NULL with length 0: missing). */
void cb_chown_resolve(const char *text, const char *passwd, size_t passwd_len, const char *group, size_t group_len,
	struct cb_owner *ret);
/** True when @text has a name, so that the answer depends on the files. */
bool cb_chown_needs_files(const char *text);
/** Reads the files from @tree (may be NULL: none) only when needed. */
int cb_chown_lookup(const char *text, struct cb_tree *tree, struct cb_owner *ret, struct cb_err **err);

#endif
