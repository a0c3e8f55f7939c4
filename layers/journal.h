/*
 * The journal: what the last builds did, as texts of the caller, for telling it after the fact.
 *
 * A text belongs to a project (any name that the caller gives); the newest CB_JOURNAL_MAX are kept.
 */
#ifndef CB_LAYERS_JOURNAL_H
#define CB_LAYERS_JOURNAL_H

#include "layers/store.h"

#define CB_JOURNAL_MAX 100

int cb_journal_put(struct cb_store *store, const char *project, const char *text, struct cb_err **err);
/** The newest text of @project (NULL: of any): 0 with *ret (caller frees), or 1 when there is none. */
int cb_journal_latest(struct cb_store *store, const char *project, char **ret, struct cb_err **err);

#endif
