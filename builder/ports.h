/*
 * Words of EXPOSE: "[[address:]host ports:]ports[/protocol]", ports being one or FROM-TO.
 *
 * What publishes is checked, since a mistake there is one, and dropped: an image says only what listens inside.
 */
#ifndef CB_BUILDER_PORTS_H
#define CB_BUILDER_PORTS_H

#include "base/err.h"
#include "base/strv.h"

/** Appends each port of @word to @ret as "80/tcp". CB_ERR_INPUT for what is no port, protocol or address. */
int cb_ports_expand(const char *word, struct cb_strv *ret, struct cb_err **err);

#endif
