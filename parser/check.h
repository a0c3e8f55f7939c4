/*
 * Build checks: what is allowed in a Buildfile but deserves a warning.
 *
 * The rules of BuildKit under their names (LANGUAGE: same conditions, recognisable messages), and rules of our own that
 * need no shell parser. Pure: what a rule needs from outside (build arguments, ignore patterns, whether a text is an
 * image reference, the environment of base images) comes in through struct cb_check_options.
 *
 * `# check=skip=A,B;error=true;experimental=A` at the head of the file, the build argument BUILDKIT_DOCKERFILE_CHECK in
 * its place, and `# check=skip=A` directly above an instruction choose what is reported.
 */
#ifndef CB_PARSER_CHECK_H
#define CB_PARSER_CHECK_H

#include "base/err.h"
#include "parser/dockerignore.h"
#include "parser/parse.h"
#include "parser/scope.h"

struct cb_outline;

enum cb_severity { CB_SEVERITY_ERROR, CB_SEVERITY_WARNING, CB_SEVERITY_INFO, CB_SEVERITY_STYLE };

/** "error", "warning", "info", "style". */
const char *cb_severity_name(enum cb_severity severity);
/** False when @name is none. */
bool cb_severity_parse(const char *name, enum cb_severity *ret);

/** In the order of the table; the ones before CB_RULE_FIRST_OWN_ are BuildKit's. */
enum cb_rule_id {
	CB_RULE_STAGE_NAME_CASING,
	CB_RULE_FROM_AS_CASING,
	CB_RULE_NO_EMPTY_CONTINUATION,
	CB_RULE_CONSISTENT_INSTRUCTION_CASING,
	CB_RULE_DUPLICATE_STAGE_NAME,
	CB_RULE_RESERVED_STAGE_NAME,
	CB_RULE_JSON_ARGS_RECOMMENDED,
	CB_RULE_MAINTAINER_DEPRECATED,
	CB_RULE_UNDEFINED_ARG_IN_FROM,
	CB_RULE_WORKDIR_RELATIVE_PATH,
	CB_RULE_UNDEFINED_VAR,
	CB_RULE_MULTIPLE_INSTRUCTIONS_DISALLOWED,
	CB_RULE_LEGACY_KEY_VALUE_FORMAT,
	CB_RULE_INVALID_BASE_IMAGE_PLATFORM, /* reported by a build only: cb_check_note */
	CB_RULE_REDUNDANT_TARGET_PLATFORM,
	CB_RULE_SECRETS_USED_IN_ARG_OR_ENV,
	CB_RULE_INVALID_DEFAULT_ARG_IN_FROM,
	CB_RULE_FROM_PLATFORM_FLAG_CONST_DISALLOWED,
	CB_RULE_COPY_IGNORED_FILE,
	CB_RULE_INVALID_DEFINITION_DESCRIPTION,
	CB_RULE_EXPOSE_PROTO_CASING,
	CB_RULE_EXPOSE_INVALID_FORMAT,
	CB_RULE_FIRST_OWN_,
	CB_RULE_UNPINNED_BASE_IMAGE = CB_RULE_FIRST_OWN_,
	CB_RULE_LATEST_TAG,
	CB_RULE_APT_GET_NO_RECOMMENDS,
	CB_RULE_APT_GET_YES,
	CB_RULE_APT_GET_UPDATE_ALONE,
	CB_RULE_APT_LISTS_KEPT,
	CB_RULE_APT_COMMAND,
	CB_RULE_APK_CACHE_KEPT,
	CB_RULE_PIP_CACHE_KEPT,
	CB_RULE_ADD_INSTEAD_OF_COPY,
	CB_RULE_SUDO_IN_RUN,
	CB_RULE_LAST_USER_ROOT,
	CB_RULE_CONSECUTIVE_RUN,
	CB_RULE_CD_IN_RUN,
	CB_RULE_NOT_PORTABLE,
	CB_RULE_MAX_,
};

struct cb_rule {
	const char *name;    /* "StageNameCasing" */
	const char *summary; /* one sentence */
	const char *url;     /* where it is explained, or NULL */
	const char *page;    /* our explanation, in docs/ */
	enum cb_severity severity;
	bool experimental; /* reported only when experimental= names it */
	bool own;          /* not of BuildKit */
	bool fixable;      /* cb_fix knows how */
};

extern const struct cb_rule cb_rules[CB_RULE_MAX_];

/** One thing found. Lines and columns are 1-based and inside the file. */
struct cb_finding {
	const struct cb_rule *rule;
	char *msg;
	const char *file; /* an included file that the lines count in; NULL: the Buildfile. Borrowed from the tree. */
	unsigned int line, col, end_line;
	const struct cb_node *node; /* borrowed from the tree; NULL when it concerns no single instruction */
	char *wanted;               /* casing rules: the word as it should be; else NULL */
};

struct cb_findings {
	struct cb_finding *v;
	size_t n, cap;
	bool fail; /* error=true: any finding of BuildKit's rules fails the build */
};

void cb_findings_done(struct cb_findings *findings);
/** Keeps the first of those that say the same of the same place, as several runs of cb_check may. */
void cb_findings_unique(struct cb_findings *findings);
#define cleanup_findings __attribute__((cleanup(cb_findings_done)))

/** What a base image has; NULL members: nothing. */
struct cb_check_base {
	const struct cb_strv *env;
	bool has_shell;
};

struct cb_check_options {
	const struct cb_strv *build_args; /* "K=V"; never NULL */
	struct cb_platform_args platforms;
	const char *target;         /* check what this stage needs; NULL: all stages */
	unsigned int target_index;  /* in place of a name: 1 for the first stage */
	struct cb_outline *outline; /* what the walk gathers for cb_outline, or NULL */
	bool own;                   /* our own rules too, but for ... */
	bool portable;              /* ... NotPortable */
	/* For CopyIgnoredFile; both NULL: no ignore file. */
	const struct cb_ignore *ignore;
	const struct cb_strv *ignore_patterns;
	/* True when @text is an image reference. NULL: every text is, but the empty one. */
	bool (*is_reference)(const char *text);
	/* Splits a platform such as "arm64" into malloc'ed os and arch; false: not a platform. NULL: rule is off. */
	bool (*split_platform)(const char *text, char **ret_os, char **ret_arch);
	/* True when FROM @name is a source given on the command line. NULL: there are none. */
	bool (*is_context)(void *arg, const char *name);
	/*
	 * True with *ret when the base image of stage @index is known, which FROM calls @image and wants for @platform
	 * (NULL: the target's). NULL: none is.
	 */
	bool (*base)(void *arg, unsigned int index, const char *image, const char *platform, struct cb_check_base *ret);
	void *arg;
};

/**
 * Adds what the rules find in @file (of cb_parse) to @ret, in the order of lines. CB_ERR_INPUT for a malformed check=
 * and for an expansion that would fail the build; then @ret has what was found so far.
 */
int cb_check(const struct cb_buildfile *file, const struct cb_check_options *options, struct cb_findings *ret,
	struct cb_err **err);

/** Adds a finding at @node that the caller made, unless the file's check= or a comment above @node skips @rule. */
void cb_check_note(const struct cb_buildfile *file, const struct cb_strv *build_args, enum cb_rule_id rule,
	const struct cb_node *node, const char *msg, struct cb_findings *ret);

/** "lint violation found for rules: A, B" of BuildKit's rules, or NULL when error=true was not asked for or nothing
 * counts. Caller frees. */
char *cb_findings_failure(const struct cb_findings *findings);

#endif
