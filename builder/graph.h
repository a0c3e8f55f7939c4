/*
 * The graph of steps: vertices with typed inputs.
 *
 * A vertex is an operation on inputs that were made before it, so the order of creation is a topological order and
 * cycles cannot be. Equal vertices (same kind, operands and inputs) are one vertex. The planner builds the graph in the
 * coordinator's thread; from then on a vertex's operation and inputs never change, its result is written once by the
 * job that executes it, and the scheduler's part belongs to the coordinator.
 */
#ifndef CB_BUILDER_GRAPH_H
#define CB_BUILDER_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "layers/digest.h"

enum cb_vertex_kind {
	CB_VERTEX_IMAGE,   /* a base image; executing it unpacks its layers */
	CB_VERTEX_CONTEXT, /* a local directory of files; executing it scans it */
	CB_VERTEX_SELECT,  /* some files of a context or of a stage; its result is their digest */
	CB_VERTEX_RUN,
	CB_VERTEX_COPY,
	CB_VERTEX_ADD,
	CB_VERTEX_WORKDIR,
	CB_VERTEX_MERGE, /* layers of one input put above those of another (COPY --link) */
};

enum cb_input_role {
	CB_INPUT_PARENT, /* the file system below */
	CB_INPUT_SOURCE, /* what a SELECT reads, the upper part of a MERGE */
	CB_INPUT_FILES,  /* a SELECT whose digest counts in the content key */
	CB_INPUT_BASE,   /* image that must be unpacked before the vertex can execute; says nothing of its result */
	CB_INPUT_MOUNT,  /* a file system to mount; a FILES input says what of it counts */
};

struct cb_vertex;

struct cb_input {
	struct cb_vertex *vertex;
	enum cb_input_role role;
	/* Asked for only when the definition key was looked up in vain: what a cached step can do without. */
	bool late;
	/* Never asked for: its result is known from the plan. */
	bool known;
};

/** Owned by the scheduler. */
struct cb_vertex_sched {
	bool reached; /* the target is made of it */
	bool wanted;
	bool keyed;  /* the definition key is known */
	bool probed; /* and was looked up */
	bool waits;  /* for an answer to that, or to whether it can be executed */
	bool started, finished;
	bool shown;       /* progress knows how it ended */
	size_t key_waits; /* inputs whose definition key is not known yet */
	struct cb_vertex **users;
	size_t n_users, cap_users;
};

struct cb_vertex {
	unsigned int id; /* position in the graph */
	enum cb_vertex_kind kind;
	const char *name;                 /* as progress shows it, "[build 2/5] RUN make"; NULL: never shown */
	const char *stage;                /* of the instruction, or "internal" */
	const char *text;                 /* the instruction in the name, or NULL */
	unsigned int index;               /* of the instruction among the steps of its stage, from 1; or 0 */
	unsigned int line, col, end_line; /* place of the instruction, 0 when there is none */
	const char *file;                 /* the file of that place when it is not the Buildfile (ONBUILD); or NULL */
	const struct cb_input *inputs;
	size_t n_inputs;
	bool in_target; /* its layer is one of the resulting image */
	/* Its definition key is known only once it was executed, and is its result: files of a local directory. */
	bool content_defined;
	bool no_cache;             /* never look it up */
	const void *op;            /* operands of the kind, see step.h; lives in the graph's arena */
	struct cb_digest operands; /* digest of kind and operands */
	struct cb_digest key;      /* definition key, when sched.keyed */
	struct cb_digest
		lasting; /* the same, but for what a no_cache input adds: the key that results are kept under */
	void *result;    /* set by its execution or by a cache hit */
	void *note;      /* set by its execution; or NULL */
	struct cb_vertex_sched sched;
};

struct cb_graph {
	struct cb_arena *arena; /* of everything that the vertices point to */
	struct cb_vertex **v;
	size_t n, cap;
	struct cb_map *merge; /* canonical text -> vertex */
	bool linked;          /* the scheduler has entered users and waits */
};

void cb_graph_init(struct cb_graph *graph);
void cb_graph_done(struct cb_graph *graph);

/** What a new vertex is made of; strings, op and inputs must live as long as the graph's arena (inputs are copied). */
struct cb_vertex_spec {
	enum cb_vertex_kind kind;
	const char *name, *stage, *text, *file;
	unsigned int index, line, col, end_line;
	const struct cb_input *inputs;
	size_t n_inputs;
	bool content_defined, no_cache;
	const void *op;
	struct cb_digest operands;
};

/** The vertex of @spec: an equal one that is there already, or a new one (*ret_new, which may be NULL). */
struct cb_vertex *cb_graph_add(struct cb_graph *graph, const struct cb_vertex_spec *spec, bool *ret_new);

/** The first input of that role, or NULL. */
struct cb_vertex *cb_vertex_input(const struct cb_vertex *vertex, enum cb_input_role role);
/** The vertex of the role PARENT, or NULL: an empty file system. */
struct cb_vertex *cb_vertex_parent(const struct cb_vertex *vertex);
/** The lower-case name of the kind. */
const char *cb_vertex_kind_name(enum cb_vertex_kind kind);

#endif
