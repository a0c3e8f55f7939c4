/*
 * Git repositories by the git program: what a ref is, and a checkout of one commit.
 *
 * git gets an environment of ours: no configuration of the system or the user, no hooks or templates, no prompts, only
 * the protocols git, http, https and ssh (also in submodules). What must stay secret goes by environment, never by
 * argument; messages have no credentials. Every command ends when the deadline is over or the cancel flag is raised.
 */
#ifndef CB_LAYERS_FETCH_GIT_H
#define CB_LAYERS_FETCH_GIT_H

#include <stdint.h>

#include "base/cancel.h"
#include "layers/giturl.h"

/** Longest time of a command that transfers no files. */
#define CB_GIT_RESOLVE_MS (60 * 1000)

struct cb_git_access {
	const char *authorization; /* value of an Authorization header for http(s), or NULL */
	const char *ssh_auth_sock; /* for ssh; NULL: that of cbuild's environment */
	const char *ca_file;       /* PEM file for https, or NULL */
	/*
	 * What the repository, its checkout and its submodules may occupy while they are fetched (CB_ERR_LIMIT, with
	 * limit_hint, which may be NULL); 0: any. No file alone is ever larger. All of them together are looked at
	 * while git runs, so for a moment they may be.
	 */
	uint64_t max_size;
	const char *limit_hint;
	uint64_t deadline_ns; /* cb_time_mono() at which all must be done (CB_ERR_TIMEOUT); 0: none */
	struct cb_cancel *cancel;
};

/** What a ref stood for. End with cb_git_commit_done. */
struct cb_git_commit {
	char *hash;
	char *ref; /* full name, to fetch by; NULL: the hash is all there is */
};
void cb_git_commit_done(struct cb_git_commit *commit);

/**
 * Asks the repository for url->ref (a full commit is taken as it is). CB_ERR_NOT_FOUND without such a ref,
 * CB_ERR_CORRUPT when the commit is not url->checksum, CB_ERR_UNSUPPORTED without git.
 */
int cb_git_resolve(const struct cb_git_url *url, const struct cb_git_access *access, struct cb_git_commit *ret,
	struct cb_err **err);

/**
 * Checks @commit out into the empty directory @dirfd: submodules too (url->submodules), .git removed everywhere unless
 * url->keep_git_dir, files 0644 or 0755 and directories 0755. *ret_time (may be NULL) is the time of the commit.
 */
int cb_git_checkout(const struct cb_git_url *url, const struct cb_git_access *access,
	const struct cb_git_commit *commit, int dirfd, int64_t *ret_time, struct cb_err **err);

/**
 * The time of the commit that the working tree @dir (or one of its parents) has checked out, in seconds: 0 with *ret,
 * or 1 when there is no repository or no commit yet. Nothing that the repository configures is run. CB_ERR_UNSUPPORTED
 * when there is one and no git to read it.
 */
int cb_git_head_time(const char *dir, const struct cb_cancel *cancel, int64_t *ret, struct cb_err **err);

#endif
