/*
 * Golden reports: golden/check/NAME is what each format makes of one file with findings, and none-NAME of a file
 * without. With CB_GOLDEN_UPDATE set in the environment the files are written instead; look at the difference before
 * committing it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "builder/check_report.h"
#include "builder/check_source.h"

#define FOLDER CB_TEST_DATA "/unit/builder/golden/check"

static const char findings_in[] =
	"# base does <it> & more\nFROM a as Base\n\tRUN sudo b \\\n\n\tc\nENV k \"v\" 'w' 100%\n"
	"# TOKEN for\nARG TOKEN=1\nCOPY $x\xff:y .\nRUN cd z; --mount\nMAINTAINER x\x1b[31m\n"
	"RUN --mount=type=secret,id=s,required --mount=type=ssh --mount=type=cache,target=/c d\n";
static const char nothing_in[] = "FROM a:1\n";

static const char *const names[] = { "tty", "json", "sarif", "github", "gitlab", "checkstyle", "junit" };

static void compare(const char *name, struct cb_buf *got)
{
	cleanup_free char *path = cb_xasprintf(FOLDER "/%s", name);
	cleanup_buf struct cb_buf want = { 0 };
	cleanup_err struct cb_err *err = NULL;

	if (getenv("CB_GOLDEN_UPDATE")) {
		FILE *file = fopen(path, "we");

		assert_non_null(file);
		assert_int_equal(fwrite(cb_buf_str(got), 1, got->len, file), got->len);
		fclose(file);
		return;
	}
	if (cb_file_read_at(AT_FDCWD, path, (size_t)1 << 20, &want, &err) < 0)
		fail_msg("%s", cb_err_msg(err));
	if (strcmp(cb_buf_str(got), cb_buf_str(&want)) != 0)
		print_message("# %s\n", path);
	assert_string_equal(cb_buf_str(got), cb_buf_str(&want));
}

static void report(const char *in, const char *prefix)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_findings struct cb_findings findings = { 0 };
	cleanup_outline struct cb_outline outline = { 0 };
	struct cb_report_source src = { .name = "dir, x/Build%file", .data = in, .len = strlen(in) };
	struct cb_strv none = { 0 };
	struct cb_check_options opts = { .build_args = &none, .own = true };

	opts.platforms = (struct cb_platform_args){ "linux/amd64", "linux/amd64", "default" };
	assert_int_equal(cb_parse(in, strlen(in), &file, NULL), 0);
	assert_int_equal(cb_check(file, &opts, &findings, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *name = cb_xasprintf("%s%s", prefix, names[i]);
		cleanup_buf struct cb_buf out = { 0 };
		enum cb_check_format format;

		assert_true(cb_check_format_parse(names[i], &format));
		cb_check_print(format, &findings, &src, &out);
		compare(name, &out);
	}
	assert_int_equal(cb_outline(file, &opts, &outline, NULL), 0);
	for (int json = 0; json < 2; json++) {
		cleanup_free char *name = cb_xasprintf("%soutline%s", prefix, json ? "-json" : "");
		cleanup_free char *targets = cb_xasprintf("%stargets%s", prefix, json ? "-json" : "");
		cleanup_buf struct cb_buf out = { 0 }, list = { 0 };

		cb_check_print_outline(&outline, &file->stages[0], json, &out);
		compare(name, &out);
		cb_check_print_targets(file, json, &list);
		compare(targets, &list);
	}
}

static void formats(void **state)
{
	enum cb_check_format format;

	(void)state;
	assert_false(cb_check_format_parse("xml", &format));
	report(findings_in, "");
	report(nothing_in, "none-");
}

static void base64(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = { { "", "" }, { "a", "YQ==" }, { "ab", "YWI=" }, { "abc", "YWJj" },
		{ "\xff\xfe\xfd?", "//79Pw==" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *got = cb_check_base64(rows[i].in, strlen(rows[i].in));

		assert_string_equal(got, rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(formats), cmocka_unit_test(base64) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
