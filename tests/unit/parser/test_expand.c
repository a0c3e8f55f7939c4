/*
 * Expansion, row by row; the rows are in expand_rows.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "parser/expand.h"
#include "unit/parser/expand_rows.h"

static struct cb_strv env;

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		cb_strv_add(&env, variables[i]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cb_strv_done(&env);
	return 0;
}

static void check_word(const struct row *row, const struct cb_expand *how)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *got = NULL;
	int r = cb_expand_word(row->in, how, &got, &err);

	print_message("# %s\n", row->in);
	assert_string_equal(r < 0 ? cb_err_msg(err) : got, row->want);
	assert_int_equal(r, row->code);
}

static void words_expand(void **state)
{
	struct cb_expand how = { .env = &env };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(word_rows); i++)
		check_word(&word_rows[i], &how);
}

static void backtick_escapes(void **state)
{
	struct cb_expand how = { .env = &env, .escape = '`' };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tick_rows); i++)
		check_word(&tick_rows[i], &how);
}

static void results_split(void **state)
{
	struct cb_expand how = { .env = &env };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words_rows); i++) {
		const struct row *row = &words_rows[i];
		cleanup_err struct cb_err *err = NULL;
		cleanup_strv struct cb_strv words = { 0 };
		cleanup_buf struct cb_buf got = { 0 };
		int r = cb_expand_words(row->in, &how, &words, &err);

		print_message("# %s\n", row->in);
		for (size_t w = 0; w < words.n; w++)
			cb_buf_addf(&got, "<%s>", words.v[w]);
		assert_string_equal(r < 0 ? cb_err_msg(err) : cb_buf_str(&got), row->want);
		assert_int_equal(r, row->code);
	}
}

/* Text before an operator stays in its word (BuildKit 0.34 loses it: a shared buffer). */
static void words_keep_their_head(void **state)
{
	struct cb_expand how = { .env = &env };
	cleanup_strv struct cb_strv words = { 0 };

	(void)state;
	assert_int_equal(cb_expand_words("80${UNSET:-80}/tcp x${SP#a}", &how, &words, NULL), 0);
	assert_int_equal(words.n, 4);
	assert_string_equal(words.v[0], "8080/tcp");
	assert_string_equal(words.v[1], "x");
	assert_string_equal(words.v[2], "b");
	assert_string_equal(words.v[3], "c");
}

static const struct {
	const char *in, *want;
	unsigned int flags;
} flag_rows[] = {
	{ "\"a\" 'b' $X", "\"a\" 'b' value", CB_EXPAND_RAW_QUOTES },
	{ "'$X' \"$X\"", "'$X' \"value\"", CB_EXPAND_RAW_QUOTES },
	{ "a\\b \\$X", "a\\b \\$X", CB_EXPAND_RAW_ESCAPES },
	{ "\"\\$X\"", "\\$X", CB_EXPAND_RAW_ESCAPES },
	{ "\"\\a\"", "\\a", CB_EXPAND_RAW_ESCAPES },
	{ "it's \"$X\"", "it's \"value\"", CB_EXPAND_NO_QUOTES },
	{ "'$X\\$X'", "'value$X'", CB_EXPAND_NO_QUOTES },
	{ "${UNSET:-'a'}", "'a'", CB_EXPAND_NO_QUOTES },
	{ "$X $UNSET ${UNSET}", "value $UNSET ${UNSET}", CB_EXPAND_KEEP_UNSET },
	{ "${UNSET:-d} ${UNSET+d}", "${UNSET:-d} ${UNSET+d}", CB_EXPAND_KEEP_UNSET },
	{ "${UNSET?m}", "${UNSET?m}", CB_EXPAND_KEEP_UNSET },
	{ "${UNSET##a} ${UNSET%b}", "${UNSET##a} ${UNSET%b}", CB_EXPAND_KEEP_UNSET },
	{ "${UNSET/a/b} ${UNSET//a/b}", "${UNSET/a/b} ${UNSET//a/b}", CB_EXPAND_KEEP_UNSET },
	{ "${X:-d} ${EMPTY:-d}", "value d", CB_EXPAND_KEEP_UNSET },
	{ "\"$UNSET\" '$X'", "\"$UNSET\" '$X'", CB_EXPAND_KEEP_UNSET | CB_EXPAND_RAW_QUOTES },
};

static void flags_change_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flag_rows); i++) {
		struct cb_expand how = { .env = &env, .flags = flag_rows[i].flags };
		cleanup_free char *got = NULL;

		print_message("# %s\n", flag_rows[i].in);
		assert_int_equal(cb_expand_word(flag_rows[i].in, &how, &got, NULL), 0);
		assert_string_equal(got, flag_rows[i].want);
	}
}

static const char *get_length(void *arg, const char *name)
{
	char *text = arg;

	if (*name == 'N')
		return NULL;
	(void)snprintf(text, 32, "%zu", strlen(name));
	return text;
}

static void names_are_told(void **state)
{
	cleanup_strv struct cb_strv used = { 0 }, unset = { 0 };
	cleanup_free char *got = NULL;
	char text[32];
	struct cb_expand how = { .get = get_length, .arg = text, .used = &used, .unset = &unset };

	(void)state;
	assert_int_equal(cb_expand_word("$abc ${NO} ${d:-$e} $abc $NO $NA", &how, &got, NULL), 0);
	assert_string_equal(got, "3  1 3  ");
	assert_int_equal(used.n, 3);
	assert_string_equal(used.v[0], "abc");
	assert_string_equal(used.v[1], "e");
	assert_string_equal(used.v[2], "d");
	assert_int_equal(unset.n, 2);
	assert_string_equal(unset.v[0], "NO");
	assert_string_equal(unset.v[1], "NA");
}

static void nothing_is_set_by_default(void **state)
{
	cleanup_free char *got = NULL;

	(void)state;
	assert_int_equal(cb_expand_word("a${X}\\b", NULL, &got, NULL), 0);
	assert_string_equal(got, "ab");
}

static void nesting_is_limited(void **state)
{
	cleanup_buf struct cb_buf deep = { 0 };
	cleanup_free char *got = NULL;

	(void)state;
	for (int i = 0; i < CB_EXPAND_DEPTH_MAX; i++)
		cb_buf_adds(&deep, "${U:-");
	cb_buf_adds(&deep, "x");
	for (int i = 0; i < CB_EXPAND_DEPTH_MAX; i++)
		cb_buf_adds(&deep, "}");
	assert_int_equal(cb_expand_word(cb_buf_str(&deep), NULL, &got, NULL), 0);
	assert_string_equal(got, "x");
	cb_buf_clear(&deep);
	for (int i = 0; i < 100000; i++)
		cb_buf_adds(&deep, "${U:-");
	assert_int_equal(cb_expand_word(cb_buf_str(&deep), NULL, &got, NULL), CB_ERR_LIMIT);
}

static void growth_is_limited(void **state)
{
	cleanup_buf struct cb_buf big = { 0 }, input = { 0 };
	cleanup_strv struct cb_strv one = { 0 };
	struct cb_expand how = { .env = &one };
	cleanup_free char *got = NULL;

	(void)state;
	cb_buf_adds(&big, "X=");
	for (int i = 0; i < 1 << 20; i++)
		cb_buf_addc(&big, 'a');
	cb_strv_add(&one, cb_buf_str(&big));
	for (int i = 0; i < 64; i++)
		cb_buf_adds(&input, "$X");
	assert_int_equal(cb_expand_word(cb_buf_str(&input), &how, &got, NULL), CB_ERR_LIMIT);
	/* Many stars over a long value: refused by size, not by time. */
	assert_int_equal(cb_expand_word("${X##*a*a*a*a*a*b}", &how, &got, NULL), 0);
	assert_int_equal(strlen(got), 1 << 20);
	cb_buf_clear(&input);
	cb_buf_adds(&input, "${X##");
	for (int i = 0; i < 5000; i++)
		cb_buf_adds(&input, "*a");
	cb_buf_adds(&input, "b}");
	assert_int_equal(cb_expand_word(cb_buf_str(&input), &how, &got, NULL), CB_ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_expand),
		cmocka_unit_test(backtick_escapes),
		cmocka_unit_test(results_split),
		cmocka_unit_test(words_keep_their_head),
		cmocka_unit_test(flags_change_it),
		cmocka_unit_test(names_are_told),
		cmocka_unit_test(nothing_is_set_by_default),
		cmocka_unit_test(nesting_is_limited),
		cmocka_unit_test(growth_is_limited),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
