/* Platforms: which image serves which, and what is taken for a slip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "layers/index.h"
#include "layers/platform.h"

/* Which of the images on offer serves; the numbers are places in the list. */
static const struct {
	const char *want;
	const char *offer[5];
	int chosen; /* -1: none */
} choices[] = {
	{ "linux/amd64", { "linux/arm64", "linux/amd64" }, 1 },
	{ "linux/amd64", { "linux/arm64", "linux/386" }, -1 },
	{ "linux/amd64", { "windows/amd64" }, -1 },
	{ "linux/amd64", { "linux/amd64/v2", "linux/amd64/v3" }, -1 },
	{ "linux/amd64/v3", { "linux/amd64", "linux/amd64/v2", "linux/amd64/v4" }, 1 },
	{ "linux/amd64/v3", { "linux/amd64", "linux/amd64/v3", "linux/amd64/v2" }, 1 },
	{ "linux/arm64", { "linux/arm64/v8" }, 0 },
	{ "linux/arm64/v8", { "linux/arm64" }, 0 },
	{ "linux/arm64/v9", { "linux/arm64/v8" }, 0 },
	{ "linux/arm64", { "linux/arm/v7" }, -1 },
	{ "linux/arm", { "linux/arm/v5", "linux/arm/v6", "linux/arm/v7" }, 2 },
	{ "linux/arm/v7", { "linux/arm/v5", "linux/arm/v6", "linux/arm/v8" }, 1 },
	{ "linux/arm/v6", { "linux/arm/v5", "linux/arm/v7" }, 0 },
	{ "linux/arm/v5", { "linux/arm/v6", "linux/arm/v7" }, -1 },
	{ "linux/riscv64", { "unknown/unknown", "linux/riscv64" }, 1 },
	{ "linux/riscv64", { "unknown/unknown" }, -1 },
	{ "linux/s390x", { "linux/s390x", "linux/s390x" }, 0 },
};

static void chosen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		CB_CLEANUP(cb_index_free) struct cb_index *index = cb_index_new(false);
		const struct cb_descriptor *entry;
		struct cb_platform want;

		for (size_t k = 0; k < ARRAY_SIZE(choices[i].offer) && choices[i].offer[k]; k++) {
			cleanup_descriptor struct cb_descriptor one = { 0 };
			struct cb_digest digest;

			cb_digest_of(&k, sizeof(k), &digest);
			cb_descriptor_init(&one, CB_MEDIA_OCI_MANIFEST, &digest, 1);
			one.has_platform = true;
			assert_int_equal(cb_platform_parse(choices[i].offer[k], &one.platform, NULL), 0);
			cb_index_add(index, &one);
		}
		assert_int_equal(cb_platform_parse(choices[i].want, &want, NULL), 0);
		entry = cb_index_select(index, &want);
		print_message("# %s of %s ...\n", choices[i].want, choices[i].offer[0]);
		assert_int_equal(entry ? entry - index->entries : -1, choices[i].chosen);
	}
}

static void slips(void **state)
{
	static const struct {
		const char *in, *hint; /* NULL: fine */
	} cases[] = {
		{ "linux/amd64", NULL },
		{ "linux/loong64", NULL },
		{ "windows/arm64", NULL },
		{ "linux/amd46", "did you mean \"amd64\"?" },
		{ "linux/s309x", "did you mean \"s390x\"?" },
		{ "linus/amd64", "did you mean \"linux\"?" },
		{ "linux/zzzzzzzz", "known are " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_err struct cb_err *err = NULL;
		struct cb_platform platform;

		print_message("# %s\n", cases[i].in);
		assert_int_equal(cb_platform_parse(cases[i].in, &platform, NULL), 0);
		assert_int_equal(cb_platform_check(&platform, &err), cases[i].hint ? CB_ERR_INPUT : 0);
		if (cases[i].hint)
			assert_non_null(strstr(err->hint, cases[i].hint));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen),
		cmocka_unit_test(slips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
