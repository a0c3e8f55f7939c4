/* A plan from text, with base images that are made up: "base:NAME" resolves to a config given by the test. */
#ifndef CB_TESTS_PLANFIX_H
#define CB_TESTS_PLANFIX_H

#include <string.h>

#include "builder/plan.h"
#include "layers/pull.h"

struct planfix {
	struct cb_settings settings;
	struct cb_contexts *contexts;
	struct cb_buildfile *file;
	struct cb_plan *plan;
	const char *base_config; /* JSON; NULL: bases stay unresolved */
	struct cb_err *err;
};

static inline int planfix_resolve(void *ctx, struct cb_base **bases, size_t n, struct cb_err **err)
{
	struct planfix *fix = ctx;

	for (size_t i = 0; i < n; i++) {
		struct cb_image *image = cb_new0(struct cb_image);
		int r = cb_image_config_parse(fix->base_config, strlen(fix->base_config), &image->config, err);

		if (r < 0) {
			free(image);
			return r;
		}
		image->name = cb_xstrdup(bases[i]->name);
		image->n_layers = image->config->n_diff_ids;
		image->layers = cb_newa0(struct cb_image_layer, image->n_layers + 1);
		for (size_t k = 0; k < image->n_layers; k++)
			image->layers[k].diff_id = image->config->diff_ids[k];
		bases[i]->image = image;
	}
	return 0;
}

/** @args: "K=V" build arguments separated by newlines, or NULL; @several: for two platforms. */
static inline int planfix_init_for(struct planfix *fix, bool several, const char *text, const char *args,
	const char *target, const char *base_config)
{
	const struct cb_platform targets[] = { { .os = "linux", .arch = "amd64" }, { .os = "linux", .arch = "arm64" } };
	struct cb_plan_options options = { .settings = &fix->settings, .targets = targets };
	int r;

	*fix = (struct planfix){ .base_config = base_config };
	cb_settings_init(&fix->settings);
	fix->settings.context = cb_xstrdup(".");
	fix->settings.target = cb_xstrdup_null(target);
	if (args)
		cb_strv_split(&fix->settings.build_args, args, '\n');
	r = cb_contexts_new(&fix->settings, &fix->contexts, &fix->err);
	if (r == 0)
		r = cb_parse(text, strlen(text), &fix->file, &fix->err);
	if (r < 0)
		return r;
	options.n_targets = several ? 2 : 1;
	options.file = fix->file;
	options.contexts = fix->contexts;
	cb_platform_parse("linux/amd64", &options.build, NULL);
	options.resolve = base_config ? planfix_resolve : NULL;
	options.ctx = fix;
	return cb_plan_new(&options, &fix->plan, &fix->err);
}

static inline int planfix_init(
	struct planfix *fix, const char *text, const char *args, const char *target, const char *base_config)
{
	return planfix_init_for(fix, false, text, args, target, base_config);
}

static inline void planfix_done(struct planfix *fix)
{
	cb_plan_free(fix->plan);
	cb_buildfile_free(fix->file);
	cb_contexts_free(fix->contexts);
	cb_settings_done(&fix->settings);
	cb_err_free(fix->err);
}

#endif
