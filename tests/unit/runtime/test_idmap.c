#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "runtime/idmap.h"

static const struct {
	const char *name, *file, *user;
	uid_t uid;
	const char *want;
} cases[] = {
	{ "by name", "a:1:2\nme:100000:65536\n", "me", 1000, "100000+65536 " },
	{ "by number", "1000:5:6\n", NULL, 1000, "5+6 " },
	{ "several", "me:1:2\n1000:10:20\nme:300:4", "me", 1000, "1+2 10+20 300+4 " },
	{ "a name that begins alike", "meee:1:2\n", "me", 1000, "" },
	{ "no name, empty field", ":1:2\n", NULL, 1000, "" },
	{ "nonsense", "me:1\nme:x:2\nme:1:\nme:-1:5\nme:1:2:3\n\nme", "me", 1000, "" },
	{ "empty and overflowing ranges", "me:1:0\nme:4294967295:5\nme:4294967000:295\n", "me", 1000,
		"4294967000+295 " },
	{ "no file content", "", "me", 1000, "" },
};

static void range_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cb_id_range ranges[CB_ID_RANGES_MAX];
		cleanup_buf struct cb_buf got = { 0 };
		print_message("# %s\n", cases[i].name);
		size_t n = cb_id_ranges(cases[i].file, strlen(cases[i].file), cases[i].user, cases[i].uid, ranges);
		for (size_t k = 0; k < n; k++)
			cb_buf_addf(&got, "%u+%u ", ranges[k].start, ranges[k].count);
		assert_string_equal(cb_buf_str(&got), cases[i].want);
	}
}

static void at_most_so_many(void **state)
{
	struct cb_id_range ranges[CB_ID_RANGES_MAX];
	cleanup_buf struct cb_buf file = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		cb_buf_addf(&file, "me:%d:10\n", 1000 + 10 * i);
	assert_int_equal(cb_id_ranges(file.data, file.len, "me", 1, ranges), CB_ID_RANGES_MAX);
	assert_int_equal(ranges[CB_ID_RANGES_MAX - 1].start, 1000 + 10 * (CB_ID_RANGES_MAX - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_table),
		cmocka_unit_test(at_most_so_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
