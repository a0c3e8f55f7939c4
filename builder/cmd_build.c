/* cbuild build: the settings' build from the Buildfile to its outputs. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/num.h"
#include "base/path.h"
#include "builder/account.h"
#include "builder/annotations.h"
#include "builder/build.h"
#include "builder/cachemounts.h"
#include "builder/check_source.h"
#include "builder/command.h"
#include "builder/commit.h"
#include "builder/help.h"
#include "builder/include.h"
#include "builder/leakscan.h"
#include "builder/output_drivers.h"
#include "builder/remotes.h"
#include "builder/report.h"
#include "builder/secret.h"

/* All -o of a build; -t alone is one too. */
struct outputs {
	struct cb_output_request **v;
	size_t n;
	unsigned int needs;
	bool push;                           /* one of them goes to registries */
	struct cb_compress_spec compression; /* of the first that has layers; others compress once more */
	bool rewrite_timestamp;
	bool has_epoch; /* source-date-epoch was given */
	struct cb_epoch epoch;
};

static void outputs_done(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->n; i++)
		cb_output_request_free(outputs->v[i]);
	free(outputs->v);
}

/* There is one set of layers, and one time of the image. */
static int take_request(struct outputs *outputs, const struct cb_output_request *request, struct cb_err **err)
{
	unsigned int needs = cb_output_needs(request);

	if (outputs->n == 1) {
		outputs->has_epoch = request->has_epoch;
		outputs->epoch = request->epoch;
	} else if (outputs->has_epoch != request->has_epoch || outputs->epoch.set != request->epoch.set ||
		   outputs->epoch.seconds != request->epoch.seconds) {
		return cb_err_set(
			err, CB_ERR_UNSUPPORTED, "outputs of one build with different values of source-date-epoch");
	}
	if (needs & CB_OUTPUT_LAYERS && !(outputs->needs & CB_OUTPUT_LAYERS)) {
		outputs->compression = request->compression;
		outputs->rewrite_timestamp = request->rewrite_timestamp;
	} else if (needs & CB_OUTPUT_LAYERS) {
		if (outputs->rewrite_timestamp != request->rewrite_timestamp)
			return cb_err_set(err, CB_ERR_UNSUPPORTED,
				"outputs of one build with different values of rewrite-timestamp");
	}
	outputs->needs |= needs;
	outputs->push |= request->push;
	return 0;
}

static int add_output(
	struct outputs *outputs, const struct cb_output_spec *spec, const struct cb_strv *names, struct cb_err **err)
{
	struct cb_output_request *request;
	int r = cb_output_request_new(spec, names, &request, err);

	if (r < 0)
		return r;
	outputs->v[outputs->n++] = request;
	r = take_request(outputs, request, err);
	return r < 0 ? r : cb_output_check(request, err);
}

/* A build should not take an hour to find that its last file cannot be written. */
static int check_file(const char *option, const char *path, struct cb_err **err)
{
	cleanup_free char *dir = path ? cb_path_dir(path) : NULL;
	struct stat st;

	if (!path)
		return 0;
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return cb_err_set(err, CB_ERR_INPUT, "--%s %s: directory %s does not exist", option, path, dir);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return cb_err_set(err, CB_ERR_INPUT, "--%s %s is a directory", option, path);
	return 0;
}

/* --load: into the engine, alone unless more is asked for. */
static int add_load(const struct cb_settings *settings, struct outputs *outputs, struct cb_err **err)
{
	struct cb_output_request *request;
	int r = cb_output_request_load(settings->load, &settings->tags, &request, err);

	if (r < 0)
		return r;
	outputs->v[outputs->n++] = request;
	return take_request(outputs, request, err);
}

/* --push: images that are stored go to their registries as well; without one, the image goes there alone. */
static int add_push(const struct cb_settings *settings, struct outputs *outputs, struct cb_err **err)
{
	struct cb_output_spec registry = { .type = (char *)"registry" };

	for (size_t i = 0; i < outputs->n; i++) {
		struct cb_output_request *request = outputs->v[i];

		if (request->type == CB_OUTPUT_STORE && request->names.n)
			request->push = true;
		outputs->push |= request->push;
	}
	return outputs->push ? 0 : add_output(outputs, &registry, &settings->tags, err);
}

/* What goes on to other programs is the digest of a manifest. */
static int check_ci(const struct cb_settings *settings, const struct outputs *outputs, struct cb_err **err)
{
	int r = check_file("digest-file", settings->digest_file, err);

	if (r == 0)
		r = check_file("output-env", settings->output_env, err);
	if (r == 0)
		r = cb_output_ci_check(settings, err);
	if (r < 0)
		return r;
	if ((settings->digest_file || settings->output_env || settings->ci_outputs.n) &&
		!(outputs->needs & CB_OUTPUT_LAYERS)) {
		r = cb_err_set(err, CB_ERR_USAGE, "--%s: this build makes no image",
			settings->digest_file  ? "digest-file"
			: settings->output_env ? "output-env"
					       : "ci-output");
		return cb_err_hint(err, r, "name it with -t, or give an output of type image, oci or docker");
	}
	return 0;
}

static int check_platforms(const struct cb_settings *settings, const struct outputs *outputs, struct cb_err **err)
{
	cleanup_free struct cb_platform *platforms = NULL;
	json_t *index = NULL, *descriptor = NULL;
	size_t n;
	int r = cb_settings_platforms(settings, &platforms, &n, err);

	for (size_t i = 0; r == 0 && i < outputs->n; i++)
		r = cb_output_check_platforms(outputs->v[i], n, err);
	if (r == 0)
		r = cb_annotations_of_index(&settings->annotations, n > 1, &index, &descriptor, err);
	if (r < 0)
		return r;
	json_decref(index);
	json_decref(descriptor);
	return 0;
}

/* What images carry needs an image to carry it. */
static int check_inline(const struct cb_settings *settings, const struct outputs *outputs, struct cb_err **err)
{
	for (size_t i = 0; i < settings->cache_to.n; i++) {
		bool inlined = false, image = false;
		int r = cb_remotes_is_inline(settings->cache_to.v[i], &inlined, err);

		for (size_t k = 0; k < outputs->n; k++)
			image |= (cb_output_needs(outputs->v[k]) & CB_OUTPUT_LAYERS) != 0;
		if (r < 0)
			return r;
		if (inlined && settings->squash)
			return cb_err_set(err, CB_ERR_USAGE,
				"--cache-to type=inline: an image with --squash does not have the layers of its steps");
		if (inlined && !image) {
			r = cb_err_set(err, CB_ERR_USAGE, "--cache-to type=inline: this build makes no image");
			return cb_err_hint(err, r, "push one, or give an output of type image, oci or docker");
		}
	}
	return 0;
}

static int make_outputs(const struct cb_settings *settings, struct outputs *outputs, struct cb_err **err)
{
	int r = 0;

	outputs->compression = (struct cb_compress_spec){ CB_CODEC_GZIP, CB_LEVEL_DEFAULT };
	outputs->v = cb_xcalloc(settings->n_outputs + 3, sizeof(struct cb_output_request *));
	for (size_t i = 0; i < settings->n_outputs && r == 0; i++)
		r = add_output(outputs, &settings->outputs[i], &settings->tags, err);
	if (r == 0 && settings->load)
		r = add_load(settings, outputs, err);
	if (r == 0 && settings->push)
		r = add_push(settings, outputs, err);
	if (r == 0 && !outputs->n)
		r = add_output(outputs, NULL, &settings->tags, err);
	if (r == 0)
		r = check_file("iidfile", settings->iidfile, err);
	if (r == 0)
		r = check_file("metadata-file", settings->metadata_file, err);
	if (r == 0)
		r = check_ci(settings, outputs, err);
	if (r == 0)
		r = check_platforms(settings, outputs, err);
	if (r == 0)
		r = check_inline(settings, outputs, err);
	if (settings->iidfile || settings->quiet || settings->metadata_file)
		outputs->needs |= CB_OUTPUT_LAYERS;
	return r;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

struct writing {
	struct cb_build *build;
	const struct cb_output_request *request;
	const struct cb_results *results;
	struct cb_vertex *vertex; /* stands for the output in messages */
	json_t *meta;
};

static void status(void *ctx, const char *line, uint64_t current, uint64_t total)
{
	struct writing *writing = ctx;

	cb_build_status(writing->build, writing->vertex, line, current, total);
}

static int write_output(void *arg, struct cb_err **err)
{
	struct writing *writing = arg;
	struct cb_output_progress progress = { writing, status };

	return cb_output_write(
		writing->request, writing->results, writing->build->scheduler.cancel, &progress, &writing->meta, err);
}

static int write_one(struct cb_build *build, const struct cb_output_request *request, const struct cb_results *results,
	json_t *meta, struct cb_err **err)
{
	uint32_t id = cb_build_show(build, cb_output_title(request));
	struct cb_vertex vertex;
	struct writing writing = { .build = build, .request = request, .results = results, .vertex = &vertex };
	void *arg = &writing;
	int r;

	cb_build_stand_in(build, CB_STAND_IN_OUTPUT, &vertex, id);
	cb_progress_started(build->progress, id);
	r = cb_scheduler_call(&build->scheduler, CB_LANE_NET, write_output, &arg, 1, err);
	if (r < 0)
		cb_progress_error(build->progress, id, err && *err ? cb_err_msg(*err) : "");
	else
		cb_progress_done(build->progress, id);
	if (writing.meta)
		json_object_update(meta, writing.meta);
	json_decref(writing.meta);
	return r;
}

/* The result of --quiet, unless standard output is an archive already. */
static int print_id(const struct outputs *outputs, const json_t *meta, struct cb_err **err)
{
	for (size_t i = 0; i < outputs->n; i++)
		if (outputs->v[i]->dest && !strcmp(outputs->v[i]->dest, "-"))
			return 0;
	if (printf("%s\n", cb_output_id(meta)) < 0 || fflush(stdout) < 0)
		return cb_err_errno(err, errno, "write standard output");
	return 0;
}

/* The image of one platform, looked through for secrets. */
static int add_result(struct cb_build *build, size_t at, const struct outputs *outputs, struct cb_results *results,
	struct cb_err **err)
{
	struct cb_result *result;
	int r = cb_build_result(build, at, outputs->needs, &outputs->compression, &results->v[at], err);

	if (r < 0)
		return r;
	results->n = at + 1;
	result = results->v[at];
	r = cb_annotations_of(&build->settings->annotations, &result->platform, &result->annotations,
		&result->descriptor_annotations, err);
	return r < 0 ? r : cb_leakscan_result(build, at, outputs->needs, result, err);
}

static int make_results(
	struct cb_build *build, const struct outputs *outputs, struct cb_results *results, struct cb_err **err)
{
	size_t n = build->plan->n_targets;
	int r = 0;

	results->v = cb_newa0(struct cb_result *, n);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = add_result(build, i, outputs, results, err);
	if (r >= 0)
		r = cb_annotations_of_index(&build->settings->annotations, n > 1, &results->annotations,
			&results->descriptor_annotations, err);
	if (r >= 0)
		r = cb_leakscan_annotations(build, results->annotations, err);
	return r >= 0 ? cb_leakscan_annotations(build, results->descriptor_annotations, err) : r;
}

/* What tells the ID of the result, which perhaps no output wrote down: the facts @meta, or new ones. */
static int facts_of_id(const struct outputs *outputs, const struct cb_results *results, json_t *meta, json_t **ret,
	struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	struct cb_output_request request = { .oci_mediatypes = true };

	if (!(outputs->needs & CB_OUTPUT_LAYERS) || json_object_get(meta, "containerimage.digest")) {
		*ret = json_incref(meta);
		return 0;
	}
	if (results->n > 1)
		return cb_output_store_image(&request, results, &desc, ret, err);
	*ret = json_pack("{s:s}", "containerimage.config.digest", results->v[0]->config_digest.text);
	return 0;
}

static int write_outputs(struct cb_build *build, const struct outputs *outputs, struct cb_err **err)
{
	cleanup_results struct cb_results results = { 0 };
	const struct cb_settings *settings = build->settings;
	cleanup_json json_t *meta = json_object(), *id = NULL;
	int r = 0;

	if (!outputs->needs)
		return 0;
	r = make_results(build, outputs, &results, err);
	for (size_t i = 0; i < outputs->n && r >= 0; i++)
		if (cb_output_needs(outputs->v[i]))
			r = write_one(build, outputs->v[i], &results, meta, err);
	if (r >= 0)
		r = facts_of_id(outputs, &results, meta, &id, err);
	if (r >= 0 && settings->iidfile)
		r = cb_output_iidfile(settings->iidfile, id, err);
	cb_check_metadata(&build->findings, build->file.shown, meta);
	if (r >= 0 && settings->metadata_file)
		r = cb_output_metadata_file(settings->metadata_file, meta, err);
	if (r >= 0)
		r = cb_output_ci(settings, meta, err);
	if (r >= 0 && settings->quiet)
		r = print_id(outputs, id, err);
	return r < 0 ? r : 0;
}

/* ---- permission ----------------------------------------------------------------------------------------------- */

struct asking {
	struct cb_build *build;
	const struct outputs *outputs;
};

static int ask_registries(void *arg, struct cb_err **err)
{
	const struct asking *asking = arg;
	int r = 0;

	for (size_t i = 0; r == 0 && i < asking->outputs->n; i++)
		r = cb_output_may_push(
			asking->outputs->v[i], asking->build->registry, asking->build->scheduler.cancel, err);
	return r;
}

/* A build should not take an hour to find that its result may not be pushed. */
static int check_push(struct cb_build *build, const struct outputs *outputs, struct cb_err **err)
{
	struct asking asking = { build, outputs };
	void *arg = &asking;
	uint32_t id;
	int r;

	if (!outputs->push)
		return 0;
	id = cb_build_show(build, "[internal] ask for permission to push");
	cb_progress_started(build->progress, id);
	r = cb_scheduler_call(&build->scheduler, CB_LANE_NET, ask_registries, &arg, 1, err);
	if (r < 0)
		cb_progress_error(build->progress, id, err && *err ? cb_err_msg(*err) : "");
	else
		cb_progress_done(build->progress, id);
	return r;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

/* Which time the result has, and the files in it. */
static void settle_times(struct cb_build *build, const struct outputs *outputs)
{
	if (outputs->has_epoch)
		build->made = outputs->epoch;
	if (build->settings->reproducible && build->made.set)
		build->layer_times = CB_TIMES_LEVEL;
	else if (outputs->rewrite_timestamp && build->made.set)
		build->layer_times = CB_TIMES_CLAMPED;
	else if (outputs->rewrite_timestamp)
		cb_progress_warning(
			build->progress, UINT32_MAX, "rewrite-timestamp has no effect: there is no SOURCE_DATE_EPOCH");
}

static int run(struct cb_build *build, const struct outputs *outputs, struct cb_err **err)
{
	int r;

	for (size_t i = 0; i < build->settings->ignored.n; i++) {
		cleanup_free char *text = cb_xasprintf("--%s has no effect", build->settings->ignored.v[i]);

		cb_progress_warning(build->progress, UINT32_MAX, text);
	}
	for (size_t i = 0; i < build->security_warnings.n; i++)
		cb_progress_warning(build->progress, UINT32_MAX, build->security_warnings.v[i]);
	const struct cb_strv *told = &cb_runtime_info(build->runtime)->warnings;
	for (size_t i = 0; i < told->n; i++)
		cb_progress_warning(build->progress, UINT32_MAX, told->v[i]);
	r = cb_build_plan(build, err);
	if (r == 0)
		settle_times(build, outputs);
	if (r == 0)
		r = check_push(build, outputs, err);
	if (r == 0 && (outputs->needs & CB_OUTPUT_LAYERS || build->settings->cache_to.n))
		build->commits = cb_commits_new(build, &outputs->compression);
	if (r == 0)
		r = cb_build_run(build, outputs->needs, err);
	cb_cachemounts_start(build->cachemounts, r == 0);
	if (r == 0)
		r = cb_leakscan_steps(build, outputs->needs, err);
	if (r == 0)
		r = write_outputs(build, outputs, err);
	if (r == 0)
		r = cb_remotes_finish(build->remotes, err);
	cb_cachemounts_finish(build->cachemounts);
	return r;
}

static int report_timeout(const struct cb_build *build)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf time = { 0 };

	cb_num_format_duration(&time, build->settings->timeout);
	cb_err_set(&err, CB_ERR_TIMEOUT, "the build is not done after %s, its --timeout", cb_buf_str(&time));
	return cb_report_fail(err, NULL, NULL);
}

/* How the build ended, for people and for the exit status. */
static int conclude(struct cb_build *build, int code, struct cb_err *err)
{
	struct cb_report_source source = {
		.name = build->file.shown, .data = build->file.data.data, .len = build->file.data.len
	};
	struct cb_report_step step = { 0 };
	cleanup_buf struct cb_buf tail = { 0 };

	cb_progress_finish(build->progress, code >= 0);
	cb_account_end(build, code >= 0);
	if (build->signal)
		return 128 + build->signal;
	if (code >= 0)
		return CB_EXIT_OK;
	if (build->timed_out)
		return report_timeout(build);
	if (build->failed && code == CB_ERR_NO_SPACE && err && !err->hint)
		cb_err_hint(&err, code, "make room in the store %s, or name another one with --root",
			build->settings->root);
	if (build->failed && build->failed->name && (code == CB_ERR_STEP || code == CB_ERR_TIMEOUT)) {
		cb_progress_tail(build->progress, build->shown[build->failed->id], &tail);
		step.name = build->failed->name;
		step.tail = cb_buf_str(&tail);
	}
	if (build->parsed)
		cb_buildfile_localise(build->parsed, err);
	cb_includes_report(build->includes, &source);
	return cb_report_fail_redacted(
		err, source.name ? &source : NULL, step.name ? &step : NULL, build->shown_needles);
}

static int build_main(const struct cb_settings *settings)
{
	__attribute__((cleanup(outputs_done))) struct outputs outputs = { 0 };
	CB_CLEANUP(cb_build_close) struct cb_build *build = NULL;
	cleanup_err struct cb_err *err = NULL;
	int r = make_outputs(settings, &outputs, &err);

	if (r == 0)
		r = cb_runtime_enter(cb_build_isolation(settings), &err);
	if (r == 0)
		r = cb_build_open(settings, &build, &err);
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	assert(build);
	r = run(build, &outputs, &err);
	cb_build_collect(build);
	return conclude(build, r, err);
}

int cb_cmd_build(int argc, char **argv)
{
	cleanup_settings struct cb_settings settings;
	cleanup_err struct cb_err *err = NULL;
	int r;

	cb_settings_init(&settings);
	r = cb_settings_parse(&settings, argc, argv, environ, &err);
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	if (r > 0)
		return cb_help_command("build");
	cb_log_enable(settings.debug);
	cb_secrets_load(&settings);
	if (settings.call != CB_CALL_BUILD)
		return cb_check_call(&settings);
	return build_main(&settings);
}
