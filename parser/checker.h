/*
 * Inside of the checks: what check.c, check_config.c, check_file.c, check_stage.c and check_run.c share.
 */
#ifndef CB_PARSER_CHECKER_H
#define CB_PARSER_CHECKER_H

#include "base/map.h"
#include "base/span.h"
#include "parser/check.h"

/** A value of check=, or several merged. */
struct check_config {
	bool skip_all, experimental_all, fail;
	struct cb_strv skip, experimental;
};

void check_config_done(struct check_config *config);
/** Merges `skip=A,B|all;error=BOOL;experimental=A,B|all` into @config. CB_ERR_INPUT. */
int check_config_add(struct check_config *config, const char *text, struct cb_err **err);
/** The directive of the file, or the build argument in its place. */
int check_config_of_file(struct check_config *config, const struct cb_buildfile *file, const struct cb_strv *build_args,
	struct cb_err **err);
/** True when @rule is to be reported at @node (may be NULL). */
bool check_config_wants(const struct check_config *config, const struct cb_rule *rule, const struct cb_node *node);
/** The value of a comment "check=..." , or NULL. */
const char *check_config_comment(const char *comment);

/** One stage as it is walked. */
struct check_stage {
	const struct cb_stage *stage;
	struct check_stage *base; /* FROM stage; NULL otherwise */
	struct cb_scope scope;
	struct cb_strv used;    /* global arguments in its FROM */
	char *image, *platform; /* of its FROM, expanded; platform NULL: none is given */
	bool active;            /* the target needs it */
	bool final;             /* it is what the build makes */
	bool base_known;        /* all variables of the base are known */
	bool workdir_set;       /* here or in a stage below */
	bool shell_set;
	const struct cb_node *once[CB_KW_MAX_]; /* last CMD, ENTRYPOINT, HEALTHCHECK */
	const struct cb_node *user;             /* last USER */
	bool user_root;
};

struct checker {
	const struct cb_buildfile *file;
	const struct cb_check_options *options;
	struct check_config config;
	struct cb_findings *out;
	struct cb_globals globals;
	struct cb_strv unset; /* what the last expansions found */
	struct check_stage *stages;
	struct cb_map *names; /* stages so far */
};

/** Reports @rule at @node unless it is skipped. */
struct cb_finding *check_report(struct checker *c, enum cb_rule_id rule, const struct cb_node *node, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

/* check_file.c: what the tree alone shows */
void check_file(struct checker *c);
/** Comment above @node is not "# <name> <description>". */
void check_description(struct checker *c, const struct cb_node *node, const char *const *names, size_t n);

/* check_from.c: FROM lines, in order */
int check_from_lines(struct checker *c, struct cb_err **err);

/* check_stage.c: the instructions of one stage, the ones it stands on were walked */
int check_stage(struct checker *c, struct check_stage *stage, struct cb_err **err);

/* check_copy.c: EXPOSE and sources of COPY and ADD, after expansion */
void check_ignored(struct checker *c, const struct cb_instr *instr, const struct cb_node *node, const char *source);
void check_port(struct checker *c, const struct cb_node *node, const char *port);

/* check_portable.c */
void check_portable(struct checker *c);

/* check_own.c: our own rules */
void check_own(struct checker *c, const struct check_stage *stage);
/** UnpinnedBaseImage and LatestTag for the expanded reference @image. */
void check_pinned(struct checker *c, const struct cb_node *node, const char *image);

/* check_run.c: our own rules about the commands of RUN */
void check_run(struct checker *c, const struct check_stage *stage, const struct cb_instr *instr);

/* check_shell.c */

/** The next simple command of a shell text: its words without quotes; false at the end. Assignments and words such as
 * "then" before the command are left out. */
bool check_shell_next(struct cb_span *rest, struct cb_strv *words);

#endif
