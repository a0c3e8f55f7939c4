/*
 * Shared by zygote.c and zygote_seed.c.
 */
#ifndef CB_RUNTIME_ZYGOTE_PRIVATE_H
#define CB_RUNTIME_ZYGOTE_PRIVATE_H

#include "runtime/zygote.h"

/** In a fork: descriptors 0 to 2 become /dev/null, 3 the channel, 4 *sys when it is one, and nothing else is left. */
int cb_zygote_tidy_fds(int sock, int *sys);
/**
 * Clones the zygote, whose end of the channel is @sock. @flags: CLONE_PARENT, or 0. @other, the owner's end, or -1,
 * must not stay open. The pid, or -1 with errno.
 */
pid_t cb_zygote_clone(enum cb_zygote_mode mode, int sock, int other, uint64_t flags, bool death_signal);
/** The same, by @seed. */
pid_t cb_zygote_seed_ask(const struct cb_zygote_seed *seed, enum cb_zygote_mode mode, int sock);

#endif
