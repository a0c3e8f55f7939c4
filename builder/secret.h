/*
 * Secrets: what --secret offered.
 */
#ifndef CB_BUILDER_SECRET_H
#define CB_BUILDER_SECRET_H

#include "base/buf.h"
#include "base/err.h"
#include "builder/settings.h"

/** The secret @id, or NULL. Borrowed. */
const struct cb_secret_spec *cb_secret_find(const struct cb_settings *settings, const char *id);
/** Appends its value. */
int cb_secret_read(const struct cb_secret_spec *secret, struct cb_buf *out, struct cb_err **err);
/** Overwrites and frees a value. */
void cb_secret_wipe(struct cb_buf *value);

#endif
