/*
 * Why a step was not found in the cache: its inputs compared with those of the nearest earlier record.
 *
 * The earlier record is the most alike of those that the same instruction, or the instruction at the same place of its
 * stage, left. Differences come in the order of their weight: the instruction, options, variables, the base image,
 * files, and last the result of the step before.
 */
#ifndef CB_BUILDER_EXPLAIN_H
#define CB_BUILDER_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "layers/store.h"

/** One thing that is not as it was. */
struct cb_difference {
	char *kind;      /* "instruction" "option" "arg" "env" "file" "base" "parent" */
	char *name;      /* "src/a.c", "VERSION", "--network" … */
	char *aspect;    /* of a file: "content" "mode" "owner" "type" "added" "removed"; or NULL */
	char *old, *now; /* values for people, NULL for none */
	char *note;      /* a remark, or NULL */
};

struct cb_differences {
	struct cb_difference *v;
	size_t n, cap;
	size_t weight; /* how much differs: each file of a summary counts */
	bool earlier;  /* there is an earlier record; without one, v is empty */
};
void cb_differences_done(struct cb_differences *d);
#define cleanup_differences __attribute__((cleanup(cb_differences_done)))

/** Differences in files that are listed one by one. */
#define CB_EXPLAIN_FILES_MAX 1000

/** A candidate to compare with: bytes of its list of files are read when it is the nearest. */
struct cb_explain_record {
	const json_t *inputs;
};

/** Compares @now with the nearest of @n records (the newest first). */
struct cb_explain_source {
	const struct cb_explain_record *v;
	size_t n;
	/** Adds the list of files of v[at]: 0, or 1 when it has none. */
	int (*files)(void *ctx, size_t at, struct cb_buf *ret, struct cb_err **err);
	void *ctx;
};
int cb_explain(const json_t *now, const struct cb_buf *files, const struct cb_explain_source *source,
	struct cb_differences *ret, struct cb_err **err);
/** The same with the records of @store that are older than @before (0: all). */
int cb_explain_stored(struct cb_store *store, const json_t *now, const struct cb_buf *files, int64_t before,
	struct cb_differences *ret, struct cb_err **err);

/** "file src/a.c: mode 0644 -> 0600", without a line end. */
void cb_difference_text(const struct cb_difference *d, struct cb_buf *out);
/** A new object with kind, name, aspect, old, new and note. */
json_t *cb_difference_json(const struct cb_difference *d);

#endif
