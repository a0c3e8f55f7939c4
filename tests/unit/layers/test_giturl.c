/* Addresses of git repositories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "layers/giturl.h"

static const struct {
	const char *text;
	bool add, context; /* what takes it for a repository */
} forms[] = {
	{ "git://host/repo", true, true },
	{ "GIT://host/repo", true, true },
	{ "ssh://git@host/repo", true, true },
	{ "git@github.com:org/repo", true, true },
	{ "me-2@host.example:repo.git#v1", true, true },
	{ "https://host/repo.git", true, true },
	{ "https://host/repo.git#main:dir", true, true },
	{ "https://host/repo.git?ref=main", true, true },
	{ "http://host/repo", false, false },
	{ "https://host/repo.git/", false, false },
	{ "https://host/x?y=repo.git", false, false },
	{ "github.com/org/repo", false, true },
	{ "github.com/org/repo#v1:d", false, true },
	{ "github.com/", false, false },
	{ "github.comx/org", false, false },
	{ "dir/file", false, false },
	{ "a@b", false, false },
	{ "@host:path", false, false },
	{ "-x@host:path", false, false },
	{ "a@-oProxyCommand=x:path", false, false },
	{ "a@host:", false, false },
	{ "a@host:-path", false, false },
	{ "dir/a@host:path", false, false },
	{ "file:///repo.git", false, false },
	{ "ext::sh -c id", false, false },
	{ "", false, false },
};

static void is_git(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		print_message("# %s\n", forms[i].text);
		assert_int_equal(cb_git_url_is(forms[i].text, false), forms[i].add);
		assert_int_equal(cb_git_url_is(forms[i].text, true), forms[i].context);
	}
}

#define FIRST "0123456789abcdef0123456789abcdef01234567"

/* A want with NULL remote is an error. */
static const struct {
	const char *text;
	struct cb_git_url want;
} parsed[] = {
	{ "git://host/repo", { (char *)"git://host/repo", .submodules = true } },
	{ "HTTPS://Host/Repo.git#main",
		{ (char *)"https://Host/Repo.git", .ref = (char *)"main", .submodules = true } },
	{ "https://u:p%40w@host/r.git", { (char *)"https://host/r.git", .auth = (char *)"u:p@w", .submodules = true } },
	{ "https://u@evil.com/@host/r.git",
		{ (char *)"https://evil.com/@host/r.git", .auth = (char *)"u", .submodules = true } },
	{ "ssh://git@host/r#v1:a/../b/",
		{ (char *)"ssh://git@host/r", .ref = (char *)"v1", .subdir = (char *)"b", .submodules = true } },
	{ "git@host:r.git#:dir", { (char *)"git@host:r.git", .subdir = (char *)"dir", .submodules = true } },
	{ "git@host:r.git#v1:../../etc",
		{ (char *)"git@host:r.git", .ref = (char *)"v1", .subdir = (char *)"etc", .submodules = true } },
	{ "github.com/o/r", { (char *)"https://github.com/o/r", .submodules = true } },
	{ "git://h/r?branch=b&subdir=%2fd",
		{ (char *)"git://h/r", .ref = (char *)"refs/heads/b", .subdir = (char *)"d", .submodules = true } },
	{ "git://h/r?tag=t", { (char *)"git://h/r", .ref = (char *)"refs/tags/t", .submodules = true } },
	{ "git://h/r?ref=" FIRST "&checksum=0123456",
		{ (char *)"git://h/r", .ref = (char *)FIRST, .checksum = (char *)"0123456", .submodules = true } },
	{ "git://h/r?commit=ABCDEF0", { (char *)"git://h/r", .checksum = (char *)"abcdef0", .submodules = true } },
	{ "git://h/r?keep-git-dir=true&submodules=0&mtime=commit",
		{ (char *)"git://h/r", .keep_git_dir = true, .mtime_commit = true } },
	{ "git://h/r?keep-git-dir", { (char *)"git://h/r", .keep_git_dir = true, .submodules = true } },
	{ "git://h/r?ref=a#a", { (char *)"git://h/r", .ref = (char *)"a", .submodules = true } },
	{ "git://h/r?ref=a#b", { 0 } },
	{ "git://h/r?subdir=a#b:c", { 0 } },
	{ "git://h/r?tag=a&branch=a", { 0 } },
	{ "git://h/r?commit=abcdef&checksum=abcde1", { 0 } },
	{ "git://h/r?commit=xyz", { 0 } },
	{ "git://h/r?mtime=now", { 0 } },
	{ "git://h/r?submodules=maybe", { 0 } },
	{ "git://h/r?upload-pack=x", { 0 } },
	{ "git://h/r#-x", { 0 } },
	{ "git://h/r#--upload-pack=x", { 0 } },
	{ "git://h/r#a..b", { 0 } },
	{ "git://h/r#a*", { 0 } },
	{ "git://h/r#a~1", { 0 } },
	{ "git://h/r#a@{1}", { 0 } },
	{ "git://h/r?ref=a%20b", { 0 } },
	{ "git://h/r?ref=%00", { 0 } },
	{ "git://h/r x", { 0 } },
	{ "git://h/r\n#x", { 0 } },
	{ "git://", { 0 } },
	{ "git:///path", { 0 } },
	{ "git://-oProxyCommand=x/r", { 0 } },
	{ "ssh://git@-oProxyCommand=x/r", { 0 } },
};

static void same(const char *got, const char *want)
{
	if (!got || !want)
		assert_true(!got && !want);
	else
		assert_string_equal(got, want);
}

static void parses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parsed); i++) {
		CB_CLEANUP(cb_git_url_free) struct cb_git_url *url = NULL;
		cleanup_err struct cb_err *err = NULL;
		const struct cb_git_url *want = &parsed[i].want;
		int r = cb_git_url_parse(parsed[i].text, &url, &err);

		print_message("# %s\n", parsed[i].text);
		assert_int_equal(r, want->remote ? 0 : CB_ERR_INPUT);
		if (r < 0)
			continue;
		same(url->remote, want->remote);
		same(url->auth, want->auth);
		same(url->ref, want->ref);
		same(url->subdir, want->subdir);
		same(url->checksum, want->checksum);
		assert_int_equal(url->keep_git_dir, want->keep_git_dir);
		assert_int_equal(url->submodules, want->submodules);
		assert_int_equal(url->mtime_commit, want->mtime_commit);
	}
}

static const struct {
	const char *text, *want;
} redacted[] = {
	{ "https://user:pass@host/r.git#x", "https://host/r.git#x" },
	{ "https://token@host/r.git", "https://host/r.git" },
	{ "https://host/r@x.git", "https://host/r@x.git" },
	{ "ssh://git:pass@host/r", "ssh://git@host/r" },
	{ "ssh://git@host/r", "ssh://git@host/r" },
	{ "git@host:r", "git@host:r" },
	{ "git://host/r", "git://host/r" },
};

static void redacts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(redacted); i++) {
		cleanup_free char *got = cb_git_url_redact(redacted[i].text);

		assert_string_equal(got, redacted[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_git),
		cmocka_unit_test(parses),
		cmocka_unit_test(redacts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
