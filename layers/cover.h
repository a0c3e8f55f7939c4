/*
 * What a mount would be where nothing can be mounted: something else stands at a name of a plain root for a while.
 *
 * The entry "lent" of a directory aside is moved to the target and back again, and what was at the target waits aside,
 * as "kept". Directories on the way that are missing are made, and removed again when nothing was put into them. The
 * times of all directories stay. All of it is on one file system. For one thread.
 *
 * Nothing keeps a program in the root from moving the entry, as a mount would: that is found out at the end.
 */
#ifndef CB_LAYERS_COVER_H
#define CB_LAYERS_COVER_H

#include "base/err.h"
#include "base/mem.h"

#define CB_COVER_LENT "lent"
#define CB_COVER_KEPT "kept"

struct cb_cover;

/**
 * Puts "lent" of the directory @aside at @target, an absolute path that is resolved inside of @rootfd, links followed.
 * Both descriptors are borrowed until the end. CB_ERR_INPUT when one of the two is a directory and the other is not.
 */
int cb_cover_put(int rootfd, const char *target, int aside, struct cb_cover **ret, struct cb_err **err);
/**
 * The reverse, last put first. 0, or 1 when the program has moved or removed what was lent: then nothing is aside but
 * what was kept, which cannot come back if its directory has gone, too.
 */
int cb_cover_take(struct cb_cover *cover, struct cb_err **err);
/** Where something is kept that was there before: its real path below the root without a leading slash, or NULL. */
const char *cb_cover_kept(const struct cb_cover *cover);
/** Does not take back what is still lent. */
struct cb_cover *cb_cover_free(struct cb_cover *cover);
CB_DEFINE_CLEANUP(struct cb_cover *, cb_cover_free)

#endif
