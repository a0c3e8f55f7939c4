/* What engines answer to POST /images/load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "layers/engineload.h"

static const struct {
	const char *answer, *want; /* NULL: no complaint */
} answers[] = {
	{ "", NULL },
	{ "{\"stream\":\"Loaded image: a:1\\n\"}\n", NULL },
	{ "{\"stream\":\"x\"}\r\n{\"stream\":\"y\"}\r\n", NULL },
	{ "{\"stream\":\"x\"}\r\n{\"errorDetail\":{\"message\":\"m\"},\"error\":\"no room\"}\r\n", "no room" },
	{ "{\"error\":\"first\"}{\"error\":\"second\"}", "first" },
	{ "{\"message\":\"page not found\"}\n", "page not found" },
	{ "{\"cause\":\"c\",\"message\":\"podman's\",\"response\":500}", "podman's" },
	{ "<html>no</html>", NULL },
	{ "{\"error\":\"cut", NULL },
	{ "{\"error\":7}", NULL },
	{ "[1]{\"error\":\"behind a list\"}", "behind a list" },
};

static void complaints(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		cleanup_free char *got = cb_engine_complaint(answers[i].answer, strlen(answers[i].answer));

		print_message("# %s\n", answers[i].answer);
		if (answers[i].want)
			assert_string_equal(got, answers[i].want);
		else
			assert_null(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(complaints) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
