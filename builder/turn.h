/*
 * Turns: on a rung where steps see the processes of other steps (no pid namespace), a step that has a secret or an
 * agent runs alone, so that no other can read it in /proc or from its memory.
 */
#ifndef CB_BUILDER_TURN_H
#define CB_BUILDER_TURN_H

#include <stdbool.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"

struct cb_turns;

struct cb_turns *cb_turns_new(void);
struct cb_turns *cb_turns_free(struct cb_turns *turns);
CB_DEFINE_CLEANUP(struct cb_turns *, cb_turns_free)

/**
 * Waits until no step runs that is @alone or, to be @alone, until none runs at all. Who waits to be alone comes before
 * those that begin to wait later. CB_ERR_CANCELED, or 0 with a turn that is to be ended.
 */
int cb_turn_begin(struct cb_turns *turns, bool alone, const struct cb_cancel *cancel, struct cb_err **err);
void cb_turn_end(struct cb_turns *turns, bool alone);

#endif
