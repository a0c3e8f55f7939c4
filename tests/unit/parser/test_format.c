/* The formatter, and where white space of commands may change. */
#include "unit/parser/grammar_cases.h"

#include "parser/format.h"
#include "parser/shelltext.h"

/* @want NULL: nothing changes. */
static const struct grammar_case rows[] = {
	{ "keywords", "from a as b\n  run\t x\nCopy  a  b\n", "FROM a AS b\nRUN x\nCOPY a  b\n" },
	{ "unknown instructions stay", "FROM a\n foo  bar\n", NULL },
	{ "no line end at the end", "FROM a", "FROM a\n" },
	{ "blank lines", "\n\nFROM a\n\n\n\nRUN b\n \t\n\n", "FROM a\n\nRUN b\n" },
	{ "comments", "  # x  \nFROM a \n\t#y\n\n\n#z\n", "# x\nFROM a\n#y\n\n#z\n" },
	{ "directives", "# syntax = x\n# ESCAPE=\\\nfrom a\n", "# syntax = x\n# ESCAPE=\\\nFROM a\n" },
	{ "a comment does not become a directive", "\n# escape=`\nFROM a\n", NULL },
	{ "nor one behind a first line that starts as a shell script's", " #!x\n# syntax=y\nFROM a\n", NULL },
	{ "white space tells directives apart behind it", "#!x\n # syntax=y\nFROM a\n", NULL },
	{ "continuation", "RUN a &&\\\n\tb && \\\n\t\tc \\\n\n\t d",
		"RUN a &&\\\n    b && \\\n        c \\\n\n     d\n" },
	{ "aligned continuations stay aligned", "RUN a     && \\\n    bbb   && \\\n    c\n", NULL },
	{ "blanks behind a continuation", "RUN a \\  \n    b\n", "RUN a \\\n    b\n" },
	{ "no gap, no indentation", "RUN a\\\nb\n", NULL },
	{ "gap before the line end", "RUN a \\\nb\n", "RUN a \\\n    b\n" },
	{ "single quotes", "RUN echo 'a \\\n  b' \\\n  c\n", "RUN echo 'a \\\n  b' \\\n    c\n" },
	{ "double quotes", "RUN echo \"a \\\n  b\" \\\n  c\n", "RUN echo \"a \\\n  b\" \\\n    c\n" },
	{ "quotes inside of a substitution in quotes", "RUN echo \"$(x \"a \\\n  b\")\" \\\n  c\n", NULL },
	{ "simple substitution in quotes", "RUN a=\"$(x -y)\" \\\n  && c\n", "RUN a=\"$(x -y)\" \\\n    && c\n" },
	{ "escaped blank at the end", "RUN a\\ \\\nb \\\n  c\n", "RUN a\\ \\\nb \\\n    c\n" },
	{ "shell comment", "RUN a # it's \\\n  b\n", NULL },
	{ "number sign in a word", "RUN a#b \\\n  c\n", "RUN a#b \\\n    c\n" },
	{ "ANSI-C quotes", "RUN a $'x\\'y' \\\n  b\n", NULL },
	{ "operand of a variable", "RUN a=${x:-b \\\n  c}\n", NULL },
	{ "heredoc", "run <<-E  cat \\\n\t x\n\tbody  \n\n\n  E\n\tE\nRUN b\n",
		"RUN <<-E  cat \\\n    x\n\tbody  \n\n\n  E\n\tE\nRUN b\n" },
	{ "heredoc at the end of the file", "RUN <<E\n a \nE", "RUN <<E\n a \nE\n" },
	{ "flags", "RUN --mount=type=cache,target=/a \\\n  --network=none \\\n      x\n",
		"RUN --mount=type=cache,target=/a \\\n    --network=none \\\n        x\n" },
	{ "exec form", "CMD [ \"a\", \\\n  \"b \\\n  c\" ]\n", "CMD [ \"a\", \\\n    \"b \\\n  c\" ]\n" },
	{ "shell form of CMD is stored", "CMD a \\\n  b\n", NULL },
	{ "pairs", "ENV A=b \\\n  C=\"d \\\n  e\" \\\n  F=g\\ \\\n  H=h\n",
		"ENV A=b \\\n    C=\"d \\\n  e\" \\\n    F=g\\ \\\n    H=h\n" },
	{ "legacy pair", "ENV a b \\\n  c\n", NULL },
	{ "legacy label", "LABEL a b \\\n  c\n", NULL },
	{ "words", "COPY a \\\n\tb \\\n\tc/\n", "COPY a \\\n    b \\\n    c/\n" },
	{ "text", "WORKDIR a \\\n  b\n", NULL },
	{ "health check", "HEALTHCHECK --timeout=3s \\\n  CMD a \\\n  b\n",
		"HEALTHCHECK --timeout=3s \\\n    CMD a \\\n  b\n" },
	{ "trigger", "onbuild   run  a \\\n  b  \n", "ONBUILD run  a \\\n  b  \n" },
	{ "comments between continuations", "RUN a; \\\n# x\n    b; \\\n\t # y\n  c\n",
		"RUN a; \\\n      # x\n      b; \\\n    # y\n    c\n" },
	{ "comment before a line that stays", "RUN 'a \\\n# x\n  b'\n", NULL },
	{ "another escape character", "# escape=`\nFROM a\nRUN a `\n  b\nCOPY a `\n  b\n",
		"# escape=`\nFROM a\nRUN a `\n  b\nCOPY a `\n    b\n" },
	{ "another shell", "FROM a\nSHELL [\"pwsh\", \"-c\"]\nRUN a \\\n  b\n", NULL },
	{ "bash", "FROM a\nSHELL [\"/bin/bash\", \"-c\"]\nRUN a \\\n  b\n",
		"FROM a\nSHELL [\"/bin/bash\", \"-c\"]\nRUN a \\\n    b\n" },
	{ "keyword over two lines", "RU\\\nN a\n", NULL },
	{ "continuation before the keyword", "\\\n RUN a\n", NULL },
	{ "byte order mark", "\xef\xbb\xbfrun a", "\xef\xbb\xbfRUN a\n" },
	{ "which is none behind a blank line", "\n\xef\xbb\xbfrun a\n", NULL },
	{ "nor one of UTF-16", "\n\xfe\xffrun a\n", NULL },
	{ "nor twice", "\xef\xbb\xbf\xef\xbb\xbfrun a\n", NULL },
	{ "CR LF", "from a\r\n\r\n\r\nrun a \\\r\n  b\r\nRUN <<E\r\nx\r\nE",
		"FROM a\r\n\r\nRUN a \\\r\n    b\r\nRUN <<E\r\nx\r\nE\r\n" },
	{ "CR before the last blanks", "RUN a\\ \r\t\nRUN b\n", NULL },
	{ "unknown instruction with blanks at the end", "FOO a  \n", NULL },
	{ "mixed line ends", "\nFROM a\r\n\n\nRUN b", "FROM a\r\n\nRUN b\n" },
	{ "INCLUDE", "include  x/y \nFROM a\n", "INCLUDE x/y\nFROM a\n" },
	{ "continuation at the end", "RUN a \\", "RUN a \\\n" },
	{ "Unicode white space", "\xc2\xa0RUN a\n", "RUN a\n" },
	{ "error", "RUN <<E\n",
		"1:5: the here-document \"E\" does not end (end it with a line that is exactly \"E\")" },
};

static char *format_text(const char *in)
{
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_err struct cb_err *err = NULL;

	if (cb_format(in, strlen(in), &out, &err) < 0)
		return error_text(err);
	return cb_buf_take(&out);
}

static void formats(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *want = rows[i].want ? rows[i].want : rows[i].in;
		cleanup_free char *got = format_text(rows[i].in), *again = format_text(got);

		print_message("# %s\n", rows[i].name);
		assert_string_equal(got, want);
		if (strcmp(rows[i].name, "error") != 0)
			assert_string_equal(again, want);
	}
}

static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	{ "a  b", "a b", true },
	{ "a b", "ab", false },
	{ "a 'b  c'", "a 'b c'", false },
	{ "a \"b  c\"", "a \"b c\"", false },
	{ "a \\  b", "a \\ b", false },
	{ "a \\   b", "a \\  b", true },
	{ "a \"$(b)\"  c", "a \"$(b)\" c", true },
	{ "a \"$(b \"c  d\")\"", "a \"$(b \"c d\")\"", false },
	{ "a $(b  c)", "a $(b c)", true },
	{ "a ${b:-c  d}", "a ${b:-c d}", false },
	{ "a `b  c`", "a `b c`", false },
	{ "a  # b", "a # b", true },
	{ "a # b  c", "a # b c", false },
	{ "a", "a ", false },
	{ "a 'b", "a 'b", true },
	{ "a\t b", "a b", true },
};

static void same_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		print_message("# %s\n", pairs[i].a);
		assert_int_equal(cb_shell_same(pairs[i].a, pairs[i].b), pairs[i].same);
		assert_int_equal(cb_shell_same(pairs[i].b, pairs[i].a), pairs[i].same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(formats), cmocka_unit_test(same_commands) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
