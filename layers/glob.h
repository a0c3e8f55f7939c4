/*
 * Inside of pattern matching: the states of a glob while a walk goes down. Used by match.c and glob.c only.
 */
#ifndef CB_LAYERS_GLOB_H
#define CB_LAYERS_GLOB_H

#include <stdint.h>

#include "base/strv.h"
#include "layers/match.h"

/** Components of one pattern. */
#define CB_GLOB_COMPONENTS_MAX 255

struct cb_glob {
	struct cb_strv comps;
	cb_match_fn match;
};

/** Which components may come next; bit `n` (their number) means: all matched. */
struct cb_glob_states {
	uint64_t w[(CB_GLOB_COMPONENTS_MAX + 64) / 64];
};

void cb_glob_start(const struct cb_glob *glob, struct cb_glob_states *ret);
void cb_glob_step(
	const struct cb_glob *glob, const struct cb_glob_states *from, const char *name, struct cb_glob_states *ret);
bool cb_glob_accepts(const struct cb_glob *glob, const struct cb_glob_states *states);
/** True when a name below could still match. */
bool cb_glob_alive(const struct cb_glob *glob, const struct cb_glob_states *states);

#endif
