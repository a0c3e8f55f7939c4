/*
 * The plan: from a parsed Buildfile to the graph of steps and the state of the target's image.
 *
 * Two passes. *Resolve* finds the stages that the target needs (through FROM, COPY --from, RUN --mount from= and
 * ONBUILD triggers of base images) and the configs of their base images. *Plan* walks each of these stages once, in the
 * order of the file, with its scope and image state, and emits vertices. Time is linear in the instructions.
 *
 * Errors carry the place of the instruction. One thread.
 */
#ifndef CB_BUILDER_PLAN_H
#define CB_BUILDER_PLAN_H

#include "base/err.h"
#include "builder/chain.h"
#include "builder/context.h"
#include "builder/epoch.h"
#include "builder/graph.h"
#include "builder/imagestate.h"
#include "builder/settings.h"
#include "builder/step.h"
#include "parser/parse.h"

struct cb_plan_options {
	const struct cb_buildfile *file;
	const struct cb_settings *settings;
	const struct cb_platform *targets; /* no two equal; at least one */
	size_t n_targets;
	struct cb_platform build; /* platform of this machine */
	struct cb_contexts *contexts;
	/** Fetches the configs of @n base images that have none yet. NULL: plan without them, as cbuild graph does. */
	int (*resolve)(void *ctx, struct cb_base **bases, size_t n, struct cb_err **err);
	/** Fetches a remote context that is not open yet, for SOURCE_DATE_EPOCH. NULL: plan without. */
	int (*fetch)(void *ctx, struct cb_context *context, struct cb_err **err);
	void *ctx;
};

/** What is built for one platform. */
struct cb_plan_target {
	struct cb_platform platform;
	struct cb_vertex *fs;        /* whose chain is the file system; NULL: empty */
	struct cb_imagestate *image; /* owned */
	struct cb_planner *planner;  /* what made it */
};

/** Of all platforms: they share one graph, so a step that is the same for two of them is one vertex. */
struct cb_plan {
	struct cb_graph graph;
	struct cb_chain_set *chains;
	struct cb_plan_target *targets; /* in the order of the options */
	size_t n_targets;
	const char *target_name; /* of the stage, or NULL */
	struct cb_epoch epoch;   /* SOURCE_DATE_EPOCH */
	struct cb_base **bases;  /* that the plan reaches */
	size_t n_bases;
	/* of the planners: */
	struct cb_map *known;    /* "name platform" -> struct cb_base */
	struct cb_vertex **root; /* by vertex id: the image below its chain, or NULL */
	size_t n_root, cap_root;
};

int cb_plan_new(const struct cb_plan_options *options, struct cb_plan **ret, struct cb_err **err);
/** Frees the graph too. */
struct cb_plan *cb_plan_free(struct cb_plan *plan);
CB_DEFINE_CLEANUP(struct cb_plan *, cb_plan_free)

/**
 * The image that FROM of stage @index names for the platform of target @at; NULL when it names none or the target does
 * not need it.
 */
const struct cb_base *cb_plan_base(const struct cb_plan *plan, size_t at, unsigned int index);

enum cb_plan_format { CB_PLAN_TEXT, CB_PLAN_DOT, CB_PLAN_JSON };
/** Appends the graph, reachable vertices only, for people or programs. */
void cb_plan_print(const struct cb_plan *plan, enum cb_plan_format format, struct cb_buf *out);

#endif
