/* Here-documents: tokens, bodies, and what RUN, COPY, ADD and ONBUILD make of them. */
#include "parser/heredoc.h"
#include "unit/parser/grammar_cases.h"

static const struct grammar_case node_rows[] = {
	{ "plain", "RUN <<A\nx\nA", "(run \"<<A\" (heredoc \"A\" \"x\\n\"))" },
	{ "what follows", "RUN <<A\nx\nA\nRUN b", "(run \"<<A\" (heredoc \"A\" \"x\\n\"))\n(run \"b\")" },
	{ "empty body", "RUN <<A\nA\n", "(run \"<<A\" (heredoc \"A\" \"\"))" },
	{ "body of blank lines", "RUN <<A\n\n \nA\n", "(run \"<<A\" (heredoc \"A\" \"\\n \\n\"))" },
	{ "descriptor", "RUN 3<<A\nA", "(run \"3<<A\" (heredoc :fd 3 \"A\" \"\"))" },
	{ "descriptor 0", "RUN 0<<A\nA", "(run \"0<<A\" (heredoc \"A\" \"\"))" },
	{ "huge descriptor", "RUN 99999999999999999999999<<A\nA",
		"(run \"99999999999999999999999<<A\" (heredoc :fd 18446744073709551615 \"A\" \"\"))" },
	{ "chomp", "RUN <<-A\n\t\tx\n\tA", "(run \"<<-A\" (heredoc :chomp \"A\" \"\\t\\tx\\n\"))" },
	{ "chomp without tabs", "RUN <<-A\nx\nA", "(run \"<<-A\" (heredoc :chomp \"A\" \"x\\n\"))" },
	{ "chomp strips no blanks from the terminator", "RUN <<-A\n A\n\tA",
		"(run \"<<-A\" (heredoc :chomp \"A\" \" A\\n\"))" },
	{ "tabs count without chomp", "RUN <<A\n\tA\nA", "(run \"<<A\" (heredoc \"A\" \"\\tA\\n\"))" },
	{ "terminator with a blank behind is data", "RUN <<A\nA \nA", "(run \"<<A\" (heredoc \"A\" \"A \\n\"))" },
	{ "CR LF", "RUN <<A\r\nx\r\nA\r\nRUN b", "(run \"<<A\" (heredoc \"A\" \"x\\r\\n\"))\n(run \"b\")" },
	{ "comments are data", "RUN <<A\n# x\n  # y\nA", "(run \"<<A\" (heredoc \"A\" \"# x\\n  # y\\n\"))" },
	{ "instructions are data", "RUN <<A\nFROM x\nA", "(run \"<<A\" (heredoc \"A\" \"FROM x\\n\"))" },
	{ "directives are data", "RUN <<A\n# escape=`\nA", "(run \"<<A\" (heredoc \"A\" \"# escape=`\\n\"))" },
	{ "two", "COPY <<X <<Y /d\na\nX\nb\nY",
		"(copy \"<<X\" \"<<Y\" \"/d\" (heredoc \"X\" \"a\\n\") (heredoc \"Y\" \"b\\n\"))" },
	{ "two crossed", "COPY <<X <<Y /d\nY\nX\nX\nY",
		"(copy \"<<X\" \"<<Y\" \"/d\" (heredoc \"X\" \"Y\\n\") (heredoc \"Y\" \"X\\n\"))" },
	{ "two of one name", "COPY <<X <<X /d\na\nX\nb\nX",
		"(copy \"<<X\" \"<<X\" \"/d\" (heredoc \"X\" \"a\\n\") (heredoc \"X\" \"b\\n\"))" },
	{ "ADD", "ADD <<X /d\na\nX", "(add \"<<X\" \"/d\" (heredoc \"X\" \"a\\n\"))" },
	{ "name with a dot", "COPY <<a.txt /d\na\na.txt", "(copy \"<<a.txt\" \"/d\" (heredoc \"a.txt\" \"a\\n\"))" },
	{ "with a command", "RUN <<A python3 -\nx\nA", "(run \"<<A python3 -\" (heredoc \"A\" \"x\\n\"))" },
	{ "in a pipe", "RUN cat <<A | sh 2>&1\nx\nA", "(run \"cat <<A | sh 2>&1\" (heredoc \"A\" \"x\\n\"))" },
	{ "behind a flag", "RUN --mount=type=ssh <<A\nx\nA",
		"(run (\"--mount=type=ssh\") \"<<A\" (heredoc \"A\" \"x\\n\"))" },
	{ "continued line", "RUN cat \\\n  <<A\nx\nA", "(run \"cat   <<A\" (heredoc \"A\" \"x\\n\"))" },
	{ "continued behind the token", "RUN <<A \\\n cat\nx\nA", "(run \"<<A  cat\" (heredoc \"A\" \"x\\n\"))" },
	{ "lower case keyword", "run <<A\nA", "(run \"<<A\" (heredoc \"A\" \"\"))" },

	{ "single quotes", "RUN <<'A'\nA", "(run \"<<'A'\" (heredoc :raw \"A\" \"\"))" },
	{ "double quotes", "RUN <<\"A\"\nA", "(run \"<<\\\"A\\\"\" (heredoc :raw \"A\" \"\"))" },
	{ "quoted and chomp", "RUN <<-'A'\n\tA", "(run \"<<-'A'\" (heredoc :raw :chomp \"A\" \"\"))" },
	{ "partly quoted", "RUN <<e'o'f\neof", "(run \"<<e'o'f\" (heredoc :raw \"eof\" \"\"))" },
	{ "blank in quotes", "RUN <<'one two'\none two", "(run \"<<'one two'\" (heredoc :raw \"one two\" \"\"))" },
	{ "backslash in the name", "RUN <<e\\of\neof", "(run \"<<e\\\\of\" (heredoc \"eof\" \"\"))" },
	{ "escaped quote in the name", "RUN <<eo\\'f\neo'f", "(run \"<<eo\\\\'f\" (heredoc \"eo'f\" \"\"))" },
	{ "escaped and real quotes", "RUN <<'e'o\\'f\neo'f", "(run \"<<'e'o\\\\'f\" (heredoc :raw \"eo'f\" \"\"))" },
	{ "quote in quotes", "RUN <<\"a'b\"\na'b", "(run \"<<\\\"a'b\\\"\" (heredoc :raw \"a'b\" \"\"))" },
	{ "variable in the name is literal", "RUN <<$A\n$A", "(run \"<<$A\" (heredoc \"$A\" \"\"))" },
	{ "braces in the name", "RUN <<${A}\n${A}", "(run \"<<${A}\" (heredoc \"${A}\" \"\"))" },
	{ "default in the name", "RUN <<${A:-b}\n${A:-b}", "(run \"<<${A:-b}\" (heredoc \"${A:-b}\" \"\"))" },
	{ "always the backslash", "# escape=`\nRUN <<a\\b\nab", "(run \"<<a\\\\b\" (heredoc \"ab\" \"\"))" },
	{ "blanks before the name", "RUN <<  A\nA", "(run \"<<  A\" (heredoc \"A\" \"\"))" },
	{ "blanks before the name, more follows", "RUN << A > b\nA", "(run \"<< A > b\" (heredoc \"A\" \"\"))" },
	{ "dash behind a blank is the name's", "RUN << -A\n-A", "(run \"<< -A\" (heredoc \"-A\" \"\"))" },
	{ "parenthesis is the name's", "RUN (cat <<A)\nA)", "(run \"(cat <<A)\" (heredoc \"A)\" \"\"))" },
	{ "semicolon too", "RUN cat <<A; b\nA;", "(run \"cat <<A; b\" (heredoc \"A;\" \"\"))" },

	{ "dash, blank: none", "RUN <<- A\nENV b c", "(run \"<<- A\")\n(env \"b\" \"c\" \"\")" },
	{ "three: none", "RUN cat <<<A\nENV b c", "(run \"cat <<<A\")\n(env \"b\" \"c\" \"\")" },
	{ "no name: none", "RUN cat <<\nENV b c", "(run \"cat <<\")\n(env \"b\" \"c\" \"\")" },
	{ "in double quotes: none", "RUN \"<<A\"\nENV b c", "(run \"\\\"<<A\\\"\")\n(env \"b\" \"c\" \"\")" },
	{ "in single quotes: none", "RUN '<<A'\nENV b c", "(run \"'<<A'\")\n(env \"b\" \"c\" \"\")" },
	{ "escaped: none", "RUN \\<<A\nENV b c", "(run \"\\\\<<A\")\n(env \"b\" \"c\" \"\")" },
	{ "behind a word: none", "RUN cat<<A\nENV b c", "(run \"cat<<A\")\n(env \"b\" \"c\" \"\")" },
	{ "shift in arithmetic", "RUN echo $((1<<2))\nENV b c", "(run \"echo $((1<<2))\")\n(env \"b\" \"c\" \"\")" },
	{ "one token inside another", "RUN <<A<<B\nENV b c", "(run \"<<A<<B\")\n(env \"b\" \"c\" \"\")" },
	{ "odd quote hides all", "RUN it's <<A\nENV b c", "(run \"it's <<A\")\n(env \"b\" \"c\" \"\")" },
	{ "odd double quote hides all", "RUN <<A \"\nENV b c", "(run \"<<A \\\"\")\n(env \"b\" \"c\" \"\")" },
	{ "unknown operator hides all", "RUN ${a^^} <<A\nENV b c", "(run \"${a^^} <<A\")\n(env \"b\" \"c\" \"\")" },
	{ "array hides all", "RUN ${a[0]} <<A\nENV b c", "(run \"${a[0]} <<A\")\n(env \"b\" \"c\" \"\")" },
	{ "quoted unknown operator does not", "RUN '${a^^}' <<A\nA", "(run \"'${a^^}' <<A\" (heredoc \"A\" \"\"))" },
	{ "command substitution does not", "RUN $(a) `b` <<A\nA", "(run \"$(a) `b` <<A\" (heredoc \"A\" \"\"))" },
	{ "exec form", "RUN [\"<<A\"]\nENV b c", "(run :json \"<<A\")\n(env \"b\" \"c\" \"\")" },
	{ "JSON form of COPY", "COPY [\"<<A\", \"b\"]\nENV b c", "(copy :json \"<<A\" \"b\")\n(env \"b\" \"c\" \"\")" },
	{ "not in USER", "USER <<A\nA", "(user \"<<A\")\n(a)" },
	{ "not in CMD", "CMD <<A\nA", "(cmd \"<<A\")\n(a)" },
	{ "not in HEALTHCHECK", "HEALTHCHECK CMD <<A\nA", "(healthcheck \"CMD\" \"<<A\")\n(a)" },
	{ "not in unknown instructions", "FOO <<A\nA", "(foo)\n(a)" },

	{ "ONBUILD RUN", "ONBUILD RUN <<A\nx\nA", "(onbuild (run \"<<A\") (heredoc \"A\" \"x\\n\"))" },
	{ "ONBUILD COPY", "onbuild copy <<A b\nx\nA", "(onbuild (copy \"<<A\" \"b\") (heredoc \"A\" \"x\\n\"))" },
	{ "ONBUILD CMD", "ONBUILD CMD <<A\nA", "(onbuild (cmd \"<<A\"))\n(a)" },
	{ "ONBUILD ONBUILD", "ONBUILD ONBUILD RUN <<A\nA", "(onbuild (onbuild (run \"<<A\")))\n(a)" },
	{ "ONBUILD exec form", "ONBUILD RUN [\"<<A\"]\nENV b c",
		"(onbuild (run :json \"<<A\"))\n(env \"b\" \"c\" \"\")" },

	{ "a line that ends in the escape is data", "RUN <<A\nx \\\nA\nRUN b",
		"(run \"<<A\" (heredoc \"A\" \"x \\\\\\n\"))\n(run \"b\")" },
	{ "escaped blank in the name", "RUN <<a\\ b\na b", "(run \"<<a\\\\ b\" (heredoc \"a b\" \"\"))" },
	{ "never ends", "FROM a\nRUN cat <<A\nx\n",
		"2:9: the here-document \"A\" does not end (end it with a line that is exactly \"A\")" },
	{ "never begins", "RUN <<A",
		"1:5: the here-document \"A\" does not end (end it with a line that is exactly \"A\")" },
	{ "second never ends", "COPY <<A \\\n <<B c\nA\nx\nb",
		"2:2: the here-document \"B\" does not end (end it with a line that is exactly \"B\")" },
	{ "almost ends", "RUN <<A\nx\n  A\n",
		"1:5: the here-document \"A\" does not end (line 3 has white space around \"A\"; <<- allows tabs before it)" },
};

static void nodes(void **state)
{
	(void)state;
	run_cases(node_rows, ARRAY_SIZE(node_rows), node_text);
}

static void tokens(void **state)
{
	static const struct {
		const char *word, *name; /* NULL: not a token */
		int r;
	} rows[] = {
		{ "<<EOF", "EOF", 1 },
		{ "<<'EOF'", "EOF", 1 },
		{ "<<\"EOF\"", "EOF", 1 },
		{ "<<-EOF", "EOF", 1 },
		{ "<<-'EOF'", "EOF", 1 },
		{ "<<EO\"F\"", "EOF", 1 },
		{ "<< EOF", "EOF", 1 },
		{ "<<- EOF", "EOF", 1 },
		{ "12<<EOF", "EOF", 1 },
		{ "", NULL, 0 },
		{ "EOF", NULL, 0 },
		{ "12", NULL, 0 },
		{ "<<", NULL, 0 },
		{ "<<-", NULL, 0 },
		{ "<<- ", NULL, 0 },
		{ "<EOF", NULL, 0 },
		{ "<<<EOF", NULL, 0 },
		{ "<<EOF<", NULL, 0 },
		{ "<<EOF sh", NULL, 0 },
		{ "x<<EOF", NULL, 0 },
		{ "<<''", NULL, 0 },
		{ "<<'EOF", NULL, CB_ERR_INPUT },
		{ "<<\"EOF", NULL, CB_ERR_INPUT },
		{ "<<EOF'", NULL, CB_ERR_INPUT },
		{ "<<EOF\"", NULL, CB_ERR_INPUT },
		{ "<<${", NULL, CB_ERR_INPUT },
	};
	CB_CLEANUP(cb_arena_free) struct cb_arena *arena = cb_arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cb_heredoc doc = { 0 };

		print_message("# %s\n", rows[i].word);
		assert_int_equal(cb_heredoc_token(arena, rows[i].word, &doc, NULL), rows[i].r);
		assert_true(cb_str_eq(doc.name, rows[i].name));
	}
}

static void body_text(void **state)
{
	static const struct {
		const char *content;
		bool chomp;
		const char *want;
	} rows[] = {
		{ "", true, "" },
		{ "a\n", false, "a\n" },
		{ "\ta\n", false, "\ta\n" },
		{ "\ta\n\t\tb\n", true, "a\nb\n" },
		{ " \ta\n\t b\tc\n", true, " \ta\n b\tc\n" },
		{ "\t\n\t\t\n\n", true, "\n\n\n" },
		{ "\ta\r\n", true, "a\r\n" },
		{ "\ta", true, "a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cb_heredoc doc = {
			.content = rows[i].content, .len = strlen(rows[i].content), .chomp = rows[i].chomp
		};
		cleanup_buf struct cb_buf out = { 0 };

		cb_heredoc_text(&doc, &out);
		assert_string_equal(cb_buf_str(&out), rows[i].want);
	}
}

/* RUN's command: "script", "file NAME", "exec" and the text. */
static char *run_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_buf struct cb_buf full = { 0 };
	cleanup_err struct cb_err *err = NULL;
	const struct cb_instr *instr;

	cb_buf_addf(&full, "FROM a\n%s", in);
	if (cb_parse(full.data, full.len, &file, &err) < 0)
		return error_text(err);
	instr = &file->stages[0].instrs[0];
	if (instr->kw == CB_KW_ONBUILD)
		instr = instr->onbuild.child;
	return cb_xasprintf("%s%s: %s",
		instr->run.is_file     ? "file "
		: instr->run.file_name ? "body "
				       : "line",
		instr->run.file_name ? instr->run.file_name : "", instr->run.script.s);
}

static void run_scripts(void **state)
{
	static const struct grammar_case rows[] = {
		{ "line", "RUN a  b", "line: a  b" },
		{ "body is the command", "RUN <<A\nx\ny\nA", "body A: x\ny\n" },
		{ "body, quoted", "RUN <<'A'\n$x\nA", "body A: $x\n" },
		{ "body, chomp", "RUN <<-A\n\tx\n\t\ty\n\tA", "body A: x\ny\n" },
		{ "body with a descriptor", "RUN 5<<A\nx\nA", "body A: x\n" },
		{ "body behind flags", "RUN --network=none <<A\nx\nA", "body A: x\n" },
		{ "empty body", "RUN <<A\nA", "body A: " },
		{ "script", "RUN <<A\n#!/bin/x\ny\nA", "file A: #!/bin/x\ny\n" },
		{ "script after chomp", "RUN <<-A\n\t#!/bin/x\n\ty\nA", "file A: #!/bin/x\ny\n" },
		{ "no script without chomp", "RUN <<A\n\t#!/bin/x\nA", "body A: \t#!/bin/x\n" },
		{ "no script on the second line", "RUN <<A\n\n#!/bin/x\nA", "body A: \n#!/bin/x\n" },
		{ "script with a bad name", "RUN <<a/b\n#!/bin/x\na/b",
			"2:5: \"a/b\" cannot be the name of a script's file" },
		{ "line with a command", "RUN <<A cat\nx\nA", "line: <<A cat\nx\nA" },
		{ "line with a script", "RUN cat <<A\n#!x\nA", "line: cat <<A\n#!x\nA" },
		{ "line keeps its quotes and tabs", "RUN cat <<-'A'\n\tx\n\tA", "line: cat <<-'A'\n\tx\nA" },
		{ "two", "RUN <<A <<B\nx\nA\ny\nB", "line: <<A <<B\nx\nA\ny\nB" },
		{ "descriptors", "RUN cat 3<<A <&3\nx\nA", "line: cat 3<<A <&3\nx\nA" },
		{ "ONBUILD", "ONBUILD RUN <<A\nx\nA", "body A: x\n" },
	};

	(void)state;
	run_cases(rows, ARRAY_SIZE(rows), run_text);
}

/* COPY's sources and files. */
static char *copy_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_buf struct cb_buf full = { 0 }, out = { 0 };
	cleanup_err struct cb_err *err = NULL;
	const struct cb_copy *copy;

	cb_buf_addf(&full, "FROM a\n%s", in);
	if (cb_parse(full.data, full.len, &file, &err) < 0)
		return error_text(err);
	copy = &file->stages[0].instrs[0].copy;
	for (size_t i = 0; i < copy->sources.n; i++)
		cb_buf_addf(&out, "%s ", copy->sources.v[i].s);
	for (size_t i = 0; i < copy->n_files; i++)
		cb_buf_addf(&out, "%s@%u%s{%s} ", copy->files[i].name.s, copy->files[i].line,
			copy->files[i].expand ? "" : " raw", copy->files[i].data);
	cb_buf_addf(&out, "-> %s", copy->dest.s);
	return cb_buf_take(&out);
}

static void copy_files(void **state)
{
	static const struct grammar_case rows[] = {
		{ "one", "COPY <<A /d\nx\nA", "A@3{x\n} -> /d" },
		{ "two and paths", "COPY a <<A b <<'B' /d/\nx\nA\ny\nB", "a b A@3{x\n} B@5 raw{y\n} -> /d/" },
		{ "chomp", "COPY <<-A /d\n\tx\n\tA", "A@3{x\n} -> /d" },
		{ "of one name", "COPY <<A <<A /d/\nx\nA\ny\nA", "A@5{y\n} A@5{y\n} -> /d/" },
		{ "ADD", "ADD <<A /d\nx\nA", "A@3{x\n} -> /d" },
		{ "empty", "COPY <<A /d\nA", "A@3{} -> /d" },
		{ "JSON form", "COPY [\"<<A\", \"/d\"]", "<<A -> /d" },
		{ "destination", "COPY a <<A\nA", "2:8: COPY cannot accept a here-document as a destination" },
		{ "blank behind <<", "COPY << A /d\nA",
			"2:6: COPY has a here-document that is not one of its sources (a source is one word: write "
			"<<NAME without blanks or quoted blanks)" },
		{ "blank in the name", "COPY <<'a b' /d\na b",
			"2:6: COPY has a here-document that is not one of its sources (a source is one word: write "
			"<<NAME without blanks or quoted blanks)" },
		{ "odd quote", "COPY it's <<A /d", "2:11: here-document \"<<A\" has no body" },
		{ "slash in the name", "COPY <<../a /d\n../a", "2:6: \"../a\" cannot be the name of a file" },
		{ "dots", "COPY <<.. /d\n..", "2:6: \"..\" cannot be the name of a file" },
	};

	(void)state;
	run_cases(rows, ARRAY_SIZE(rows), copy_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes),
		cmocka_unit_test(tokens),
		cmocka_unit_test(body_text),
		cmocka_unit_test(run_scripts),
		cmocka_unit_test(copy_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
