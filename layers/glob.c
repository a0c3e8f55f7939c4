#include "layers/glob.h"

#include <assert.h>
#include <string.h>

#include "base/path.h"

bool cb_glob_is_wild(const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		else if (strchr("*?[", *text))
			return true;
	}
	return false;
}

static bool has(const struct cb_glob_states *s, size_t i)
{
	return s->w[i / 64] >> (i % 64) & 1;
}

static bool is_stars(const struct cb_glob *glob, size_t i)
{
	return strcmp(glob->comps.v[i], "**") == 0;
}

/* "**" may stand for nothing, but "a/" followed by it at the end is what lies below a, not a itself. */
static void add(const struct cb_glob *glob, struct cb_glob_states *s, size_t i)
{
	s->w[i / 64] |= (uint64_t)1 << (i % 64);
	while (i + 1 < glob->comps.n && is_stars(glob, i)) {
		i++;
		s->w[i / 64] |= (uint64_t)1 << (i % 64);
	}
}

void cb_glob_start(const struct cb_glob *glob, struct cb_glob_states *ret)
{
	*ret = (struct cb_glob_states){ 0 };
	add(glob, ret, 0);
}

void cb_glob_step(
	const struct cb_glob *glob, const struct cb_glob_states *from, const char *name, struct cb_glob_states *ret)
{
	struct cb_glob_states to = { 0 };

	for (size_t i = 0; i < glob->comps.n; i++) {
		if (!has(from, i))
			continue;
		if (is_stars(glob, i)) {
			add(glob, &to, i);
			if (i + 1 == glob->comps.n)
				add(glob, &to, i + 1);
		} else if (glob->match(glob->comps.v[i], name, NULL) > 0) {
			add(glob, &to, i + 1);
		}
	}
	*ret = to;
}

bool cb_glob_accepts(const struct cb_glob *glob, const struct cb_glob_states *states)
{
	return has(states, glob->comps.n);
}

bool cb_glob_alive(const struct cb_glob *glob, const struct cb_glob_states *states)
{
	for (size_t i = 0; i < glob->comps.n; i++) {
		if (has(states, i))
			return true;
	}
	return false;
}

int cb_glob_new(const char *pattern, cb_match_fn match, struct cb_glob **ret, struct cb_err **err)
{
	cleanup_free char *clean = cb_path_abs(pattern);
	CB_CLEANUP(cb_glob_free) struct cb_glob *glob = cb_new0(struct cb_glob);

	glob->match = match;
	if (clean[1])
		cb_strv_split(&glob->comps, clean + 1, '/');
	if (glob->comps.n > CB_GLOB_COMPONENTS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "pattern has more than %d components", CB_GLOB_COMPONENTS_MAX);
	for (size_t i = 0; i < glob->comps.n; i++) {
		int r = match(glob->comps.v[i], "x", err);

		if (r < 0)
			return cb_err_wrap(err, r, "pattern \"%s\"", pattern);
	}
	*ret = CB_TAKE_PTR(glob);
	return 0;
}

struct cb_glob *cb_glob_free(struct cb_glob *glob)
{
	if (!glob)
		return NULL;
	cb_strv_done(&glob->comps);
	free(glob);
	return NULL;
}

enum cb_path_verdict cb_glob_test(const struct cb_glob *glob, const char *path)
{
	cleanup_free char *copy = cb_xstrdup(path);
	struct cb_glob_states states;
	char *name, *next = copy;

	cb_glob_start(glob, &states);
	while ((name = strsep(&next, "/"))) {
		if (cb_glob_accepts(glob, &states))
			return CB_PATH_TAKE;
		if (*name)
			cb_glob_step(glob, &states, name, &states);
	}
	if (cb_glob_accepts(glob, &states))
		return CB_PATH_TAKE;
	return cb_glob_alive(glob, &states) ? CB_PATH_PEEK : CB_PATH_DROP;
}
