#include "builder/policy.h"

#include <stdlib.h>
#include <string.h>

/* "keep-storage" → "CBUILD_KEEP_STORAGE" */
static char *variable_of(const char *name)
{
	char *text = cb_xasprintf("CBUILD_%s", name);

	for (char *c = text; *c; c++) {
		if (*c == '-')
			*c = '_';
		else if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	}
	return text;
}

int cb_policy_of(struct cb_store *store, struct cb_gc_policy *ret, struct cb_err **err)
{
	int r = cb_gc_policy_read(store, ret, err);

	for (const char *const *name = cb_gc_policy_names; r == 0 && *name; name++) {
		cleanup_free char *variable = variable_of(*name);
		const char *value = getenv(variable);

		if (!value || !*value)
			continue;
		r = cb_gc_policy_apply(store, ret, *name, value, err);
		if (r == CB_ERR_INPUT) {
			cb_err_recode(err, CB_ERR_USAGE);
			r = cb_err_wrap(err, CB_ERR_USAGE, "%s", variable);
		}
	}
	return r;
}
