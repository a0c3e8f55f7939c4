/*
 * Inside of the planner: what plan.c, plan_resolve.c, plan_stage.c, plan_copy.c and plan_run.c share. Not for others.
 */
#ifndef CB_BUILDER_PLANNER_H
#define CB_BUILDER_PLANNER_H

#include "base/map.h"
#include "builder/plan.h"
#include "parser/scope.h"

enum from_kind { FROM_STAGE, FROM_BASE, FROM_CONTEXT, FROM_SCRATCH };

/** What a FROM, --from or from= names. */
struct from {
	enum from_kind kind;
	struct stage_plan *stage;
	struct cb_base *base;
	struct cb_context *context;
};

/** ONBUILD triggers of one base, parsed. */
struct triggers {
	struct cb_buildfile **v;
	size_t n;
	bool known;
};

struct stage_plan {
	const struct cb_stage *stage;
	struct cb_platform platform;
	struct from base;
	bool reachable, scanned, triggers_scanned;
	struct triggers triggers;
	/* pass 2 */
	struct cb_scope scope;
	struct cb_imagestate *state;
	struct cb_vertex *fs; /* NULL: empty */
	bool planned, no_cache;
	const char *label;         /* "build", "stage-1", or "" in a file of one stage */
	const char *place;         /* the same with the platform in front, where there are several */
	unsigned int index, total; /* of steps, for names */
};

/** Plans for one platform. */
struct cb_planner {
	struct cb_plan_options opts;
	struct cb_platform platform;
	bool named; /* steps say which platform they are for: there are several */
	struct cb_plan *plan;
	struct cb_strv build_args; /* of the settings, with SOURCE_DATE_EPOCH in seconds */
	struct cb_globals globals;
	struct stage_plan *stages;
	size_t n_stages;
	struct stage_plan *target;
	struct cb_base **bases; /* that this platform reaches */
	size_t n_bases, cap_bases;
	struct cb_mount **mounts; /* all resolved ones, owned */
	size_t n_mounts;
};

/** An instruction being planned. */
struct plan_step {
	struct stage_plan *stage;
	const struct cb_instr *instr;
	unsigned int line, col, end_line; /* in the Buildfile: of FROM for a trigger */
	bool trigger;
};

/* plan_resolve.c */
/** For all platforms at once: the configs of their bases are fetched side by side. */
int plan_resolve(struct cb_plan *plan, struct cb_err **err);
/** What @name of a --from or from= in stage @at means; @numbers: "0" is a stage. */
int plan_find_from(struct cb_planner *p, struct stage_plan *at, const char *name, bool numbers, unsigned int line,
	unsigned int col, struct from *ret, struct cb_err **err);

/* plan_stage.c */
int plan_stage(struct cb_planner *p, struct stage_plan *sp, struct cb_err **err);
/** "[build 2/5] COPY a b" for the present instruction. In the arena. */
const char *plan_step_name(struct cb_planner *p, const struct plan_step *step);
/** Emits a vertex for @step with the stage's file system as parent and makes it the stage's file system. */
struct cb_vertex *plan_emit(struct cb_planner *p, const struct plan_step *step, struct cb_vertex_spec *spec,
	struct cb_input *inputs, size_t n);
/** Adds a vertex and notes which image its chain stands on. */
struct cb_vertex *plan_add(struct cb_planner *p, const struct cb_vertex_spec *spec, struct cb_vertex *root);
struct cb_vertex *plan_root(const struct cb_planner *p, const struct cb_vertex *vertex);
/** Appends the inputs that reading the file system @fs needs, with @role for it; returns the new count. At most 2. */
size_t plan_fs_inputs(
	struct cb_planner *p, struct cb_input *inputs, size_t n, struct cb_vertex *fs, enum cb_input_role role);
/** The vertex that has the files of @from; NULL for an empty file system. */
struct cb_vertex *plan_source(struct cb_planner *p, const struct from *from);
/** A SELECT vertex of @op's files in @source; @step (may be NULL) says where errors are. */
struct cb_vertex *plan_select(
	struct cb_planner *p, const struct plan_step *step, struct cb_vertex *source, const struct cb_op_select *op);
/** A list in the arena. */
struct cb_words plan_words(struct cb_planner *p, const struct cb_strv *sv);
const char *plan_str(struct cb_planner *p, const char *s);

/* plan_copy.c */
int plan_copy(struct cb_planner *p, const struct plan_step *step, struct cb_err **err);
/** A copy of @path of a context to @dest of an empty file system, for bind mounts and FROM; @name NULL: hidden. */
struct cb_vertex *plan_context_copy(struct cb_planner *p, const struct plan_step *step, struct cb_vertex *context,
	const char *path, const char *dest, const char *name, struct cb_vertex **ret_select);

/* plan_run.c */
int plan_run(struct cb_planner *p, const struct plan_step *step, struct cb_err **err);

#endif
