/*
 * The last look at what a build made, for values of its secrets: names and contents of new layers, the configuration,
 * the history. A leak fails the build before anything is tagged, exported or pushed.
 *
 * Layers are looked at in the pass that makes their tar. What is compressed or encrypted inside a file is not found.
 * A leak is noted with its snapshot (leaknote.h): later builds, which may not know the value any more, find it there.
 */
#ifndef CB_BUILDER_LEAKSCAN_H
#define CB_BUILDER_LEAKSCAN_H

#include "builder/build.h"
#include "builder/leaknote.h"
#include "layers/tarwrite.h"

/** The look at one layer. Zero-initialise, then begin. */
struct cb_leakscan {
	const struct cb_build *build;
	struct cb_tar_watch watch; /* for struct cb_diff_spec */
	struct cb_needle_scan scan;
	char *path; /* of the entry */
	bool open;  /* its content is being looked at */
	struct cb_leak leak;
};

/** The watch of a layer's tar, or NULL when there is nothing to look for. It ends the tar at a leak that is not
 * allowed. */
const struct cb_tar_watch *cb_leakscan_begin(struct cb_leakscan *scan, const struct cb_build *build);
void cb_leakscan_done(struct cb_leakscan *scan);
/** Names the leak in the layer on top of @chain: as an error, or where leaks are allowed as a warning. Coordinator
 * only. */
int cb_leakscan_report(
	struct cb_build *build, const struct cb_chain *chain, const struct cb_leak *leak, struct cb_err **err);

/**
 * Looks at what steps with secrets made and no output is made of: a leak is noted, and a warning when the build has no
 * output (@needs) at all.
 */
int cb_leakscan_steps(struct cb_build *build, unsigned int needs, struct cb_err **err);
/** Looks at annotations; @annotations may be NULL. */
int cb_leakscan_annotations(struct cb_build *build, const json_t *annotations, struct cb_err **err);
/** Looks at what no commit did: configuration, annotations, and with CB_OUTPUT_FILES alone at new files. */
int cb_leakscan_result(
	struct cb_build *build, size_t at, unsigned int needs, const struct cb_result *result, struct cb_err **err);

#endif
