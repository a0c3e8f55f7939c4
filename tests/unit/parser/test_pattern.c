/* Shell patterns, row by row; the results were compared with Go's filepath.Match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser/pattern.h"

/* clang-format off */
static const struct {
	const char *pattern, *name;
	int want;
} rows[] = {
	{ "", "", 1 },
	{ "", "a", 0 },
	{ "a", "a", 1 },
	{ "a", "", 0 },
	{ "a", "b", 0 },
	{ "a", "ab", 0 },
	{ "*", "", 1 },
	{ "*", "a", 1 },
	{ "*", "abc", 1 },
	{ "*", "a/b", 0 },
	{ "*", "/", 0 },
	{ "a*", "a", 1 },
	{ "a*", "abc", 1 },
	{ "a*", "ba", 0 },
	{ "a*", "a/b", 0 },
	{ "*a", "a", 1 },
	{ "*a", "ba", 1 },
	{ "*a", "ab", 0 },
	{ "*a", "b/a", 0 },
	{ "a*b", "ab", 1 },
	{ "a*b", "axb", 1 },
	{ "a*b", "axxb", 1 },
	{ "a*b", "a/b", 0 },
	{ "a*b", "axbc", 0 },
	{ "a*b*c", "abc", 1 },
	{ "a*b*c", "axbyc", 1 },
	{ "a*b*c", "abbcc", 1 },
	{ "a*b*c", "axb/c", 0 },
	{ "a*b*c", "acb", 0 },
	{ "*/b", "a/b", 1 },
	{ "*/b", "/b", 1 },
	{ "*/b", "a/c/b", 0 },
	{ "*/b", "b", 0 },
	{ "*x*", "x", 1 },
	{ "*x*", "axb", 1 },
	{ "*x*", "ab", 0 },
	{ "*x*", "a/x", 0 },
	{ "**", "a", 1 },
	{ "**", "a/b", 0 },
	{ "**", "", 1 },
	{ "?", "a", 1 },
	{ "?", "", 0 },
	{ "?", "ab", 0 },
	{ "?", "/", 0 },
	{ "?", "é", 1 },
	{ "?\?", "ab", 1 },
	{ "?\?", "é", 0 },
	{ "?\?", "éa", 1 },
	{ "a?c", "abc", 1 },
	{ "a?c", "a/c", 0 },
	{ "a?c", "ac", 0 },
	{ "[abc]", "a", 1 },
	{ "[abc]", "c", 1 },
	{ "[abc]", "d", 0 },
	{ "[abc]", "", 0 },
	{ "[abc]", "ab", 0 },
	{ "[a-c]", "b", 1 },
	{ "[a-c]", "d", 0 },
	{ "[^a]", "a", 0 },
	{ "[^a]", "b", 1 },
	{ "[^a]", "/", 1 },
	{ "[^a]", "", 0 },
	{ "[^a-c]x", "dx", 1 },
	{ "[^a-c]x", "ax", 0 },
	{ "[!a]", "a", 1 },
	{ "[!a]", "!", 1 },
	{ "[!a]", "b", 0 },
	{ "[a-cx-z]", "y", 1 },
	{ "[a-cx-z]", "m", 0 },
	{ "[a-cx-z]", "b", 1 },
	{ "[\\]]", "]", 1 },
	{ "[\\]]", "a", 0 },
	{ "[\\-x]", "-", 1 },
	{ "[\\-x]", "x", 1 },
	{ "[\\-x]", "a", 0 },
	{ "[x\\-]", "-", 1 },
	{ "[x\\-]", "x", 1 },
	{ "[a\\-c]", "-", 1 },
	{ "[a\\-c]", "b", 0 },
	{ "[a\\-c]", "c", 1 },
	{ "[é-í]", "ê", 1 },
	{ "[é-í]", "z", 0 },
	{ "a[b]c", "abc", 1 },
	{ "a[b]c", "ac", 0 },
	{ "*[a-c]", "xxc", 1 },
	{ "*[a-c]", "xxd", 0 },
	{ "*[a-c]", "a/b", 0 },
	{ "\\*", "*", 1 },
	{ "\\*", "a", 0 },
	{ "\\a", "a", 1 },
	{ "\\a", "\\a", 0 },
	{ "a\\?", "a?", 1 },
	{ "a\\?", "ab", 0 },
	{ "\\[", "[", 1 },
	{ "\\[", "a", 0 },
	{ "]", "]", 1 },
	{ "a]b", "a]b", 1 },
	{ "a/b", "a/b", 1 },
	{ "a/b", "a/", 0 },
	{ "a/b", "a", 0 },
	{ "a/*/c", "a/b/c", 1 },
	{ "a/*/c", "a//c", 1 },
	{ "a/*/c", "a/c", 0 },
	{ "a/*/c", "a/b/d/c", 0 },
	{ ".*", ".a", 1 },
	{ ".*", "a", 0 },
	{ ".*", ".", 1 },
	{ "*.tar.gz", "x.tar.gz", 1 },
	{ "*.tar.gz", ".tar.gz", 1 },
	{ "*.tar.gz", "x.gz", 0 },
	{ "a*?c", "abc", 1 },
	{ "a*?c", "ac", 0 },
	{ "a*?c", "abbc", 1 },
	{ "*[^/]", "a", 1 },
	{ "*[^/]", "/", 0 },
	{ "été*", "été-1", 1 },
	{ "été*", "ete", 0 },
	{ "[", "a", CB_ERR_INPUT },
	{ "[a", "a", CB_ERR_INPUT },
	{ "[a", "b", CB_ERR_INPUT },
	{ "[]", "a", CB_ERR_INPUT },
	{ "[]", "]", CB_ERR_INPUT },
	{ "[]a]", "a", CB_ERR_INPUT },
	{ "[]a]", "]", CB_ERR_INPUT },
	{ "[^]", "a", CB_ERR_INPUT },
	{ "[-]", "-", CB_ERR_INPUT },
	{ "[x-]", "x", CB_ERR_INPUT },
	{ "[-x]", "x", CB_ERR_INPUT },
	{ "[a-]", "a", CB_ERR_INPUT },
	{ "[a-b-c]", "a", CB_ERR_INPUT },
	{ "a[", "a", CB_ERR_INPUT },
	{ "a[", "ab", CB_ERR_INPUT },
	{ "a[", "b", CB_ERR_INPUT },
	{ "a[", "x", CB_ERR_INPUT },
	{ "[^", "a", CB_ERR_INPUT },
	{ "\\", "a", CB_ERR_INPUT },
	{ "\\", "\\", CB_ERR_INPUT },
	{ "\\", "", CB_ERR_INPUT },
	{ "a\\", "a", CB_ERR_INPUT },
	{ "a\\", "a\\", CB_ERR_INPUT },
	{ "*[", "a", CB_ERR_INPUT },
	{ "*[", "", CB_ERR_INPUT },
	{ "a*[", "b", 0 },
	{ "a*[", "a", CB_ERR_INPUT },
	{ "a*[", "ab", CB_ERR_INPUT },
	{ "b*[", "a", 0 },
	{ "[z-a]", "m", 0 },
};
/* clang-format on */

static void patterns_match(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s on %s\n", rows[i].pattern, rows[i].name);
		assert_int_equal(cb_pattern_match(rows[i].pattern, rows[i].name, NULL), rows[i].want);
	}
}

static void errors_name_the_pattern(void **state)
{
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	assert_int_equal(cb_pattern_match("a\\", "a", &err), CB_ERR_INPUT);
	assert_string_equal(cb_err_msg(err), "syntax error in pattern \"a\\\\\"");
}

/* The match stops where it fails; the check does not. */
static void check_reads_all(void **state)
{
	static const char *const good[] = { "", "a", "*", "[a-z]", "[^a]*", "\\[", "]", "[\\]]", "a*[b]*c" };
	static const char *const bad[] = { "[", "[]", "[a", "[a-", "a*[", "*\\", "x*y*[]", "[-]", "[^]" };

	(void)state;
	assert_int_equal(cb_pattern_match("b*[", "a", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(cb_pattern_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cb_pattern_check(bad[i], NULL), CB_ERR_INPUT);
}

static void wildness_is_seen(void **state)
{
	(void)state;
	assert_true(cb_pattern_is_wild("a*"));
	assert_true(cb_pattern_is_wild("a?"));
	assert_true(cb_pattern_is_wild("[a]"));
	assert_true(cb_pattern_is_wild("a\\b"));
	assert_false(cb_pattern_is_wild("a/b]c{d}"));
	assert_false(cb_pattern_is_wild(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match),
		cmocka_unit_test(errors_name_the_pattern),
		cmocka_unit_test(check_reads_all),
		cmocka_unit_test(wildness_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
