/* The option parser and the help made from its tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/strv.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/opt.h"

static const struct cb_opt first[] = {
	{ "file", 'f', CB_OPT_VALUE, 1, "FILE", "a file", "file" },
	{ "pull", 0, CB_OPT_FLAG, 2, NULL, "a flag", NULL },
	{ "quiet", 'q', CB_OPT_FLAG, 3, NULL, "another", NULL },
	{ "hidden", 0, CB_OPT_VALUE, 4, "X", NULL, NULL },
	{ 0 },
};
static const struct cb_opt second[] = {
	{ "format", 0, CB_OPT_VALUE, 1000, "FORMAT", "of the second table", "a|b" },
	{ 0 },
};

/* Arguments separated by blanks; what comes out as id=value, operands as "value", and the message of an error. */
static const struct {
	const char *args, *want;
} rows[] = {
	{ "", "" },
	{ "a b", "\"a\" \"b\"" },
	{ "-f x", "1=x" },
	{ "-fx", "1=x" },
	{ "-f=x", "1=x" },
	{ "--file x", "1=x" },
	{ "--file=x", "1=x" },
	{ "--file=", "1=" },
	{ "--file=a=b", "1=a=b" },
	{ "--file --pull", "1=--pull" },
	{ "-f -", "1=-" },
	{ "-", "\"-\"" },
	{ "--pull", "2=true" },
	{ "--pull=true --pull=false --pull=1 --pull=0", "2=true 2=false 2=true 2=false" },
	{ "--pull x", "2=true \"x\"" },
	{ "-q a --pull", "3=true \"a\" 2=true" },
	{ "a -f x b --pull", "\"a\" 1=x \"b\" 2=true" },
	{ "-- -f x", "\"-f\" \"x\"" },
	{ "a -- --", "\"a\" \"--\"" },
	{ "--format a", "1000=a" },
	{ "--hidden x", "4=x" },
	{ "--help", "-1=true" },
	{ "-h", "-1=true" },
	{ "--file", "error: option --file needs a value: FILE" },
	{ "-f", "error: option -f needs a value: FILE" },
	{ "--pull=maybe", "error: option --pull is true or false, not \"maybe\"" },
	{ "--fil x", "error: unknown option --fil (did you mean --file?)" },
	{ "--pulll", "error: unknown option --pulll (did you mean --pull?)" },
	{ "--formt=x", "error: unknown option --formt (did you mean --format?)" },
	{ "--hiden=x", "error: unknown option --hiden" },
	{ "--zzzzzz", "error: unknown option --zzzzzz" },
	{ "--=x", "error: unknown option --" },
	{ "-x", "error: unknown option -x" },
	{ "-qf", "error: unknown option -qf" },
	{ "a -z", "\"a\" error: unknown option -z" },
};

static void arguments_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_strv struct cb_strv args = { 0 };
		cleanup_buf struct cb_buf got = { 0 };
		cleanup_err struct cb_err *err = NULL;
		struct cb_opt_parser parser = { .tables = { first, second } };
		const struct cb_opt *opt;
		const char *value;
		int r;

		print_message("# %s\n", rows[i].args);
		if (*rows[i].args)
			cb_strv_split(&args, rows[i].args, ' ');
		parser.argc = (int)args.n;
		parser.argv = args.v;
		while ((r = cb_opt_next(&parser, &opt, &value, &err)) > 0) {
			cb_buf_adds(&got, got.len ? " " : "");
			if (opt)
				cb_buf_addf(&got, "%d=%s", opt->id, value);
			else
				cb_buf_addf(&got, "\"%s\"", value);
		}
		if (r < 0) {
			assert_int_equal(r, CB_ERR_USAGE);
			cb_buf_addf(&got, "%serror: %s", got.len ? " " : "", cb_err_msg(err));
			if (err->hint)
				cb_buf_addf(&got, " (%s)", err->hint);
		}
		assert_string_equal(cb_buf_str(&got), rows[i].want);
	}
}

static void parsing_stops(void **state)
{
	char *argv[] = { (char *)"-q", (char *)"image", (char *)"-f", (char *)"x" };
	struct cb_opt_parser parser = { .argc = 4, .argv = argv, .tables = { first, NULL } };
	const struct cb_opt *opt;
	const char *value;

	(void)state;
	assert_int_equal(cb_opt_next(&parser, &opt, &value, NULL), 1);
	assert_int_equal(cb_opt_next(&parser, &opt, &value, NULL), 1);
	assert_null(opt);
	cb_opt_stop(&parser);
	assert_int_equal(cb_opt_next(&parser, &opt, &value, NULL), 1);
	assert_null(opt);
	assert_string_equal(value, "-f");
}

static void help_is_aligned(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	const struct cb_opt *const tables[2] = { first, second };

	(void)state;
	cb_opt_help(&out, tables);
	assert_string_equal(cb_buf_str(&out), "  -f, --file FILE      a file\n"
					      "      --pull           a flag\n"
					      "  -q, --quiet          another\n"
					      "      --format FORMAT  of the second table\n"
					      "  -h, --help           print this help\n");
}

/* What the tables promise: names once, letters once, a metavariable exactly for values, a help line without full stop.
 */
static void tables_are_sound(void **state)
{
	(void)state;
	for (size_t c = 0; c < cb_n_commands; c++) {
		cleanup_strv struct cb_strv names = { 0 };
		cleanup_buf struct cb_buf help = { 0 };

		for (size_t t = 0; t < 2; t++) {
			for (const struct cb_opt *opt = cb_commands[c].options[t]; opt && opt->name; opt++) {
				char letter[2] = { opt->letter, 0 };

				print_message("# %s --%s\n", cb_commands[c].name, opt->name);
				assert_false(cb_strv_has(&names, opt->name));
				cb_strv_add(&names, opt->name);
				assert_false(opt->letter && cb_strv_has(&names, letter));
				if (opt->letter)
					cb_strv_add(&names, letter);
				assert_int_equal(opt->value != NULL, opt->kind != CB_OPT_FLAG);
				assert_int_not_equal(opt->id, CB_OPT_HELP);
				assert_false(opt->help && cb_str_ends(opt->help, "."));
			}
		}
		cb_help_text(&help, &cb_commands[c]);
		assert_non_null(strstr(cb_buf_str(&help), cb_commands[c].summary));
		assert_ptr_equal(cb_command_find(cb_commands[c].name), &cb_commands[c]);
	}
	assert_null(cb_command_find("nothing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_parse),
		cmocka_unit_test(parsing_stops),
		cmocka_unit_test(help_is_aligned),
		cmocka_unit_test(tables_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
