/* Nodes: keywords, flags and the argument form of each instruction. */
#include "unit/parser/grammar_cases.h"

static const struct grammar_case keyword_rows[] = {
	{ "lower case", "from a", "(from \"a\")" },
	{ "mixed case", "FrOm a", "(from \"a\")" },
	{ "tab", "FROM\ta", "(from \"a\")" },
	{ "vertical tab", "FROM\va", "(from \"a\")" },
	{ "form feed", "FROM\fa", "(from \"a\")" },
	{ "carriage return", "FROM\ra", "(from \"a\")" },
	{ "no-break space does not part",
		"FROM\xc2\xa0"
		"a",
		"(from\xc2\xa0"
		"a)" },
	{ "unknown is accepted", "FORM a b", "(form)" },
	{ "unknown with flags", "Foo --x=y a", "(foo (\"--x=y\"))" },
	{ "no arguments", "RUN", "(run)" },
	{ "all without arguments",
		"ADD\nARG\nCMD\nCOPY\nENTRYPOINT\nENV\nEXPOSE\nFROM\nHEALTHCHECK\nLABEL\nMAINTAINER\n"
		"ONBUILD\nSHELL\nSTOPSIGNAL\nUSER\nVOLUME\nWORKDIR",
		"(add)\n(arg)\n(cmd)\n(copy)\n(entrypoint)\n(env)\n(expose)\n(from)\n(healthcheck)\n(label)\n(maintainer)\n"
		"(onbuild)\n(shell)\n(stopsignal)\n(user)\n(volume)\n(workdir)" },
	{ "keyword prefix", "RUNX a", "(runx)" },
	{ "keyword with colon", "RUN: a", "(run:)" },
};

static const struct grammar_case flag_rows[] = {
	{ "one", "COPY --from=a b c", "(copy (\"--from=a\") \"b\" \"c\")" },
	{ "two", "COPY --from=a --link b c", "(copy (\"--from=a\" \"--link\") \"b\" \"c\")" },
	{ "behind the first word is a word", "COPY a --from=b c", "(copy \"a\" \"--from=b\" \"c\")" },
	{ "one dash is a word", "COPY -from=a b c", "(copy \"-from=a\" \"b\" \"c\")" },
	{ "end of flags", "COPY --link -- --a b", "(copy (\"--link\") \"--a\" \"b\")" },
	{ "end of flags at once", "CMD -- --a", "(cmd \"--a\")" },
	{ "end of flags and nothing", "CMD --", "(cmd)" },
	{ "end of flags, second is data", "CMD -- -- a", "(cmd \"-- a\")" },
	{ "three dashes", "CMD ---a b", "(cmd (\"---a\") \"b\")" },
	{ "flags only", "RUN --a --b=c", "(run (\"--a\" \"--b=c\"))" },
	{ "dash at the end", "RUN -", "(run \"-\")" },
	{ "double quotes", "COPY --from=\"a b\" c d", "(copy (\"--from=a b\") \"c\" \"d\")" },
	{ "single quotes", "COPY --from='a \"b' c d", "(copy (\"--from=a \\\"b\") \"c\" \"d\")" },
	{ "quotes inside", "COPY --fr\"om=a b\"c d e", "(copy (\"--from=a bc\") \"d\" \"e\")" },
	{ "quoted dashes are no flag", "COPY \"--from=a\" b c", "(copy \"\\\"--from=a\\\"\" \"b\" \"c\")" },
	{ "backslash", "COPY --from=a\\ b c d", "(copy (\"--from=a b\") \"c\" \"d\")" },
	{ "backslash before a quote", "COPY --from=\\\"a b c", "(copy (\"--from=\\\"a\") \"b\" \"c\")" },
	{ "backslash in double quotes", "COPY --from=\"a\\\"b\\c\" c d", "(copy (\"--from=a\\\"bc\") \"c\" \"d\")" },
	{ "backslash in single quotes", "COPY --from='a\\'b' c d", "(copy (\"--from=a'b\") \"c\" \"d\")" },
	{ "backslash is data with another escape character", "# escape=`\nCOPY --from=a\\ b c",
		"(copy (\"--from=a\\\\\") \"b\" \"c\")" },
	{ "backtick escape", "# escape=`\nCOPY --from=a` b\"`\"\" c d", "(copy (\"--from=a b\\\"\") \"c\" \"d\")" },
	{ "escape at the end", "RUN --a=b\\\v", "(run (\"--a=b\"))" },
	{ "escape at the end, quoted", "RUN --a=\"b\\\v", "(run (\"--a=b\"))" },
	{ "quote never closed", "COPY --from=\"a b c", "(copy (\"--from=a b c\"))" },
	{ "quoted nothing", "COPY --\"\" a b", "(copy \"a\" \"b\")" },
	{ "continued between", "RUN --a=b \\\n  --c=d \\\n  e", "(run (\"--a=b\" \"--c=d\") \"e\")" },
	{ "continued inside", "RUN --mount=type=bind,\\\ntarget=/x e",
		"(run (\"--mount=type=bind,target=/x\") \"e\")" },
	{ "tabs between", "RUN\t--a\t--b\tc", "(run (\"--a\" \"--b\") \"c\")" },
	{ "UTF-8", "RUN --a=\xc3\xa4\xc3\xa0 b", "(run (\"--a=\xc3\xa4\xc3\xa0\") \"b\")" },
	{ "no space before the array", "CMD --a [\"b\"]", "(cmd (\"--a\") :json \"b\")" },
	{ "end of flags before an array", "CMD --a=b -- [ \"c\", \"d\" ]", "(cmd (\"--a=b\") :json \"c\" \"d\")" },
	{ "no array but a flag", "CMD --[\"a\"]", "(cmd (\"--[a]\"))" },
};

static const struct grammar_case command_rows[] = {
	{ "shell form", "RUN echo  a \"b c\" \\$d", "(run \"echo  a \\\"b c\\\" \\\\$d\")" },
	{ "exec form", "RUN [\"a\", \"b c\"]", "(run :json \"a\" \"b c\")" },
	{ "exec form without blanks", "RUN [\"a\",\"b\"]", "(run :json \"a\" \"b\")" },
	{ "exec form with blanks", "CMD  [ \"a\" ,\t\"b\" ]  ", "(cmd :json \"a\" \"b\")" },
	{ "exec form over lines", "CMD [\"a\", \\\n  \"b\" \\\n]", "(cmd :json \"a\" \"b\")" },
	{ "exec form after the keyword at once", "RUN[\"a\"]", "(run[\"a\"])" },
	{ "empty array", "CMD []", "(cmd :json)" },
	{ "empty array with blanks", "ENTRYPOINT [ \t ]", "(entrypoint :json)" },
	{ "empty string", "CMD [\"\"]", "(cmd :json \"\")" },
	{ "escapes", "CMD [\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "(cmd :json \"\\\"\\\\/\\b\\f\\n\\r\\t\")" },
	{ "unicode escapes", "CMD [\"\\u0041\\u00e4\\u20AC\"]", "(cmd :json \"A\xc3\xa4\xe2\x82\xac\")" },
	{ "surrogate pair", "CMD [\"\\ud83d\\ude00\"]", "(cmd :json \"\xf0\x9f\x98\x80\")" },
	{ "lone high surrogate", "CMD [\"\\ud83dx\"]", "(cmd :json \"\xef\xbf\xbdx\")" },
	{ "lone low surrogate", "CMD [\"\\ude00\"]", "(cmd :json \"\xef\xbf\xbd\")" },
	{ "two high surrogates", "CMD [\"\\ud83d\\ud83d\\ude00\"]", "(cmd :json \"\xef\xbf\xbd\xf0\x9f\x98\x80\")" },
	{ "bad UTF-8",
		"CMD [\"a\xff"
		"b\"]",
		"(cmd :json \"a\xef\xbf\xbd"
		"b\")" },
	{ "UTF-8", "CMD [\"\xc3\xa4\"]", "(cmd :json \"\xc3\xa4\")" },
	{ "variables stay", "CMD [\"$a\"]", "(cmd :json \"$a\")" },
	{ "no-break space before", "CMD \xc2\xa0[\"a\"]", "(cmd :json \"a\")" },
	{ "trailing text", "CMD [\"a\"] b", "(cmd \"[\\\"a\\\"] b\")" },
	{ "empty array and text", "ENTRYPOINT []x y", "(entrypoint \"[]x y\")" },
	{ "two arrays", "CMD [\"a\"] [\"b\"]", "(cmd \"[\\\"a\\\"] [\\\"b\\\"]\")" },
	{ "single quotes", "CMD ['a', 'b']", "(cmd \"['a', 'b']\")" },
	{ "no quotes", "CMD [a, b]", "(cmd \"[a, b]\")" },
	{ "trailing comma", "CMD [\"a\",]", "(cmd \"[\\\"a\\\",]\")" },
	{ "leading comma", "CMD [,\"a\"]", "(cmd \"[,\\\"a\\\"]\")" },
	{ "missing comma", "CMD [\"a\" \"b\"]", "(cmd \"[\\\"a\\\" \\\"b\\\"]\")" },
	{ "never closed", "CMD [\"a\", \"b\"", "(cmd \"[\\\"a\\\", \\\"b\\\"\")" },
	{ "bracket only", "CMD [", "(cmd \"[\")" },
	{ "string never closed", "CMD [\"a]", "(cmd \"[\\\"a]\")" },
	{ "closed twice", "CMD [\"a\"]]", "(cmd \"[\\\"a\\\"]]\")" },
	{ "closed by a brace", "CMD [\"a\"}", "(cmd \"[\\\"a\\\"}\")" },
	{ "bad escape", "CMD [\"a\\x\"]", "(cmd \"[\\\"a\\\\x\\\"]\")" },
	{ "short unicode escape", "CMD [\"\\u12\"]", "(cmd \"[\\\"\\\\u12\\\"]\")" },
	{ "tab in a string", "CMD [\"a\tb\"]", "(cmd \"[\\\"a\\tb\\\"]\")" },
	{ "Windows path", "CMD [\"c:\\windows\\x\"]", "(cmd \"[\\\"c:\\\\windows\\\\x\\\"]\")" },
	{ "object", "CMD {\"a\": \"b\"}", "(cmd \"{\\\"a\\\": \\\"b\\\"}\")" },
	{ "string", "CMD \"a\"", "(cmd \"\\\"a\\\"\")" },
	{ "comment in an array", "CMD [\"a\" // x\n]", "(cmd \"[\\\"a\\\" // x\")\n(])" },
	{ "test command", "RUN [ -f a ] && b", "(run \"[ -f a ] && b\")" },
	{ "bash test", "RUN [[ a == b ]]", "(run \"[[ a == b ]]\")" },
	{ "number too large is no JSON", "CMD [1e999]", "(cmd \"[1e999]\")" },
	{ "bad number is no JSON", "CMD [01]", "(cmd \"[01]\")" },
	{ "bad number, dot", "CMD [1.]", "(cmd \"[1.]\")" },
	{ "bad number, exponent", "CMD [1e+]", "(cmd \"[1e+]\")" },
	{ "bad number, minus", "CMD [-]", "(cmd \"[-]\")" },
	{ "bad word", "CMD [nul]", "(cmd \"[nul]\")" },
	{ "bad object", "CMD [{\"a\" 1}]", "(cmd \"[{\\\"a\\\" 1}]\")" },
	{ "bad object key", "CMD [{a: 1}]", "(cmd \"[{a: 1}]\")" },
	{ "nested never closed", "CMD [[\"a\"]", "(cmd \"[[\\\"a\\\"]\")" },
	{ "shell", "SHELL [\"a\", \"-c\"]", "(shell :json \"a\" \"-c\")" },
	{ "shell form of SHELL", "SHELL a -c", "(shell \"a -c\")" },

	{ "number", "CMD [\"a\", 1]",
		"1:11: a JSON array must hold strings only (put the item between double quotes)" },
	{ "negative number", "RUN [-1.5e3]",
		"1:6: a JSON array must hold strings only (put the item between double quotes)" },
	{ "true", "RUN [ true]", "1:7: a JSON array must hold strings only (put the item between double quotes)" },
	{ "null", "RUN [null]", "1:6: a JSON array must hold strings only (put the item between double quotes)" },
	{ "nested array", "CMD [\"a\", [\"b\"]]",
		"1:11: a JSON array must hold strings only (put the item between double quotes)" },
	{ "nested empty array", "CMD [[]]",
		"1:6: a JSON array must hold strings only (put the item between double quotes)" },
	{ "nested object", "CMD [{\"a\": [1, {\"b\": null}], \"c\": {}}]",
		"1:6: a JSON array must hold strings only (put the item between double quotes)" },
	{ "on the second line", "CMD [\"a\", \\\n 1]",
		"2:2: a JSON array must hold strings only (put the item between double quotes)" },
	{ "NUL", "CMD [\"a\\u0000b\\u0000\"]", "(cmd :json \"a\\u0000b\\u0000\")" },
	{ "bytes that look like our NUL", "RUN a\xc0\x80", "(run \"a\xef\xbf\xbd\xef\xbf\xbd\")" },
};

static const struct grammar_case word_rows[] = {
	{ "FROM", "FROM a:b AS c", "(from \"a:b\" \"AS\" \"c\")" },
	{ "FROM with all blanks", "FROM  a\t\tas\v\fc", "(from \"a\" \"as\" \"c\")" },
	{ "FROM knows no quotes", "FROM \"a b\"", "(from \"\\\"a\" \"b\\\"\")" },
	{ "FROM knows no JSON", "FROM [\"a\"]", "(from \"[\\\"a\\\"]\")" },
	{ "EXPOSE", "EXPOSE 80 90/udp $p", "(expose \"80\" \"90/udp\" \"$p\")" },
	{ "EXPOSE keeps its order", "EXPOSE 90 80", "(expose \"90\" \"80\")" },
	{ "COPY", "COPY a b/ c", "(copy \"a\" \"b/\" \"c\")" },
	{ "COPY knows no quotes", "COPY \"a b\" c", "(copy \"\\\"a\" \"b\\\"\" \"c\")" },
	{ "COPY knows no escapes", "COPY a\\ b c", "(copy \"a\\\\\" \"b\" \"c\")" },
	{ "COPY with JSON", "COPY [\"a b\", \"c\"]", "(copy :json \"a b\" \"c\")" },
	{ "COPY with JSON and flags", "COPY --chown=1 [\"a b\", \"c\"]", "(copy (\"--chown=1\") :json \"a b\" \"c\")" },
	{ "COPY with no JSON", "COPY [a b", "(copy \"[a\" \"b\")" },
	{ "COPY of a character class", "COPY [ab].c /d", "(copy \"[ab].c\" \"/d\")" },
	{ "COPY of a quoted character class", "COPY [\"a\"]b c", "(copy \"[\\\"a\\\"]b\" \"c\")" },
	{ "COPY with a number", "COPY [\"a\", 2]",
		"1:12: a JSON array must hold strings only (put the item between double quotes)" },
	{ "ADD", "ADD a b c", "(add \"a\" \"b\" \"c\")" },
	{ "ADD with JSON", "ADD [\"a\", \"b\"]", "(add :json \"a\" \"b\")" },
	{ "ADD with an empty array", "ADD []", "(add :json)" },
	{ "VOLUME", "VOLUME a b", "(volume \"a\" \"b\")" },
	{ "VOLUME with JSON", "VOLUME [\"a b\"]", "(volume :json \"a b\")" },
	{ "no-break space does not part",
		"COPY a\xc2\xa0"
		"b c",
		"(copy \"a\xc2\xa0"
		"b\" \"c\")" },

	{ "WORKDIR", "WORKDIR a  b", "(workdir \"a  b\")" },
	{ "WORKDIR quotes", "WORKDIR \"a b\" ", "(workdir \"\\\"a b\\\"\")" },
	{ "WORKDIR knows no JSON", "WORKDIR [\"a\"]", "(workdir \"[\\\"a\\\"]\")" },
	{ "USER", "USER a:b", "(user \"a:b\")" },
	{ "STOPSIGNAL", "STOPSIGNAL $a", "(stopsignal \"$a\")" },
	{ "MAINTAINER", "MAINTAINER A B <c>", "(maintainer \"maintainer\" \"A B <c>\" \"\")" },

	{ "HEALTHCHECK NONE", "HEALTHCHECK NONE", "(healthcheck \"NONE\")" },
	{ "HEALTHCHECK CMD", "HEALTHCHECK CMD a  b", "(healthcheck \"CMD\" \"a  b\")" },
	{ "HEALTHCHECK CMD exec form", "HEALTHCHECK cmd [\"a\", \"b\"]", "(healthcheck :json \"cmd\" \"a\" \"b\")" },
	{ "HEALTHCHECK with flags", "HEALTHCHECK --interval=5s --retries=3 \\\n  CMD a",
		"(healthcheck (\"--interval=5s\" \"--retries=3\") \"CMD\" \"a\")" },
	{ "HEALTHCHECK flags behind CMD are the command's", "HEALTHCHECK CMD --a b",
		"(healthcheck \"CMD\" \"--a b\")" },
	{ "HEALTHCHECK keeps Unicode space",
		"HEALTHCHECK CMD \xc2\xa0"
		"a",
		"(healthcheck \"CMD\" \"\xc2\xa0"
		"a\")" },
	{ "HEALTHCHECK type only", "HEALTHCHECK CMD", "(healthcheck \"CMD\")" },
	{ "HEALTHCHECK empty array", "HEALTHCHECK CMD []", "(healthcheck :json \"CMD\")" },
	{ "HEALTHCHECK another type", "HEALTHCHECK a b", "(healthcheck \"a\" \"b\")" },
	{ "HEALTHCHECK with a number", "HEALTHCHECK CMD [1]",
		"1:18: a JSON array must hold strings only (put the item between double quotes)" },
};

static const struct grammar_case pair_rows[] = {
	{ "one", "ENV a=b", "(env \"a\" \"b\" \"=\")" },
	{ "two", "ENV a=b c=d", "(env \"a\" \"b\" \"=\" \"c\" \"d\" \"=\")" },
	{ "empty value", "ENV a= b=", "(env \"a\" \"\" \"=\" \"b\" \"\" \"=\")" },
	{ "empty name is a node", "ENV =b", "(env \"\" \"b\" \"=\")" },
	{ "value with =", "ENV a=b=c", "(env \"a\" \"b=c\" \"=\")" },
	{ "quotes stay", "ENV a=\"b c\" d='e f'", "(env \"a\" \"\\\"b c\\\"\" \"=\" \"d\" \"'e f'\" \"=\")" },
	{ "quotes inside", "ENV a=b\"c d\"e", "(env \"a\" \"b\\\"c d\\\"e\" \"=\")" },
	{ "quoted name", "ENV \"a b\"=c", "(env \"\\\"a b\\\"\" \"c\" \"=\")" },
	{ "= in a quoted name", "ENV \"a=b\"=c", "(env \"\\\"a\" \"b\\\"=c\" \"=\")" },
	{ "escape stays", "ENV a=b\\ c", "(env \"a\" \"b\\\\ c\" \"=\")" },
	{ "escaped quote", "ENV a=b\\\"c d=e", "(env \"a\" \"b\\\\\\\"c\" \"=\" \"d\" \"e\" \"=\")" },
	{ "escape in double quotes", "ENV a=\"b\\\" c\" d=e",
		"(env \"a\" \"\\\"b\\\\\\\" c\\\"\" \"=\" \"d\" \"e\" \"=\")" },
	{ "no escape in single quotes", "ENV a='b\\' c=d", "(env \"a\" \"'b\\\\'\" \"=\" \"c\" \"d\" \"=\")" },
	{ "single in double quotes", "ENV a=\"b' c\" d=e", "(env \"a\" \"\\\"b' c\\\"\" \"=\" \"d\" \"e\" \"=\")" },
	{ "quote never closed", "ENV a=\"b c d=e", "(env \"a\" \"\\\"b c d=e\" \"=\")" },
	{ "lone escape at the end", "# escape=`\nENV a=b`\\ c=d `", "(env \"a\" \"b`\\\\\" \"=\" \"c\" \"d\" \"=\")" },
	{ "escape at the end of a word", "ENV a=b\\\\", "(env \"a\" \"b\\\\\\\\\" \"=\")" },
	{ "backtick escape", "# escape=`\nENV a=b` c d=\"e`\" f\"",
		"(env \"a\" \"b` c\" \"=\" \"d\" \"\\\"e`\\\" f\\\"\" \"=\")" },
	{ "backslash is data then", "# escape=`\nENV a=b\\ c=d", "(env \"a\" \"b\\\\\" \"=\" \"c\" \"d\" \"=\")" },
	{ "Unicode space parts",
		"ENV a=b\xe2\x80\x83"
		"c=d",
		"(env \"a\" \"b\" \"=\" \"c\" \"d\" \"=\")" },
	{ "escaped Unicode space does not",
		"ENV a=b\\\xc2\xa0"
		"c=d",
		"(env \"a\" \"b\\\\\xc2\xa0"
		"c=d\" \"=\")" },
	{ "over lines", "ENV a=b \\\n    c=d \\\n    e=f",
		"(env \"a\" \"b\" \"=\" \"c\" \"d\" \"=\" \"e\" \"f\" \"=\")" },
	{ "variables stay", "ENV a=$b ${c}=d", "(env \"a\" \"$b\" \"=\" \"${c}\" \"d\" \"=\")" },
	{ "JSON is none", "ENV [\"a\"]=b", "(env \"[\\\"a\\\"]\" \"b\" \"=\")" },
	{ "LABEL", "LABEL a.b=c \"d\"=\"e f\"", "(label \"a.b\" \"c\" \"=\" \"\\\"d\\\"\" \"\\\"e f\\\"\" \"=\")" },

	{ "legacy", "ENV a b", "(env \"a\" \"b\" \"\")" },
	{ "legacy value is verbatim", "ENV a  b  \"c  d\" e\\ f # g",
		"(env \"a\" \"b  \\\"c  d\\\" e\\\\ f # g\" \"\")" },
	{ "legacy with = later", "ENV a b=c d=e", "(env \"a\" \"b=c d=e\" \"\")" },
	{ "legacy with = alone", "ENV a = b", "(env \"a\" \"= b\" \"\")" },
	{ "legacy, quoted name is cut at its blank", "ENV \"a b\" c", "(env \"\\\"a\" \"b\\\" c\" \"\")" },
	{ "legacy with a tab", "ENV a\tb", "(env \"a\" \"b\" \"\")" },
	{ "legacy, name with an escape at its end", "ENV a\\\\ b", "(env \"a\\\\\\\\\" \"b\" \"\")" },
	{ "legacy LABEL", "LABEL a b c", "(label \"a\" \"b c\" \"\")" },
	{ "name alone", "ENV a", "1:5: ENV must have two arguments (write ENV a=VALUE)" },
	{ "name alone, LABEL", "LABEL a", "1:7: LABEL must have two arguments (write LABEL a=VALUE)" },
	{ "no =", "ENV a=b c", "1:9: no \"=\" in \"c\" (each word must be name=value; quote a value with blanks)" },
	{ "no = on another line", "ENV a=b \\\n  c",
		"2:3: no \"=\" in \"c\" (each word must be name=value; quote a value with blanks)" },
	{ "nothing but an escape", "ENV \\\v", "(env)" },
	{ "escape at the end", "ENV a=b \\\v", "(env \"a\" \"b\" \"=\")" },
	{ "escape at the end of a word", "ENV a=b\\\v", "(env \"a\" \"b\" \"=\")" },
	{ "escape at the end of a quoted word", "ENV a=\"b\\\v", "(env \"a\" \"\\\"b\" \"=\")" },
	{ "legacy parted by a Unicode space only",
		"ENV a\xc2\xa0"
		"b",
		"1:5: ENV must have two arguments (write ENV a\xc2\xa0"
		"b=VALUE)" },

	{ "ARG", "ARG a", "(arg \"a\")" },
	{ "ARG with values", "ARG a b=c d=\"e f\" g=", "(arg \"a\" \"b=c\" \"d=\\\"e f\\\"\" \"g=\")" },
	{ "ARG with a blank value", "ARG a =b", "(arg \"a\" \"=b\")" },
	{ "ARG with an escape", "ARG a=b\\ c d", "(arg \"a=b\\\\ c\" \"d\")" },
	{ "ARG ends with an escape", "# escape=`\nARG a=\\ `", "(arg \"a=\\\\\")" },
};

static const struct grammar_case onbuild_rows[] = {
	{ "RUN", "ONBUILD RUN a b", "(onbuild (run \"a b\"))" },
	{ "with flags", "ONBUILD COPY --from=a b c", "(onbuild (copy (\"--from=a\") \"b\" \"c\"))" },
	{ "its own flags", "ONBUILD --x RUN --y a", "(onbuild (\"--x\") (run (\"--y\") \"a\"))" },
	{ "exec form", "ONBUILD CMD [\"a\"]", "(onbuild (cmd :json \"a\"))" },
	{ "pairs", "ONBUILD ENV a=b", "(onbuild (env \"a\" \"b\" \"=\"))" },
	{ "unknown trigger", "ONBUILD FOO a", "(onbuild (foo))" },
	{ "ONBUILD", "ONBUILD ONBUILD RUN a", "(onbuild (onbuild (run \"a\")))" },
	{ "no trigger", "ONBUILD", "(onbuild)" },
	{ "ONBUILD ends with ONBUILD", "ONBUILD onbuild", "(onbuild (onbuild))" },
	{ "over lines", "ONBUILD \\\n  RUN \\\n  a", "(onbuild (run \"a\"))" },
	{ "error in the trigger", "ONBUILD ENV \\\n a", "2:2: ENV must have two arguments (write ENV a=VALUE)" },
	{ "error in a trigger's array", "ONBUILD CMD [\\\n 1]",
		"2:2: a JSON array must hold strings only (put the item between double quotes)" },
};

static void keywords(void **state)
{
	(void)state;
	run_cases(keyword_rows, ARRAY_SIZE(keyword_rows), node_text);
}

static void flags(void **state)
{
	(void)state;
	run_cases(flag_rows, ARRAY_SIZE(flag_rows), node_text);
}

static void commands(void **state)
{
	(void)state;
	run_cases(command_rows, ARRAY_SIZE(command_rows), node_text);
}

static void words(void **state)
{
	(void)state;
	run_cases(word_rows, ARRAY_SIZE(word_rows), node_text);
}

static void pairs(void **state)
{
	(void)state;
	run_cases(pair_rows, ARRAY_SIZE(pair_rows), node_text);
}

static void onbuild(void **state)
{
	(void)state;
	run_cases(onbuild_rows, ARRAY_SIZE(onbuild_rows), node_text);
}

/* @unit @n times between @before and @after. */
static char *repeat(const char *before, const char *unit, size_t n, const char *after)
{
	cleanup_buf struct cb_buf buf = { 0 };

	cb_buf_adds(&buf, before);
	while (n-- > 0)
		cb_buf_adds(&buf, unit);
	cb_buf_adds(&buf, after);
	return cb_buf_take(&buf);
}

static void depth_limits(void **state)
{
	static const struct {
		const char *before, *unit;
		size_t n;
		const char *after, *want;
	} rows[] = {
		{ "", "ONBUILD ", 17, "x", "1:137: ONBUILD is nested too deep" },
		{ "", "ONBUILD \\\n", 100000, "x", "18:1: ONBUILD is nested too deep" },
		{ "CMD [\"a\",", "[", 5000, "", NULL },
		{ "CMD [[[", "[", 30000, "", NULL },
		{ "RUN <<A ", "${a:-", 10000, "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *in = repeat(rows[i].before, rows[i].unit, rows[i].n, rows[i].after);
		cleanup_free char *got = node_text(in);

		if (rows[i].want)
			assert_string_equal(got, rows[i].want);
	}
}

static void json_depth(void **state)
{
	cleanup_free char *open = repeat("CMD [", "[", 9999, ""), *deeper = repeat("CMD [", "[", 10000, "");
	cleanup_free char *valid = repeat(open, "]", 10000, ""), *invalid = repeat(deeper, "]", 10001, "");
	cleanup_free char *got_valid = node_text(valid), *got_invalid = node_text(invalid);

	(void)state;
	assert_string_equal(got_valid, "1:6: a JSON array must hold strings only (put the item between double quotes)");
	assert_int_equal(got_invalid[0], '(');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keywords),
		cmocka_unit_test(flags),
		cmocka_unit_test(commands),
		cmocka_unit_test(words),
		cmocka_unit_test(pairs),
		cmocka_unit_test(onbuild),
		cmocka_unit_test(depth_limits),
		cmocka_unit_test(json_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
