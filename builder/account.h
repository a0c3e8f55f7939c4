/*
 * The account of a build: what each step did and why, for --explain and `cbuild explain`.
 *
 * An account is a JSON object: "context", "created" and "steps", each with "name", "line", "status" ("cached", "ran",
 * "adopted", "failed", "canceled", "not reached"), "no_cache", and what a later comparison needs: "record" or "inputs".
 * The journal of the store keeps the last ones. Told in full, a step has "why" instead: a list of differences, or
 * "first": true when nothing earlier is known.
 */
#ifndef CB_BUILDER_ACCOUNT_H
#define CB_BUILDER_ACCOUNT_H

#include <jansson.h>

#include "builder/build.h"

/** Writes the account of @build into the journal, and tells it on standard error when --explain was given. */
void cb_account_end(struct cb_build *build, bool ok);

/** Makes an account of the journal one that is told in full; @remotes (may be NULL) may know what @store does not. */
int cb_account_complete(struct cb_store *store, struct cb_remotes *remotes, json_t *account, struct cb_err **err);
/** The full account for people. */
void cb_account_text(const json_t *account, struct cb_buf *out);

#endif
