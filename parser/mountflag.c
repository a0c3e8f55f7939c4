/* RUN --mount. */
#include "parser/mountflag.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/csv.h"
#include "base/num.h"
#include "base/span.h"
#include "base/strv.h"
#include "parser/diag.h"

/* More fields than there are keys make no sense, but repeating one is allowed: the last counts. */
#define FIELDS_MAX 256

static const struct {
	const char *name;
	enum cb_mount_key key;
	bool bare; /* may stand without a value */
} keys[] = {
	{ "type", CB_MOUNT_KEY_TYPE, false },
	{ "from", CB_MOUNT_KEY_FROM, false },
	{ "source", CB_MOUNT_KEY_SOURCE, false },
	{ "src", CB_MOUNT_KEY_SOURCE, false },
	{ "target", CB_MOUNT_KEY_TARGET, false },
	{ "dst", CB_MOUNT_KEY_TARGET, false },
	{ "destination", CB_MOUNT_KEY_TARGET, false },
	{ "readonly", CB_MOUNT_KEY_READONLY, true },
	{ "ro", CB_MOUNT_KEY_READONLY, true },
	{ "readwrite", CB_MOUNT_KEY_READWRITE, true },
	{ "rw", CB_MOUNT_KEY_READWRITE, true },
	{ "required", CB_MOUNT_KEY_REQUIRED, true },
	{ "size", CB_MOUNT_KEY_SIZE, false },
	{ "id", CB_MOUNT_KEY_ID, false },
	{ "sharing", CB_MOUNT_KEY_SHARING, false },
	{ "mode", CB_MOUNT_KEY_MODE, false },
	{ "uid", CB_MOUNT_KEY_UID, false },
	{ "gid", CB_MOUNT_KEY_GID, false },
	{ "env", CB_MOUNT_KEY_ENV, false },
};

static const char *const types[] = {
	[CB_MOUNT_BIND] = "bind",
	[CB_MOUNT_CACHE] = "cache",
	[CB_MOUNT_TMPFS] = "tmpfs",
	[CB_MOUNT_SECRET] = "secret",
	[CB_MOUNT_SSH] = "ssh",
};

const char *cb_mount_type_name(enum cb_mount_type type)
{
	return types[type];
}

static const char *const sharings[] = {
	[CB_SHARING_SHARED] = "shared",
	[CB_SHARING_PRIVATE] = "private",
	[CB_SHARING_LOCKED] = "locked",
};

static int unknown_key(struct cb_err **err, const struct cb_text *at, const char *key, const char *field)
{
	const char *names[ARRAY_SIZE(keys)];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		names[i] = keys[i].name;
	cb_err_at(err, CB_ERR_INPUT, at->line, at->col, "unexpected key \"%.100s\" in mount field \"%.100s\"", key,
		field);
	return cb_diag_did_you_mean(err, CB_ERR_INPUT, "", key, names, ARRAY_SIZE(names));
}

/* One field, which stands at @at. */
static int parse_field(
	struct cb_arena *arena, const char *word, struct cb_text at, struct cb_mount_field *ret, struct cb_err **err)
{
	size_t len = strcspn(word, "="), i;
	cleanup_free char *key = cb_str_lower(cb_xstrndup(word, len));
	bool bare = word[len] == '\0';

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].name, key) == 0)
			break;
	}
	if (bare && (i == ARRAY_SIZE(keys) || !keys[i].bare))
		return cb_err_at(
			err, CB_ERR_INPUT, at.line, at.col, "mount field \"%.100s\" must be a key=value pair", word);
	if (i == ARRAY_SIZE(keys))
		return unknown_key(err, &at, key, word);

	ret->key = keys[i].key;
	ret->word = cb_arena_strdup(arena, word);
	ret->value = (struct cb_text){ NULL, at.line, at.col };
	if (!bare) {
		ret->value.s = ret->word + len + 1;
		ret->value.col += (unsigned int)len + 1;
	}
	return 0;
}

/* The name of a stage or image is never expanded, so a variable in it is a mistake; a last "$" is just a byte. */
static int check_from(const struct cb_mount_field *field, struct cb_err **err)
{
	const char *dollar = strchr(field->value.s, '$');

	if (!dollar || dollar[1] == '\0')
		return 0;
	cb_err_at(err, CB_ERR_INPUT, field->value.line, field->value.col,
		"mount key \"from\" does not support variable expansion");
	return cb_err_hint(err, CB_ERR_INPUT, "give the image a name with FROM ... AS NAME and use from=NAME");
}

static bool is_constant(const struct cb_mount_spec *spec)
{
	for (size_t i = 0; i < spec->n_fields; i++) {
		const struct cb_mount_field *field = &spec->fields[i];

		if (field->key != CB_MOUNT_KEY_FROM && field->value.s && strpbrk(field->value.s, "$\\`'\""))
			return false;
	}
	return true;
}

int cb_mount_spec_parse(struct cb_arena *arena, struct cb_text text, struct cb_mount_spec *ret, struct cb_err **err)
{
	struct cb_span rest = cb_span_str(text.s);
	struct cb_mount_field fields[FIELDS_MAX], *v;
	struct cb_mount_spec spec = { .text = text };
	cleanup_buf struct cb_buf buf = { 0 };
	CB_CLEANUP(cb_mount_free) struct cb_mount *mount = NULL;
	bool more = true;
	int r;

	assert(arena);
	assert(ret);

	while (more) {
		struct cb_text at = { NULL, text.line, text.col };
		struct cb_mount_field field = { 0 };
		const char *start;

		if (spec.n_fields == FIELDS_MAX)
			return cb_err_at(err, CB_ERR_INPUT, text.line, text.col, "a mount has too many fields");
		r = cb_csv_next(&rest, &buf, &start, &more, err);
		if (r < 0)
			return cb_err_locate(
				err, cb_err_wrap(err, r, "mount \"%.100s\"", text.s), text.line, text.col, 0);
		at.col += (unsigned int)(start - text.s);
		r = parse_field(arena, cb_buf_str(&buf), at, &field, err);
		if (r < 0)
			return r;
		if (field.key == CB_MOUNT_KEY_FROM && field.value.s) {
			r = check_from(&field, err);
			if (r < 0)
				return r;
			spec.from = field.value.s;
		}
		fields[spec.n_fields++] = field;
	}
	if (spec.from && *spec.from == '\0')
		spec.from = NULL;
	v = cb_arena_alloc(arena, spec.n_fields * sizeof(*v));
	memcpy(v, fields, spec.n_fields * sizeof(*v));
	spec.fields = v;

	if (is_constant(&spec)) {
		r = cb_mount_resolve(&spec, NULL, NULL, &mount, err);
		if (r < 0)
			return r;
	}
	*ret = spec;
	return 0;
}

/* ---- after expansion -------------------------------------------------------------------------------------------- */

/* A mount while its fields are read. */
struct resolver {
	struct cb_mount *mount;
	bool type_given, ro_given, sharing_given;
	struct cb_err **err;
};

static int bad_value(struct resolver *rs, const struct cb_mount_field *field, const char *value)
{
	return cb_err_at(rs->err, CB_ERR_INPUT, field->value.line, field->value.col,
		"invalid value \"%.100s\" in mount field \"%.100s\"", value, field->word);
}

static int not_for_type(struct resolver *rs, const struct cb_mount_field *field)
{
	cb_err_at(rs->err, CB_ERR_INPUT, field->value.line, field->value.col,
		"mount field \"%.100s\" is not allowed for type \"%s\"", field->word,
		cb_mount_type_name(rs->mount->type));
	return rs->type_given ? CB_ERR_INPUT : cb_err_hint(rs->err, CB_ERR_INPUT, "type= must stand before it");
}

bool cb_mount_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(s, yes[i]) == 0 || strcmp(s, no[i]) == 0) {
			*ret = strcmp(s, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

/* A bare key counts as true. */
static int set_bool(struct resolver *rs, const struct cb_mount_field *field, const char *value, bool *ret)
{
	if (!field->value.s) {
		*ret = true;
		return 0;
	}
	return cb_mount_bool(value, ret) ? 0 : bad_value(rs, field, value);
}

/* The index of @value, case ignored, in @names. */
static int set_choice(struct resolver *rs, const struct cb_mount_field *field, const char *value, const char *what,
	const char *const *names, size_t n, size_t *ret)
{
	for (*ret = 0; *ret < n; ++*ret) {
		if (cb_str_ieq(names[*ret], value))
			return 0;
	}
	cb_err_at(rs->err, CB_ERR_INPUT, field->value.line, field->value.col, "unsupported %s \"%.100s\"", what, value);
	return cb_diag_did_you_mean(rs->err, CB_ERR_INPUT, "", value, names, n);
}

static void set_text(char **to, const char *value)
{
	free(*to);
	*to = *value ? cb_xstrdup(value) : NULL;
}

static int set_number(
	struct resolver *rs, const struct cb_mount_field *field, const char *value, uint32_t *ret, bool *has)
{
	bool ok = field->key == CB_MOUNT_KEY_MODE ? cb_num_octal(value, UINT32_MAX, ret) : cb_num_u32(value, ret);

	*has = true;
	return ok ? 0 : bad_value(rs, field, value);
}

static int apply_field(struct resolver *rs, const struct cb_mount_field *field, const char *value)
{
	struct cb_mount *m = rs->mount;
	size_t choice;
	int r = 0;

	switch (field->key) {
	case CB_MOUNT_KEY_TYPE:
		r = set_choice(rs, field, value, "mount type", types, ARRAY_SIZE(types), &choice);
		if (r == 0)
			m->type = (enum cb_mount_type)choice;
		rs->type_given = true;
		return r;
	case CB_MOUNT_KEY_FROM:
		set_text(&m->from, value);
		return 0;
	case CB_MOUNT_KEY_SOURCE:
		set_text(&m->source, value);
		return 0;
	case CB_MOUNT_KEY_TARGET:
		set_text(&m->target, value);
		return 0;
	case CB_MOUNT_KEY_ID:
		set_text(&m->id, value);
		return 0;
	case CB_MOUNT_KEY_ENV:
		set_text(&m->env, value);
		return 0;
	case CB_MOUNT_KEY_READONLY:
		rs->ro_given = true;
		return set_bool(rs, field, value, &m->readonly);
	case CB_MOUNT_KEY_READWRITE:
		rs->ro_given = true;
		r = set_bool(rs, field, value, &m->readonly);
		m->readonly = !m->readonly;
		return r;
	case CB_MOUNT_KEY_REQUIRED:
		if (m->type != CB_MOUNT_SECRET && m->type != CB_MOUNT_SSH)
			return not_for_type(rs, field);
		return set_bool(rs, field, value, &m->required);
	case CB_MOUNT_KEY_SIZE:
		if (m->type != CB_MOUNT_TMPFS)
			return not_for_type(rs, field);
		m->has_size = true;
		return cb_num_size(value, &m->size) ? 0 : bad_value(rs, field, value);
	case CB_MOUNT_KEY_SHARING:
		r = set_choice(rs, field, value, "sharing value", sharings, ARRAY_SIZE(sharings), &choice);
		if (r == 0)
			m->sharing = (enum cb_mount_sharing)choice;
		rs->sharing_given = true;
		return r;
	case CB_MOUNT_KEY_MODE:
		return set_number(rs, field, value, &m->mode, &m->has_mode);
	case CB_MOUNT_KEY_UID:
		return set_number(rs, field, value, &m->uid, &m->has_uid);
	case CB_MOUNT_KEY_GID:
		return set_number(rs, field, value, &m->gid, &m->has_gid);
	}
	return 0;
}

/* What is wrong with the whole of the mount, or NULL. */
static const char *find_fault(const struct resolver *rs)
{
	const struct cb_mount *m = rs->mount;
	bool has_owner = m->type == CB_MOUNT_CACHE || m->type == CB_MOUNT_SECRET || m->type == CB_MOUNT_SSH;

	if (!has_owner && m->has_mode)
		return "mode is not allowed";
	if (!has_owner && m->has_uid)
		return "uid is not allowed";
	if (!has_owner && m->has_gid)
		return "gid is not allowed";
	if (rs->sharing_given && m->type != CB_MOUNT_CACHE)
		return "sharing is not allowed";
	if (m->type == CB_MOUNT_SSH && m->source)
		return "source is not allowed";
	if (m->type != CB_MOUNT_SECRET)
		return NULL;
	if (m->from)
		return "from is not allowed";
	if (!m->source && !m->target && !m->id)
		return "one of id, source and target is needed";
	if (m->source && m->id)
		return "source and id mean the same: only one is allowed";
	return NULL;
}

int cb_mount_resolve(const struct cb_mount_spec *spec, cb_mount_expand_fn *expand, void *arg, struct cb_mount **ret,
	struct cb_err **err)
{
	CB_CLEANUP(cb_mount_free) struct cb_mount *mount = cb_new0(struct cb_mount);
	struct resolver rs = { .mount = mount, .err = err };
	const char *fault;
	int r;

	assert(spec);
	assert(ret);

	for (size_t i = 0; i < spec->n_fields; i++) {
		const struct cb_mount_field *field = &spec->fields[i];
		cleanup_free char *expanded = NULL;
		const char *value = field->value.s;

		if (value && expand && field->key != CB_MOUNT_KEY_FROM) {
			r = expand(arg, value, &expanded, err);
			if (r < 0)
				return cb_err_locate(err, r, field->value.line, field->value.col, 0);
			value = expanded;
		}
		r = apply_field(&rs, field, value ? value : "");
		if (r < 0)
			return r;
	}
	if (!rs.ro_given)
		mount->readonly = mount->type != CB_MOUNT_CACHE && mount->type != CB_MOUNT_TMPFS;
	fault = find_fault(&rs);
	if (fault)
		return cb_err_at(err, CB_ERR_INPUT, spec->text.line, spec->text.col, "%s mount \"%.200s\": %s",
			cb_mount_type_name(mount->type), spec->text.s, fault);
	*ret = CB_TAKE_PTR(mount);
	return 0;
}

struct cb_mount *cb_mount_free(struct cb_mount *mount)
{
	if (!mount)
		return NULL;
	free(mount->from);
	free(mount->source);
	free(mount->target);
	free(mount->id);
	free(mount->env);
	free(mount);
	return NULL;
}
