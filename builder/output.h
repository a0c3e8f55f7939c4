/*
 * Outputs: where the result of a build goes.
 *
 * A request is one `-o` (or `-t`, `--load`, `--push`) of the command line, parsed and checked before the build
 * starts. The coordinator asks what it needs, prepares a struct cb_result that has it, and calls cb_output_write in a
 * pool thread. The drivers are builder/output_*.c.
 */
#ifndef CB_BUILDER_OUTPUT_H
#define CB_BUILDER_OUTPUT_H

#include <jansson.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "base/strv.h"
#include "builder/epoch.h"
#include "builder/result.h"
#include "builder/settings.h"
#include "layers/compress.h"

enum cb_output_type {
	CB_OUTPUT_STORE, /* tag in the store; also what `-t` alone means */
	CB_OUTPUT_OCI,
	CB_OUTPUT_DOCKER,
	CB_OUTPUT_LOCAL,
	CB_OUTPUT_TAR,
	CB_OUTPUT_REGISTRY,
	CB_OUTPUT_CACHEONLY,
};

enum cb_output_need {
	CB_OUTPUT_LAYERS = 1 << 0,     /* diff IDs, config, and the blobs of layers that this build made */
	CB_OUTPUT_FILES = 1 << 1,      /* the unpacked chain of snapshots */
	CB_OUTPUT_BASE_BLOBS = 1 << 2, /* the blobs of base layers in the store as well */
};

struct cb_output_request {
	enum cb_output_type type;
	char *dest;                          /* path, "-" for standard output, or NULL */
	bool tar;                            /* oci: one tar file (default) or a directory */
	struct cb_strv names;                /* image names */
	struct cb_compress_spec compression; /* for layers that this build made */
	bool own_compression; /* layers are compressed as this request says, whatever the build's other outputs want */
	bool force_compression; /* those of the base image, too */
	bool oci_mediatypes;
	struct cb_engine *engine; /* docker without a destination: goes into this one */
	bool push;                /* to the registries of the names */
	bool by_digest;           /* pushed without tags */
	bool rewrite_timestamp;   /* files of new layers are not newer than the epoch */
	bool has_epoch;           /* source-date-epoch was given, ... */
	struct cb_epoch epoch;    /* ... and replaces that of the build; it may be none */
	struct cb_strv attrs;     /* all other "key=value" of the -o, as given */
};

/**
 * Makes a request of one -o as the settings have it; NULL for @spec is what -t alone means (or, without @names, a build
 * into the cache only). @names (of -t) are copied into the request for types that carry names. CB_ERR_USAGE with a hint
 * for what is wrong or unknown.
 */
int cb_output_request_new(const struct cb_output_spec *spec, const struct cb_strv *names,
	struct cb_output_request **ret, struct cb_err **err);
/**
 * The request of --load=@engine ("docker", "podman", "auto"). Before cb_runtime_enter, as a request of type docker
 * without dest: both look for the engine.
 */
int cb_output_request_load(
	const char *engine, const struct cb_strv *names, struct cb_output_request **ret, struct cb_err **err);
struct cb_output_request *cb_output_request_free(struct cb_output_request *request);
CB_DEFINE_CLEANUP(struct cb_output_request *, cb_output_request_free)

/** Checks before the build what can be known then: the destination's directory exists, stdout is no terminal. */
int cb_output_check(const struct cb_output_request *request, struct cb_err **err);
/** Asks the registries that @request pushes to whether they allow it. 0 also when it pushes nowhere. */
int cb_output_may_push(const struct cb_output_request *request, struct cb_registry *registry, struct cb_cancel *cancel,
	struct cb_err **err);
/** enum cb_output_need values. */
unsigned int cb_output_needs(const struct cb_output_request *request);
/** Whether @request can hold images of several platforms: CB_ERR_USAGE with a hint when not. */
int cb_output_check_platforms(const struct cb_output_request *request, size_t n_platforms, struct cb_err **err);
/** The progress line of the request, e.g. "exporting to oci image format". Static. */
const char *cb_output_title(const struct cb_output_request *request);

/** Progress of a driver, from any thread. Functions may be NULL. */
struct cb_output_progress {
	void *ctx;
	/** One sub-line, e.g. "exporting layers", with bytes; @total 0 while unknown; @current == @total is done. */
	void (*status)(void *ctx, const char *line, uint64_t current, uint64_t total);
};

/**
 * Writes @results as asked: several platforms as an index, their files into directories of their own. *ret_meta gets a
 * new object of facts for --metadata-file ("containerimage.digest", "containerimage.config.digest",
 * "containerimage.descriptor", "image.name"), merged over all outputs by the caller.
 */
int cb_output_write(const struct cb_output_request *request, const struct cb_results *results, struct cb_cancel *cancel,
	const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err);

/**
 * What stands for the result where an image ID is asked for, from the facts of all outputs: the ID, or of an index its
 * digest. Borrowed.
 */
const char *cb_output_id(const json_t *meta);
/** Writes that ("sha256:…", no newline) to @path. */
int cb_output_iidfile(const char *path, const json_t *meta, struct cb_err **err);
/** Writes @meta, indented, to @path. */
int cb_output_metadata_file(const char *path, json_t *meta, struct cb_err **err);

#endif
