#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/path.h"
#include "layers/dockercfg.h"

static char dir[] = "/tmp/cbuild-test-dockercfg-XXXXXX";

/* dTpw is "u:p", dTpwOng= is "u:p:x", eDp5 is "x:y". The expectation is "user/password/identity/registry". */
static const struct {
	const char *doc, *host, *repository, *want;
	int code;
} cases[] = {
	{ "", "h", NULL, NULL, 1 },
	{ "{}", "h", NULL, NULL, 1 },
	{ "{\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}", "h", NULL, "u/p/-/-", 0 },
	{ "{\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}", "other", NULL, NULL, 1 },
	{ "{\"auths\":{\"h\":{\"auth\":\"dTpwOng=\"}}}", "h", NULL, "u/p:x/-/-", 0 },
	{ "{\"auths\":{\"https://h/v2/\":{\"auth\":\"dTpw\"}}}", "h", NULL, "u/p/-/-", 0 },
	{ "{\"auths\":{\"http://h:5000\":{\"auth\":\"dTpw\"}}}", "h:5000", "a/b", "u/p/-/-", 0 },
	{ "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"}}}", "docker.io", "library/x", "u/p/-/-", 0 },
	{ "{\"auths\":{\"docker.io\":{\"auth\":\"dTpw\"}}}", "registry-1.docker.io", NULL, "u/p/-/-", 0 },
	{ "{\"auths\":{\"h\":{\"username\":\"a\",\"password\":\"b\"}}}", "h", NULL, "a/b/-/-", 0 },
	{ "{\"auths\":{\"h\":{\"auth\":\"\",\"identitytoken\":\"t\"}}}", "h", NULL, "-/-/t/-", 0 },
	{ "{\"auths\":{\"h\":{\"auth\":\"PHRva2VuPjo=\",\"identitytoken\":\"t\"}}}", "h", NULL, "<token>//t/-", 0 },
	{ "{\"auths\":{\"h\":{\"registrytoken\":\"t\"}}}", "h", NULL, "-/-/-/t", 0 },
	{ "{\"auths\":{\"h\":{}}}", "h", NULL, NULL, 1 },
	{ "{\"auths\":{\"h\":{\"auth\":\"dTpw\"},\"h/a\":{\"auth\":\"eDp5\"}}}", "h", "a/b", "x/y/-/-", 0 },
	{ "{\"auths\":{\"h\":{\"auth\":\"dTpw\"},\"h/a\":{\"auth\":\"eDp5\"}}}", "h", "ab/b", "u/p/-/-", 0 },
	{ "{\"auths\":{\"h/a/b\":{\"auth\":\"eDp5\"}}}", "h", "a", NULL, 1 },
	{ "{\"auths\":{\"h\":{\"auth\":\"dTpw\"}},\"credHelpers\":{\"h\":\"cbtest\"}}", "h", NULL, "helped/h/-/-", 0 },
	{ "{\"auths\":{\"h\":{\"auth\":\"dTpw\"}},\"credsStore\":\"cbtest\"}", "h", NULL, "u/p/-/-", 0 },
	{ "{\"auths\":{\"h\":{}},\"credsStore\":\"cbtest\"}", "h", NULL, "helped/h/-/-", 0 },
	{ "{\"credsStore\":\"cbtest\"}", "docker.io", "library/x", "helped/https://index.docker.io/v1//-/-", 0 },
	{ "{\"credsStore\":\"cbtest\"}", "token", NULL, "-/-/idtoken/-", 0 },
	{ "{\"credsStore\":\"cbtest\"}", "missing", NULL, NULL, 1 },
	{ "{\"credsStore\":\"cbtest\"}", "broken", NULL, "docker-credential-cbtest: exit status 3: no keyring",
		CB_ERR_DENIED },
	{ "{\"credsStore\":\"cbtest\"}", "garbage", NULL, "docker-credential-cbtest: ", CB_ERR_DENIED },
	{ "{\"credsStore\":\"cb-not-installed\"}", "h", NULL, "docker-credential-cb-not-installed", CB_ERR_DENIED },
	{ "{\"credsStore\":\"../../bin/sh\"}", "h", NULL, "credential helper \"../../bin/sh\" is not a plain name",
		CB_ERR_INPUT },
	{ "{\"auths\":{\"h\":{\"auth\":\"***\"}}}", "h", NULL, "test: the auth of h is not base64 of user:password",
		CB_ERR_INPUT },
	{ "{\"auths\":{\"h\":{\"auth\":\"dXA=\"}}}", "h", NULL, "test: the auth of h is not base64 of user:password",
		CB_ERR_INPUT },
	{ "{\"auths\":{\"h\":7}}", "h", NULL, "test: the entry of h is not an object", CB_ERR_INPUT },
	{ "{\"auths\":7,\"credHelpers\":7,\"credsStore\":7}", "h", NULL, NULL, 1 },
};

static char *show(const struct cb_credential *c)
{
	return cb_xasprintf("%s/%s/%s/%s", c->username ? c->username : "-", c->password ? c->password : "-",
		c->identity_token ? c->identity_token : "-", c->registry_token ? c->registry_token : "-");
}

static void lookups(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CB_CLEANUP(cb_dockercfg_free) struct cb_dockercfg *cfg = NULL;
		cleanup_credential struct cb_credential cred = { 0 };
		cleanup_err struct cb_err *err = NULL;
		int r;

		print_message("# %s for %s\n", cases[i].doc, cases[i].host);
		assert_int_equal(cb_dockercfg_parse(cases[i].doc, strlen(cases[i].doc), "test", &cfg, &err), 0);
		r = cb_dockercfg_lookup(cfg, cases[i].host, cases[i].repository, &cred, &err);
		assert_int_equal(r, cases[i].code);
		if (r < 0) {
			assert_memory_equal(cb_err_msg(err), cases[i].want, strlen(cases[i].want));
		} else if (r == 0) {
			cleanup_free char *got = show(&cred);

			assert_string_equal(got, cases[i].want);
		}
	}
}

static void bad_documents(void **state)
{
	static const char *const docs[] = { "{", "[]", "\"x\"", "{}x", "nul" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		struct cb_dockercfg *cfg = NULL;
		cleanup_err struct cb_err *err = NULL;

		assert_int_equal(cb_dockercfg_parse(docs[i], strlen(docs[i]), "file", &cfg, &err), CB_ERR_INPUT);
		assert_memory_equal(cb_err_msg(err), "file: ", 6);
	}
}

static void write_at(const char *name, const char *text)
{
	cleanup_free char *path = cb_xasprintf("%s/%s", dir, name), *parent = cb_path_dir(path);

	assert_int_equal(cb_path_mkdirs(parent, 0755), 0);
	assert_int_equal(cb_atomic_write(AT_FDCWD, path, text, strlen(text), 0755, NULL), 0);
}

static void set_dir(const char *name, const char *below)
{
	cleanup_free char *path = cb_xasprintf("%s%s", dir, below);

	setenv(name, path, 1);
}

/* Which file answers for "h", as the environment goes. */
static void expect_user(const char *want)
{
	CB_CLEANUP(cb_dockercfg_free) struct cb_dockercfg *cfg = NULL;
	cleanup_credential struct cb_credential cred = { 0 };

	assert_int_equal(cb_dockercfg_load(&cfg, NULL), 0);
	assert_int_equal(cb_dockercfg_lookup(cfg, "h", NULL, &cred, NULL), want ? 0 : 1);
	if (want)
		assert_string_equal(cred.username, want);
}

#define DOC(user) "{\"auths\":{\"h\":{\"username\":\"" user "\",\"password\":\"p\"}}}"

static void precedence_of_files(void **state)
{
	struct cb_dockercfg *cfg = NULL;

	(void)state;
	expect_user(NULL);
	write_at("home/.config/containers/auth.json", DOC("xdg"));
	expect_user("xdg");
	write_at("run/containers/auth.json", DOC("runtime"));
	set_dir("XDG_RUNTIME_DIR", "/run");
	expect_user("runtime");
	write_at("home/.docker/config.json", DOC("docker"));
	expect_user("docker");
	write_at("docker/config.json", DOC("elsewhere"));
	set_dir("DOCKER_CONFIG", "/docker");
	expect_user("elsewhere");
	write_at("authfile", DOC("authfile"));
	set_dir("REGISTRY_AUTH_FILE", "/authfile");
	expect_user("authfile");
	write_at("authfile", "{}"); /* it replaces the others even when it says nothing */
	expect_user(NULL);
	setenv("DOCKER_AUTH_CONFIG", DOC("inline"), 1);
	expect_user("inline");
	write_at("authfile", "{");
	assert_int_equal(cb_dockercfg_load(&cfg, NULL), CB_ERR_INPUT);
}

static int set_up(void **state)
{
	static const char helper[] = "#!/bin/sh\n"
				     "[ \"$1\" = get ] || exit 9\n"
				     "read -r server || true\n"
				     "case $server in\n"
				     "missing) echo 'credentials not found in native keychain'; exit 1;;\n"
				     "broken) echo 'no keyring' >&2; exit 3;;\n"
				     "garbage) echo '{'; exit 0;;\n"
				     "token) echo '{\"Username\":\"<token>\",\"Secret\":\"idtoken\"}';;\n"
				     "*) echo \"{\\\"Username\\\":\\\"helped\\\",\\\"Secret\\\":\\\"$server\\\"}\";;\n"
				     "esac\n";
	cleanup_free char *path = NULL;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	write_at("bin/docker-credential-cbtest", helper);
	path = cb_xasprintf("%s/bin:%s", dir, getenv("PATH"));
	setenv("PATH", path, 1);
	set_dir("HOME", "/home");
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("DOCKER_CONFIG");
	unsetenv("DOCKER_AUTH_CONFIG");
	unsetenv("REGISTRY_AUTH_FILE");
	return 0;
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
		cmocka_unit_test(bad_documents),
		cmocka_unit_test(precedence_of_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
