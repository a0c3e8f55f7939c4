/*
 * Option values with a grammar of their own. Private to settings; each appends to or sets a part of the struct, which
 * is as before on failure.
 */
#ifndef CB_BUILDER_SETTINGS_VALUES_H
#define CB_BUILDER_SETTINGS_VALUES_H

#include "builder/settings.h"

/** `NAME:IP`, `NAME=IP`, IPv6 bare or in brackets; stored as "NAME=IP". */
int cb_settings_add_host(struct cb_settings *settings, const char *text, struct cb_err **err);
/** `name=soft[:hard]`. */
int cb_settings_add_ulimit(struct cb_settings *settings, const char *text, struct cb_err **err);
/** `default`, `ID` or `ID=SOCKET|KEY[,KEY…]`. */
int cb_settings_add_ssh(struct cb_settings *settings, const char *text, struct cb_err **err);
/** `id=ID[,src=FILE][,env=NAME][,type=file|env]`; without a source, the variable ID, else the file ID. */
int cb_settings_add_secret(struct cb_settings *settings, const char *text, char *const *envp, struct cb_err **err);

/** `METHOD[,format=text|json][,ignorestatus[=BOOL]]`. */
int cb_settings_set_call(struct cb_settings *settings, const char *text, struct cb_err **err);

/** The value of @name in a main-like environment, or NULL. */
const char *cb_environ_get(char *const *envp, const char *name);

#endif
