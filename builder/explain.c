#include "builder/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/strv.h"
#include "builder/explain_files.h"
#include "builder/inputs.h"
#include "layers/record.h"

/** Longest value that is shown whole. */
#define VALUE_MAX 200
/** Fields of a record that are compared; more is no record of ours. */
#define FIELDS_MAX 4096
/** Candidates that are compared in full. */
#define COMPARED_MAX 8

void cb_differences_done(struct cb_differences *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].kind);
		free(d->v[i].name);
		free(d->v[i].aspect);
		free(d->v[i].old);
		free(d->v[i].now);
		free(d->v[i].note);
	}
	free(d->v);
	*d = (struct cb_differences){ 0 };
}

struct cb_difference *cb_differences_add(
	struct cb_differences *d, const char *kind, const char *name, const char *old, const char *now)
{
	CB_GROW(d->v, d->cap, d->n + 1);
	d->weight++;
	d->v[d->n] = (struct cb_difference){ .kind = cb_xstrdup(kind),
		.name = cb_xstrdup(name),
		.old = cb_xstrdup_null(old),
		.now = cb_xstrdup_null(now) };
	return &d->v[d->n++];
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* ---- fields --------------------------------------------------------------------------------------------------- */

/* What people call a field of the key. Those without a word of their own are told as they are. */
static const struct label {
	const char *label, *kind, *name;
	bool in_text; /* the text of the instruction shows it */
} labels[] = {
	{ "argv", "option", "command", true },
	{ "script", "option", "here-document", false },
	{ "script path", "option", "here-document", true },
	{ "workdir", "option", "WORKDIR", false },
	{ "user", "option", "USER", false },
	{ "network", "option", "--network", false },
	{ "security", "option", "--security", true },
	{ "hosts", "option", "--add-host", false },
	{ "ulimits", "option", "--ulimit", false },
	{ "mount", "option", "--mount type", true },
	{ "target", "option", "--mount target", true },
	{ "readonly", "option", "--mount readonly", true },
	{ "cache", "option", "--mount id", true },
	{ "size", "option", "--mount size", true },
	{ "id", "option", "--mount id", true },
	{ "variable", "option", "--mount env", true },
	{ "uid", "option", "--mount uid", true },
	{ "gid", "option", "--mount gid", true },
	{ "mode", "option", "--mount mode", true },
	{ "source", "option", "source", true },
	{ "heredoc", "option", "here-document name", true },
	{ "content", "option", "here-document", false },
	{ "dest", "option", "destination", true },
	{ "chown", "option", "--chown", true },
	{ "chmod", "option", "--chmod", true },
	{ "exclude", "option", "--exclude", true },
	{ "parents", "option", "--parents", true },
	{ "keep archives", "option", "--unpack", true },
	{ "unpack", "option", "--unpack", true },
	{ "path", "option", "path", true },
	{ "created", "arg", "SOURCE_DATE_EPOCH", false },
};

static const struct label *label_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		if (!strcmp(labels[i].label, name))
			return &labels[i];
	return NULL;
}

static void add_value(struct cb_buf *out, const json_t *value)
{
	if (json_is_string(value))
		cb_buf_adds(out, json_string_value(value));
	else if (json_is_integer(value))
		cb_buf_addf(out, "%lld", (long long)json_integer_value(value));
}

/* NULL for null. */
static char *value_text(const char *label, const json_t *value)
{
	static const char *const networks[] = { "default", "none", "host" };
	cleanup_buf struct cb_buf out = { 0 };

	if (!value || json_is_null(value))
		return NULL;
	if (!strcmp(label, "network") && json_is_integer(value) &&
		(size_t)json_integer_value(value) < ARRAY_SIZE(networks))
		return cb_xstrdup(networks[json_integer_value(value)]);
	if (json_is_array(value)) {
		for (size_t i = 0; i < json_array_size(value); i++) {
			if (i)
				cb_buf_addc(&out, ' ');
			add_value(&out, json_array_get(value, i));
		}
	} else {
		add_value(&out, value);
	}
	if (out.len > VALUE_MAX) {
		out.len = VALUE_MAX;
		cb_buf_adds(&out, "...");
	}
	for (size_t i = 0; i < out.len; i++)
		if (out.data[i] == '\n')
			out.data[i] = ' ';
	return cb_buf_take(&out);
}

static const char *field_label(const json_t *field)
{
	const char *label = json_string_value(json_array_get(field, 0));

	return label ? label : "";
}

/* The @nth field called @label, or NULL. */
static const json_t *find_field(const json_t *fields, const char *label, size_t nth)
{
	for (size_t i = 0; i < json_array_size(fields); i++) {
		const json_t *field = json_array_get(fields, i);

		if (!strcmp(field_label(field), label) && nth-- == 0)
			return json_array_get(field, 1);
	}
	return NULL;
}

/* Fields that are told elsewhere. */
static bool is_special(const char *label)
{
	return !strcmp(label, "env") || !strcmp(label, "files") || !strcmp(label, "parent");
}

static void compare_field(
	const char *label, const json_t *old, const json_t *now, bool text_differs, struct cb_differences *ret)
{
	const struct label *known = label_of(label);
	cleanup_free char *was = value_text(label, old), *is = value_text(label, now);

	if (cb_str_eq(was, is) || (known && known->in_text && text_differs))
		return;
	cb_differences_add(ret, known ? known->kind : "option", known ? known->name : label, was, is);
}

/* Fields of @list, with their counterparts in @other by name and number; @only: those that @other has not. */
static void walk_fields(
	const json_t *list, const json_t *other, bool only, bool text_differs, struct cb_differences *ret)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *field = json_array_get(list, i);
		const char *label = field_label(field);
		const json_t *value = json_array_get(field, 1), *mate;
		size_t nth = 0;

		if (is_special(label))
			continue;
		for (size_t k = 0; k < i; k++)
			nth += !strcmp(field_label(json_array_get(list, k)), label);
		mate = find_field(other, label, nth);
		if (only && !mate)
			compare_field(label, value, NULL, text_differs, ret);
		else if (!only)
			compare_field(label, mate, value, text_differs, ret);
	}
}

/* ---- variables ------------------------------------------------------------------------------------------------ */

static void read_env(const json_t *fields, struct cb_strv *ret)
{
	for (size_t i = 0; i < json_array_size(fields); i++) {
		const json_t *field = json_array_get(fields, i);
		const char *value = json_string_value(json_array_get(field, 1));

		if (!strcmp(field_label(field), "env") && value)
			cb_strv_add(ret, value);
	}
}

static bool has_arg(const json_t *inputs, const char *name)
{
	const json_t *args = json_object_get(inputs, "args");

	for (size_t i = 0; i < json_array_size(args); i++)
		if (cb_str_eq(json_string_value(json_array_get(args, i)), name))
			return true;
	return false;
}

static void compare_env(const json_t *old, const json_t *now, struct cb_differences *ret)
{
	cleanup_strv struct cb_strv was = { 0 }, is = { 0 };

	read_env(json_object_get(old, "fields"), &was);
	read_env(json_object_get(now, "fields"), &is);
	for (size_t i = 0; i < is.n; i++) {
		cleanup_free char *name = cb_xstrndup(is.v[i], strcspn(is.v[i], "="));
		const char *value = cb_env_get(&is, name), *before = cb_env_get(&was, name);

		if (!cb_str_eq(value, before))
			cb_differences_add(ret, has_arg(now, name) ? "arg" : "env", name, before, value);
	}
	for (size_t i = 0; i < was.n; i++) {
		cleanup_free char *name = cb_xstrndup(was.v[i], strcspn(was.v[i], "="));

		if (!cb_env_get(&is, name))
			cb_differences_add(ret, has_arg(old, name) ? "arg" : "env", name, cb_env_get(&was, name), NULL);
	}
}

/* ---- what is below -------------------------------------------------------------------------------------------- */

static const char *parent_name(const json_t *parent)
{
	const char *step = json_string_value(json_object_get(parent, "step"));
	const char *name = step ? step : json_string_value(json_object_get(parent, "name"));

	return name ? name : "an empty file system";
}

static void compare_parent(const json_t *old, const json_t *now, struct cb_differences *ret)
{
	const json_t *was = json_object_get(old, "parent"), *is = json_object_get(now, "parent");
	cleanup_free char *a = value_text("parent", find_field(json_object_get(old, "fields"), "parent", 0));
	cleanup_free char *b = value_text("parent", find_field(json_object_get(now, "fields"), "parent", 0));
	const char *was_digest = json_string_value(json_object_get(was, "digest"));
	const char *is_digest = json_string_value(json_object_get(is, "digest"));

	/* Another store knows the same layers by other names. */
	if (cb_str_eq(a, b) || (*text_of(now, "below") && cb_str_eq(text_of(old, "below"), text_of(now, "below"))))
		return;
	if (is_digest && was_digest && cb_str_eq(parent_name(was), parent_name(is)))
		cb_differences_add(ret, "base", parent_name(is), was_digest, is_digest);
	else if (is_digest)
		cb_differences_add(ret, "base", parent_name(is), parent_name(was), parent_name(is));
	else
		cb_differences_add(ret, "parent", parent_name(is), NULL, NULL);
}

static bool ignore_changed(const json_t *old, const json_t *now)
{
	return !json_equal(json_object_get(old, "ignore"), json_object_get(now, "ignore"));
}

/* ---- the nearest ---------------------------------------------------------------------------------------------- */

/* How much @old is like @now, the more the better. */
static int likeness(const json_t *old, const json_t *now)
{
	const json_t *a = json_object_get(old, "fields"), *b = json_object_get(now, "fields");
	size_t equal = 0, n = CB_MAX(json_array_size(a), json_array_size(b));
	int score = 0;

	if (n > FIELDS_MAX)
		return 0;
	for (size_t i = 0; i < json_array_size(b); i++) {
		const json_t *field = json_array_get(b, i);
		size_t nth = 0;

		for (size_t k = 0; k < i; k++)
			nth += !strcmp(field_label(json_array_get(b, k)), field_label(field));
		equal += json_equal(find_field(a, field_label(field), nth), json_array_get(field, 1));
	}
	score += n ? (int)(equal * 40 / n) : 0;
	score += cb_str_eq(text_of(old, "text"), text_of(now, "text")) ? 100 : 0;
	score += cb_str_eq(text_of(old, "project"), text_of(now, "project")) ? 1 : 0;
	return score;
}

/* The files of @now against those of candidate @at. */
static int compare_files(const json_t *now, const struct cb_buf *files, const struct cb_explain_source *source,
	size_t at, struct cb_differences *ret, struct cb_err **err)
{
	const json_t *old = source->v[at].inputs;
	const json_t *was = json_object_get(old, "fields"), *is = json_object_get(now, "fields");
	cleanup_buf struct cb_buf before = { 0 };
	bool differ = false;
	int r;

	for (size_t i = 0; i < json_array_size(is); i++) {
		const json_t *value = find_field(is, "files", i);

		differ |= value && !json_equal(value, find_field(was, "files", i));
	}
	if (!differ)
		return 0;
	r = source->files(source->ctx, at, &before, err);
	if (r < 0)
		return r;
	if (r > 0 || !files->len) {
		cb_differences_add(ret, "file", "the files", NULL, NULL)->note = cb_xstrdup("no list of them was kept");
		return 0;
	}
	return cb_explain_files(&before, files, ignore_changed(old, now), ret, err);
}

static int compare(const json_t *now, const struct cb_buf *files, const struct cb_explain_source *source, size_t at,
	struct cb_differences *ret, struct cb_err **err)
{
	const json_t *old = source->v[at].inputs;
	bool text_differs = !cb_str_eq(text_of(old, "text"), text_of(now, "text"));
	bool on_base = json_object_get(json_object_get(now, "parent"), "digest");
	int r;

	ret->earlier = true;
	if (text_differs)
		cb_differences_add(ret, "instruction", "instruction", text_of(old, "text"), text_of(now, "text"));
	walk_fields(json_object_get(now, "fields"), json_object_get(old, "fields"), false, text_differs, ret);
	walk_fields(json_object_get(old, "fields"), json_object_get(now, "fields"), true, text_differs, ret);
	compare_env(old, now, ret);
	if (on_base)
		compare_parent(old, now, ret);
	r = compare_files(now, files, source, at, ret, err);
	if (r == 0 && !on_base)
		compare_parent(old, now, ret);
	return r;
}

/*
 * Of candidates that are equally alike the one with the fewest differences is the nearest, and of these the newest: a
 * change that was taken back leaves the state before it.
 */
int cb_explain(const json_t *now, const struct cb_buf *files, const struct cb_explain_source *source,
	struct cb_differences *ret, struct cb_err **err)
{
	int best_score = 0, r = 0;
	size_t tried = 0;

	if (json_array_size(json_object_get(now, "fields")) > FIELDS_MAX)
		return 0;
	for (size_t i = 0; i < source->n; i++)
		best_score = CB_MAX(best_score, likeness(source->v[i].inputs, now));
	for (size_t i = 0; i < source->n && tried < COMPARED_MAX && r == 0; i++) {
		struct cb_differences d = { 0 };

		if (likeness(source->v[i].inputs, now) < best_score)
			continue;
		tried++;
		r = compare(now, files, source, i, &d, err);
		if (r == 0 && (!ret->earlier || d.weight < ret->weight)) {
			cb_differences_done(ret);
			*ret = d;
		} else {
			cb_differences_done(&d);
		}
	}
	return r;
}

struct stored {
	struct cb_store *store;
	struct cb_record records[CB_RECORD_NEAR_MAX];
	json_t *docs[CB_RECORD_NEAR_MAX];
	size_t at[CB_RECORD_NEAR_MAX]; /* of a candidate in records */
	int n;
};

static void stored_done(struct stored *s)
{
	for (int i = 0; i < s->n; i++) {
		cb_record_done(&s->records[i]);
		json_decref(s->docs[i]);
	}
}

static int stored_files(void *ctx, size_t at, struct cb_buf *ret, struct cb_err **err)
{
	struct stored *s = ctx;

	return cb_record_files(s->store, s->records[s->at[at]].id, ret, err);
}

int cb_explain_stored(struct cb_store *store, const json_t *now, const struct cb_buf *files, int64_t before,
	struct cb_differences *ret, struct cb_err **err)
{
	__attribute__((cleanup(stored_done))) struct stored s = { .store = store };
	struct cb_explain_record candidates[CB_RECORD_NEAR_MAX];
	struct cb_explain_source source = { .v = candidates, .files = stored_files, .ctx = &s };
	cleanup_free char *place = cb_inputs_place(now), *slot = cb_inputs_slot(now);
	int r = cb_record_near(store, place, slot, before, s.records, err);

	if (r < 0)
		return r;
	s.n = r;
	for (int i = 0; i < s.n; i++) {
		const char *text = s.records[i].inputs;

		if (!text || cb_json_parse(text, strlen(text), &s.docs[i], NULL) < 0 || !json_is_object(s.docs[i]))
			continue;
		s.at[source.n] = (size_t)i;
		candidates[source.n++] = (struct cb_explain_record){ .inputs = s.docs[i] };
	}
	return cb_explain(now, files, &source, ret, err);
}

/* ---- telling -------------------------------------------------------------------------------------------------- */

static const char *shown(const char *value)
{
	return !value ? "(not set)" : *value ? value : "\"\"";
}

void cb_difference_text(const struct cb_difference *d, struct cb_buf *out)
{
	static const struct {
		const char *kind, *prefix;
	} prefixes[] = {
		{ "file", "file " },
		{ "arg", "ARG " },
		{ "env", "ENV " },
		{ "base", "base image " },
	};

	if (!strcmp(d->kind, "parent")) {
		cb_buf_addf(out, "%s gave another result", d->name);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strcmp(prefixes[i].kind, d->kind))
			cb_buf_adds(out, prefixes[i].prefix);
	cb_buf_adds(out, d->name);
	if (d->aspect && !d->old && !d->now)
		cb_buf_addf(out, ": %s", d->aspect);
	else if (d->aspect)
		cb_buf_addf(out, ": %s %s -> %s", d->aspect, shown(d->old), shown(d->now));
	else if (d->old || d->now)
		cb_buf_addf(out, ": %s -> %s", shown(d->old), shown(d->now));
	if (d->note)
		cb_buf_addf(out, " (%s)", d->note);
}

json_t *cb_difference_json(const struct cb_difference *d)
{
	const struct {
		const char *key, *value;
	} all[] = {
		{ "kind", d->kind },
		{ "name", d->name },
		{ "aspect", d->aspect },
		{ "old", d->old },
		{ "new", d->now },
		{ "note", d->note },
	};
	json_t *out = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].value)
			json_object_set_new(out, all[i].key, json_string(all[i].value));
	return out;
}
