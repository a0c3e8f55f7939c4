/* RUN --mount: splitting, keys, values, and the mount after expansion. */
#include "unit/parser/grammar_cases.h"

/* Expands "$X" alone: to "bind", "cache" and so on; fails for "$FAIL". */
static int expand(void *arg, const char *text, char **ret, struct cb_err **err)
{
	(void)arg;
	if (strcmp(text, "$FAIL") == 0)
		return cb_err_set(err, CB_ERR_INPUT, "FAIL: is not set");
	*ret = cb_xstrdup(*text == '$' ? text + 1 : text);
	return 0;
}

static void add_field(struct cb_buf *out, const char *name, const char *value)
{
	if (value)
		cb_buf_addf(out, " %s=%s", name, value);
}

static char *mount_text(const struct cb_mount *m)
{
	static const char *const types[] = { "bind", "cache", "tmpfs", "secret", "ssh" };
	static const char *const sharings[] = { "", " private", " locked" };
	cleanup_buf struct cb_buf out = { 0 };

	cb_buf_addf(&out, "%s %s", types[m->type], m->readonly ? "ro" : "rw");
	add_field(&out, "from", m->from);
	add_field(&out, "source", m->source);
	add_field(&out, "target", m->target);
	add_field(&out, "id", m->id);
	add_field(&out, "env", m->env);
	if (m->required)
		cb_buf_adds(&out, " required");
	if (m->has_size)
		cb_buf_addf(&out, " size=%ju", (uintmax_t)m->size);
	if (m->has_mode)
		cb_buf_addf(&out, " mode=%o", m->mode);
	if (m->has_uid)
		cb_buf_addf(&out, " uid=%u", m->uid);
	if (m->has_gid)
		cb_buf_addf(&out, " gid=%u", m->gid);
	cb_buf_adds(&out, sharings[m->sharing]);
	return cb_buf_take(&out);
}

/* The mount of a flag value, or the error of splitting ("parse: ...") or resolving it. The value stands at 7:10. */
static char *resolve_text(const char *in)
{
	CB_CLEANUP(cb_arena_free) struct cb_arena *arena = cb_arena_new();
	CB_CLEANUP(cb_mount_free) struct cb_mount *mount = NULL;
	cleanup_err struct cb_err *err = NULL;
	struct cb_mount_spec spec;
	cleanup_free char *text = NULL;

	if (cb_mount_spec_parse(arena, (struct cb_text){ in, 7, 10 }, &spec, &err) < 0) {
		text = error_text(err);
		return cb_xasprintf("parse: %s", text);
	}
	if (cb_mount_resolve(&spec, expand, NULL, &mount, &err) < 0)
		return error_text(err);
	return mount_text(mount);
}

static const struct grammar_case good_rows[] = {
	{ "bind is the default", "target=/a", "bind ro target=/a" },
	{ "bind", "type=bind,target=/a", "bind ro target=/a" },
	{ "all keys of bind", "type=bind,from=x,source=y,target=z,rw", "bind rw from=x source=y target=z" },
	{ "other names", "src=y,dst=z", "bind ro source=y target=z" },
	{ "destination", "destination=z", "bind ro target=z" },
	{ "nothing but a type", "type=bind", "bind ro" },
	{ "keys in capitals", "TYPE=bind,Target=/a", "bind ro target=/a" },
	{ "type in capitals", "type=CACHE,target=/a", "cache rw target=/a" },
	{ "last counts", "target=/a,target=/b", "bind ro target=/b" },
	{ "empty source", "source=,target=/a", "bind ro target=/a" },
	{ "= in a value", "target=/a=b", "bind ro target=/a=b" },
	{ "rw", "target=/a,rw", "bind rw target=/a" },
	{ "readwrite", "target=/a,readwrite", "bind rw target=/a" },
	{ "ro", "target=/a,ro", "bind ro target=/a" },
	{ "readonly", "type=cache,target=/a,readonly", "cache ro target=/a" },
	{ "rw=true", "target=/a,rw=true", "bind rw target=/a" },
	{ "rw=false", "type=cache,target=/a,rw=false", "cache ro target=/a" },
	{ "ro=0", "target=/a,ro=0", "bind rw target=/a" },
	{ "ro=T", "type=tmpfs,target=/a,ro=T", "tmpfs ro target=/a" },
	{ "ro, then rw", "target=/a,ro,rw", "bind rw target=/a" },
	{ "quoted field", "\"target=/a,b\",rw", "bind rw target=/a,b" },
	{ "quote in a quoted field", "\"target=/a\"\"b\"", "bind ro target=/a\"b" },
	{ "from with a last dollar", "from=a$,target=/a", "bind ro from=a$ target=/a" },
	{ "empty from", "from=,target=/a", "bind ro target=/a" },

	{ "env of bind", "env=x", "bind ro env=x" },

	{ "cache", "type=cache,target=/a", "cache rw target=/a" },
	{ "all keys of cache", "type=cache,id=i,target=/a,from=f,source=s,sharing=locked,mode=0755,uid=1,gid=2",
		"cache rw from=f source=s target=/a id=i mode=755 uid=1 gid=2 locked" },
	{ "sharing in capitals", "type=cache,target=/a,sharing=Private", "cache rw target=/a private" },
	{ "sharing before the type", "sharing=shared,type=cache,target=/a", "cache rw target=/a" },
	{ "mode before the type", "mode=1777,type=cache,target=/a", "cache rw target=/a mode=1777" },
	{ "tmpfs", "type=tmpfs,target=/a", "tmpfs rw target=/a" },
	{ "size", "type=tmpfs,target=/a,size=64m", "tmpfs rw target=/a size=67108864" },
	{ "size in bytes", "type=tmpfs,size=10,target=/a", "tmpfs rw target=/a size=10" },
	{ "secret by id", "type=secret,id=i", "secret ro id=i" },
	{ "secret by target", "type=secret,target=/a", "secret ro target=/a" },
	{ "secret by source", "type=secret,source=s", "secret ro source=s" },
	{ "all keys of secret", "type=secret,id=i,target=/a,required,mode=0400,uid=1,gid=2,env=E",
		"secret ro target=/a id=i env=E required mode=400 uid=1 gid=2" },
	{ "required=false", "type=secret,id=i,required=false", "secret ro id=i" },
	{ "ssh", "type=ssh", "ssh ro" },
	{ "all keys of ssh", "type=ssh,id=i,target=/a,required=1,mode=600,uid=1,gid=2",
		"ssh ro target=/a id=i required mode=600 uid=1 gid=2" },

	{ "variable in a value", "type=bind,target=$x", "bind ro target=x" },
	{ "variable in the type", "type=$cache,target=/a", "cache rw target=/a" },
	{ "variable in a size", "type=tmpfs,size=$1k", "tmpfs rw size=1024" },
	{ "from is not expanded", "from=$,target=$x", "bind ro from=$ target=x" },
};

static const struct grammar_case bad_rows[] = {
	{ "empty", "", "parse: 7:10: mount field \"\" must be a key=value pair" },
	{ "empty field", "type=bind,,target=/a", "parse: 7:20: mount field \"\" must be a key=value pair" },
	{ "last comma", "type=bind,", "parse: 7:20: mount field \"\" must be a key=value pair" },
	{ "no value", "type=bind,target", "parse: 7:20: mount field \"target\" must be a key=value pair" },
	{ "unknown word", "type=bind,foo", "parse: 7:20: mount field \"foo\" must be a key=value pair" },
	{ "unknown key", "type=bind,foo=bar", "parse: 7:20: unexpected key \"foo\" in mount field \"foo=bar\"" },
	{ "key typo", "type=bind,targt=/a",
		"parse: 7:20: unexpected key \"targt\" in mount field \"targt=/a\" (did you mean \"target\"?)" },
	{ "key typo with a variable", "type=$x,surce=/a",
		"parse: 7:18: unexpected key \"surce\" in mount field \"surce=/a\" (did you mean \"source\"?)" },
	{ "type typo", "type=cahe,target=/a",
		"parse: 7:15: unsupported mount type \"cahe\" (did you mean \"cache\"?)" },
	{ "unknown type", "type=volume", "parse: 7:15: unsupported mount type \"volume\"" },
	{ "empty type", "type=", "parse: 7:15: unsupported mount type \"\"" },
	{ "sharing typo", "type=cache,sharing=lokced",
		"parse: 7:29: unsupported sharing value \"lokced\" (did you mean \"locked\"?)" },
	{ "bool", "ro=maybe", "parse: 7:13: invalid value \"maybe\" in mount field \"ro=maybe\"" },
	{ "empty bool", "rw=", "parse: 7:13: invalid value \"\" in mount field \"rw=\"" },
	{ "mode", "type=cache,mode=888", "parse: 7:26: invalid value \"888\" in mount field \"mode=888\"" },
	{ "uid", "type=cache,uid=root", "parse: 7:25: invalid value \"root\" in mount field \"uid=root\"" },
	{ "gid negative", "type=cache,gid=-1", "parse: 7:25: invalid value \"-1\" in mount field \"gid=-1\"" },
	{ "gid too large", "type=cache,gid=4294967296",
		"parse: 7:25: invalid value \"4294967296\" in mount field \"gid=4294967296\"" },
	{ "size", "type=tmpfs,size=x", "parse: 7:26: invalid value \"x\" in mount field \"size=x\"" },
	{ "size of another type", "type=cache,size=1",
		"parse: 7:26: mount field \"size=1\" is not allowed for type \"cache\"" },
	{ "size before the type", "size=1,type=tmpfs",
		"parse: 7:15: mount field \"size=1\" is not allowed for type \"bind\" (type= must stand before it)" },
	{ "required before the type", "required,type=secret,id=i",
		"parse: 7:10: mount field \"required\" is not allowed for type \"bind\" (type= must stand before it)" },
	{ "required of another type", "type=cache,target=/a,required=true",
		"parse: 7:40: mount field \"required=true\" is not allowed for type \"cache\"" },
	{ "mode of bind", "target=/a,mode=1", "parse: 7:10: bind mount \"target=/a,mode=1\": mode is not allowed" },
	{ "uid of tmpfs", "type=tmpfs,uid=1", "parse: 7:10: tmpfs mount \"type=tmpfs,uid=1\": uid is not allowed" },
	{ "gid of bind", "gid=1", "parse: 7:10: bind mount \"gid=1\": gid is not allowed" },
	{ "sharing of bind", "sharing=shared", "parse: 7:10: bind mount \"sharing=shared\": sharing is not allowed" },
	{ "sharing of secret", "type=secret,id=i,sharing=shared",
		"parse: 7:10: secret mount \"type=secret,id=i,sharing=shared\": sharing is not allowed" },
	{ "from of secret", "type=secret,id=i,from=f",
		"parse: 7:10: secret mount \"type=secret,id=i,from=f\": from is not allowed" },
	{ "secret of nothing", "type=secret",
		"parse: 7:10: secret mount \"type=secret\": one of id, source and target is needed" },
	{ "secret by two", "type=secret,id=i,source=s",
		"parse: 7:10: secret mount \"type=secret,id=i,source=s\": source and id mean the same: only one is allowed" },
	{ "source of ssh", "type=ssh,source=s", "parse: 7:10: ssh mount \"type=ssh,source=s\": source is not allowed" },
	{ "from with a variable", "from=$x,target=/a",
		"parse: 7:15: mount key \"from\" does not support variable expansion (give the image a name with FROM ... AS "
		"NAME and use from=NAME)" },
	{ "quote inside", "target=a\"b",
		"parse: 7:10: mount \"target=a\"b\": a quote stands inside a field that is not quoted" },
	{ "quote never closed", "\"target=a",
		"parse: 7:10: mount \"\"target=a\": a quoted field has no closing quote" },
	{ "text behind quotes", "\"target=a\"b",
		"parse: 7:10: mount \"\"target=a\"b\": text stands behind a quoted field" },

	{ "expansion fails", "target=$FAIL", "7:17: FAIL: is not set" },
	{ "type after expansion", "type=$bnd", "7:15: unsupported mount type \"bnd\" (did you mean \"bind\"?)" },
	{ "mode after expansion", "type=cache,mode=$9", "7:26: invalid value \"9\" in mount field \"mode=$9\"" },
	{ "whole after expansion", "type=$secret",
		"7:10: secret mount \"type=$secret\": one of id, source and target is needed" },
};

static void good(void **state)
{
	(void)state;
	run_cases(good_rows, ARRAY_SIZE(good_rows), resolve_text);
}

static void bad(void **state)
{
	(void)state;
	run_cases(bad_rows, ARRAY_SIZE(bad_rows), resolve_text);
}

static void spec_of_run(void **state)
{
	static const char in[] = "FROM a\n"
				 "RUN --mount=type=cache,target=$x,ro \\\n"
				 "    --mount=from=b,target=/c,readonly=false d";
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	const struct cb_run *run;

	(void)state;
	assert_int_equal(cb_parse(in, strlen(in), &file, NULL), 0);
	run = &file->stages[0].instrs[0].run;
	assert_int_equal(run->n_mounts, 2);
	assert_int_equal(run->mounts[0].n_fields, 3);
	assert_null(run->mounts[0].from);
	assert_int_equal(run->mounts[0].fields[1].key, CB_MOUNT_KEY_TARGET);
	assert_string_equal(run->mounts[0].fields[1].value.s, "$x");
	assert_int_equal(run->mounts[0].fields[1].value.line, 2);
	assert_int_equal(run->mounts[0].fields[1].value.col, 31);
	assert_null(run->mounts[0].fields[2].value.s);
	assert_string_equal(run->mounts[1].from, "b");
	assert_int_equal(run->mounts[1].text.line, 3);
	assert_int_equal(run->mounts[1].text.col, 13);
	assert_int_equal(run->mounts[1].fields[2].value.col, 39);
	assert_string_equal(run->script.s, "d");
}

static void too_many_fields(void **state)
{
	cleanup_buf struct cb_buf in = { 0 };
	cleanup_free char *got = NULL;

	(void)state;
	cb_buf_adds(&in, "ro");
	for (size_t i = 0; i < 256; i++)
		cb_buf_adds(&in, ",ro");
	got = resolve_text(cb_buf_str(&in));
	assert_string_equal(got, "parse: 7:10: a mount has too many fields");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(spec_of_run),
		cmocka_unit_test(too_many_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
