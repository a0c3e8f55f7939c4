/* `cbuild images`: the images of the store that have names. */
#include <fnmatch.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/storecmd.h"
#include "builder/storedimage.h"
#include "layers/ref.h"

enum { OPT_DIGESTS = 1, OPT_FORMAT, OPT_NO_TRUNC, OPT_QUIET, OPT_ROOT };

const struct cb_opt cb_images_options[] = {
	{ "digests", 0, CB_OPT_FLAG, OPT_DIGESTS, NULL, "show the digests of the manifests", NULL },
	{ "format", 0, CB_OPT_VALUE, OPT_FORMAT, "FORMAT", "text or json", "text|json" },
	{ "no-trunc", 0, CB_OPT_FLAG, OPT_NO_TRUNC, NULL, "whole ids", NULL },
	{ "quiet", 'q', CB_OPT_FLAG, OPT_QUIET, NULL, "only the image ids", NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};

struct request {
	bool digests, json, whole, quiet;
	const char *root;
	struct cb_strv patterns;
	int64_t now;
	json_t *list;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_DIGESTS:
		request->digests = cb_opt_bool(value);
		return 0;
	case OPT_FORMAT:
		return cb_storecmd_format(value, &request->json, err);
	case OPT_NO_TRUNC:
		request->whole = cb_opt_bool(value);
		return 0;
	case OPT_QUIET:
		request->quiet = cb_opt_bool(value);
		return 0;
	default:
		request->root = value;
		return 0;
	}
}

/* A pattern is compared with the name as people type it, with its repository alone, and with the whole of it. */
static bool wanted(const struct request *request, const char *full, const char *repository, const char *familiar)
{
	for (size_t i = 0; i < request->patterns.n; i++) {
		const char *pattern = request->patterns.v[i];

		if (fnmatch(pattern, full, 0) == 0 || fnmatch(pattern, repository, 0) == 0 ||
			fnmatch(pattern, familiar, 0) == 0)
			return true;
	}
	return !request->patterns.n;
}

static void add_line(struct cb_buf *out, const struct request *request, const struct cb_listed_image *image,
	const char *repository, const char *tag)
{
	cleanup_buf struct cb_buf size = { 0 }, age = { 0 };
	char id[CB_DIGEST_TEXT_MAX] = "<damaged>";
	struct timespec t;

	if (image->image)
		cb_stored_id(&image->image->manifest->config.digest, request->whole, id);
	if (request->quiet) {
		cb_buf_addf(out, "%s\n", id);
		return;
	}
	cb_num_format_size(&size, image->size);
	if (image->image && image->image->config->created && cb_time_parse(image->image->config->created, &t))
		cb_storecmd_age(&age, request->now, t.tv_sec);
	cb_buf_addf(out, "%-30s  %-14s  ", repository, tag);
	if (request->digests)
		cb_buf_addf(out, "%s  ", image->desc.digest.text);
	cb_buf_addf(out, "%-12s  %-14s  %s\n", id, cb_buf_str(&age), cb_buf_str(&size));
}

static void add_json(struct request *request, const struct cb_listed_image *image, const char *full,
	const char *repository, const char *tag)
{
	json_t *obj = json_object();
	char platform[CB_PLATFORM_TEXT_MAX];

	if (full)
		json_object_set_new(obj, "name", json_string(full));
	json_object_set_new(obj, "repository", json_string(repository));
	json_object_set_new(obj, "tag", json_string(tag));
	json_object_set_new(obj, "digest", json_string(image->desc.digest.text));
	if (image->image) {
		cb_platform_format(&image->image->config->platform, platform);
		json_object_set_new(obj, "id", json_string(image->image->manifest->config.digest.text));
		json_object_set_new(obj, "platform", json_string(platform));
		if (image->image->config->created)
			json_object_set_new(obj, "created", json_string(image->image->config->created));
	}
	if (image->platforms.n) {
		json_t *list = json_array();

		for (size_t i = 0; i < image->platforms.n; i++)
			json_array_append_new(list, json_string(image->platforms.v[i]));
		json_object_set_new(obj, "platforms", list);
	}
	json_object_set_new(obj, "size", json_integer((json_int_t)image->size));
	json_array_append_new(request->list, obj);
}

static void add_name(struct cb_buf *out, struct request *request, const struct cb_listed_image *image, const char *full)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *familiar = NULL, *tag = NULL;
	const char *shown_tag = "<none>";

	if (full && cb_ref_parse(full, &ref, NULL) == 0) {
		familiar = cb_ref_familiar(ref, false);
		tag = cb_xstrdup_null(ref->tag);
		free(ref->tag);
		ref->tag = NULL;
		if (tag)
			shown_tag = tag;
	}
	if (ref) {
		cleanup_free char *repository = cb_ref_familiar(ref, true);

		if (!wanted(request, full, repository, familiar))
			return;
		if (request->json)
			add_json(request, image, full, repository, shown_tag);
		else
			add_line(out, request, image, repository, shown_tag);
	} else if (!request->patterns.n) {
		if (request->json)
			add_json(request, image, NULL, "<none>", "<none>");
		else
			add_line(out, request, image, "<none>", "<none>");
	}
}

static void print_listing(struct cb_buf *out, struct request *request, const struct cb_listing *listing)
{
	if (!request->json && !request->quiet) {
		cb_buf_addf(out, "%-30s  %-14s  ", "REPOSITORY", "TAG");
		if (request->digests)
			cb_buf_addf(out, "%-71s  ", "DIGEST");
		cb_buf_addf(out, "%-12s  %-14s  %s\n", "IMAGE ID", "CREATED", "SIZE");
	}
	for (size_t i = 0; i < listing->n; i++) {
		const struct cb_listed_image *image = &listing->v[i];

		for (size_t k = 0; k < image->names.n; k++)
			add_name(out, request, image, image->names.v[k]);
		if (!image->names.n)
			add_name(out, request, image, NULL);
	}
	if (request->json) {
		cleanup_free char *text = cb_json_dump(request->list, false);

		cb_buf_addf(out, "%s\n", text);
	}
}

int cb_cmd_images(int argc, char **argv)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_listing struct cb_listing listing = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_json json_t *list = json_array();
	struct request request = { .now = cb_time_now().tv_sec, .list = list };
	const struct cb_opt_reader reader = { .command = "images",
		.tables = { cb_images_options },
		.option = take_option,
		.arg = &request,
		.operands = &request.patterns };
	int r = cb_opt_read(&reader, argc, argv, &err);

	if (r == 0)
		r = cb_storecmd_open(request.root, &store, &err);
	if (r == 0)
		r = cb_listing_read(store, &listing, &err);
	if (r == 0)
		print_listing(&out, &request, &listing);
	cb_strv_done(&request.patterns);
	if (r > 0)
		return cb_help_command("images");
	return r < 0 ? cb_storecmd_fail(err) : cb_storecmd_print(&out);
}
