/*
 * Options that bound what steps may use: docker's resource options, time limits. Private to settings.
 */
#ifndef CB_BUILDER_SETTINGS_LIMITS_H
#define CB_BUILDER_SETTINGS_LIMITS_H

#include "builder/settings.h"

/** True when @id is one of these options. */
bool cb_settings_is_limit(int id);
/** Applies --@name of that @id. */
int cb_settings_set_limit(
	struct cb_settings *settings, int id, const char *name, const char *text, struct cb_err **err);
/** `memory=512m` and the like, a comma-separated list: the same limits by other names. */
int cb_settings_add_resource(struct cb_settings *settings, const char *text, struct cb_err **err);
/** What only all of them together can say. */
int cb_settings_check_limits(const struct cb_settings *settings, struct cb_err **err);

#endif
