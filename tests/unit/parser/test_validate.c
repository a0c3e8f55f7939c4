/* Validation: what each instruction refuses, with place, words and hint; and what it must not refuse. */
#include "unit/parser/grammar_cases.h"

#define DOCKERFILE(line) "FROM a\n" line

static const struct grammar_case file_rows[] = {
	{ "smallest", "FROM a", "ok" },
	{ "globals", "ARG a\nARG b=c\nFROM $a", "ok" },
	{ "two stages", "FROM a\nFROM b", "ok" },
	{ "empty", "", "the Buildfile cannot be empty" },
	{ "comments", "# a", "the Buildfile has no instructions" },
	{ "ARG only", "ARG a\nARG b", "2:1: the Buildfile contains no stages to build (a stage begins with FROM)" },
	{ "RUN first", "ARG a\n RUN b\nFROM c",
		"2:2: no build stage in current context: RUN before FROM (only ARG may stand before the first FROM)" },
	{ "no FROM at all", "ENV a=b",
		"1:1: no build stage in current context: ENV before FROM (only ARG may stand before the first FROM)" },

	{ "FORM", "FORM a", "1:1: unknown instruction: \"FORM\" (did you mean \"FROM\"?)" },
	{ "lower case typo", "FROM a\n rnu b", "2:2: unknown instruction: \"rnu\" (did you mean \"RUN\"?)" },
	{ "ENTRYPONT", "FROM a\nENTRYPONT b",
		"2:1: unknown instruction: \"ENTRYPONT\" (did you mean \"ENTRYPOINT\"?)" },
	{ "COPPY", "FROM a\nCOPPY b", "2:1: unknown instruction: \"COPPY\" (did you mean \"COPY\"?)" },
	{ "WORKDIRR", "FROM a\nWORKDIRR b", "2:1: unknown instruction: \"WORKDIRR\" (did you mean \"WORKDIR\"?)" },
	{ "nothing near", "FROM a\napt-get b",
		"2:1: unknown instruction: \"apt-get\" (if it goes on with the instruction above, each line but the last must end in \\)" },
	{ "near enough", "FROM a\nexport A=b", "2:1: unknown instruction: \"export\" (did you mean \"EXPOSE\"?)" },
	{ "a shell line", "FROM a\n&& b",
		"2:1: unknown instruction: \"&&\" (if it goes on with the instruction above, each line but the last must end in \\)" },
	{ "quote", "FROM a\n\"RUN\" b",
		"2:1: unknown instruction: \"\"RUN\"\" (if it goes on with the instruction above, each line but the last must end in \\)" },
	{ "nothing but an escape", "FROM a\n\\",
		"2:1: unknown instruction: \"\" (if it goes on with the instruction above, each line but the last must end in \\)" },
	{ "in a trigger", "FROM a\nONBUILD RNU b", "2:9: unknown instruction: \"RNU\" (did you mean \"RUN\"?)" },
};

static const struct grammar_case from_rows[] = {
	{ "image", "FROM a:b@c", "ok" },
	{ "AS", "FROM a AS b", "ok" },
	{ "as", "FROM a as b-1_2.c", "ok" },
	{ "capitals in the name", "FROM a AS B", "ok" },
	{ "platform", "FROM --platform=$BUILDPLATFORM a", "ok" },
	{ "empty platform", "FROM --platform= a", "ok" },
	{ "none", "FROM", "1:1: FROM requires either one or three arguments (write FROM IMAGE or FROM IMAGE AS NAME)" },
	{ "two", "FROM a b",
		"1:6: FROM requires either one or three arguments (write FROM IMAGE or FROM IMAGE AS NAME)" },
	{ "AS nothing", "FROM a AS",
		"1:6: FROM requires either one or three arguments (write FROM IMAGE or FROM IMAGE AS NAME)" },
	{ "four", "FROM a AS b c",
		"1:6: FROM requires either one or three arguments (write FROM IMAGE or FROM IMAGE AS NAME)" },
	{ "comment behind", "FROM a # b",
		"1:6: FROM requires either one or three arguments (write FROM IMAGE or FROM IMAGE AS NAME)" },
	{ "another word", "FROM a IS b",
		"1:6: FROM requires either one or three arguments (write FROM IMAGE or FROM IMAGE AS NAME)" },
	{ "name begins with a digit", "FROM a AS 1b",
		"1:11: invalid name for build stage: \"1b\" (a name starts with a letter and has letters, digits, \"-\", "
		"\"_\" and \".\" only)" },
	{ "name with a slash", "FROM a AS b/c",
		"1:11: invalid name for build stage: \"b/c\" (a name starts with a letter and has letters, digits, \"-\", "
		"\"_\" and \".\" only)" },
	{ "name with a variable", "FROM a AS $b",
		"1:11: invalid name for build stage: \"$b\" (a name starts with a letter and has letters, digits, \"-\", "
		"\"_\" and \".\" only)" },
	{ "name beyond ASCII", "FROM a AS b\xc3\xa4",
		"1:11: invalid name for build stage: \"b\xc3\xa4\" (a name starts with a letter and has letters, digits, "
		"\"-\", \"_\" and \".\" only)" },
	{ "platform without value", "FROM --platform a",
		"1:6: flag --platform needs a value (write --platform=VALUE)" },
	{ "platform twice", "FROM --platform=a --platform=b c", "1:19: flag --platform is given twice" },
	{ "flag typo", "FROM --plattform=a b", "1:6: unknown flag: --plattform (did you mean \"--platform\"?)" },
	{ "unknown flag", "FROM --x=a b", "1:6: unknown flag: --x (FROM takes --platform, --reset)" },
	{ "capitals in a flag", "FROM --Platform=a b", "1:6: unknown flag: --Platform (did you mean \"--platform\"?)" },
};

static const struct grammar_case run_rows[] = {
	{ "shell", DOCKERFILE("RUN a"), "ok" },
	{ "empty", DOCKERFILE("RUN"), "ok" },
	{ "empty array", DOCKERFILE("RUN []"), "ok" },
	{ "network", DOCKERFILE("RUN --network=none a"), "ok" },
	{ "network typo", DOCKERFILE("RUN --network=nome a"),
		"2:15: unsupported value \"nome\" of flag --network (did you mean \"none\"?)" },
	{ "empty network", DOCKERFILE("RUN --network= a"), "2:15: unsupported value \"\" of flag --network" },
	{ "network in capitals", DOCKERFILE("RUN --network=HOST a"),
		"2:15: unsupported value \"HOST\" of flag --network (did you mean \"host\"?)" },
	{ "network twice", DOCKERFILE("RUN --network=none --network=none a"), "2:20: flag --network is given twice" },
	{ "security", DOCKERFILE("RUN --security=insecure a"), "ok" },
	{ "security typo", DOCKERFILE("RUN --security=unsecure a"),
		"2:16: unsupported value \"unsecure\" of flag --security (did you mean \"insecure\"?)" },
	{ "device", DOCKERFILE("RUN --device=vendor.com/gpu=all,required=false a"), "ok" },
	{ "device by key", DOCKERFILE("RUN --device=name=vendor.com/gpu=all,required a"), "ok" },
	{ "devices", DOCKERFILE("RUN --device=a --device=b c"), "ok" },
	{ "device without name", DOCKERFILE("RUN --device=required a"), "2:14: device \"required\": it has no name" },
	{ "empty device", DOCKERFILE("RUN --device= a"), "2:14: device \"\": it has no name" },
	{ "device with two names", DOCKERFILE("RUN --device=a,b c"),
		"2:14: device \"a,b\": it has more than one name" },
	{ "device, bad value", DOCKERFILE("RUN --device=a,required=x c"),
		"2:14: device \"a,required=x\": required takes true or false" },
	{ "flag typo", DOCKERFILE("RUN --mout=type=bind a"), "2:5: unknown flag: --mout (did you mean \"--mount\"?)" },
	{ "unknown flag", DOCKERFILE("RUN --link a"),
		"2:5: unknown flag: --link (RUN takes --mount, --network, --security, --device)" },
	{ "a command that begins with dashes", DOCKERFILE("RUN -- --x"), "ok" },
	{ "mount without value", DOCKERFILE("RUN --mount a"), "2:5: flag --mount needs a value (write --mount=VALUE)" },
	{ "second line of flags", DOCKERFILE("RUN --mount=type=cache,target=/a \\\n  --mout=b c"),
		"3:3: unknown flag: --mout (did you mean \"--mount\"?)" },
};

static const struct grammar_case copy_rows[] = {
	{ "COPY", DOCKERFILE("COPY a b"), "ok" },
	{ "all flags", DOCKERFILE("COPY --from=x --chown=a:b --chmod=u+x --link --parents --exclude=c --exclude=d e f"),
		"ok" },
	{ "bool values", DOCKERFILE("COPY --link=true --parents=FALSE a b"), "ok" },
	{ "empty values", DOCKERFILE("COPY --from= --chown= --chmod= --exclude= a b"), "ok" },
	{ "JSON", DOCKERFILE("COPY [\"a\", \"b\"]"), "ok" },
	{ "one", DOCKERFILE("COPY a"), "2:6: COPY requires at least two arguments (the last one is the destination)" },
	{ "none", DOCKERFILE("COPY"), "2:1: COPY requires at least two arguments (the last one is the destination)" },
	{ "flag and one", DOCKERFILE("COPY --link a"),
		"2:13: COPY requires at least two arguments (the last one is the destination)" },
	{ "one in JSON", DOCKERFILE("COPY [\"a\"]"),
		"2:7: COPY requires at least two arguments (the last one is the destination)" },
	{ "empty array", DOCKERFILE("COPY []"),
		"2:1: COPY requires at least two arguments (the last one is the destination)" },
	{ "bool, empty", DOCKERFILE("COPY --link= a b"),
		"2:13: flag --link has an empty value (write --link, or --link=true or =false)" },
	{ "bool, other", DOCKERFILE("COPY --link=yes a b"), "2:13: flag --link takes true or false, not \"yes\"" },
	{ "bool twice", DOCKERFILE("COPY --link --link=false a b"), "2:13: flag --link is given twice" },
	{ "from without value", DOCKERFILE("COPY --from a b"), "2:6: flag --from needs a value (write --from=VALUE)" },
	{ "from twice", DOCKERFILE("COPY --from=a --from=b c d"), "2:15: flag --from is given twice" },
	{ "from with a variable", DOCKERFILE("COPY --from=${x} a b"),
		"2:13: flag --from does not support variable expansion (name a stage with FROM ... AS NAME, where global "
		"ARGs can be used, and write --from=NAME)" },
	{ "exclude without value", DOCKERFILE("COPY --exclude a b"),
		"2:6: flag --exclude needs a value (write --exclude=VALUE)" },
	{ "flag typo", DOCKERFILE("COPY --form=x a b"), "2:6: unknown flag: --form (did you mean \"--from\"?)" },
	{ "transposed", DOCKERFILE("COPY --chonw=x a b"), "2:6: unknown flag: --chonw (did you mean \"--chown\"?)" },
	{ "ADD's flag", DOCKERFILE("COPY --checksum=x a b"),
		"2:6: unknown flag: --checksum (COPY takes --chown, --chmod, --link, --exclude, --from, --parents)" },
	{ "one dash", DOCKERFILE("COPY -x a b"), "ok" },
	{ "flag behind a source", DOCKERFILE("COPY a --from=b c"), "ok" },

	{ "ADD", DOCKERFILE("ADD a b"), "ok" },
	{ "all flags of ADD",
		DOCKERFILE("ADD --chown=a --chmod=1 --link --checksum=x --keep-git-dir --unpack=false --exclude=a b c"),
		"ok" },
	{ "ADD one", DOCKERFILE("ADD a"),
		"2:5: ADD requires at least two arguments (the last one is the destination)" },
	{ "ADD from", DOCKERFILE("ADD --from=x a b"),
		"2:5: unknown flag: --from (ADD takes --chown, --chmod, --link, --exclude, --checksum, --keep-git-dir, --unpack)" },
	{ "ADD parents", DOCKERFILE("ADD --parents a b"),
		"2:5: unknown flag: --parents (ADD takes --chown, --chmod, --link, --exclude, --checksum, --keep-git-dir, "
		"--unpack)" },
	{ "keep-git-dir typo", DOCKERFILE("ADD --keep-gitdir a b"),
		"2:5: unknown flag: --keep-gitdir (did you mean \"--keep-git-dir\"?)" },
};

static const struct grammar_case meta_rows[] = {
	{ "ENV", DOCKERFILE("ENV a=b"), "ok" },
	{ "ENV none", DOCKERFILE("ENV"), "2:1: ENV requires at least one argument" },
	{ "ENV blank name", DOCKERFILE("ENV a=b =c"), "2:9: ENV: the name before \"=\" is blank" },
	{ "ENV flag", DOCKERFILE("ENV --x a=b"),
		"2:5: unknown flag: --x (ENV takes no flags; \"--\" before the arguments ends flags)" },
	{ "ENV legacy", DOCKERFILE("ENV a b c"), "ok" },
	{ "ENV one word", DOCKERFILE("ENV a"), "2:5: ENV must have two arguments (write ENV a=VALUE)" },
	{ "LABEL", DOCKERFILE("LABEL a=b"), "ok" },
	{ "LABEL none", DOCKERFILE("LABEL"), "2:1: LABEL requires at least one argument" },
	{ "LABEL blank name", DOCKERFILE("LABEL =c"), "2:7: LABEL: the name before \"=\" is blank" },
	{ "ARG", DOCKERFILE("ARG a b=c"), "ok" },
	{ "ARG none", DOCKERFILE("ARG"), "2:1: ARG requires at least one argument" },
	{ "ARG blank name", DOCKERFILE("ARG a \\\n =b"), "3:2: ARG: the name before \"=\" is blank" },
	{ "ARG ignores flags", DOCKERFILE("ARG --x --y=z a"), "ok" },
	{ "ARG with flags only", DOCKERFILE("ARG --x"), "2:1: ARG requires at least one argument" },

	{ "CMD", DOCKERFILE("CMD a"), "ok" },
	{ "CMD none", DOCKERFILE("CMD"), "ok" },
	{ "CMD empty", DOCKERFILE("CMD []"), "ok" },
	{ "CMD flag", DOCKERFILE("CMD --foo"),
		"2:5: unknown flag: --foo (CMD takes no flags; \"--\" before the arguments ends flags)" },
	{ "CMD behind --", DOCKERFILE("CMD -- --foo"), "ok" },
	{ "NUL", DOCKERFILE("CMD [\"a\", \"b\\u0000\"]"), "2:11: a NUL character cannot be part of an argument" },
	{ "NUL in a path", DOCKERFILE("VOLUME [\"\\u0000\"]"), "2:9: a NUL character cannot be part of an argument" },
	{ "ENTRYPOINT", DOCKERFILE("ENTRYPOINT [\"a\"]"), "ok" },
	{ "ENTRYPOINT none", DOCKERFILE("ENTRYPOINT"), "ok" },
	{ "ENTRYPOINT flag", DOCKERFILE("ENTRYPOINT --a=b c"),
		"2:12: unknown flag: --a (ENTRYPOINT takes no flags; \"--\" before the arguments ends flags)" },
	{ "SHELL", DOCKERFILE("SHELL [\"a\"]"), "ok" },
	{ "SHELL none", DOCKERFILE("SHELL"), "2:1: SHELL requires at least one argument" },
	{ "SHELL empty", DOCKERFILE("SHELL []"), "2:1: SHELL requires at least one argument" },
	{ "SHELL no JSON", DOCKERFILE("SHELL a -c"),
		"2:7: SHELL requires the arguments to be in JSON form (for example SHELL [\"/bin/sh\", \"-c\"])" },

	{ "EXPOSE", DOCKERFILE("EXPOSE 1 2/udp $a"), "ok" },
	{ "EXPOSE none", DOCKERFILE("EXPOSE"), "2:1: EXPOSE requires at least one argument" },
	{ "EXPOSE flag", DOCKERFILE("EXPOSE --a 1"),
		"2:8: unknown flag: --a (EXPOSE takes no flags; \"--\" before the arguments ends flags)" },
	{ "VOLUME", DOCKERFILE("VOLUME /a /b"), "ok" },
	{ "VOLUME none", DOCKERFILE("VOLUME"), "2:1: VOLUME requires at least one argument" },
	{ "VOLUME empty array", DOCKERFILE("VOLUME []"), "2:1: VOLUME requires at least one argument" },
	{ "VOLUME empty string", DOCKERFILE("VOLUME [\"a\", \"\"]"), "2:14: VOLUME cannot be an empty string" },
	{ "VOLUME blank string", DOCKERFILE("VOLUME [\"  \"]"), "2:9: VOLUME cannot be an empty string" },
	{ "WORKDIR", DOCKERFILE("WORKDIR a b"), "ok" },
	{ "WORKDIR none", DOCKERFILE("WORKDIR"), "2:1: WORKDIR requires exactly one argument" },
	{ "WORKDIR flag", DOCKERFILE("WORKDIR --a b"),
		"2:9: unknown flag: --a (WORKDIR takes no flags; \"--\" before the arguments ends flags)" },
	{ "USER", DOCKERFILE("USER a:b"), "ok" },
	{ "USER none", DOCKERFILE("USER  "), "2:1: USER requires exactly one argument" },
	{ "STOPSIGNAL", DOCKERFILE("STOPSIGNAL 9"), "ok" },
	{ "STOPSIGNAL none", DOCKERFILE("STOPSIGNAL"), "2:1: STOPSIGNAL requires exactly one argument" },
	{ "STOPSIGNAL ignores flags", DOCKERFILE("STOPSIGNAL --a=b 9"), "ok" },
	{ "MAINTAINER", DOCKERFILE("MAINTAINER a b"), "ok" },
	{ "MAINTAINER none", DOCKERFILE("MAINTAINER"), "2:1: MAINTAINER requires exactly one argument" },
	{ "MAINTAINER flag", DOCKERFILE("MAINTAINER --a b"),
		"2:12: unknown flag: --a (MAINTAINER takes no flags; \"--\" before the arguments ends flags)" },
};

static const struct grammar_case health_rows[] = {
	{ "NONE", DOCKERFILE("HEALTHCHECK none"), "ok" },
	{ "NONE ignores flags", DOCKERFILE("HEALTHCHECK --foo=bar NONE"), "ok" },
	{ "NONE with more", DOCKERFILE("HEALTHCHECK NONE a"), "2:18: HEALTHCHECK NONE takes no arguments" },
	{ "CMD", DOCKERFILE("HEALTHCHECK CMD a"), "ok" },
	{ "CMD array", DOCKERFILE("HEALTHCHECK CMD [\"a\"]"), "ok" },
	{ "all flags",
		DOCKERFILE(
			"HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --start-interval=500ms --retries=3 CMD a"),
		"ok" },
	{ "zero", DOCKERFILE("HEALTHCHECK --interval=0 --timeout=0s --retries=0 CMD a"), "ok" },
	{ "empty values", DOCKERFILE("HEALTHCHECK --interval= --retries= CMD a"), "ok" },
	{ "one millisecond", DOCKERFILE("HEALTHCHECK --interval=1ms CMD a"), "ok" },
	{ "none", DOCKERFILE("HEALTHCHECK"), "2:1: HEALTHCHECK requires at least one argument" },
	{ "flags only", DOCKERFILE("HEALTHCHECK --interval=1s"), "2:1: HEALTHCHECK requires at least one argument" },
	{ "CMD nothing", DOCKERFILE("HEALTHCHECK CMD"), "2:13: missing command after HEALTHCHECK CMD" },
	{ "CMD empty array", DOCKERFILE("HEALTHCHECK CMD []"), "2:13: missing command after HEALTHCHECK CMD" },
	{ "another type", DOCKERFILE("HEALTHCHECK curl x"),
		"2:13: unknown type \"curl\" in HEALTHCHECK (write HEALTHCHECK CMD ... or HEALTHCHECK NONE)" },
	{ "no unit", DOCKERFILE("HEALTHCHECK --interval=5 CMD a"),
		"2:24: flag --interval: \"5\" is not a duration (write a number with a unit, as in 30s, 1m30s or 500ms)" },
	{ "no duration", DOCKERFILE("HEALTHCHECK --timeout=x CMD a"),
		"2:23: flag --timeout: \"x\" is not a duration (write a number with a unit, as in 30s, 1m30s or 500ms)" },
	{ "too short", DOCKERFILE("HEALTHCHECK --start-period=1us CMD a"),
		"2:28: flag --start-period cannot be less than 1ms" },
	{ "negative", DOCKERFILE("HEALTHCHECK --interval=-5s CMD a"), "2:24: flag --interval cannot be less than 1ms" },
	{ "retries no number", DOCKERFILE("HEALTHCHECK --retries=x CMD a"),
		"2:23: flag --retries: \"x\" is not a number" },
	{ "retries negative", DOCKERFILE("HEALTHCHECK --retries=-1 CMD a"), "2:23: flag --retries cannot be negative" },
	{ "retries too large", DOCKERFILE("HEALTHCHECK --retries=2147483648 CMD a"),
		"2:23: flag --retries: \"2147483648\" is not a number" },
	{ "flag typo", DOCKERFILE("HEALTHCHECK --intervall=5s CMD a"),
		"2:13: unknown flag: --intervall (did you mean \"--interval\"?)" },
	{ "unknown flag", DOCKERFILE("HEALTHCHECK --x=5s CMD a"),
		"2:13: unknown flag: --x (HEALTHCHECK takes --interval, --timeout, --start-period, --start-interval, --retries)" },
};

static const struct grammar_case onbuild_rows[] = {
	{ "RUN", DOCKERFILE("ONBUILD RUN a"), "ok" },
	{ "COPY from", DOCKERFILE("ONBUILD COPY --from=x a b"), "ok" },
	{ "ENV", DOCKERFILE("ONBUILD ENV a=b"), "ok" },
	{ "none", DOCKERFILE("ONBUILD"), "2:1: ONBUILD requires at least one argument" },
	{ "ONBUILD", DOCKERFILE("ONBUILD ONBUILD RUN a"), "2:9: ONBUILD cannot be the trigger of ONBUILD" },
	{ "FROM", DOCKERFILE("ONBUILD from a"), "2:9: FROM isn't allowed as an ONBUILD trigger" },
	{ "MAINTAINER", DOCKERFILE("ONBUILD MAINTAINER a"), "2:9: MAINTAINER isn't allowed as an ONBUILD trigger" },
	{ "flag", DOCKERFILE("ONBUILD --a RUN b"),
		"2:9: unknown flag: --a (ONBUILD takes no flags; \"--\" before the arguments ends flags)" },
	{ "the trigger's flag", DOCKERFILE("ONBUILD COPY --form=a b c"),
		"2:14: unknown flag: --form (did you mean \"--from\"?)" },
	{ "the trigger's arguments", DOCKERFILE("ONBUILD COPY \\\n a"),
		"3:2: COPY requires at least two arguments (the last one is the destination)" },
};

#define TEST_OF(part)                                                                                                  \
	static void part(void **state)                                                                                 \
	{                                                                                                              \
		(void)state;                                                                                           \
		run_cases(part##_rows, ARRAY_SIZE(part##_rows), check_text);                                           \
	}

TEST_OF(file)
TEST_OF(from)
TEST_OF(run)
TEST_OF(copy)
TEST_OF(meta)
TEST_OF(health)
TEST_OF(onbuild)

/* A word of 100,000 bytes must not end in a message of that size. */
static void long_words(void **state)
{
	static const char *const befores[] = { "", "FROM a AS 1", "FROM a\nCOPY --",
		"FROM a\nRUN --mount=", "FROM a\nRUN --network=", "FROM a\nHEALTHCHECK --retries=", "FROM a\nENV a=b ",
		"FROM a\nRUN --device=a," };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(befores); i++) {
		cleanup_buf struct cb_buf in = { 0 };
		cleanup_free char *got = NULL;

		cb_buf_adds(&in, befores[i]);
		for (size_t n = 0; n < 50000; n++)
			cb_buf_addc(&in, 'x');
		got = check_text(cb_buf_str(&in));
		assert_string_not_equal(got, "ok");
		assert_true(strlen(got) < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file),
		cmocka_unit_test(from),
		cmocka_unit_test(run),
		cmocka_unit_test(copy),
		cmocka_unit_test(meta),
		cmocka_unit_test(health),
		cmocka_unit_test(onbuild),
		cmocka_unit_test(long_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
