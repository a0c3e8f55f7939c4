#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/buf.h"
#include "base/path.h"
#include "layers/registriesconf.h"

static char dir[] = "/tmp/cbuild-test-registries-XXXXXX";

static const char sample[] = "# comment\n"
			     "unqualified-search-registries = [\"docker.io\", 'quay.io', # more\n  \"x\",\n]\n"
			     "short-name-mode=\"enforcing\"\n"
			     "[aliases]\n\"a/b\" = \"quay.io/a/b\"\n"
			     "[[registry]]\n"
			     "prefix = \"example.com/foo\"\n"
			     "location = 'internal:5000/bar'\n"
			     "insecure = true\n"
			     "[[registry.mirror]]\nlocation = \"mirror-1/x\"\n"
			     "[[registry.mirror]]\nlocation = \"mirror-2\"\ninsecure = true\n"
			     "pull-from-mirror = \"digest-only\"\n"
			     "[[registry.mirror]]\nlocation = \"mirror-3\"\npull-from-mirror = \"tag-only\"\n"
			     "[[registry]]\nlocation = \"example.com\"\n"
			     "[[registry]]\nprefix = \"example.com/foo/deep\"\nblocked = true\n"
			     "[[registry]]\nprefix = \"*.example.org\"\nlocation = \"cache/org\"\n"
			     "[[registry]]\nprefix = \"*.a.example.org\"\n"
			     "[[registry]]\nlocation = \"docker.io\"\nmirror-by-digest-only = true\n"
			     "[[registry.mirror]]\nlocation = \"hub-mirror/hub\"\n"
			     "[[registry]]\nprefix = \"swallow/all\"\nlocation = \"just-a-host\"\n";

/* The expectation is "host repository flags" of each endpoint: i insecure, m mirror. */
static const struct {
	const char *host, *repository, *want;
	bool by_digest, push;
	int code;
} cases[] = {
	{ "other.io", "a/b", "other.io a/b -;", false, false, 0 },
	{ "example.com", "foo/img", "mirror-1 x/img m;mirror-3 img m;internal:5000 bar/img i;", false, false, 0 },
	{ "example.com", "foo/img", "mirror-1 x/img m;mirror-2 img im;internal:5000 bar/img i;", true, false, 0 },
	{ "example.com", "foo/img", "internal:5000 bar/img i;", false, true, 0 },
	{ "example.com", "foo", "mirror-1 x m;internal:5000 bar i;", false, false, 0 },
	{ "example.com", "foobar", "example.com foobar -;", false, false, 0 },
	{ "example.com", "other", "example.com other -;", false, false, 0 },
	{ "example.com", "foo/deep/img", "example.com/foo/deep/img is blocked by the registries configuration", false,
		false, CB_ERR_DENIED },
	{ "example.com", "foo/deeper", "mirror-1 x/deeper m;mirror-3 deeper m;internal:5000 bar/deeper i;", false,
		false, 0 },
	{ "x.example.org", "img", "cache org/img -;", false, false, 0 },
	{ "x.a.example.org", "img", "x.a.example.org img -;", false, false, 0 },
	{ "example.org", "img", "example.org img -;", false, false, 0 },
	{ "docker.io", "library/x", "registry-1.docker.io library/x -;", false, false, 0 },
	{ "docker.io", "library/x", "hub-mirror hub/library/x m;registry-1.docker.io library/x -;", true, false, 0 },
	{ "swallow", "all", "the registries configuration leaves no repository of swallow/all", false, false,
		CB_ERR_INPUT },
	{ "swallow", "all/of/it", "just-a-host of/it -;", false, false, 0 },
};

static char *show(const struct cb_endpoints *list)
{
	cleanup_buf struct cb_buf out = { 0 };

	for (size_t i = 0; i < list->n; i++) {
		const struct cb_endpoint *e = &list->v[i];

		cb_buf_addf(&out, "%s %s %s%s%s;", e->host, e->repository, e->insecure ? "i" : "", e->mirror ? "m" : "",
			e->insecure || e->mirror ? "" : "-");
	}
	return cb_buf_take(&out);
}

static void lookups(void **state)
{
	CB_CLEANUP(cb_registriesconf_free) struct cb_registriesconf *conf = NULL;
	cleanup_err struct cb_err *bad = NULL;

	(void)state;
	cb_registriesconf_parse(sample, strlen(sample), "sample", &conf, &bad);
	assert_string_equal(cb_err_msg(bad), "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_endpoints struct cb_endpoints list = { 0 };
		cleanup_err struct cb_err *err = NULL;
		int r = cb_registriesconf_lookup(
			conf, cases[i].host, cases[i].repository, cases[i].by_digest, cases[i].push, &list, &err);
		cleanup_free char *got = r < 0 ? cb_xstrdup(cb_err_msg(err)) : show(&list);

		print_message("# %s/%s\n", cases[i].host, cases[i].repository);
		assert_int_equal(r, cases[i].code);
		assert_string_equal(got, cases[i].want);
	}
}

/* What is TOML but not ours passes; NULL: accepted. */
static const struct {
	const char *text, *want;
} documents[] = {
	{ "", NULL },
	{ "\n\r\n# only\n", NULL },
	{ "a=1\nb = 1_000\nc=0x1f\nd=1.5e3\ne=1979-05-27T07:32:00Z\nf=inf\n", NULL },
	{ "a.b.'c d' = {x = 1, y = [\"z\", {q=true}]} # end\n", NULL },
	{ "a = \"\"\"\nline\n\\\n   more\"\"\"\nb = '''x'y'''\n", NULL },
	{ "a = \"\\u00e9\\U0001F600\\t\\\"\"\n", NULL },
	{ "[a]\n[ a . b ]\n[[a.c]]\n", NULL },
	{ "[[registry]]\nlocation=\"h\"\nfuture = [1, [2]]\n", NULL },
	{ "a\n", "t: line 1: expected \"=\" after a key" },
	{ "\n\na = \n", "t: line 3: expected a value" },
	{ "a = nonsense\n", "t: line 1: expected a value" },
	{ "a = \"x\n\"\n", "t: line 1: a string is not closed" },
	{ "a = '''x\n", "t: line 2: a string is not closed" },
	{ "a = \"\\q\"\n", "t: line 1: unknown escape in a string" },
	{ "a = \"\\ud800\"\n", "t: line 1: an escape names no character" },
	{ "a = \"\\u12\"\n", "t: line 1: a \\u escape needs hexadecimal digits" },
	{ "a = \"x\" y\n", "t: line 1: expected the end of the line" },
	{ "a = [1 2]\n", "t: line 1: an array needs \",\" or \"]\" here" },
	{ "a = [1,\n", "t: line 2: expected a value" },
	{ "a = {b 1}\n", "t: line 1: expected \"=\" after a key" },
	{ "[a\n", "t: line 1: expected \"]\"" },
	{ "[[a]\n", "t: line 1: expected \"]]\"" },
	{ "[]\n", "t: line 1: expected a key" },
	{ "= 1\n", "t: line 1: expected a key" },
	{ "a=[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "t: line 1: values are nested too deeply" },
	{ "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1\n", "t: line 1: a key has too many parts" },
	{ "[[registry]]\nlocation = 5\n", "t: line 2: location must be a string" },
	{ "[[registry]]\ninsecure = \"yes\"\n", "t: line 2: insecure must be true or false" },
	{ "[[registry]]\nlocation = \"https://h\"\n", "t: line 2: location takes a name without a scheme" },
	{ "[[registry]]\ninsecure = true\n", "t: a registry has neither prefix nor location" },
	{ "[[registry.mirror]]\n", "t: line 1: a mirror without a registry" },
	{ "[[registry]]\nlocation=\"h\"\n[[registry.mirror]]\n", "t: a mirror of h has no location" },
	{ "[[registry]]\nlocation=\"h\"\n[[registry.mirror]]\npull-from-mirror=\"x\"\n",
		"t: line 4: pull-from-mirror is all, digest-only or tag-only" },
};

static void toml_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		CB_CLEANUP(cb_registriesconf_free) struct cb_registriesconf *conf = NULL;
		cleanup_err struct cb_err *err = NULL;
		int r = cb_registriesconf_parse(documents[i].text, strlen(documents[i].text), "t", &conf, &err);

		print_message("# %s", documents[i].text);
		assert_string_equal(cb_err_msg(err), documents[i].want ? documents[i].want : "");
		assert_int_equal(r, documents[i].want ? CB_ERR_INPUT : 0);
	}
}

static void write_at(const char *name, const char *text)
{
	cleanup_free char *path = cb_xasprintf("%s/%s", dir, name), *parent = cb_path_dir(path);

	assert_int_equal(cb_path_mkdirs(parent, 0755), 0);
	assert_int_equal(cb_atomic_write(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static void files(void **state)
{
	CB_CLEANUP(cb_registriesconf_free) struct cb_registriesconf *conf = NULL;
	cleanup_free char *named = cb_xasprintf("%s/named.conf", dir);
	cleanup_endpoints struct cb_endpoints list = { 0 }, second = { 0 };
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	write_at(".config/containers/registries.conf",
		"[[registry]]\nprefix=\"cb-a.test\"\nlocation=\"first\"\n[[registry]]\nprefix=\"cb-b.test\"\nlocation=\"kept\"\n");
	write_at(".config/containers/registries.conf.d/10.conf",
		"[[registry]]\nprefix=\"cb-a.test\"\nlocation=\"second\"\n");
	write_at(".config/containers/registries.conf.d/20.conf",
		"[[registry]]\nprefix=\"cb-a.test\"\nlocation=\"third\"\n");
	write_at(".config/containers/registries.conf.d/30.txt", "not read");
	setenv("HOME", dir, 1);
	unsetenv("CONTAINERS_REGISTRIES_CONF");
	assert_int_equal(cb_registriesconf_load(&conf, &err), 0);
	assert_int_equal(cb_registriesconf_lookup(conf, "cb-a.test", "x", false, false, &list, NULL), 0);
	assert_string_equal(list.v[0].host, "third");
	assert_int_equal(cb_registriesconf_lookup(conf, "cb-b.test", "x", false, false, &second, NULL), 0);
	assert_string_equal(second.v[0].host, "kept");

	conf = cb_registriesconf_free(conf);
	cb_endpoints_done(&list);
	write_at("named.conf", "[[registry]]\nprefix=\"cb-a.test\"\nlocation=\"named\"\n");
	setenv("CONTAINERS_REGISTRIES_CONF", named, 1);
	assert_int_equal(cb_registriesconf_load(&conf, &err), 0);
	assert_int_equal(cb_registriesconf_lookup(conf, "cb-a.test", "x", false, false, &list, NULL), 0);
	assert_string_equal(list.v[0].host, "named");

	conf = cb_registriesconf_free(conf);
	assert_int_equal(unlink(named), 0);
	assert_int_equal(cb_registriesconf_load(&conf, &err), CB_ERR_INPUT);
}

static void certificates(void **state)
{
	CB_CLEANUP(cb_registriesconf_free) struct cb_registriesconf *conf = NULL;
	cleanup_free char *one = cb_xasprintf("%s/certs-1", dir), *two = cb_xasprintf("%s/certs-2", dir);
	cleanup_free char *key = cb_xasprintf("%s/certs-2/h:5000/b.key", dir);
	const char *const dirs[] = { one, two, NULL };
	cleanup_endpoints struct cb_endpoints list = { 0 }, none = { 0 };

	(void)state;
	write_at("certs-2/h:5000/a.crt", "AAA");
	write_at("certs-2/h:5000/c.crt", "CCC");
	write_at("certs-2/h:5000/a.cert", "no key for it");
	write_at("certs-2/h:5000/b.cert", "B");
	write_at("certs-2/h:5000/b.key", "B");
	assert_int_equal(cb_registriesconf_parse("", 0, "t", &conf, NULL), 0);
	cb_registriesconf_set_certs_dirs(conf, dirs);
	assert_int_equal(cb_registriesconf_lookup(conf, "h:5000", "x", false, false, &list, NULL), 0);
	assert_string_equal(list.v[0].ca_pem, "AAA\nCCC\n");
	assert_string_equal(list.v[0].client_key, key);
	assert_int_equal(cb_registriesconf_lookup(conf, "h", "x", false, false, &none, NULL), 0);
	assert_null(none.v[0].ca_pem);
	assert_null(none.v[0].client_cert);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return cb_path_remove_tree(AT_FDCWD, dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups),
		cmocka_unit_test(toml_forms),
		cmocka_unit_test(files),
		cmocka_unit_test(certificates),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
