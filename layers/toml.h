/*
 * TOML as configuration files use it, pushed to a handler line by line.
 *
 * Read: comments, [table], [[array of tables]], dotted and quoted keys, strings of all four kinds, booleans, integers,
 * arrays and inline tables (nested at most CB_TOML_DEPTH_MAX). Floats and dates are passed over unchecked. Not checked:
 * that a key or table is defined once.
 */
#ifndef CB_LAYERS_TOML_H
#define CB_LAYERS_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"

#define CB_TOML_DEPTH_MAX 16

enum cb_toml_type {
	CB_TOML_STRING,
	CB_TOML_BOOL,
	CB_TOML_INT,
	CB_TOML_ARRAY, /* its strings are in items; other members are left out */
	CB_TOML_OTHER,
};

struct cb_toml_value {
	enum cb_toml_type type;
	const char *string;
	bool boolean;
	int64_t number;
	struct cb_strv items;
	unsigned int line;
};

struct cb_toml_handler {
	void *userdata;
	/** A [table] or, with @array, [[table]] begins. May be NULL. */
	int (*table)(void *userdata, const struct cb_strv *path, bool array, unsigned int line, struct cb_err **err);
	/** A key of the running table; everything borrowed. */
	int (*key)(void *userdata, const struct cb_strv *path, const struct cb_toml_value *value, struct cb_err **err);
};

/** CB_ERR_INPUT with the line for what is not TOML; @name is for errors. A negative answer of the handler ends it. */
int cb_toml_parse(
	const char *data, size_t len, const char *name, const struct cb_toml_handler *handler, struct cb_err **err);

#endif
