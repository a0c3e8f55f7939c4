/* Values of secrets in what is shown: all forms, streams cut anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "builder/redact.h"
#include "builder/secret.h"

#define KEY_TEXT "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQ==\n-----END KEY-----\n"

static const struct {
	const char *name, *secret, *text, *want;
} cases[] = {
	{ "as it is", "hunter2hunter2", "pw=hunter2hunter2;", "pw=***;" },
	{ "twice", "hunter2hunter2", "hunter2hunter2hunter2hunter2", "******" },
	{ "its line end is not part of it", "hunter2hunter2\n", "<hunter2hunter2>\n", "<***>\n" },
	{ "too short", "hunter2", "hunter2", "hunter2" },
	{ "almost", "hunter2hunter2", "hunter2hunter3 hunter2hunter", "hunter2hunter3 hunter2hunter" },
	{ "over two lines", "hunter2hunter2", "a hunter2\r\nhunter2 b\n", "a *** b\n" },
	/* printf %s hunter2hunter2 | base64, and with one and two bytes before it */
	{ "base64", "hunter2hunter2", "aHVudGVyMmh1bnRlcjI=", "***I=" },
	{ "base64 at an offset of one", "hunter2hunter2", "eGh1bnRlcjJodW50ZXIyIQ==", "eG***IQ==" },
	{ "base64 at an offset of two", "hunter2hunter2", "eHlodW50ZXIyaHVudGVyMg==", "eHl***g==" },
	{ "base64, URL alphabet", "\xfb\xff\xfe\xfb\xff\xfe\xfb\xff\xfe", "-__--__--__-", "***" },
	{ "URL-encoded", "a b&c/d=e+f", "x=a%20b%26c%2Fd%3De%2Bf&", "x=***&" },
	{ "URL-encoded, small digits", "a b&c/d=e+f", "x=a%20b%26c%2fd%3de%2bf&", "x=***&" },
	{ "URL-encoded as a form", "a b&c/d=e+f", "x=a+b%26c%2Fd%3De%2Bf&", "x=***&" },
	{ "URL-encoded, slashes kept", "a b&c/d=e+f", "x=a%20b%26c/d%3De%2Bf&", "x=***&" },
	{ "JSON", "a \"b\"\\c/d\te", "x=a \\\"b\\\"\\\\c/d\\te", "x=***" },
	{ "JSON, slashes escaped", "a \"b\"\\c/d\te", "x=a \\\"b\\\"\\\\c\\/d\\te", "x=***" },
	{ "JSON as Go writes it", "a<b>&\001cdef", "a\\u003cb\\u003e\\u0026\\u0001cdef!", "***!" },
	{ "JSON of several lines", KEY_TEXT,
		"-----BEGIN KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\nBKcwggSjAgEAAoIBAQ==\\n-----END KEY-----\\n",
		"***\\n" },
	{ "XML", "a<b>&\"cdef", "<x y='a&lt;b&gt;&amp;&quot;cdef'/>", "<x y='***'/>" },
	{ "a shell", "it's a value", "+ echo 'it'\\''s a value'", "+ echo '***'" },
	{ "every line", KEY_TEXT, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC x BKcwggSjAgEAAoIBAQ==", "*** x ***" },
	{ "but the frames of keys", KEY_TEXT, "-----BEGIN KEY-----", "-----BEGIN KEY-----" },
};

static struct cb_settings settings_of(const char *value)
{
	struct cb_settings settings;

	cb_settings_init(&settings);
	settings.secrets = cb_xcalloc(1, sizeof(*settings.secrets));
	settings.n_secrets = 1;
	settings.secrets[0].loaded = true;
	cb_buf_adds(&settings.secrets[0].value, value);
	return settings;
}

/* The whole text at once, byte by byte, and cut at every place. */
static void forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_settings struct cb_settings settings = settings_of(cases[i].secret);
		CB_CLEANUP(cb_needles_free) struct cb_needles *needles = cb_secrets_shown(&settings);
		size_t len = strlen(cases[i].text);
		cleanup_free char *whole = cb_redact(needles, cases[i].text);

		print_message("# %s\n", cases[i].name);
		assert_string_equal(whole ? whole : cases[i].text, cases[i].want);
		for (size_t cut = 0; cut <= len; cut++) {
			cleanup_buf struct cb_buf out = { 0 };
			struct cb_redactor redactor = { .needles = needles };

			if (cut == len) {
				for (size_t at = 0; at < len; at++)
					cb_redactor_add(&redactor, cases[i].text + at, 1, &out);
			} else {
				cb_redactor_add(&redactor, cases[i].text, cut, &out);
				cb_redactor_add(&redactor, cases[i].text + cut, len - cut, &out);
			}
			cb_redactor_flush(&redactor, &out);
			cb_redactor_done(&redactor);
			assert_string_equal(cb_buf_str(&out), cases[i].want);
		}
	}
}

/* What cannot be the beginning of a value does not wait. */
static void nothing_waits(void **state)
{
	cleanup_settings struct cb_settings settings = settings_of("hunter2hunter2");
	CB_CLEANUP(cb_needles_free) struct cb_needles *needles = cb_secrets_shown(&settings);
	cleanup_buf struct cb_buf out = { 0 };
	struct cb_redactor redactor = { .needles = needles };

	(void)state;
	cb_redactor_add(&redactor, "done.\n", 6, &out);
	assert_string_equal(cb_buf_str(&out), "done.\n");
	assert_false(cb_redactor_holds_line(&redactor));
	cb_redactor_add(&redactor, "push\n", 5, &out);
	assert_string_equal(cb_buf_str(&out), "done.\npus");
	assert_true(cb_redactor_holds_line(&redactor));
	/* A flood of line ends is no reason to keep everything. */
	for (unsigned int i = 0; i < 100000; i++)
		cb_redactor_add(&redactor, "\n", 1, &out);
	assert_true(redactor.held.len < 10000);
	cb_redactor_done(&redactor);
}

/* A file of settings is not a leak because another has the same line. */
static void kept(void **state)
{
	static const struct {
		const char *secret, *text;
		bool found;
	} looks[] = {
		{ KEY_TEXT, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", true },
		{ KEY_TEXT, "-----BEGIN KEY-----", false },
		{ "registry=https://registry.example/\n_auth=abc\n", "registry=https://registry.example/", false },
		{ "registry=https://registry.example/\n_auth=abc\n", "registry=https://registry.example/_auth=abc",
			true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		cleanup_settings struct cb_settings settings = settings_of(looks[i].secret);
		CB_CLEANUP(cb_needles_free) struct cb_needles *needles = cb_secrets_kept(&settings);
		struct cb_needle_match match;

		assert_int_equal(
			cb_needles_find(needles, looks[i].text, strlen(looks[i].text), 0, &match), looks[i].found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(nothing_waits),
		cmocka_unit_test(kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
