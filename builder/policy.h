/*
 * The policy of a store as a build follows it: what is recorded in it, and over that the environment.
 */
#ifndef CB_BUILDER_POLICY_H
#define CB_BUILDER_POLICY_H

#include "layers/gc.h"

/**
 * CBUILD_GC, CBUILD_KEEP_STORAGE, CBUILD_KEEP_DURATION, CBUILD_MIN_FREE and CBUILD_QUOTA win over what is recorded.
 */
int cb_policy_of(struct cb_store *store, struct cb_gc_policy *ret, struct cb_err **err);

#endif
