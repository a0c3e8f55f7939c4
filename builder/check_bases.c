#include "builder/check_bases.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "layers/pull.h"
#include "layers/ref.h"

struct cb_check_bases {
	const struct cb_settings *settings;
	bool ask;
	struct cb_build *build, *own;
	bool opened;
	struct cb_map *images; /* "name platform" -> struct entry */
};

struct entry {
	struct cb_image *image; /* or NULL */
};

static void entry_free(void *value)
{
	struct entry *entry = value;

	cb_image_free(entry->image);
	free(entry);
}

struct cb_check_bases *cb_check_bases_new(const struct cb_settings *settings, bool ask, struct cb_build *build)
{
	struct cb_check_bases *bases = cb_new0(struct cb_check_bases);

	bases->settings = settings;
	bases->ask = ask;
	bases->build = build;
	bases->images = cb_map_new(entry_free);
	return bases;
}

struct cb_check_bases *cb_check_bases_free(struct cb_check_bases *bases)
{
	if (!bases)
		return NULL;
	cb_map_free(bases->images);
	cb_build_close(bases->own);
	free(bases);
	return NULL;
}

/* Checking makes no store only to find it empty. */
static struct cb_build *build_of(struct cb_check_bases *bases)
{
	cleanup_err struct cb_err *err = NULL;
	int r;

	if (bases->build || bases->opened)
		return bases->build;
	bases->opened = true;
	if (!bases->ask && access(bases->settings->root, R_OK) < 0)
		return NULL;
	r = cb_runtime_enter(cb_build_isolation(bases->settings), &err);
	if (r == 0)
		r = cb_build_open_reading(bases->settings, &bases->own, &err);
	if (r < 0)
		cb_log_debug("base images are not looked up: %s", cb_err_msg(err));
	bases->build = bases->own;
	return bases->build;
}

static struct cb_image *look_up(struct cb_check_bases *bases, const char *name, const struct cb_platform *platform)
{
	struct cb_build *build = build_of(bases);
	struct cb_base base = { .name = name, .platform = *platform }, *list = &base;
	cleanup_err struct cb_err *err = NULL;

	if (!build)
		return NULL;
	build->offline = !bases->ask;
	if (cb_step_resolve(build, &list, 1, &err) < 0) {
		if (bases->ask && !build->signal)
			fprintf(stderr, "warning: the base image is not known, so rules about it are silent: %s\n",
				cb_err_msg(err));
		return NULL;
	}
	return base.image;
}

const struct cb_image *cb_check_bases_get(
	struct cb_check_bases *bases, const char *name, const struct cb_platform *platform)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	char platform_text[CB_PLATFORM_TEXT_MAX];
	cleanup_free char *full = NULL, *key = NULL;
	struct entry *entry;

	if (cb_str_starts(name, "oci-layout://"))
		full = cb_xstrdup(name);
	else if (cb_ref_parse(name, &ref, NULL) == 0)
		full = cb_ref_format(ref);
	else
		return NULL;
	cb_platform_format(platform, platform_text);
	key = cb_xasprintf("%s %s", full, platform_text);
	entry = cb_map_get(bases->images, key);
	if (!entry) {
		entry = cb_new0(struct entry);
		entry->image = look_up(bases, full, platform);
		cb_map_set(bases->images, key, entry);
	}
	return entry->image;
}
