#include "builder/check_source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "builder/check_bases.h"
#include "builder/check_report.h"
#include "layers/pull.h"
#include "layers/ref.h"

struct known_base {
	unsigned int stage;
	char *name;
	const struct cb_image *image;
	struct cb_platform wanted;
};

/* A run of the rules. */
struct run {
	const struct cb_check_source *source;
	struct known_base *bases; /* of stages, as the rules asked for them */
	size_t n_bases, cap_bases;
	struct cb_check_options options;
	char target[CB_PLATFORM_TEXT_MAX], build[CB_PLATFORM_TEXT_MAX];
	struct cb_strv patterns;
	struct cb_ignore *ignore;
};

/* ---- what the rules ask --------------------------------------------------------------------------------------- */

static bool is_reference(const char *text)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;

	return cb_ref_parse(text, &ref, NULL) == 0;
}

static bool split_platform(const char *text, char **ret_os, char **ret_arch)
{
	struct cb_platform platform;

	if (cb_platform_parse(text, &platform, NULL) < 0)
		return false;
	*ret_os = cb_xstrdup(platform.os);
	*ret_arch = cb_xstrdup(platform.arch);
	return true;
}

static bool is_context(void *arg, const char *name)
{
	const struct cb_check_source *source = ((const struct run *)arg)->source;

	return source->contexts && cb_contexts_find(source->contexts, name, &source->target);
}

/* The image behind FROM @name, which may be a named context; NULL: none, or not known. */
static const struct cb_image *look_up(
	const struct cb_check_source *source, const char *name, const struct cb_platform *platform)
{
	const struct cb_named_context *named =
		source->contexts ? cb_contexts_find(source->contexts, name, platform) : NULL;

	if (!source->bases || (named && named->kind != CB_CONTEXT_IMAGE))
		return NULL;
	return cb_check_bases_get(source->bases, named ? named->image : name, platform);
}

static bool base(void *arg, unsigned int index, const char *name, const char *platform, struct cb_check_base *ret)
{
	struct run *run = arg;
	const struct cb_check_source *source = run->source;
	const struct cb_base *planned = source->plan ? cb_plan_base(source->plan, source->target_at, index) : NULL;
	struct cb_platform wanted = source->target;
	const struct cb_image *image;

	if (platform && cb_platform_parse(platform, &wanted, NULL) < 0)
		return false;
	image = planned ? planned->image : look_up(source, name, &wanted);
	if (!image)
		return false;
	CB_GROW(run->bases, run->cap_bases, run->n_bases + 1);
	run->bases[run->n_bases++] = (struct known_base){ index, cb_xstrdup(planned ? planned->name : name), image,
		planned ? planned->platform : wanted };
	ret->env = &image->config->env;
	ret->has_shell = image->config->shell.n > 0;
	return true;
}

/* ---- running -------------------------------------------------------------------------------------------------- */

static void run_done(struct run *run)
{
	cb_strv_done(&run->patterns);
	cb_ignore_free(run->ignore);
	for (size_t i = 0; i < run->n_bases; i++)
		free(run->bases[i].name);
	free(run->bases);
}

/* The file beside the Buildfile replaces that of the context. A broken one is the build's error, not a finding. */
static int read_ignore(struct run *run, const struct cb_settings *settings, struct cb_err **err)
{
	cleanup_free char *beside = cb_xasprintf("%s.dockerignore", settings->file ? settings->file : "");
	cleanup_free char *inside = cb_xasprintf("%s/.dockerignore", settings->context);
	const char *names[] = { settings->file && strcmp(settings->file, "-") != 0 ? beside : NULL,
		strcmp(settings->context, "-") != 0 && !strstr(settings->context, "://") ? inside : NULL };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_buf struct cb_buf data = { 0 };
		int r;

		if (!names[i] || cb_file_read_at(AT_FDCWD, names[i], CB_IGNORE_FILE_MAX, &data, NULL) < 0)
			continue;
		r = cb_ignore_read(cb_buf_str(&data), data.len, &run->patterns, err);
		if (r == 0)
			r = cb_ignore_parse(cb_buf_str(&data), data.len, &run->ignore, err);
		if (r < 0 && err && *err && !(*err)->file)
			(*err)->file = cb_xstrdup(names[i] + (cb_str_starts(names[i], "./") ? 2 : 0));
		run->options.ignore = run->ignore;
		run->options.ignore_patterns = &run->patterns;
		return r;
	}
	return 0;
}

static int run_init(struct run *run, const struct cb_check_source *source, struct cb_err **err)
{
	const struct cb_settings *settings = source->settings;
	const struct cb_stage *last = &source->file->stages[source->file->n_stages - 1];
	struct cb_platform host;

	run->source = source;
	cb_platform_host(&host);
	cb_platform_format(&host, run->build);
	cb_platform_format(&source->target, run->target);
	run->options = (struct cb_check_options){
		.build_args = &settings->build_args,
		.platforms = { run->target, run->build, last->name ? last->name : "default" },
		.target = settings->target,
		.own = source->own,
		.portable = source->portable,
		.is_reference = is_reference,
		.split_platform = split_platform,
		.is_context = is_context,
		.base = base,
		.arg = run,
	};
	if (settings->target)
		run->options.platforms.stage = settings->target;
	return read_ignore(run, settings, err);
}

static void note_platform(const struct cb_check_source *source, const struct known_base *base, struct cb_findings *ret)
{
	const struct cb_platform *platform = &base->image->config->platform;
	char want[CB_PLATFORM_TEXT_MAX], have[CB_PLATFORM_TEXT_MAX];
	cleanup_free char *text = NULL;

	if (cb_str_eq(platform->os, base->wanted.os) && cb_str_eq(platform->arch, base->wanted.arch))
		return;
	cb_platform_format(&base->wanted, want);
	cb_platform_format(platform, have);
	text = cb_xasprintf("Base image %s was pulled with platform \"%s\", expected \"%s\" for current build",
		base->name, have, want);
	cb_check_note(source->file, &source->settings->build_args, CB_RULE_INVALID_BASE_IMAGE_PLATFORM,
		source->file->stages[base->stage].from->node, text, ret);
}

int cb_check_run(const struct cb_check_source *source, struct cb_findings *ret, struct cb_err **err)
{
	__attribute__((cleanup(run_done))) struct run run = { 0 };
	int r = run_init(&run, source, err);

	if (r == 0)
		r = cb_check(source->file, &run.options, ret, err);
	for (size_t i = 0; r == 0 && i < run.n_bases; i++)
		note_platform(source, &run.bases[i], ret);
	return r;
}

int cb_check_outline(const struct cb_check_source *source, struct cb_outline *ret, struct cb_err **err)
{
	__attribute__((cleanup(run_done))) struct run run = { 0 };
	int r = run_init(&run, source, err);

	return r < 0 ? r : cb_outline(source->file, &run.options, ret, err);
}

/* ---- in builds ------------------------------------------------------------------------------------------------ */

char *cb_check_warning(const struct cb_finding *finding)
{
	if (finding->file)
		return cb_xasprintf(
			"%s: %s (%s line %u)", finding->rule->name, finding->msg, finding->file, finding->line);
	return cb_xasprintf("%s: %s (line %u)", finding->rule->name, finding->msg, finding->line);
}

void cb_check_metadata(const struct cb_findings *findings, const char *file, json_t *meta)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->n; i++) {
		const struct cb_finding *finding = &findings->v[i];
		cleanup_free char *text = cb_check_warning(finding);
		cleanup_free char *words = cb_check_base64(text, strlen(text));
		cleanup_free char *detail = cb_check_base64(finding->rule->summary, strlen(finding->rule->summary));
		cleanup_free char *name = cb_check_clean(finding->file ? finding->file : file);

		json_array_append_new(
			list, json_pack("{s:i, s:s, s:[s], s:s*, s:{s:s, s:s}, s:[{s:{s:i}, s:{s:i}}]}", "level", 1,
				      "short", words, "detail", detail, "url", finding->rule->url, "sourceInfo",
				      "filename", name, "language", "Dockerfile", "range", "start", "line",
				      (int)finding->line, "end", "line", (int)finding->end_line));
	}
	if (findings->n)
		json_object_set(meta, "buildx.build.warnings", list);
	json_decref(list);
}
