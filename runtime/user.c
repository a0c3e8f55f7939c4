#include "runtime/user.h"

#include <stdint.h>
#include <string.h>

#include "base/num.h"
#include "base/span.h"
#include "base/strv.h"

/* One line of passwd or group; the fields borrow from @text, which is NUL-separated in place. */
struct entry {
	char *text;
	const char *field[7];
	size_t n;
	uint32_t id, gid; /* third field, and the fourth of passwd */
};

static void entry_done(struct entry *e)
{
	free(e->text);
	*e = (struct entry){ 0 };
}

/* Reads lines until one parses. False at the end. */
static bool next_entry(struct cb_span *in, bool passwd, struct entry *e)
{
	while (!cb_span_empty(*in)) {
		const char *nl = memchr(in->p, '\n', cb_span_len(*in)), *stop = nl ? nl : in->end;
		entry_done(e);
		e->text = cb_xstrndup(in->p, (size_t)(stop - in->p));
		in->p = nl ? nl + 1 : in->end;
		if (*e->text == '#')
			continue;
		char *at = e->text;
		while (at && e->n < ARRAY_SIZE(e->field)) {
			e->field[e->n++] = at;
			at = strchr(at, ':');
			if (at)
				*at++ = '\0';
		}
		if (e->n >= 3 && *e->field[0] && cb_num_u32(e->field[2], &e->id) &&
			(!passwd || (e->n >= 4 && cb_num_u32(e->field[3], &e->gid))))
			return true;
	}
	entry_done(e);
	return false;
}

/* The entry with this name or, for NULL, this number. */
static bool find(struct cb_span in, bool passwd, const char *name, uint32_t id, struct entry *ret)
{
	while (next_entry(&in, passwd, ret))
		if (name ? strcmp(ret->field[0], name) == 0 : ret->id == id)
			return true;
	return false;
}

static bool lists_member(const char *members, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = members; p && *p;) {
		size_t n = strcspn(p, ",");
		if (n == len && memcmp(p, name, len) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static int add_group(struct cb_user *user, size_t *cap, gid_t gid, struct cb_err **err)
{
	for (size_t i = 0; i < user->n_groups; i++)
		if (user->groups[i] == gid)
			return 0;
	if (user->n_groups == CB_USER_GROUPS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "user is in more than %d groups", CB_USER_GROUPS_MAX);
	CB_GROW(user->groups, *cap, user->n_groups + 1);
	user->groups[user->n_groups++] = gid;
	return 0;
}

static int add_memberships(
	struct cb_user *user, size_t *cap, struct cb_span group, const char *name, struct cb_err **err)
{
	__attribute__((cleanup(entry_done))) struct entry e = { 0 };
	int r = 0;

	while (r == 0 && next_entry(&group, false, &e))
		if (e.n >= 4 && lists_member(e.field[3], name))
			r = add_group(user, cap, (gid_t)e.id, err);
	return r;
}

void cb_user_done(struct cb_user *user)
{
	free(user->groups);
	free(user->home);
	*user = (struct cb_user){ 0 };
}

/* Splits "user:group"; an empty user is "0". */
static void split(const char *spec, char **user, char **group)
{
	const char *colon = strchr(spec, ':');

	*user = colon ? cb_xstrndup(spec, (size_t)(colon - spec)) : cb_xstrdup(spec);
	*group = colon && colon[1] ? cb_xstrdup(colon + 1) : NULL;
	if (!**user) {
		free(*user);
		*user = cb_xstrdup("0");
	}
}

/* "root" needs no file: it is 0 everywhere. 0 when numeric, 1 when it is a name. */
static int numeric(const char *text, uint32_t *ret, struct cb_err **err)
{
	bool digits = *text && strspn(text, "0123456789") == strlen(text);

	if (!digits)
		return 1;
	/* -1 means "leave it" to the kernel, so it is nobody's id. */
	if (!cb_num_u32(text, ret) || *ret > INT32_MAX)
		return cb_err_set(err, CB_ERR_INPUT, "id %s is out of range 0-%d", text, INT32_MAX);
	return 0;
}

bool cb_user_is_numeric(const char *spec)
{
	cleanup_free char *user = NULL, *group = NULL;
	uint32_t id;

	split(spec ? spec : "", &user, &group);
	return spec && *spec && group && (strcmp(user, "root") == 0 || cb_num_u32(user, &id)) &&
	       (strcmp(group, "root") == 0 || cb_num_u32(group, &id));
}

static int resolve_group(const char *text, struct cb_span group, gid_t *ret, struct cb_err **err)
{
	__attribute__((cleanup(entry_done))) struct entry e = { 0 };
	uint32_t id;
	int r = numeric(text, &id, err);

	if (r < 0)
		return r;
	if (r == 0)
		*ret = id;
	else if (find(group, false, text, 0, &e))
		*ret = e.id;
	else if (strcmp(text, "root") == 0)
		*ret = 0;
	else
		return cb_err_set(err, CB_ERR_INPUT, "group %s: not in /etc/group of the image", text);
	return 0;
}

static char *home_of(struct cb_span passwd, uint32_t uid)
{
	__attribute__((cleanup(entry_done))) struct entry e = { 0 };

	if (find(passwd, true, NULL, uid, &e) && e.n >= 6 && *e.field[5])
		return cb_xstrdup(e.field[5]);
	return cb_xstrdup("/");
}

/* Without a group: the passwd entry says all, and the group file lists the rest. */
static int resolve_login(const char *text, struct cb_span passwd, struct cb_span group, struct cb_user *user,
	size_t *cap, struct cb_err **err)
{
	__attribute__((cleanup(entry_done))) struct entry e = { 0 };
	uint32_t id = 0;
	int r = numeric(text, &id, err);

	if (r < 0)
		return r;
	bool known = find(passwd, true, r == 0 ? NULL : text, id, &e);
	if (!known && r == 1 && strcmp(text, "root") != 0)
		return cb_err_set(err, CB_ERR_INPUT, "user %s: not in /etc/passwd of the image", text);
	user->uid = known ? e.id : id;
	user->gid = known ? e.gid : 0;
	r = add_group(user, cap, user->gid, err);
	if (r == 0 && known)
		r = add_memberships(user, cap, group, e.field[0], err);
	return r;
}

/* With a group: nothing but that group. */
static int resolve_pair(const char *text, const char *group_text, struct cb_span passwd, struct cb_span group,
	struct cb_user *user, size_t *cap, struct cb_err **err)
{
	__attribute__((cleanup(entry_done))) struct entry e = { 0 };
	uint32_t id = 0;
	int r = numeric(text, &id, err);

	if (r < 0)
		return r;
	if (r == 1 && find(passwd, true, text, 0, &e))
		id = e.id;
	else if (r == 1 && strcmp(text, "root") != 0)
		return cb_err_set(err, CB_ERR_INPUT, "user %s: not in /etc/passwd of the image", text);
	user->uid = id;
	r = resolve_group(group_text, group, &user->gid, err);
	return r < 0 ? r : add_group(user, cap, user->gid, err);
}

int cb_user_resolve(const char *spec, const char *passwd, size_t passwd_len, const char *group, size_t group_len,
	struct cb_user *ret, struct cb_err **err)
{
	cleanup_free char *user_text = NULL, *group_text = NULL;
	cleanup_user struct cb_user user = { 0 };
	struct cb_span p = cb_span_of(passwd, passwd_len), g = cb_span_of(group, group_len);
	size_t cap = 0;
	int r;

	split(spec ? spec : "", &user_text, &group_text);
	if (group_text)
		r = resolve_pair(user_text, group_text, p, g, &user, &cap, err);
	else
		r = resolve_login(user_text, p, g, &user, &cap, err);
	if (r < 0)
		return r;
	user.home = home_of(p, user.uid);
	*ret = user;
	user = (struct cb_user){ 0 };
	return 0;
}

int cb_user_resolve_owner(const char *spec, const char *passwd, size_t passwd_len, const char *group, size_t group_len,
	uid_t *ret_uid, gid_t *ret_gid, struct cb_err **err)
{
	cleanup_free char *user_text = NULL, *group_text = NULL;
	__attribute__((cleanup(entry_done))) struct entry e = { 0 };
	uint32_t id = 0;
	gid_t gid;
	int r;

	split(spec ? spec : "", &user_text, &group_text);
	r = numeric(user_text, &id, err);
	if (r < 0)
		return r;
	gid = id;
	if (r == 1 && find(cb_span_of(passwd, passwd_len), true, user_text, 0, &e)) {
		id = e.id;
		gid = e.gid;
	} else if (r == 1 && strcmp(user_text, "root") == 0) {
		id = gid = 0;
	} else if (r == 1) {
		return cb_err_set(err, CB_ERR_INPUT, "user %s: not in /etc/passwd of the image", user_text);
	}
	if (group_text) {
		r = resolve_group(group_text, cb_span_of(group, group_len), &gid, err);
		if (r < 0)
			return r;
	}
	*ret_uid = id;
	*ret_gid = gid;
	return 0;
}
