/*
 * Addresses of git repositories, as ADD and contexts take them. Pure.
 *
 *   git://host/path   ssh://user@host/path   http(s)://host/path.git   user@host:path
 *   github.com/org/repo                      as a context only
 *
 * each with "#ref:subdir", and those with a scheme with a query instead: ref, tag, branch, subdir, checksum (or
 * commit), keep-git-dir, submodules, mtime=checkout|commit, fetch-by-commit. What is given twice must agree.
 *
 * Nothing in it is trusted: refs that git could take for an option, a range or a pattern are refused, and so are
 * control characters anywhere.
 */
#ifndef CB_LAYERS_GITURL_H
#define CB_LAYERS_GITURL_H

#include <stdbool.h>

#include "base/err.h"

struct cb_git_url {
	char *remote;   /* for git: without fragment and query, and without the user information of http */
	char *auth;     /* "user:password" of an http URL, percent-decoded; or NULL */
	char *ref;      /* "main", "refs/tags/v1", a full commit; NULL: HEAD */
	char *subdir;   /* clean and relative; NULL: the root */
	char *checksum; /* hex digits that the commit must begin with, lower case; or NULL */
	bool keep_git_dir;
	bool submodules;   /* true unless switched off */
	bool mtime_commit; /* files get the time of the commit */
};
struct cb_git_url *cb_git_url_free(struct cb_git_url *url);
CB_DEFINE_CLEANUP(struct cb_git_url *, cb_git_url_free)

/** True when @text has the form of a repository's address; @context allows github.com/org/repo too. */
bool cb_git_url_is(const char *text, bool context);
/** Parses what cb_git_url_is said yes to. CB_ERR_INPUT. */
int cb_git_url_parse(const char *text, struct cb_git_url **ret, struct cb_err **err);
/** @text with a password replaced, for messages; of http URLs all user information is. Caller frees. */
char *cb_git_url_redact(const char *text);
/** True for the hex digits of a whole commit: 40 or 64. */
bool cb_git_is_commit(const char *text);

#endif
