/* --fix: what becomes of a file, and that a second run finds nothing more to mend. */
#include "parser/fix.h"
#include "unit/parser/check_cases.h"

/* The mended text, "=" when nothing is mended, or the error. */
static char *fix(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_findings struct cb_findings findings = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct cb_strv none = { 0 };
	struct cb_check_options opts = { .build_args = &none };
	size_t n = 0;

	opts.platforms = (struct cb_platform_args){ "linux/amd64", "linux/amd64", "default" };
	if (cb_parse(in, strlen(in), &file, &err) < 0 || cb_check(file, &opts, &findings, &err) < 0 ||
		cb_fix(in, strlen(in), file, &findings, &out, &n, &err) < 0)
		return error_text(err);
	return n ? cb_buf_take(&out) : cb_xstrdup("=");
}

#define ON "FROM a\n"

static const struct grammar_case rows[] = {
	{ "keyword", ON "run b", ON "RUN b" },
	{ "mixed keyword", ON "Run b\nCmD [\"c\"]", ON "RUN b\nCMD [\"c\"]" },
	{ "to lower case", "from a\nrun b\nRUN c", "from a\nrun b\nrun c" },
	{ "FROM takes AS along", "from a as b\nRUN c\nRUN d", "FROM a AS b\nRUN c\nRUN d" },
	{ "keyword behind blanks and comments", ON "# run\n\t run b # run", ON "# run\n\t RUN b # run" },
	{ "cut keyword is left", ON "ru\\\nn b", "=" },
	{ "AS", "FROM a as b", "FROM a AS b" },
	{ "as", "from a AS b", "from a as b" },
	{ "AS on another line", "FROM a \\\n# as\n  as b", "FROM a \\\n# as\n  AS b" },
	{ "stage name", "FROM a AS Base\nFROM a\nCOPY --from=Base b c",
		"FROM a AS base\nFROM a\nCOPY --from=Base b c" },
	{ "all of FROM", "from a aS B\nRUN c\nRUN d", "FROM a AS b\nRUN c\nRUN d" },

	{ "ENV", ON "ENV b c", ON "ENV b=c" },
	{ "LABEL", ON "LABEL b.c  d\t", ON "LABEL b.c=d\t" },
	{ "several words", ON "ENV b c  d", ON "ENV b=\"c  d\"" },
	{ "variable", ON "ENV b $c", ON "ENV b=$c" },
	{ "variable and words", ON "ENV b $c d", ON "ENV b=\"$c d\"" },
	{ "variable with blanks", ON "ENV b ${c:-d e}", ON "ENV b=\"${c:-d e}\"" },
	{ "quoted", ON "ENV b \"c d\"", ON "ENV b=\"c d\"" },
	{ "quoted and more", ON "ENV b \"c d\" e", ON "ENV b=\"c d\"\\ e" },
	{ "single quotes", ON "ENV b 'c $d' e", ON "ENV b='c $d'\\ e" },
	{ "escapes", ON "ENV b c\\ d e", ON "ENV b=c\\ d\\ e" },
	{ "escaped dollar", ON "ENV b \\$c d", ON "ENV b=\\$c\\ d" },
	{ "blank in a pattern is left", ON "ENV b \"c\" ${d%e f}", "=" },
	{ "blank in a default", ON "ENV b \"c\" ${d:-e f}", ON "ENV b=\"c\"\\ ${d:-e\\ f}" },
	{ "equals sign", ON "ENV b =c", ON "ENV b==c" },
	{ "value with pairs", ON "ENV b c=d e=f", ON "ENV b=\"c=d e=f\"" },
	{ "backtick", "# escape=`\n" ON "ENV b c` d e", "# escape=`\n" ON "ENV b=c` d` e" },
	{ "backslash is ordinary", "# escape=`\n" ON "ENV b c:\\d e", "# escape=`\n" ON "ENV b=\"c:\\d e\"" },
	{ "continued", ON "ENV b c \\\n  d", ON "ENV b=\"c \\\n  d\"" },
	{ "comment inside", ON "ENV b c \\\n  # d\n  e\n", ON "ENV b=\"c \\\n  # d\n  e\"\n" },
	{ "value on the next line", ON "ENV b \\\n  c d", ON "ENV b=\\\n\"c d\"" },
	{ "CR LF", ON "ENV b c d\r\nUSER e\r\n", ON "ENV b=\"c d\"\r\nUSER e\r\n" },
	{ "Unicode space is left", ON "ENV b c\\d \xe2\x80\x83 e", "=" },
	{ "key with a Unicode space is left",
		ON "ENV b\xe2\x80\x83"
		   "c d",
		"=" },
	{ "key with a quote is left", ON "ENV b\\\" c", "=" },
	{ "skipped", ON "# check=skip=LegacyKeyValueFormat\nENV b c", "=" },
	{ "keyword and pair", ON "env b c\nRUN d", ON "ENV b=c\nRUN d" },
	{ "trigger is left", ON "ONBUILD ENV b c", "=" },

	{ "MAINTAINER", ON "MAINTAINER b c", ON "LABEL org.opencontainers.image.authors='b c'" },
	{ "MAINTAINER in quotes", ON "MAINTAINER \"b <c@d>\"", ON "LABEL org.opencontainers.image.authors='b <c@d>'" },
	{ "MAINTAINER with an apostrophe", ON "MAINTAINER O'Hara $b \"c\"",
		ON "LABEL org.opencontainers.image.authors=\"O'Hara \\$b \\\"c\\\"\"" },
	{ "maintainer", "from a\nmaintainer b", "from a\nlabel org.opencontainers.image.authors='b'" },
	{ "MAINTAINER in the wrong case", ON "maintainer b\nRUN c",
		ON "LABEL org.opencontainers.image.authors='b'\nRUN c" },
	{ "MAINTAINER on two lines is left", ON "MAINTAINER b \\\n c", "=" },
	{ "byte order mark",
		"\xef\xbb\xbf"
		"from a\nRUN b\nRUN c",
		"\xef\xbb\xbf"
		"FROM a\nRUN b\nRUN c" },
	{ "no line end", ON "env b c", ON "ENV b=c" },
	{ "nothing", ON "RUN b", "=" },
	{ "here-documents stay", ON "run <<E\nrun b\nE\nENV c d", ON "RUN <<E\nrun b\nE\nENV c=d" },
};

static void fixes(void **state)
{
	(void)state;
	run_cases(rows, ARRAY_SIZE(rows), fix);
}

static void twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *once = fix(rows[i].in);
		cleanup_free char *again = strcmp(once, "=") ? fix(once) : cb_xstrdup("=");

		if (strcmp(again, "=") != 0)
			print_message("# %s\n", rows[i].name);
		assert_string_equal(again, "=");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(fixes), cmocka_unit_test(twice) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
