#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "layers/chmod.h"

static const struct {
	const char *text;
	mode_t from;
	bool dir;
	mode_t to;
} good[] = {
	{ "0", 0644, false, 0 },
	{ "755", 0600, false, 0755 },
	{ "0755", 0600, true, 0755 },
	{ "07777", 0, false, 07777 },
	{ "4755", 0, false, 04755 },
	{ "u+x", 0644, false, 0744 },
	{ "+x", 0644, false, 0755 },
	{ "a+x", 0600, false, 0711 },
	{ "go-w", 0666, false, 0644 },
	{ "u+x,go-w", 0666, false, 0744 },
	{ "a=rX", 0600, false, 0444 },
	{ "a=rX", 0700, false, 0555 },
	{ "a=rX", 0600, true, 0555 },
	{ "a=rX", 0001, false, 0555 },
	{ "u=rwX,go=rX", 0600, true, 0755 },
	{ "u=rwX,go=rX", 0777, false, 0755 },
	{ "u=g", 0070, false, 0770 },
	{ "g=u", 0700, false, 0770 },
	{ "o=u", 0750, false, 0757 },
	{ "go=u", 0640, false, 0666 },
	{ "g-u", 0460, false, 0420 },
	{ "o+g", 0650, false, 0655 },
	{ "=", 0777, false, 0 },
	{ "u=", 0777, false, 0077 },
	{ "a=", 07777, false, 01000 },
	{ "a=r", 04755, false, 0444 },
	{ "+t", 0777, true, 01777 },
	{ "o+t", 0777, true, 0777 },
	{ "-t", 01777, true, 0777 },
	{ "u+s", 0755, false, 04755 },
	{ "g+s", 0755, false, 02755 },
	{ "+s", 0755, false, 06755 },
	{ "o+s", 0755, false, 0755 },
	{ "-s", 06755, false, 0755 },
	{ "u=rwxs", 0, false, 04700 },
	{ "u+r-w", 0200, false, 0400 },
	{ "u=r+w-r", 0700, false, 0200 },
	{ "ug=rw,o=", 0777, false, 0660 },
	{ "-X", 0711, false, 0600 },
	{ "u-x,a+X", 0700, false, 0711 },
	{ "uuu+rrr", 0, false, 0400 },
};

static void accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cleanup_chmod struct cb_chmod chmod = { 0 };

		print_message("# %s\n", good[i].text);
		assert_int_equal(cb_chmod_parse(good[i].text, &chmod, NULL), 0);
		assert_int_equal(cb_chmod_apply(&chmod, good[i].from | 0100000, good[i].dir), good[i].to);
	}
}

static const char *const bad[] = { "", "10000", "8", "64a", "0o644", "x", "u", "ux", "u+q", "u+rg", "u+x,", ",u+x",
	"u+x,,g+x", "u +x", "u+x ", "+gw", "z=r", "u=ug", "99999999999999999999", "-0", "0x1f", "7777777" };

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cleanup_chmod struct cb_chmod chmod = { 0 };
		cleanup_err struct cb_err *err = NULL;

		print_message("# \"%s\"\n", bad[i]);
		assert_int_equal(cb_chmod_parse(bad[i], &chmod, &err), CB_ERR_INPUT);
		assert_non_null(strstr(cb_err_msg(err), "invalid chmod parameter"));
		assert_null(chmod.clauses);
	}
}

static void too_long(void **state)
{
	cleanup_err struct cb_err *err = NULL;
	struct cb_chmod chmod;
	char text[400];

	(void)state;
	memset(text, '0', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(cb_chmod_parse(text, &chmod, &err), CB_ERR_INPUT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(refused),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
