/* Many strings at once: against a search that compares everything with everything, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/needles.h"

static const struct {
	const char *name, *needles[4], *text, *want; /* want: "owner@place+length", or NULL */
} cases[] = {
	{ "nothing", { "password" }, "passwor", NULL },
	{ "alone", { "password" }, "password", "0@0+8" },
	{ "at the end", { "password" }, "my password", "0@3+8" },
	{ "too short to be one", { "passwor" }, "passwor", NULL },
	{ "of two at one place the longer", { "password", "password12" }, "a password123", "1@2+10" },
	{ "the longer does not fit", { "password", "password12" }, "a password1", "0@2+8" },
	{ "the first place counts", { "bbbbbbbb", "aaaaaaaa" }, "xaaaaaaaabbbbbbbb", "1@1+8" },
	{ "one in the other", { "abcdefghijkl", "defghijk" }, "abcdefghijk", "1@3+8" },
	{ "almost, then really", { "aaaaaaab" }, "aaaaaaaaaaab", "0@4+8" },
	{ "bytes above 127", { "\xc3\xa9\xff\x80\x81\x82\x83\x84" }, "..\xc3\xa9\xff\x80\x81\x82\x83\x84", "0@2+8" },
	{ "the needle's line ends do not count", { "pass\nword\r\n" }, "password", "0@0+8" },
};

static void rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CB_CLEANUP(cb_needles_free) struct cb_needles *needles = cb_needles_new();
		struct cb_needle_match match;
		cleanup_free char *got = NULL;

		print_message("# %s\n", cases[i].name);
		for (unsigned int k = 0; k < 4 && cases[i].needles[k]; k++)
			cb_needles_add(needles, cases[i].needles[k], strlen(cases[i].needles[k]), k);
		cb_needles_seal(needles);
		if (cb_needles_find(needles, cases[i].text, strlen(cases[i].text), 0, &match))
			got = cb_xasprintf("%u@%zu+%zu", match.owner, match.at, match.len);
		if (cases[i].want) {
			assert_non_null(got);
			assert_string_equal(got, cases[i].want);
		} else {
			assert_null(got);
		}
	}
}

/* What is found first by comparing at every place. */
static bool slow(const char *const *needles, const size_t *lens, size_t n, const char *text, size_t len,
	struct cb_needle_match *ret)
{
	for (size_t at = 0; at < len; at++) {
		size_t best = 0;

		for (size_t k = 0; k < n; k++)
			if (lens[k] <= len - at && lens[k] > best && memcmp(text + at, needles[k], lens[k]) == 0)
				best = lens[k];
		if (best) {
			*ret = (struct cb_needle_match){ at, best, 0 };
			return true;
		}
	}
	return false;
}

enum { NEEDLES = 6, TEXT = 300 };

/* The same numbers each time. */
static uint32_t next_random(void)
{
	static uint32_t state = 4711;

	state = state * 1664525u + 1013904223u;
	return state >> 8;
}

/* Few letters, so that much begins like a needle. */
static void fill(char *out, size_t len, unsigned int letters)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (char)('a' + next_random() % letters);
}

static void random_texts(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		CB_CLEANUP(cb_needles_free) struct cb_needles *set = cb_needles_new();
		char words[NEEDLES][24], text[TEXT];
		const char *needles[NEEDLES];
		size_t lens[NEEDLES];
		struct cb_needle_scan scan = { 0 };
		struct cb_needle_match want, got;
		bool is;

		for (unsigned int k = 0; k < NEEDLES; k++) {
			lens[k] = 8 + (size_t)next_random() % 16;
			fill(words[k], lens[k], 2);
			needles[k] = words[k];
			assert_true(cb_needles_add(set, words[k], lens[k], k));
		}
		cb_needles_seal(set);
		fill(text, TEXT, 2 + round % 3);
		is = slow(needles, lens, NEEDLES, text, TEXT, &want);
		assert_int_equal(cb_needles_find(set, text, TEXT, 0, &got), is);
		if (is) {
			assert_int_equal(got.at, want.at);
			assert_int_equal(got.len, want.len);
		}
		/* As a stream, cut anywhere, with line ends in it. */
		cb_needle_scan_begin(&scan, set);
		for (size_t at = 0; at < TEXT;) {
			size_t wish = 1 + (size_t)next_random() % 40, part = CB_MIN(wish, TEXT - at);

			cb_needle_scan_add(&scan, text + at, part);
			cb_needle_scan_add(&scan, next_random() % 2 ? "\n" : "\r\n", 1);
			at += part;
		}
		assert_int_equal(cb_needle_scan_end(&scan), is);
		cb_needle_scan_done(&scan);
	}
}

/* Longer than what is looked for as one, and lying across the places where a long stream is searched. */
static void long_ones(void **state)
{
	enum { LEN = 3 * CB_NEEDLE_MAX + 3, BIG = 1 << 20 };
	CB_CLEANUP(cb_needles_free) struct cb_needles *set = cb_needles_new();
	cleanup_free char *needle = cb_xmalloc(LEN), *text = cb_xmalloc(BIG);

	(void)state;
	fill(needle, LEN, 26);
	assert_true(cb_needles_add(set, needle, LEN, 7));
	cb_needles_seal(set);
	for (unsigned int round = 0; round < 40; round++) {
		struct cb_needle_scan scan = { 0 };
		size_t at = (size_t)next_random() % (BIG - LEN);

		fill(text, BIG, 26);
		cb_needle_scan_begin(&scan, set);
		assert_false(cb_needle_scan_add(&scan, text, BIG) || cb_needle_scan_end(&scan));
		memcpy(text + at, needle, LEN);
		cb_needle_scan_begin(&scan, set);
		assert_true(cb_needle_scan_add(&scan, text, BIG) || cb_needle_scan_end(&scan));
		assert_int_equal(scan.match.owner, 7);
		cb_needle_scan_done(&scan);
	}
}

static void open_ends(void **state)
{
	static const struct {
		const char *text;
		size_t want;
	} ends[] = {
		{ "", 0 },
		{ "nothing", 7 },
		{ "a p", 2 },
		{ "a pass", 2 },
		{ "a password", 10 }, /* complete */
		{ "passpass", 4 },
		{ "ppp", 2 },
	};
	CB_CLEANUP(cb_needles_free) struct cb_needles *set = cb_needles_new();

	(void)state;
	cb_needles_add(set, "password", 8, 0);
	cb_needles_seal(set);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		assert_int_equal(cb_needles_open_end(set, ends[i].text, strlen(ends[i].text)), ends[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(random_texts),
		cmocka_unit_test(long_ones),
		cmocka_unit_test(open_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
