#include "builder/usagefilter.h"

#include <regex.h>
#include <string.h>

#include "base/strv.h"
#include "base/timefmt.h"
#include "layers/gc.h"

/* Characters from which on the beginning of an id will do. */
#define PREFIX_MIN 4

enum key {
	KEY_ID,
	KEY_PARENT,
	KEY_TYPE,
	KEY_DESCRIPTION,
	KEY_UNTIL,
	KEY_INUSE,
	KEY_NAMED,
	KEY_SHARED,
	KEY_PRIVATE,
	KEY_MUTABLE,
	KEY_IMMUTABLE,
};

static const struct {
	const char *name;
	enum key key;
	bool flag; /* yes or no: no value is needed */
} keys[] = {
	{ "id", KEY_ID, false },
	{ "parent", KEY_PARENT, false },
	{ "parents", KEY_PARENT, false },
	{ "type", KEY_TYPE, false },
	{ "description", KEY_DESCRIPTION, false },
	{ "until", KEY_UNTIL, false },
	{ "unused-for", KEY_UNTIL, false },
	{ "inuse", KEY_INUSE, true },
	{ "named", KEY_NAMED, true },
	{ "shared", KEY_SHARED, true },
	{ "private", KEY_PRIVATE, true },
	{ "mutable", KEY_MUTABLE, true },
	{ "immutable", KEY_IMMUTABLE, true },
};

struct condition {
	enum key key;
	bool negated, regex, flag, want;
	char *value;
	regex_t pattern;
	int64_t newest; /* of until */
};

struct cb_usage_filter {
	struct condition *v;
	size_t n, cap;
};

struct cb_usage_filter *cb_usage_filter_new(void)
{
	return cb_new0(struct cb_usage_filter);
}

struct cb_usage_filter *cb_usage_filter_free(struct cb_usage_filter *filter)
{
	for (size_t i = 0; filter && i < filter->n; i++) {
		if (filter->v[i].regex)
			regfree(&filter->v[i].pattern);
		free(filter->v[i].value);
	}
	if (filter)
		free(filter->v);
	free(filter);
	return NULL;
}

static int find_key(const char *name, struct condition *ret, struct cb_err **err)
{
	const char *names[ARRAY_SIZE(keys)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		names[i] = keys[i].name;
		if (strcmp(keys[i].name, name) != 0)
			continue;
		ret->key = keys[i].key;
		ret->flag = keys[i].flag;
		return 0;
	}
	cb_err_set(err, CB_ERR_USAGE, "unknown filter \"%.100s\"", name);
	near = cb_str_nearest(name, names, ARRAY_SIZE(keys));
	if (near)
		return cb_err_hint(err, CB_ERR_USAGE, "did you mean \"%s\"?", near);
	return cb_err_hint(err, CB_ERR_USAGE,
		"filters are id, parent, type, description, until, inuse, named, shared, private, mutable, immutable");
}

static int set_value(struct condition *c, const char *name, const char *value, struct cb_err **err)
{
	int64_t seconds;

	if (c->flag) {
		if (c->regex)
			return cb_err_set(err, CB_ERR_USAGE, "filter %s is true or false", name);
		c->want = !value || !strcmp(value, "true") || !strcmp(value, "1");
		if (!c->want && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
			return cb_err_set(err, CB_ERR_USAGE, "filter %s is true or false, not \"%.100s\"", name, value);
		return 0;
	}
	if (!value)
		return cb_err_set(err, CB_ERR_USAGE, "filter %s needs a value: %s=VALUE", name, name);
	if (c->key == KEY_UNTIL) {
		if (c->regex || !cb_gc_parse_duration(value, &seconds))
			return cb_err_set(
				err, CB_ERR_USAGE, "filter %s takes a time (48h, 30d), not \"%.100s\"", name, value);
		c->newest = cb_time_now().tv_sec - seconds;
	}
	c->value = cb_xstrdup(value);
	if (c->regex && regcomp(&c->pattern, value, REG_EXTENDED | REG_NOSUB) != 0) {
		c->regex = false;
		return cb_err_set(err, CB_ERR_USAGE, "filter %s: \"%.100s\" is no regular expression", name, value);
	}
	return 0;
}

int cb_usage_filter_add(struct cb_usage_filter *filter, const char *text, struct cb_err **err)
{
	size_t len = strcspn(text, "=!~");
	cleanup_free char *name = cb_xstrndup(text, len);
	struct condition *c;
	int r;

	CB_GROW(filter->v, filter->cap, filter->n + 1);
	c = &filter->v[filter->n++];
	*c = (struct condition){ .negated = text[len] == '!', .regex = text[len] == '~' };
	len += c->negated || c->regex;
	r = find_key(name, c, err);
	if (r < 0) {
		c->regex = false;
		return r;
	}
	if (c->regex && !text[len]) {
		c->regex = false;
		return cb_err_set(err, CB_ERR_USAGE, "filter \"%.100s\" is not KEY=VALUE", text);
	}
	return set_value(c, name, text[len] == '=' ? text + len + 1 : NULL, err);
}

static bool text_matches(const struct condition *c, const char *text)
{
	if (!text)
		text = "";
	if (c->regex)
		return regexec(&c->pattern, text, 0, NULL, 0) == 0;
	if ((c->key == KEY_ID || c->key == KEY_PARENT) && strlen(c->value) >= PREFIX_MIN) {
		const char *digits = cb_str_starts(text, "sha256:") ? text + strlen("sha256:") : text;

		return cb_str_starts(text, c->value) || cb_str_starts(digits, c->value);
	}
	return !strcmp(text, c->value);
}

static bool holds(const struct condition *c, const struct cb_usage_item *item)
{
	switch (c->key) {
	case KEY_ID:
		return text_matches(c, item->id);
	case KEY_PARENT:
		return text_matches(c, item->parent);
	case KEY_TYPE:
		return text_matches(c, item->type) ||
		       (!c->regex && !strcmp(c->value, "exec.cachemount") && item->kind == CB_USAGE_CACHEMOUNT);
	case KEY_DESCRIPTION:
		return text_matches(c, item->title);
	case KEY_UNTIL:
		return item->last_used <= c->newest;
	case KEY_INUSE:
		return item->in_use == c->want;
	case KEY_NAMED:
		return item->named == c->want;
	case KEY_SHARED:
		return (item->children > 0) == c->want;
	case KEY_PRIVATE:
		return (item->children == 0) == c->want;
	case KEY_MUTABLE:
		return (item->kind == CB_USAGE_CACHEMOUNT) == c->want;
	case KEY_IMMUTABLE:
		break;
	}
	return (item->kind != CB_USAGE_CACHEMOUNT) == c->want;
}

bool cb_usage_filter_match(const struct cb_usage_filter *filter, const struct cb_usage_item *item)
{
	for (size_t i = 0; i < filter->n; i++)
		if (holds(&filter->v[i], item) == filter->v[i].negated)
			return false;
	return true;
}
