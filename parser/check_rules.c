/* The rules. docs/checks has a page on each. */
#include <string.h>

#include "base/strv.h"
#include "parser/check.h"

#define DOCKER(page) "https://docs.docker.com/go/dockerfile/rule/" page "/"
#define PAGE(name) "docs/checks/" name ".md"

/* Kept a line or two each. */
/* clang-format off */
const struct cb_rule cb_rules[CB_RULE_MAX_] = {
#define BUILDKIT(id, name_, url_, summary_, ...) \
	[CB_RULE_##id] = { .name = name_, .url = url_, .page = PAGE(name_), .summary = summary_, .severity = CB_SEVERITY_WARNING, __VA_ARGS__ }
#define OWN(id, name_, severity_, summary_) \
	[CB_RULE_##id] = { .name = name_, .url = PAGE(name_), .page = PAGE(name_), .summary = summary_, .severity = CB_SEVERITY_##severity_, .own = true }
	BUILDKIT(STAGE_NAME_CASING, "StageNameCasing", DOCKER("stage-name-casing"),
		"Names of stages are written in lower case.", .fixable = true),
	BUILDKIT(FROM_AS_CASING, "FromAsCasing", DOCKER("from-as-casing"),
		"FROM and AS are written in the same case.", .fixable = true),
	BUILDKIT(NO_EMPTY_CONTINUATION, "NoEmptyContinuation", DOCKER("no-empty-continuation"),
		"A blank line inside a continued instruction will become an error."),
	BUILDKIT(CONSISTENT_INSTRUCTION_CASING, "ConsistentInstructionCasing", DOCKER("consistent-instruction-casing"),
		"All instructions of a file are written in the same case.", .fixable = true),
	BUILDKIT(DUPLICATE_STAGE_NAME, "DuplicateStageName", DOCKER("duplicate-stage-name"),
		"Two stages of one name: which of them is meant is easily mistaken."),
	BUILDKIT(RESERVED_STAGE_NAME, "ReservedStageName", DOCKER("reserved-stage-name"),
		"scratch and context have a meaning of their own and cannot name a stage."),
	BUILDKIT(JSON_ARGS_RECOMMENDED, "JSONArgsRecommended", DOCKER("json-args-recommended"),
		"The shell form of CMD and ENTRYPOINT keeps signals from the program."),
	BUILDKIT(MAINTAINER_DEPRECATED, "MaintainerDeprecated", DOCKER("maintainer-deprecated"),
		"MAINTAINER is deprecated: write a label.", .fixable = true),
	BUILDKIT(UNDEFINED_ARG_IN_FROM, "UndefinedArgInFrom", DOCKER("undefined-arg-in-from"),
		"FROM uses an argument that no ARG before the first FROM declares."),
	BUILDKIT(WORKDIR_RELATIVE_PATH, "WorkdirRelativePath", DOCKER("workdir-relative-path"),
		"A relative WORKDIR depends on that of the base image."),
	BUILDKIT(UNDEFINED_VAR, "UndefinedVar", DOCKER("undefined-var"),
		"A variable is used that neither ARG nor ENV sets."),
	BUILDKIT(MULTIPLE_INSTRUCTIONS_DISALLOWED, "MultipleInstructionsDisallowed", DOCKER("multiple-instructions-disallowed"),
		"Only the last CMD, ENTRYPOINT or HEALTHCHECK of a stage counts."),
	BUILDKIT(LEGACY_KEY_VALUE_FORMAT, "LegacyKeyValueFormat", DOCKER("legacy-key-value-format"),
		"Pairs are written with an equals sign.", .fixable = true),
	BUILDKIT(INVALID_BASE_IMAGE_PLATFORM, "InvalidBaseImagePlatform", NULL,
		"The base image is made for another platform."),
	BUILDKIT(REDUNDANT_TARGET_PLATFORM, "RedundantTargetPlatform", DOCKER("redundant-target-platform"),
		"FROM takes the target platform without being told."),
	BUILDKIT(SECRETS_USED_IN_ARG_OR_ENV, "SecretsUsedInArgOrEnv", DOCKER("secrets-used-in-arg-or-env"),
		"Values of ARG and ENV can be read from the image: give secrets with RUN --mount=type=secret."),
	BUILDKIT(INVALID_DEFAULT_ARG_IN_FROM, "InvalidDefaultArgInFrom", DOCKER("invalid-default-arg-in-from"),
		"Without build arguments FROM names no image."),
	BUILDKIT(FROM_PLATFORM_FLAG_CONST_DISALLOWED, "FromPlatformFlagConstDisallowed", DOCKER("from-platform-flag-const-disallowed"),
		"A constant --platform binds the file to one platform."),
	BUILDKIT(COPY_IGNORED_FILE, "CopyIgnoredFile", DOCKER("copy-ignored-file"),
		"A file is copied that .dockerignore takes out of the context."),
	BUILDKIT(INVALID_DEFINITION_DESCRIPTION, "InvalidDefinitionDescription", DOCKER("invalid-definition-description"),
		"The comment above a stage or an argument does not begin with its name.", .experimental = true),
	BUILDKIT(EXPOSE_PROTO_CASING, "ExposeProtoCasing", DOCKER("expose-proto-casing"),
		"The protocol of a port is written in lower case."),
	BUILDKIT(EXPOSE_INVALID_FORMAT, "ExposeInvalidFormat", DOCKER("expose-invalid-format"),
		"EXPOSE takes ports of the container, neither addresses nor ports of the host."),

	OWN(UNPINNED_BASE_IMAGE, "UnpinnedBaseImage", WARNING,
		"An image without tag or digest is another one tomorrow."),
	OWN(LATEST_TAG, "LatestTag", WARNING,
		"The tag latest is another image tomorrow."),
	OWN(APT_GET_NO_RECOMMENDS, "AptGetNoRecommends", INFO,
		"apt-get install brings recommended packages that nobody asked for."),
	OWN(APT_GET_YES, "AptGetYes", WARNING,
		"apt-get install without -y waits for an answer that never comes."),
	OWN(APT_GET_UPDATE_ALONE, "AptGetUpdateAlone", WARNING,
		"Package lists from an earlier step are old when packages are installed in a later one."),
	OWN(APT_LISTS_KEPT, "AptListsKept", INFO,
		"Package lists stay in the layer."),
	OWN(APT_COMMAND, "AptCommand", INFO,
		"apt is for people; its interface is not stable in scripts."),
	OWN(APK_CACHE_KEPT, "ApkCacheKept", INFO,
		"The index of apk stays in the layer."),
	OWN(PIP_CACHE_KEPT, "PipCacheKept", INFO,
		"The download cache of pip stays in the layer."),
	OWN(ADD_INSTEAD_OF_COPY, "AddInsteadOfCopy", WARNING,
		"ADD does more than copying: archives are unpacked."),
	OWN(SUDO_IN_RUN, "SudoInRun", ERROR,
		"sudo in a build step hides who runs what."),
	OWN(LAST_USER_ROOT, "LastUserRoot", WARNING,
		"The image runs as root."),
	OWN(CONSECUTIVE_RUN, "ConsecutiveRun", INFO,
		"Several RUN instructions in a row make several layers."),
	OWN(CD_IN_RUN, "CdInRun", STYLE,
		"WORKDIR says once where commands run."),
	OWN(NOT_PORTABLE, "NotPortable", WARNING,
		"Other builders do not understand it (only with --portable)."),
};
/* clang-format on */

static const char *const severities[] = {
	[CB_SEVERITY_ERROR] = "error",
	[CB_SEVERITY_WARNING] = "warning",
	[CB_SEVERITY_INFO] = "info",
	[CB_SEVERITY_STYLE] = "style",
};

const char *cb_severity_name(enum cb_severity severity)
{
	return severities[severity];
}

bool cb_severity_parse(const char *name, enum cb_severity *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(severities); i++) {
		if (!strcmp(name, severities[i])) {
			*ret = (enum cb_severity)i;
			return true;
		}
	}
	return false;
}
