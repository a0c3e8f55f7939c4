/* Ignore files: matching by rows, pruning, reading, errors and speed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "parser/dockerignore.h"
#include "unit/parser/ignore_rows.h"

static struct cb_ignore *make(const char *file)
{
	struct cb_ignore *ignore = NULL;

	assert_int_equal(cb_ignore_parse(file, strlen(file), &ignore, NULL), 0);
	return ignore;
}

static void rows_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(match_rows); i++) {
		CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = make(match_rows[i].file);
		enum cb_ignore_verdict got = cb_ignore_match(ignore, match_rows[i].path, false);

		print_message("# %s: %s\n", match_rows[i].file, match_rows[i].path);
		assert_int_equal(got, match_rows[i].ignored ? CB_IGNORE_DROP : CB_IGNORE_KEEP);
		/* As a directory it is ignored or not all the same. */
		got = cb_ignore_match(ignore, match_rows[i].path, true);
		assert_int_equal(got != CB_IGNORE_KEEP, match_rows[i].ignored);
	}
}

static const struct {
	const char *file, *dir;
	enum cb_ignore_verdict want;
} prune_rows[] = {
	{ "a", "a", CB_IGNORE_PRUNE },
	{ "a", "a/b", CB_IGNORE_PRUNE },
	{ "a", "b", CB_IGNORE_KEEP },
	{ "*\n!a", "b", CB_IGNORE_PRUNE },
	{ "*\n!a", "a", CB_IGNORE_KEEP },
	{ "*\n!a/b", "a", CB_IGNORE_DROP },
	{ "*\n!a/b", "b", CB_IGNORE_PRUNE },
	{ "*\n!a/b", "ab", CB_IGNORE_PRUNE },
	{ "*\n!a/b/c", "a/b", CB_IGNORE_DROP },
	{ "*\n!a/b/c", "a/c", CB_IGNORE_PRUNE },
	{ "*\n!a*/b", "ax", CB_IGNORE_DROP },
	{ "*\n!a*/b", "bx", CB_IGNORE_PRUNE },
	{ "*\n!*/b", "x", CB_IGNORE_DROP },
	{ "*\n!*/b", "x/y", CB_IGNORE_PRUNE },
	{ "*\n!?/b", "xy", CB_IGNORE_PRUNE },
	{ "*\n![ab]/c", "a", CB_IGNORE_DROP },
	{ "*\n![ab]/c", "c", CB_IGNORE_PRUNE },
	{ "*\n!**/b", "x/y/z", CB_IGNORE_DROP },
	{ "*\n!x/**/b", "x/y", CB_IGNORE_DROP },
	{ "*\n!x/**/b", "y", CB_IGNORE_PRUNE },
	{ "*\n!**.c", "x", CB_IGNORE_DROP },
	{ "*\n!x/**", "x", CB_IGNORE_DROP },
	{ "!a/b\na", "a", CB_IGNORE_PRUNE },
	{ "!a/b\n*", "a", CB_IGNORE_PRUNE },
	{ "a\n!a/b\na/b", "a", CB_IGNORE_DROP },
	{ "a\n!a/b\na/b", "a/b", CB_IGNORE_PRUNE },
	{ "a\n!a\na/c\n!b/c/d", "a/c", CB_IGNORE_PRUNE },
	{ "volume/\n!**/one.txt", "volume/data", CB_IGNORE_DROP },
	{ "**/node_modules\n!src/keep", "p/node_modules", CB_IGNORE_PRUNE },
};

static void walks_are_pruned(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(prune_rows); i++) {
		CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = make(prune_rows[i].file);

		print_message("# %s: %s\n", prune_rows[i].file, prune_rows[i].dir);
		assert_int_equal(cb_ignore_match(ignore, prune_rows[i].dir, true), prune_rows[i].want);
	}
}

static void root_is_kept(void **state)
{
	CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = make("*\n**\n.\n/");

	(void)state;
	assert_int_equal(cb_ignore_match(ignore, "", true), CB_IGNORE_KEEP);
	assert_int_equal(cb_ignore_match(ignore, ".", true), CB_IGNORE_KEEP);
	assert_int_equal(cb_ignore_match(NULL, "a", true), CB_IGNORE_KEEP);
	assert_int_equal(cb_ignore_match(ignore, "a\xFF/b", false), CB_IGNORE_DROP);
}

static void odd_bytes_are_characters(void **state)
{
	CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = make("a?b\n[^x]\xFE");

	(void)state;
	assert_int_equal(cb_ignore_match(ignore,
				 "a\xFF"
				 "b",
				 false),
		CB_IGNORE_DROP);
	assert_int_equal(cb_ignore_match(ignore,
				 "a\xFF\xFF"
				 "b",
				 false),
		CB_IGNORE_KEEP);
	assert_int_equal(cb_ignore_match(ignore, "y\xFE", false), CB_IGNORE_DROP);
	assert_int_equal(cb_ignore_match(ignore, "y\xFF", false), CB_IGNORE_KEEP);
}

static const struct {
	const char *file, *want;
} read_rows[] = {
	{ "", "" },
	{ "a", "<a>" },
	{ "a\nb", "<a><b>" },
	{ "a\r\nb\r\n", "<a><b>" },
	{ "\n\n a \n\t\n", "<a>" },
	{ "#c\n #c\na#c", "<#c><a#c>" },
	{ "\xEF\xBB\xBF"
	  "a\n\xEF\xBB\xBF"
	  "b",
		"<a><\xEF\xBB\xBF"
		"b>" },
	{ "/a\n//b/\nc/./d/../e", "<a><b><c/e>" },
	{ "!/a\n! b\n!", "<!a><!b><!>" },
	{ ".\n/\n./\n..", "<.></><.><..>" },
	{ "**/a/\n*", "<**/a><*>" },
};

static void lines_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(read_rows); i++) {
		cleanup_strv struct cb_strv patterns = { 0 };
		cleanup_buf struct cb_buf got = { 0 };

		assert_int_equal(cb_ignore_read(read_rows[i].file, strlen(read_rows[i].file), &patterns, NULL), 0);
		for (size_t p = 0; p < patterns.n; p++)
			cb_buf_addf(&got, "<%s>", patterns.v[p]);
		assert_string_equal(cb_buf_str(&got), read_rows[i].want);
	}
}

static const struct {
	const char *file, *message;
	unsigned int line;
} error_rows[] = {
	{ "!", "illegal exclusion pattern: \"!\"", 1 },
	{ "a\n\n!  \nb", "illegal exclusion pattern: \"!\"", 3 },
	{ "!/", "illegal exclusion pattern: \"!\"", 1 },
	{ "a[b", "syntax error in pattern \"a[b\"", 1 },
	{ "a[]b", "syntax error in pattern \"a[]b\"", 1 },
	{ "#\n[a-", "syntax error in pattern \"[a-\"", 2 },
	{ "[-a]", "syntax error in pattern \"[-a]\"", 1 },
	{ "x\\", "syntax error in pattern \"x\\\\\"", 1 },
	{ "x*[", "syntax error in pattern \"x*[\"", 1 },
	{ "![", "syntax error in pattern \"[\"", 1 },
};

static void errors_name_the_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(error_rows); i++) {
		cleanup_err struct cb_err *err = NULL;
		struct cb_ignore *ignore = NULL;

		print_message("# %s\n", error_rows[i].file);
		assert_int_equal(
			cb_ignore_parse(error_rows[i].file, strlen(error_rows[i].file), &ignore, &err), CB_ERR_INPUT);
		assert_string_equal(cb_err_msg(err), error_rows[i].message);
		assert_int_equal(err->line, error_rows[i].line);
		assert_null(ignore);
	}
}

static void limits_hold(void **state)
{
	cleanup_buf struct cb_buf big = { 0 };
	struct cb_ignore *ignore = NULL;

	(void)state;
	for (int i = 0; i <= CB_IGNORE_PATTERNS_MAX; i++)
		cb_buf_adds(&big, "a\n");
	assert_int_equal(cb_ignore_parse(big.data, big.len, &ignore, NULL), CB_ERR_LIMIT);
	cb_buf_clear(&big);
	for (int i = 0; i < 5000; i++)
		cb_buf_adds(&big, "*a");
	assert_int_equal(cb_ignore_parse(big.data, big.len, &ignore, NULL), CB_ERR_LIMIT);
}

static void lists_work_too(void **state)
{
	CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = NULL;
	cleanup_strv struct cb_strv patterns = { 0 };

	(void)state;
	cb_strv_add(&patterns, " /a/ ");
	cb_strv_add(&patterns, "");
	cb_strv_add(&patterns, "! a/b");
	assert_int_equal(cb_ignore_new(&patterns, &ignore, NULL), 0);
	assert_int_equal(cb_ignore_count(ignore), 2);
	assert_true(cb_ignore_has_exceptions(ignore));
	assert_int_equal(cb_ignore_match(ignore, "a", true), CB_IGNORE_DROP);
	assert_int_equal(cb_ignore_match(ignore, "a/b", true), CB_IGNORE_KEEP);
}

/* No pattern may cost more than path length times its own: 40 stars against a path that nearly matches. */
static void stars_do_not_explode(void **state)
{
	CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = NULL;
	cleanup_buf struct cb_buf pattern = { 0 }, path = { 0 };
	clock_t begin = clock();

	(void)state;
	for (int i = 0; i < 40; i++)
		cb_buf_adds(&pattern, "*a");
	cb_buf_adds(&pattern, "/**/b/**/c/**/d");
	for (int i = 0; i < 200; i++)
		cb_buf_adds(&path, i % 20 == 19 ? "/b" : "a");
	ignore = make(cb_buf_str(&pattern));
	for (int i = 0; i < 100; i++)
		assert_int_equal(cb_ignore_match(ignore, cb_buf_str(&path), false), CB_IGNORE_KEEP);
	assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
}

/* The size of a real tree; the limit, of processor time, is far above what an unsanitised build needs (about 0.1 s). */
static void many_paths_are_quick(void **state)
{
	CB_CLEANUP(cb_ignore_free)
	struct cb_ignore *ignore =
		make(".git\n**/*.pyc\n**/__pycache__\n**/node_modules\n*.log\ndocs/**/*.html\nbuild\ndist\n.env*\n"
		     "**/.DS_Store\n!keep.log\n**/*.tmp\ncoverage\n*.swp\ntarget/debug\n**/*~\nvendor/*/test\nout\n"
		     "tmp\n!tmp/keep");
	clock_t begin = clock();
	size_t kept = 0;
	char path[128];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		(void)snprintf(path, sizeof(path), "src/module%d/package%d/component/file%d.%s", i / 1000, i / 100, i,
			i % 10 ? "c" : "pyc");
		kept += cb_ignore_match(ignore, path, false) == CB_IGNORE_KEEP;
	}
	assert_int_equal(kept, 90000);
	assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
	print_message("# %.3f s\n", (double)(clock() - begin) / CLOCKS_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_match),
		cmocka_unit_test(walks_are_pruned),
		cmocka_unit_test(root_is_kept),
		cmocka_unit_test(odd_bytes_are_characters),
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(lists_work_too),
		cmocka_unit_test(stars_do_not_explode),
		cmocka_unit_test(many_paths_are_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
