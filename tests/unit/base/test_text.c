/* Strings, numbers, durations, times, quoting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "base/strv.h"
#include "base/timefmt.h"

static void sizes(void **state)
{
	static const struct {
		const char *in;
		uint64_t want;
		bool ok;
	} cases[] = {
		{ "0", 0, true },
		{ "10", 10, true },
		{ "10b", 10, true },
		{ "64k", 65536, true },
		{ "64K", 65536, true },
		{ "64kb", 65536, true },
		{ "64KiB", 65536, true },
		{ "1.5m", 1572864, true },
		{ "2g", 2147483648u, true },
		{ "2 GB", 2147483648u, true },
		{ "", 0, false },
		{ "k", 0, false },
		{ "-1", 0, false },
		{ "1x", 0, false },
		{ "1kk", 0, false },
		{ "1bi", 0, false },
		{ "9999999999999999999g", 0, false },
		{ "1.2.3", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t got = 0;

		print_message("# %s\n", cases[i].in);
		assert_int_equal(cb_num_size(cases[i].in, &got), cases[i].ok);
		assert_int_equal(got, cases[i].want);
	}
}

static void durations(void **state)
{
	static const struct {
		const char *in;
		int64_t want;
		const char *text;
	} cases[] = {
		{ "0", 0, "0s" },
		{ "1s", 1000000000, "1s" },
		{ "1m", 60000000000, "1m0s" },
		{ "1h2m3.5s", 3723500000000, "1h2m3.5s" },
		{ "100ms", 100000000, "100ms" },
		{ "1.5us", 1500, "1.5\xc2\xb5s" },
		{ "7ns", 7, "7ns" },
		{ "-2s", -2000000000, "-2s" },
		{ ".5s", 500000000, "500ms" },
		{ "1", 0, NULL },
		{ "", 0, NULL },
		{ "1d", 0, NULL },
		{ "s", 0, NULL },
		{ "99999999999h", 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct cb_buf text = { 0 };
		int64_t got = 0;

		print_message("# %s\n", cases[i].in);
		assert_int_equal(cb_num_duration(cases[i].in, &got), cases[i].text != NULL);
		assert_int_equal(got, cases[i].want);
		if (cases[i].text) {
			cb_num_format_duration(&text, got);
			assert_string_equal(cb_buf_str(&text), cases[i].text);
		}
	}
}

static void numbers(void **state)
{
	uint64_t u = 7;
	uint32_t o = 7;
	int64_t i = 7;

	(void)state;
	assert_true(cb_num_u64("18446744073709551615", &u));
	assert_true(u == UINT64_MAX);
	assert_false(cb_num_u64("18446744073709551616", &u));
	assert_false(cb_num_u64("", &u));
	assert_false(cb_num_u64("1 ", &u));
	assert_true(cb_num_i64("-9223372036854775808", &i));
	assert_true(i == INT64_MIN);
	assert_false(cb_num_i64("9223372036854775808", &i));
	assert_true(cb_num_octal("7777", 07777, &o));
	assert_int_equal(o, 07777);
	assert_false(cb_num_octal("10000", 07777, &o));
	assert_false(cb_num_octal("8", 07777, &o));
}

static void times(void **state)
{
	static const struct {
		const char *in, *out;
		int64_t sec;
		long ns;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0, 0 },
		{ "2023-11-14T22:13:20.5Z", "2023-11-14T22:13:20.5Z", 1700000000, 500000000 },
		{ "2023-11-15T00:13:20+02:00", "2023-11-14T22:13:20Z", 1700000000, 0 },
		{ "2023-11-14T22:13:20.123456789Z", "2023-11-14T22:13:20.123456789Z", 1700000000, 123456789 },
		{ "2023-11-14", NULL, 0, 0 },
		{ "2023-11-14T22:13:20", NULL, 0, 0 },
		{ "2023-11-14T22:13:20Zx", NULL, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct timespec t = { 0 };
		char text[CB_TIME_TEXT_MAX];

		print_message("# %s\n", cases[i].in);
		assert_int_equal(cb_time_parse(cases[i].in, &t), cases[i].out != NULL);
		if (!cases[i].out)
			continue;
		assert_int_equal(t.tv_sec, cases[i].sec);
		assert_int_equal(t.tv_nsec, cases[i].ns);
		cb_time_format(t, text);
		assert_string_equal(text, cases[i].out);
	}
}

static void nearest(void **state)
{
	static const char *const words[] = { "FROM", "COPY", "RUN", "ENTRYPOINT", "ENV" };
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "FORM", "FROM" },
		{ "FRM", "FROM" },
		{ "copyy", "COPY" },
		{ "ENTRYPONT", "ENTRYPOINT" },
		{ "BANANA", NULL },
		{ "X", NULL },
		{ "RUNN", "RUN" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = cb_str_nearest(cases[i].in, words, ARRAY_SIZE(words));

		print_message("# %s\n", cases[i].in);
		if (cases[i].want)
			assert_string_equal(got, cases[i].want);
		else
			assert_null(got);
	}
}

static void quoting(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };

	(void)state;
	cb_str_quote(&out, "a\"b\\c\n\t\x01\xff\xc3\xa4");
	assert_string_equal(cb_buf_str(&out), "\"a\\\"b\\\\c\\n\\t\\x01\\xff\xc3\xa4\"");
}

static void environments(void **state)
{
	cleanup_strv struct cb_strv env = { 0 };

	(void)state;
	cb_strv_add(&env, "A=1");
	cb_strv_add(&env, "AB=2");
	cb_env_set(&env, "A", "3");
	cb_env_set(&env, "C", "");
	assert_string_equal(cb_env_get(&env, "A"), "3");
	assert_string_equal(env.v[0], "A=3");
	assert_string_equal(cb_env_get(&env, "C"), "");
	assert_null(cb_env_get(&env, "B"));
}

static void json_texts(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf deep = { 0 };
	cleanup_json json_t *doc = NULL;
	cleanup_free char *text = NULL;

	(void)state;
	assert_int_equal(cb_json_parse("{\"b\":\"<&>\",\"a\":1}", 17, &doc, &err), 0);
	text = cb_json_dump_go(doc, true);
	assert_string_equal(text, "{\"a\":1,\"b\":\"\\u003c\\u0026\\u003e\"}");
	for (int i = 0; i < 100; i++)
		cb_buf_addc(&deep, '[');
	assert_int_equal(cb_json_parse(deep.data, deep.len, &doc, &err), CB_ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(durations),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(nearest),
		cmocka_unit_test(quoting),
		cmocka_unit_test(environments),
		cmocka_unit_test(json_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
