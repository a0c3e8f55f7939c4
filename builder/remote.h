/*
 * Remote contexts: what URLs, git repositories and standard input give, as a tree of files.
 *
 * The files are put into a snapshot of the store. That of a URL is kept with the validators that its server gave
 * (ETag, Last-Modified) and asked for again at the next build; with a checksum that it has, the server is not asked
 * at all. That of a repository is kept by commit. What archives and standard input held is thrown away at the end.
 */
#ifndef CB_BUILDER_REMOTE_H
#define CB_BUILDER_REMOTE_H

#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "builder/context.h"
#include "layers/http.h"

/** Most bytes of a context on standard input. What comes from elsewhere has --fetch-limit and --fetch-timeout. */
#define CB_REMOTE_STDIN_MAX (UINT64_C(64) << 30)

struct cb_remote_access {
	struct cb_store *store;
	struct cb_http *http;
	const struct cb_settings *settings; /* secrets with credentials, agents, certificates */
	struct cb_cancel *cancel;
	/** May be NULL. @total is 0 while unknown. */
	void (*progress)(void *userdata, uint64_t bytes, uint64_t total);
	void *userdata;
};

/** Fetches @context and opens it. 0, or 1 when everything was here already. */
int cb_remote_open(struct cb_context *context, const struct cb_remote_access *access, struct cb_err **err);

#endif
