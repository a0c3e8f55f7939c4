/*
 * USER of an image: text and the bytes of /etc/passwd and /etc/group in, numbers out. Pure.
 *
 * Both numeric (or "root") needs no files and gives no supplementary groups; a name, or a number that passwd knows,
 * brings its primary group and all groups that list it; an unknown number has gid 0; "user:group" has only that
 * group; an unknown name is an error. "" is "0" looked up, so root gets the groups that list it.
 */
#ifndef CB_RUNTIME_USER_H
#define CB_RUNTIME_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

/** What a reader of /etc/passwd or /etc/group should take at most; more is CB_ERR_LIMIT to its caller. */
#define CB_USER_FILE_MAX (10U << 20)
/** Most supplementary groups of one user; more in the file are an error. */
#define CB_USER_GROUPS_MAX 4096

struct cb_user {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary, the primary one first; the kernel's setgroups takes them as they are */
	size_t n_groups;
	char *home; /* of the passwd entry with this uid, else "/" */
};

void cb_user_done(struct cb_user *user);
#define cleanup_user __attribute__((cleanup(cb_user_done)))

/**
 * Resolves @spec (NULL is ""). @passwd and @group may be NULL with length 0 when the files are missing. Lines that
 * do not parse are skipped, as libc does. CB_ERR_INPUT for unknown names and numbers out of range.
 */
int cb_user_resolve(const char *spec, const char *passwd, size_t passwd_len, const char *group, size_t group_len,
	struct cb_user *ret, struct cb_err **err);

/** True when @spec needs no file at all: "N:N" (or "root" in place of 0). HOME still comes from passwd. */
bool cb_user_is_numeric(const char *spec);

/**
 * The ids that file copies (WORKDIR, COPY --chown) give to @spec: "7" is 7:7, "7:8" is 7:8, a known name its own
 * ids, and an unknown name is CB_ERR_INPUT. Only ids are set.
 */
int cb_user_resolve_owner(const char *spec, const char *passwd, size_t passwd_len, const char *group, size_t group_len,
	uid_t *ret_uid, gid_t *ret_gid, struct cb_err **err);

#endif
