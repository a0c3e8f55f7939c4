/*
 * --filter of `cbuild du` and `cbuild prune`: KEY=VALUE, KEY!=VALUE, KEY~=REGEX, or a bare KEY; all must hold.
 *
 * Keys: id, parent (a beginning of 4 or more characters does), type, description, until (not used for that long), and
 * the yes-or-no inuse, named, shared (others stand on it), private, mutable (cache mounts), immutable.
 */
#ifndef CB_BUILDER_USAGEFILTER_H
#define CB_BUILDER_USAGEFILTER_H

#include "base/err.h"
#include "layers/usage.h"

struct cb_usage_filter;

struct cb_usage_filter *cb_usage_filter_new(void);
struct cb_usage_filter *cb_usage_filter_free(struct cb_usage_filter *filter);
CB_DEFINE_CLEANUP(struct cb_usage_filter *, cb_usage_filter_free)

/** One more condition. CB_ERR_USAGE. */
int cb_usage_filter_add(struct cb_usage_filter *filter, const char *text, struct cb_err **err);
bool cb_usage_filter_match(const struct cb_usage_filter *filter, const struct cb_usage_item *item);

#endif
