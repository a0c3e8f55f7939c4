/* Reports of failures, and the exit status of every kind of error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "builder/report.h"

static const char text[] = "FROM busybox\n"
			   "RUN one\n"
			   "\tCOPY a\tb c\n"
			   "RUN very \\\n"
			   "    long\n"
			   "# caf\xC3\xA9 \x1B[31m x\n"
			   "CMD x\r\n"
			   "last";
static const struct cb_report_source source = { .name = "Buildfile", .data = text, .len = sizeof(text) - 1 };

static void places_have_carets(void **state)
{
	static const struct {
		unsigned int line, col;
		const char *want;
	} rows[] = {
		{ 1, 6, "Buildfile:1:6: error: bad\n    1 | FROM busybox\n      |      ^\n" },
		{ 3, 9, "Buildfile:3:9: error: bad\n    3 | \tCOPY a\tb c\n      | \t      \t^\n" },
		{ 2, 0, "Buildfile:2: error: bad\n    2 | RUN one\n" },
		{ 2, 99, "Buildfile:2:99: error: bad\n    2 | RUN one\n      |        ^\n" },
		{ 6, 9, "Buildfile:6:9: error: bad\n    6 | # caf\xC3\xA9 \xEF\xBF\xBD[31m x\n      |        ^\n" },
		{ 7, 5, "Buildfile:7:5: error: bad\n    7 | CMD x\n      |     ^\n" },
		{ 8, 1, "Buildfile:8:1: error: bad\n    8 | last\n      | ^\n" },
		{ 99, 1, "Buildfile:99:1: error: bad\n" },
		{ 0, 0, "cbuild: error: bad\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf out = { 0 };

		cb_err_at(&err, CB_ERR_INPUT, rows[i].line, rows[i].col, "bad");
		cb_report_error(&out, err, &source, NULL);
		assert_string_equal(cb_buf_str(&out), rows[i].want);
	}
}

static void hints_and_files_are_shown(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };

	(void)state;
	cb_err_at(&err, CB_ERR_INPUT, 3, 0, "bad\033[31m pattern\nsecond line");
	cb_err_hint(&err, CB_ERR_INPUT, "do better");
	err->file = cb_xstrdup(".dockerignore");
	cb_report_error(&out, err, &source, NULL);
	assert_string_equal(cb_buf_str(&out), ".dockerignore:3: error: bad\xEF\xBF\xBD[31m pattern\nsecond line\n"
					      "hint: do better\n");
}

static void long_lines_are_cut_around_the_place(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 }, line = { 0 };
	struct cb_report_source src = { .name = "B" };

	(void)state;
	for (int i = 0; i < 60000; i++)
		cb_buf_addc(&line, i == 30000 ? 'X' : '.');
	src.data = line.data;
	src.len = line.len;
	cb_err_at(&err, CB_ERR_INPUT, 1, 30001, "bad");
	cb_report_error(&out, err, &src, NULL);
	assert_true(out.len < 500);
	assert_non_null(strchr(cb_buf_str(&out), 'X'));
}

static void steps_show_output_and_source(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct cb_report_step step = { "[2/2] RUN very long", "0.1 compiling\n0.2 oops\n" };

	(void)state;
	cb_err_at(&err, CB_ERR_STEP, 4, 1, "process \"/bin/sh -c x\" did not complete successfully: exit code: 2");
	cb_err_locate(&err, CB_ERR_STEP, 4, 1, 5);
	err->end_line = 5;
	cb_err_hint(&err, CB_ERR_STEP, "look above");
	cb_report_error(&out, err, &source, &step);
	assert_string_equal(cb_buf_str(&out),
		"------\n"
		" > [2/2] RUN very long:\n"
		"0.1 compiling\n"
		"0.2 oops\n"
		"------\n"
		"Buildfile:4\n"
		"--------------------\n"
		"   2 |     RUN one\n"
		"   3 |     \tCOPY a\tb c\n"
		"   4 | >>> RUN very \\\n"
		"   5 | >>>     long\n"
		"   6 |     # caf\xC3\xA9 \xEF\xBF\xBD[31m x\n"
		"   7 |     CMD x\n"
		"--------------------\n"
		"error: process \"/bin/sh -c x\" did not complete successfully: exit code: 2\n"
		"hint: look above\n");
	/* One line, no output, at the start of the file. */
	cb_buf_clear(&out);
	step.tail = "";
	err->line = 1;
	err->end_line = 0;
	cb_report_error(&out, err, &source, &step);
	assert_non_null(strstr(cb_buf_str(&out), "Buildfile:1\n--------------------\n   1 | >>> FROM busybox\n"));
	assert_non_null(strstr(cb_buf_str(&out), "   5 |         long\n---"));
	assert_null(strstr(cb_buf_str(&out), "------\n >"));
}

static void warnings_have_places(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };

	(void)state;
	cb_report_warning(&out, &source, 2, 5, "hm");
	cb_report_warning(&out, &source, 2, 0, "hm");
	cb_report_warning(&out, NULL, 0, 0, "hm");
	assert_string_equal(
		cb_buf_str(&out), "Buildfile:2:5: warning: hm\nBuildfile:2: warning: hm\ncbuild: warning: hm\n");
}

static void codes_have_statuses(void **state)
{
	static const struct {
		int code, status;
	} rows[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ CB_ERR_INPUT, 1 },
		{ CB_ERR_NOT_FOUND, 1 },
		{ CB_ERR_CORRUPT, 1 },
		{ CB_ERR_LIMIT, 1 },
		{ CB_ERR_DENIED, 1 },
		{ CB_ERR_STEP, 1 },
		{ CB_ERR_USAGE, 2 },
		{ CB_ERR_INTERNAL, 125 },
		{ CB_ERR_IO, 125 },
		{ CB_ERR_UNSUPPORTED, 125 },
		{ CB_ERR_NO_SPACE, 125 },
		{ CB_ERR_NETWORK, 126 },
		{ CB_ERR_CANCELED, 130 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(cb_report_exit_status(rows[i].code), rows[i].status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_have_carets),
		cmocka_unit_test(hints_and_files_are_shown),
		cmocka_unit_test(long_lines_are_cut_around_the_place),
		cmocka_unit_test(steps_show_output_and_source),
		cmocka_unit_test(warnings_have_places),
		cmocka_unit_test(codes_have_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
