/* BuildKit's rules: where each fires, where it is silent, and what it says. */
#include "unit/parser/check_cases.h"

static char *found(const char *in)
{
	return findings_text(in, NULL);
}

static char *rules(const char *in)
{
	return rules_text(in, NULL);
}

#define TEST(table, text)                                                                                              \
	static void check_##table(void **state)                                                                        \
	{                                                                                                              \
		(void)state;                                                                                           \
		run_cases(table, ARRAY_SIZE(table), text);                                                             \
	}

static const struct grammar_case casing[] = {
	{ "stage name", "FROM a:1 AS Base", "1 StageNameCasing: Stage name 'Base' should be lowercase" },
	{ "all capitals", "FROM a:1 AS B", "1 StageNameCasing: Stage name 'B' should be lowercase" },
	{ "second stage", "FROM a:1 AS b\nFROM a:1 AS bC", "2 StageNameCasing: Stage name 'bC' should be lowercase" },
	{ "lower", "FROM a:1 AS base", "" },
	{ "no name", "FROM a:1", "" },
	{ "digits and dots", "FROM a:1 AS b1.2-x_y", "" },

	{ "as", "FROM a:1 as b", "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match" },
	{ "As", "FROM a:1 As b", "1 FromAsCasing: 'As' and 'FROM' keywords' casing do not match" },
	{ "from AS", "from a:1 AS b", "1 FromAsCasing: 'AS' and 'from' keywords' casing do not match" },
	{ "from as", "from a:1 as b", "" },
	{ "FROM AS", "FROM a:1 AS b", "" },
	{ "FROM itself is mixed", "From a:1 as b",
		"1 ConsistentInstructionCasing: Command 'From' should match the case of the command majority (uppercase)" },

	{ "minority lower", "FROM a:1\nRUN b\nrun c",
		"3 ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase)" },
	{ "minority upper", "from a:1\nrun b\nRUN c",
		"3 ConsistentInstructionCasing: Command 'RUN' should match the case of the command majority (lowercase)" },
	{ "mixed", "FROM a:1\nRun b",
		"2 ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (uppercase)" },
	{ "a tie is upper", "FROM a:1\nrun b",
		"2 ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase)" },
	{ "global ARGs are not looked at", "arg x=y\nFROM a:$x", "" },
	{ "all lower", "from a:1\nrun b\ncopy c d", "" },
	{ "all upper", "FROM a:1\nRUN b\nCOPY c d", "" },
	{ "trigger is not looked at", "FROM a:1\nONBUILD run b", "" },
};
TEST(casing, found)

static const struct grammar_case stages[] = {
	{ "duplicate", "FROM a:1 AS b\nFROM a:1 AS b",
		"2 DuplicateStageName: Duplicate stage name \"b\", stage names should be unique" },
	{ "case does not matter", "FROM a:1 AS b\nFROM a:1 AS B",
		"2 StageNameCasing: Stage name 'B' should be lowercase; "
		"2 DuplicateStageName: Duplicate stage name \"b\", stage names should be unique" },
	{ "three", "FROM a:1 AS b\nFROM a:1 AS b\nFROM a:1 AS b",
		"2 DuplicateStageName: Duplicate stage name \"b\", stage names should be unique; "
		"3 DuplicateStageName: Duplicate stage name \"b\", stage names should be unique" },
	{ "different", "FROM a:1 AS b\nFROM a:1 AS c", "" },
	{ "unnamed", "FROM a:1\nFROM a:1", "" },
	{ "base is no name", "FROM b:1 AS b\nFROM b AS c", "" },

	{ "scratch", "FROM a:1 AS scratch",
		"1 ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\"" },
	{ "context", "FROM a:1 AS context",
		"1 ReservedStageName: Stage name should not use the same name as reserved stage \"context\"" },
	{ "Scratch", "FROM a:1 AS Scratch",
		"1 StageNameCasing: Stage name 'Scratch' should be lowercase; "
		"1 ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\"" },
	{ "from scratch", "FROM scratch", "" },
	{ "scratch in a name", "FROM a:1 AS scratch2", "" },
	{ "contexts", "FROM a:1 AS contexts", "" },
};
TEST(stages, found)

static const struct grammar_case continuation[] = {
	{ "blank line", "FROM a:1\nRUN b \\\n\n c", "4 NoEmptyContinuation: Empty continuation line" },
	{ "blanks", "FROM a:1\nRUN b \\\n  \t\n c", "4 NoEmptyContinuation: Empty continuation line" },
	{ "two of them are one", "FROM a:1\nRUN b \\\n\n\n c\nRUN d",
		"5 NoEmptyContinuation: Empty continuation line" },
	{ "two instructions", "FROM a:1\nRUN b \\\n\n c\nRUN d \\\n\n e",
		"4 NoEmptyContinuation: Empty continuation line; 7 NoEmptyContinuation: Empty continuation line" },
	{ "comment", "FROM a:1\nRUN b \\\n# d\n c", "" },
	{ "between instructions", "FROM a:1\n\nRUN b", "" },
	{ "in a here-document", "FROM a:1\nRUN <<E\n\nb\n\nE", "" },
	{ "skipped", "FROM a:1\n# check=skip=NoEmptyContinuation\nRUN b \\\n\n c", "" },
};
TEST(continuation, found)

#define JSON_CMD                                                                                                       \
	"JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"
static const struct grammar_case commands[] = {
	{ "shell CMD", "FROM a:1\nCMD b", "2 " JSON_CMD },
	{ "shell ENTRYPOINT", "FROM a:1\nENTRYPOINT b",
		"2 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior "
		"related to OS signals" },
	{ "bad JSON", "FROM a:1\nCMD ['b']", "2 " JSON_CMD },
	{ "SHELL comes later", "FROM a:1\nCMD b\nSHELL [\"c\"]", "2 " JSON_CMD },
	{ "JSON", "FROM a:1\nCMD [\"b\"]\nENTRYPOINT [\"c\"]", "" },
	{ "SHELL", "FROM a:1\nSHELL [\"c\"]\nCMD b", "" },
	{ "SHELL of the stage below", "FROM a:1 AS x\nSHELL [\"c\"]\nFROM x\nCMD b", "" },
	{ "HEALTHCHECK", "FROM a:1\nHEALTHCHECK CMD b", "" },

	{ "two CMD", "FROM a:1\nCMD [\"b\"]\nCMD [\"c\"]",
		"2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because "
		"only the last one will be used" },
	{ "two ENTRYPOINT", "FROM a:1\nENTRYPOINT [\"b\"]\nUSER d\nENTRYPOINT [\"c\"]",
		"2 MultipleInstructionsDisallowed: Multiple ENTRYPOINT instructions should not be used in the same stage "
		"because only the last one will be used" },
	{ "two HEALTHCHECK", "FROM a:1\nHEALTHCHECK NONE\nHEALTHCHECK CMD b",
		"2 MultipleInstructionsDisallowed: Multiple HEALTHCHECK instructions should not be used in the same stage "
		"because only the last one will be used" },
	{ "one each", "FROM a:1\nCMD [\"b\"]\nENTRYPOINT [\"c\"]\nHEALTHCHECK NONE", "" },
	{ "two stages", "FROM a:1\nCMD [\"b\"]\nFROM a:1\nCMD [\"b\"]", "" },
	{ "stage on a stage", "FROM a:1 AS x\nCMD [\"b\"]\nFROM x\nCMD [\"b\"]", "" },
	{ "skipped at the later one", "FROM a:1\nCMD [\"b\"]\n# check=skip=MultipleInstructionsDisallowed\nCMD [\"c\"]",
		"" },

	{ "MAINTAINER", "FROM a:1\nMAINTAINER b",
		"2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label" },
	{ "two MAINTAINER", "FROM a:1\nMAINTAINER b\nMAINTAINER c",
		"2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label; "
		"3 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label" },
	{ "MAINTAINER in any stage", "FROM a:1\nMAINTAINER b\nFROM a:1",
		"2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label" },
	{ "label", "FROM a:1\nLABEL org.opencontainers.image.authors=b", "" },
	{ "label maintainer", "FROM a:1\nLABEL maintainer=b", "" },
	{ "in a comment", "FROM a:1\n# MAINTAINER b\nUSER c", "" },
};
TEST(commands, found)

static const struct grammar_case pairs[] = {
	{ "ENV", "FROM a:1\nENV b c",
		"2 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format" },
	{ "LABEL", "FROM a:1\nLABEL b c d",
		"2 LegacyKeyValueFormat: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format" },
	{ "value begins with =", "FROM a:1\nENV b =c",
		"2 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format" },
	{ "new ENV", "FROM a:1\nENV b=c d=e", "" },
	{ "new LABEL", "FROM a:1\nLABEL b=\"c d\"", "" },
	{ "trigger", "FROM a:1\nONBUILD ENV b c", "" },

	{ "token", "FROM a:1\nARG GITHUB_TOKEN",
		"2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"GITHUB_TOKEN\")" },
	{ "lower case", "FROM a:1\nENV db_password=x",
		"2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"db_password\")" },
	{ "first of three", "FROM a:1\nENV key_of_x=x b=c",
		"2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"key_of_x\")" },
	{ "alone", "FROM a:1\nARG AUTH=x",
		"2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"AUTH\")" },
	{ "a part of a word", "FROM a:1\nENV keyboard=x TOKENS=y monkey=z", "" },
	{ "public key", "FROM a:1\nENV PUBLIC_KEY=x", "" },
	{ "key file", "FROM a:1\nENV KEY_FILE=x TOKEN_VERSION=2", "" },
	{ "global", "ARG TOKEN=1\nFROM a:$TOKEN", "" },
	{ "label", "FROM a:1\nLABEL TOKEN=1", "" },
};
TEST(pairs, found)

static const struct grammar_case from[] = {
	{ "undeclared", "FROM a:$x",
		"1 UndefinedArgInFrom: FROM argument 'x' is not declared; "
		"1 InvalidDefaultArgInFrom: Default value for ARG a:$x results in empty or invalid "
		"base image name" },
	{ "near", "ARG VERSION=1\nFROM a:${VERSOIN:-2}",
		"2 UndefinedArgInFrom: FROM argument 'VERSOIN' is not declared (did you mean VERSION?)" },
	{ "platform", "FROM --platform=$BUILDPLATFROM a:1",
		"1 UndefinedArgInFrom: FROM argument 'BUILDPLATFROM' is not declared (did you mean BUILDPLATFORM?)" },
	{ "declared", "ARG x=1\nFROM a:$x", "" },
	{ "predefined", "FROM --platform=$BUILDPLATFORM a:1", "" },
	{ "declared without a value", "ARG x\nFROM a:${x:-1}", "" },

	{ "no default", "ARG x\nFROM $x",
		"2 InvalidDefaultArgInFrom: Default value for ARG $x results in empty or invalid base image name" },
	{ "bad default", "ARG x=:1\nFROM $x",
		"2 InvalidDefaultArgInFrom: Default value for ARG $x results in empty or invalid base image name" },
	{ "empty tag", "ARG x\nFROM a:${x}B",
		"2 InvalidDefaultArgInFrom: Default value for ARG a:${x}B results in empty or invalid base image name" },
	{ "good default", "ARG x=a:1\nFROM $x", "" },
	{ "default in place", "ARG x\nFROM ${x:-a:1}", "" },
	{ "no argument", "FROM a:1", "" },

	{ "target platform", "FROM --platform=$TARGETPLATFORM a:1",
		"1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is "
		"the default behavior" },
	{ "braces", "FROM --platform=${TARGETPLATFORM} a:1",
		"1 RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this "
		"is the default behavior" },
	{ "with an operator", "FROM --platform=${TARGETPLATFORM:-x} a:1",
		"1 RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM:-x} in FROM is redundant as "
		"this is the default behavior" },
	{ "build platform", "FROM --platform=$BUILDPLATFORM a:1", "" },
	{ "two variables", "FROM --platform=$TARGETPLATFORM$TARGETVARIANT a:1", "" },
	{ "changed", "FROM --platform=$TARGETPLATFORM/v8 a:1", "" },

	{ "constant", "FROM --platform=linux/amd64 a:1",
		"1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/amd64\"" },
	{ "constant and name", "FROM --platform=linux/arm64 a:1 AS build",
		"1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/arm64\"" },
	{ "second stage", "FROM a:1\nFROM --platform=linux/arm64 a:1",
		"2 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/arm64\"" },
	{ "name has the architecture", "FROM --platform=linux/amd64 a:1 AS build-amd64", "" },
	{ "name has the system", "FROM --platform=windows/amd64 a:1 AS windows", "" },
	{ "a variable is in it", "ARG arch=arm64\nFROM --platform=linux/$arch a:1", "" },
};

TEST(from, found)

static const struct grammar_case workdir[] = {
	{ "relative", "FROM a:1\nWORKDIR b",
		"2 WorkdirRelativePath: Relative workdir \"b\" can have unexpected results if the base image changes" },
	{ "dot", "FROM a:1\nWORKDIR ./b",
		"2 WorkdirRelativePath: Relative workdir \"./b\" can have unexpected results if the base image changes" },
	{ "only the first", "FROM a:1\nWORKDIR b\nWORKDIR c",
		"2 WorkdirRelativePath: Relative workdir \"b\" can have unexpected results if the base image changes" },
	{ "expanded", "FROM a:1\nARG d=b\nWORKDIR $d",
		"3 WorkdirRelativePath: Relative workdir \"b\" can have unexpected results if the base image changes" },
	{ "absolute", "FROM a:1\nWORKDIR /b", "" },
	{ "absolute before", "FROM a:1\nWORKDIR /b\nWORKDIR c", "" },
	{ "absolute in the stage below", "FROM a:1 AS x\nWORKDIR /b\nFROM x\nWORKDIR c", "" },
	{ "absolute by a variable", "FROM a:1\nENV d=/b\nWORKDIR $d/c", "" },
};
TEST(workdir, found)

static const struct grammar_case variables[] = {
	{ "COPY", "FROM a:1\nCOPY $b .", "2 UndefinedVar: Usage of undefined variable '$b'" },
	{ "near", "FROM a:1\nARG VERSION=1\nLABEL v=$VERSOIN",
		"3 UndefinedVar: Usage of undefined variable '$VERSOIN' (did you mean $VERSION?)" },
	{ "PATH", "FROM a:1\nENV PATH=/b:$PAHT",
		"2 UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?)" },
	{ "before its line", "FROM a:1\nENV x=1 y=$x", "2 UndefinedVar: Usage of undefined variable '$x'" },
	{ "global only", "ARG x=1\nFROM a:1\nENV y=$x", "3 UndefinedVar: Usage of undefined variable '$x'" },
	{ "once a line", "FROM a:1\nCOPY $b $b /", "2 UndefinedVar: Usage of undefined variable '$b'" },
	{ "mount", "FROM a:1\nRUN --mount=type=cache,target=/$b c",
		"2 UndefinedVar: Usage of undefined variable '$b'" },
	{ "port", "FROM a:1\nEXPOSE $b", "2 UndefinedVar: Usage of undefined variable '$b'" },
	{ "here-document", "FROM a:1\nCOPY <<E /\n$b\nE", "2 UndefinedVar: Usage of undefined variable '$b'" },
	{ "trigger of the stage below", "FROM a:1 AS x\nONBUILD ENV c=$b\nFROM x",
		"3 UndefinedVar: Usage of undefined variable '$b'" },
	{ "ENV", "FROM a:1\nENV b=c\nCOPY $b .", "" },
	{ "ARG without a value", "FROM a:1\nARG b\nCOPY x$b .", "" },
	{ "PATH itself", "FROM a:1\nENV PATH=/b:$PATH", "" },
	{ "of the stage below", "FROM a:1 AS x\nARG b\nENV c=d\nFROM x\nCOPY $b$c .", "" },
	{ "set by a trigger", "FROM a:1 AS x\nONBUILD ENV b=c\nFROM x\nCOPY $b .", "" },
	{ "one ARG line goes on", "FROM a:1\nARG x=1 y=$x", "" },
	{ "RUN is the shell's", "FROM a:1\nRUN echo $b\nCMD [\"$b\"]", "" },
	{ "literal", "FROM a:1\nCOPY \\$b '$c' /", "" },
	{ "quoted here-document", "FROM a:1\nCOPY <<\"E\" /\n$b\nE", "" },
	{ "platform argument", "FROM a:1\nARG TARGETARCH\nCOPY $TARGETARCH .", "" },
	{ "wanted by an unknown base", "FROM a:1\nCOPY ${b:?} .", "2 UndefinedVar: Usage of undefined variable '$b'" },
	{ "wanted on scratch", "FROM scratch\nCOPY ${b:?} .",
		"2 UndefinedVar: Usage of undefined variable '$b'; ! 2:6: b: is not allowed to be unset" },
	{ "syntax", "FROM a:1\nCOPY ${b .", "! 2:6: syntax error: missing '}'" },
};
TEST(variables, found)

static const struct grammar_case ports[] = {
	{ "TCP", "FROM a:1\nEXPOSE 80/TCP",
		"2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase" },
	{ "Udp", "FROM a:1\nEXPOSE 1-2/Udp 3",
		"2 ExposeProtoCasing: Defined protocol '1-2/Udp' in EXPOSE instruction should be lowercase" },
	{ "two of them", "FROM a:1\nEXPOSE 80/TCP 81/TCP",
		"2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase; "
		"2 ExposeProtoCasing: Defined protocol '81/TCP' in EXPOSE instruction should be lowercase" },
	{ "by a variable", "FROM a:1\nENV p=80/TCP\nEXPOSE $p",
		"3 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase" },
	{ "tcp", "FROM a:1\nEXPOSE 80/tcp", "" },
	{ "none", "FROM a:1\nEXPOSE 80", "" },
	{ "range", "FROM a:1\nEXPOSE 80-90/udp", "" },
	{ "address", "FROM a:1\nEXPOSE 127.0.0.1:80:80",
		"2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found "
		"'127.0.0.1:80:80'" },
	{ "host port", "FROM a:1\nEXPOSE 8080:80",
		"2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found "
		"'8080:80'" },
	{ "IPv6", "FROM a:1\nEXPOSE [::1]:8080:80/tcp",
		"2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found "
		"'[::1]:8080:80/tcp'" },
	{ "port", "FROM a:1\nEXPOSE 8080 80", "" },
	{ "range of ports", "FROM a:1\nEXPOSE 8080-8090", "" },
	{ "port and protocol", "FROM a:1\nEXPOSE 80/sctp", "" },
};
TEST(ports, found)

static const struct grammar_case descriptions[] = {
	{ "off by default", "# b\nFROM a:1 AS x", "" },
	{ "stage", "# check=experimental=all\n# b\nFROM a:1 AS x", "3 InvalidDefinitionDescription" },
	{ "by name", "# check=experimental=InvalidDefinitionDescription\n# b\nARG x\nFROM a:1",
		"3 InvalidDefinitionDescription" },
	{ "stage ARG", "# check=experimental=all\nFROM a:1\n# the y\nARG y", "4 InvalidDefinitionDescription" },
	{ "only the last line counts", "# check=experimental=all\nFROM a:1\n# y is\n# good\nARG y",
		"5 InvalidDefinitionDescription" },
	{ "named", "# check=experimental=all\n# x does it\nFROM a:1 AS x", "" },
	{ "second of two", "# check=experimental=all\nFROM a:1\n# z does it\nARG y z", "" },
	{ "unnamed stage", "# check=experimental=all\n# b\nFROM a:1", "" },
	{ "reset", "# check=experimental=all\n# b\n#\nFROM a:1 AS x", "" },
	{ "no comment", "# check=experimental=all\nFROM a:1 AS x\nARG y", "" },
	{ "above another instruction", "# check=experimental=all\nFROM a:1\n# b\nRUN c", "" },
};
TEST(descriptions, rules)

static const struct grammar_case options[] = {
	{ "skip", "# check=skip=StageNameCasing\nFROM a:1 AS B", "" },
	{ "skip two", "# check=skip=StageNameCasing,FromAsCasing\nFROM a:1 as B", "" },
	{ "skip another", "# check=skip=FromAsCasing\nFROM a:1 AS B", "2 StageNameCasing" },
	{ "skip all", "# check=skip=all\nFROM a:1 as B\nMAINTAINER x", "" },
	{ "above", "FROM a:1\n# check=skip=MaintainerDeprecated\nMAINTAINER x", "" },
	{ "above one only", "FROM a:1\n# check=skip=MaintainerDeprecated\nMAINTAINER x\nMAINTAINER y",
		"4 MaintainerDeprecated" },
	{ "above, merged", "# check=skip=FromAsCasing\n#\n# check=skip=StageNameCasing\nFROM a:1 as B", "" },
	{ "above, all", "FROM a:1\n# check=skip=all\nMAINTAINER x", "" },
	{ "with another comment", "FROM a:1\n# why\n# check=skip=all\n# not\nMAINTAINER x", "" },
	{ "experimental above", "FROM a:1\n# check=experimental=all\n# b\nARG x", "4 InvalidDefinitionDescription" },
	{ "unknown option", "# check=wrong=1\nFROM a:1",
		"! 1:9: invalid check option \"wrong\" (the options are skip, error and experimental)" },
	{ "no value", "# check=skip\nFROM a:1", "! 1:9: invalid check option \"skip\"" },
	{ "error", "# check=error=maybe\nFROM a:1", "! 1:9: check option error is true or false, not \"maybe\"" },
	{ "four options", "# check=skip=A;skip=B;error=true;skip=C\nFROM a:1",
		"! 1:9: check has 4 options, 3 are possible" },
	{ "nonsense above is a comment", "FROM a:1\n# check=this and that\nMAINTAINER x", "3 MaintainerDeprecated" },
	{ "rules have their case", "# check=skip=stagenamecasing\nFROM a:1 AS B", "2 StageNameCasing" },
};
TEST(options, rules)

/* ---- what needs options --------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *in, *ignore, *want;
} ignored[] = {
	{ "file", "FROM a:1\nCOPY b /", "b",
		"2 CopyIgnoredFile: Attempting to Copy file \"b\" that is excluded by .dockerignore" },
	{ "ADD below a folder", "FROM a:1\nADD ./b/c /", "b\n",
		"2 CopyIgnoredFile: Attempting to Add file \"b/c\" that is excluded by .dockerignore" },
	{ "by a wildcard", "FROM a:1\nCOPY x.log y /", "*.log",
		"2 CopyIgnoredFile: Attempting to Copy file \"x.log\" that is excluded by .dockerignore" },
	{ "everything", "FROM a:1\nCOPY . /", "*",
		"2 CopyIgnoredFile: Attempting to Copy file \".\" that is excluded by .dockerignore" },
	{ "slash", "FROM a:1\nCOPY / /", "**",
		"2 CopyIgnoredFile: Attempting to Copy file \"/\" that is excluded by .dockerignore" },
	{ "expanded", "FROM a:1\nARG x=b\nCOPY $x /", "b",
		"3 CopyIgnoredFile: Attempting to Copy file \"b\" that is excluded by .dockerignore" },
	{ "another file", "FROM a:1\nCOPY c /", "b", "" },
	{ "dot without a pattern for all", "FROM a:1\nCOPY . /", "b\n*.log\n", "" },
	{ "an exception switches the rule off", "FROM a:1\nCOPY b /", "b\n!b/c", "" },
	{ "from a stage", "FROM a:1 AS x\nFROM a:1\nCOPY --from=x b /", "b", "" },
	{ "URL", "FROM a:1\nADD https://b/c /", "*", "" },
	{ "no file", "FROM a:1\nCOPY b /", NULL, "" },
};

static void ignore_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++) {
		CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = NULL;
		cleanup_strv struct cb_strv patterns = { 0 };
		struct cb_check_options opts = { 0 };
		cleanup_free char *got = NULL;
		const char *text = ignored[i].ignore;

		if (text) {
			assert_int_equal(cb_ignore_read(text, strlen(text), &patterns, NULL), 0);
			assert_int_equal(cb_ignore_new(&patterns, &ignore, NULL), 0);
			opts.ignore = ignore;
			opts.ignore_patterns = &patterns;
		}
		got = findings_text(ignored[i].in, &opts);
		if (strcmp(got, ignored[i].want) != 0)
			print_message("# %s\n", ignored[i].name);
		assert_string_equal(got, ignored[i].want);
	}
}

static bool base_of_first(
	void *arg, unsigned int index, const char *image, const char *platform, struct cb_check_base *ret)
{
	assert_true(!strcmp(image, "a:1") || !strcmp(image, "c"));
	assert_null(platform);
	*ret = (struct cb_check_base){ arg, true };
	return index == 0;
}

static void known_base(void **state)
{
	cleanup_strv struct cb_strv env = { 0 }, args = { 0 };
	struct cb_check_options opts = { .base = base_of_first, .arg = &env, .build_args = &args };
	cleanup_free char *set = NULL, *unset = NULL, *given = NULL, *other = NULL;

	(void)state;
	cb_strv_add(&env, "GOPATH=/go");
	set = findings_text("FROM a:1\nENV x=$GOPATH\nCMD b", &opts);
	assert_string_equal(set, "");
	unset = findings_text("FROM a:1\nENV x=$GOPAHT", &opts);
	assert_string_equal(unset, "2 UndefinedVar: Usage of undefined variable '$GOPAHT' (did you mean $GOPATH?)");
	/* An argument that is given needs no default. */
	cb_strv_add(&args, "b=c");
	given = findings_text("FROM a:1\nARG b=$nothing\nCOPY ${b:?} .", &opts);
	assert_string_equal(given, "");
	/* Build arguments do not excuse a bad default. */
	other = rules_text("ARG b\nFROM $b", &opts);
	assert_string_equal(other, "2 InvalidDefaultArgInFrom");
}

static void build_argument(void **state)
{
	cleanup_strv struct cb_strv args = { 0 };
	struct cb_check_options opts = { .build_args = &args };
	cleanup_free char *replaced = NULL, *bad = NULL;

	(void)state;
	cb_strv_add(&args, "BUILDKIT_DOCKERFILE_CHECK=skip=StageNameCasing");
	replaced = rules_text("# check=skip=FromAsCasing\nFROM a:1 as B", &opts);
	assert_string_equal(replaced, "2 FromAsCasing");
	cb_env_set(&args, "BUILDKIT_DOCKERFILE_CHECK", "x");
	bad = rules_text("FROM a:1", &opts);
	assert_string_equal(bad, "! build argument BUILDKIT_DOCKERFILE_CHECK: invalid check option \"x\"");
}

static void target(void **state)
{
	static const char in[] = "FROM a:1 AS x\nMAINTAINER x\nFROM a:1 AS y\nMAINTAINER y\nFROM a:1 AS z\n"
				 "COPY --from=0 b c\nMAINTAINER z\nFROM a:1\nMAINTAINER w";
	static const struct {
		const char *target, *want;
	} rows[] = {
		{ NULL, "2 MaintainerDeprecated, 4 MaintainerDeprecated, 7 MaintainerDeprecated, 9 MaintainerDeprecated" },
		{ "x", "2 MaintainerDeprecated" },
		{ "Z", "2 MaintainerDeprecated, 7 MaintainerDeprecated" },
		{ "no", "! target stage \"no\" could not be found" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cb_check_options opts = { .target = rows[i].target };
		cleanup_free char *got = rules_text(in, &opts);

		assert_string_equal(got, rows[i].want);
	}
}

static void failure(void **state)
{
	static const char in[] = "# check=error=true\nFROM a as B\nMAINTAINER x\nMAINTAINER y";
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_findings struct cb_findings findings = { 0 };
	cleanup_free char *text = NULL;
	struct cb_strv none = { 0 };
	struct cb_check_options opts = { .build_args = &none, .own = true };

	(void)state;
	opts.platforms = (struct cb_platform_args){ "linux/amd64", "linux/amd64", "default" };
	assert_int_equal(cb_parse(in, strlen(in), &file, NULL), 0);
	assert_int_equal(cb_check(file, &opts, &findings, NULL), 0);
	text = cb_findings_failure(&findings);
	/* Rules of our own never fail what BuildKit builds. */
	assert_string_equal(
		text, "lint violation found for rules: StageNameCasing, FromAsCasing, MaintainerDeprecated");
	findings.fail = false;
	assert_null(cb_findings_failure(&findings));
}

static void notes(void **state)
{
	static const char in[] = "FROM a:1\n# check=skip=InvalidBaseImagePlatform\nFROM b:1";
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_findings struct cb_findings findings = { 0 };
	struct cb_strv none = { 0 };

	(void)state;
	assert_int_equal(cb_parse(in, strlen(in), &file, NULL), 0);
	for (size_t i = 0; i < 2; i++)
		cb_check_note(file, &none, CB_RULE_INVALID_BASE_IMAGE_PLATFORM, file->nodes[i], "x", &findings);
	assert_int_equal(findings.n, 1);
	assert_int_equal(findings.v[0].line, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_casing),
		cmocka_unit_test(check_stages),
		cmocka_unit_test(check_continuation),
		cmocka_unit_test(check_commands),
		cmocka_unit_test(check_pairs),
		cmocka_unit_test(check_from),
		cmocka_unit_test(check_workdir),
		cmocka_unit_test(check_variables),
		cmocka_unit_test(check_ports),
		cmocka_unit_test(check_descriptions),
		cmocka_unit_test(check_options),
		cmocka_unit_test(ignore_files),
		cmocka_unit_test(known_base),
		cmocka_unit_test(build_argument),
		cmocka_unit_test(target),
		cmocka_unit_test(failure),
		cmocka_unit_test(notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
