/*
 * Where steps have no pid namespace of their own: the first process of a sandbox stays behind as the *keeper* of the
 * command, and ends everything that the command leaves behind. What is orphaned becomes a child of the keeper, so
 * nothing gets away from it, unless the keeper itself is killed.
 */
#ifndef CB_RUNTIME_KEEPER_H
#define CB_RUNTIME_KEEPER_H

#include "runtime/sandbox.h"

/**
 * Forks: returns in the child, which is to become the command. The keeper waits for it, ends the rest, calls @finish
 * (may be NULL) and ends like the command. @proc is a descriptor of a /proc that shows our processes.
 */
void cb_keeper_split(struct cb_sandbox *sb, int proc, void (*finish)(void *arg), void *arg);

/** Kills all children but the @spared (NULL: none) and whatever becomes a child meanwhile, and reaps them. */
void cb_keeper_end_strangers(int proc, bool (*spared)(void *arg, pid_t pid), void *arg);

#endif
