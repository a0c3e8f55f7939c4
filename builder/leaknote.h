/*
 * Leaks that are known: a note in the store that the layer of a snapshot holds the value of a secret. The snapshot may
 * be found in the cache by a build that has another value, or none; the note goes with the snapshot.
 */
#ifndef CB_BUILDER_LEAKNOTE_H
#define CB_BUILDER_LEAKNOTE_H

#include <stdbool.h>

#include "base/err.h"
#include "layers/store.h"

/** A value that was found in a layer. Zero-initialise. */
struct cb_leak {
	char *secret; /* its id, or NULL: there is no leak */
	char *where;  /* fit to be shown */
	bool earlier; /* an earlier build noted it */
};
void cb_leak_done(struct cb_leak *leak);

int cb_leaknote_put(struct cb_store *store, const char *snapshot, const struct cb_leak *leak, struct cb_err **err);
/** 1 with *ret when there is a note, else 0. */
int cb_leaknote_find(struct cb_store *store, const char *snapshot, struct cb_leak *ret, struct cb_err **err);

#endif
