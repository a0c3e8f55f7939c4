/* Helpers of the parser's tests: a Buildfile's tree, or its error, as one string to compare with. */
#ifndef CB_TESTS_GRAMMAR_CASES_H
#define CB_TESTS_GRAMMAR_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include "parser/dump.h"
#include "parser/parse.h"

/* One row: @want is what the test makes of @in. */
struct grammar_case {
	const char *name, *in, *want;
};

/* "2:5: message" and " (hint)"; the place is left out where there is none. */
static inline char *error_text(const struct cb_err *err)
{
	cleanup_buf struct cb_buf out = { 0 };

	if (err->line)
		cb_buf_addf(&out, "%u:%u: ", err->line, err->col);
	cb_buf_adds(&out, err->msg);
	if (err->hint)
		cb_buf_addf(&out, " (%s)", err->hint);
	return cb_buf_take(&out);
}

/* The nodes as S-expressions, a line each without the last line end; or the error. */
static inline char *node_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };

	if (cb_parse_nodes(in, strlen(in), &file, &err) < 0)
		return error_text(err);
	cb_dump_sexp(file, &out);
	if (out.len)
		out.data[--out.len] = '\0';
	return cb_buf_take(&out);
}

/* "ok", or the error of validation. */
static inline char *check_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_err struct cb_err *err = NULL;
	int r = cb_parse(in, strlen(in), &file, &err);

	if (r < 0) {
		assert_int_equal(r, CB_ERR_INPUT);
		assert_null(file);
		return error_text(err);
	}
	return cb_xstrdup("ok");
}

/* Runs @text over all rows. */
static inline void run_cases(const struct grammar_case *cases, size_t n, char *(*text)(const char *in))
{
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *got = text(cases[i].in);

		if (strcmp(got, cases[i].want) != 0)
			print_message("# %s\n", cases[i].name);
		assert_string_equal(got, cases[i].want);
	}
}

#endif
