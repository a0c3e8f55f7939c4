/*
 * The output drivers behind cb_output_write, one function a file of the same name; and what they share.
 */
#ifndef CB_BUILDER_OUTPUT_DRIVERS_H
#define CB_BUILDER_OUTPUT_DRIVERS_H

#include "builder/output.h"

/** Manifest and config into the store, and the names into its index, or to registries, or both. */
int cb_output_image(const struct cb_output_request *request, const struct cb_results *results, struct cb_cancel *cancel,
	const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err);
/** Pushes the image @desc of the store, which was made of @results, to the registries of the request's names. */
int cb_output_push(const struct cb_output_request *request, const struct cb_results *results,
	const struct cb_descriptor *desc, struct cb_cancel *cancel, const struct cb_output_progress *progress,
	struct cb_err **err);
/** OCI layout (tar or directory) or `docker load` archive. */
int cb_output_archive(const struct cb_output_request *request, const struct cb_results *results,
	struct cb_cancel *cancel, const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err);
/** The merged file system as a directory or a plain tar. */
int cb_output_files(const struct cb_output_request *request, const struct cb_results *results, struct cb_cancel *cancel,
	const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err);

/**
 * Stores manifests and configs of @results, and the index of several; *ret (to end with cb_descriptor_done) is what a
 * name stands for, *ret_meta its facts.
 */
int cb_output_store_image(const struct cb_output_request *request, const struct cb_results *results,
	struct cb_descriptor *ret, json_t **ret_meta, struct cb_err **err);

/** A destination file being written: a temporary beside it, the file itself when it is no regular file, or stdout. */
struct cb_output_file {
	const char *dest;
	int fd;    /* owned unless it is standard output */
	char *tmp; /* name of the temporary, or NULL */
};
int cb_output_file_open(const char *dest, struct cb_output_file *ret, struct cb_err **err);
/** Publishes it (@r == 0) or drops it; returns @r or the error of publishing. */
int cb_output_file_close(struct cb_output_file *file, int r, struct cb_err **err);

/** Checks --ci-output before the build. */
int cb_output_ci_check(const struct cb_settings *settings, struct cb_err **err);
/** Writes what --digest-file, --output-env and --ci-output ask for, from the facts of all outputs. */
int cb_output_ci(const struct cb_settings *settings, const json_t *meta, struct cb_err **err);

static inline void cb_output_status(
	const struct cb_output_progress *progress, const char *line, uint64_t current, uint64_t total)
{
	if (progress && progress->status)
		progress->status(progress->ctx, line, current, total);
}

#endif
