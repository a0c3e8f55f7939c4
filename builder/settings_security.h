/*
 * --security-opt: how steps are held beyond --isolation. Private to settings and what opens a build.
 */
#ifndef CB_BUILDER_SETTINGS_SECURITY_H
#define CB_BUILDER_SETTINGS_SECURITY_H

#include "builder/settings.h"

/** Applies one value, in docker's and podman's forms: "KEY=VALUE", "KEY:VALUE" or "no-new-privileges". */
int cb_settings_add_security(struct cb_settings *settings, const char *text, struct cb_err **err);
/** What only all options together can say: entitlements. */
int cb_settings_check_security(const struct cb_settings *settings, struct cb_err **err);
void cb_security_options_done(struct cb_security_options *options);

/**
 * Reads and compiles the profile that was asked for into @ret (empty without one), for cb_run_spec.filter. Warnings are
 * appended to @warnings.
 */
int cb_security_filter(
	const struct cb_security_options *options, struct cb_buf *ret, struct cb_strv *warnings, struct cb_err **err);

#endif
