/*
 * Secrets: what --secret offered, and the texts by which a value would be known.
 *
 * Values are read once, before the build begins: a pipe gives its content only once. A value that cannot be read is
 * an error when something asks for it, not before.
 */
#ifndef CB_BUILDER_SECRET_H
#define CB_BUILDER_SECRET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/needles.h"
#include "builder/settings.h"

/** Reads what can be read. */
void cb_secrets_load(struct cb_settings *settings);
/** The secret @id, or NULL. Borrowed. */
const struct cb_secret_spec *cb_secret_find(const struct cb_settings *settings, const char *id);
/** Appends its value. */
int cb_secret_read(const struct cb_secret_spec *secret, struct cb_buf *out, struct cb_err **err);
/** Overwrites and frees a value. */
void cb_secret_wipe(struct cb_buf *value);

/*
 * A value is looked for as it is, in base64 (also in the middle of something encoded, so in three alignments; both
 * alphabets), URL-encoded, and escaped as JSON, XML or a shell do it. The owner of a match is the secret's place in
 * settings. Values shorter than CB_NEEDLE_MIN are not looked for: too much would look like them.
 */

/** What must not be shown: also every line of a value, but those that frame keys. Never NULL, sealed. */
struct cb_needles *cb_secrets_shown(const struct cb_settings *settings);
/** What must not be in an image: of single lines only those that look like keys. Never NULL, sealed. */
struct cb_needles *cb_secrets_kept(const struct cb_settings *settings);

#endif
