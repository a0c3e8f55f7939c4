/* `cbuild size IMAGE [OTHER]`: what is in each layer, what is in vain, and what grew. */
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "builder/command.h"
#include "builder/examine.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/storecmd.h"

#define TOP_DEFAULT 10
#define TOP_MAX 10000
#define STEP_MAX 60

enum { OPT_AGAINST = 1, OPT_FORMAT, OPT_PLATFORM, OPT_TOP };

const struct cb_opt cb_size_options[] = {
	{ "against", 0, CB_OPT_VALUE, OPT_AGAINST, "IMAGE", "say what grew against this image", NULL },
	{ "format", 0, CB_OPT_VALUE, OPT_FORMAT, "FORMAT", "text or json", "text|json" },
	{ "platform", 0, CB_OPT_VALUE, OPT_PLATFORM, "OS/ARCH", "of an image of several platforms this one", NULL },
	{ "top", 0, CB_OPT_VALUE, OPT_TOP, "N", "how many of the largest files, directories and the like; default: 10",
		NULL },
	CB_TRANSFER_OPTS,
	{ 0 },
};

struct request {
	struct cb_transfer_options options;
	const char *name, *against;
	bool json, has_platform;
	struct cb_platform platform;
	unsigned int top;
};

struct sizing {
	struct cb_transfer transfer;
	const struct request *request;
	json_t *doc;
};

/* ---- for people ----------------------------------------------------------------------------------------------- */

static int64_t number(const json_t *doc, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(doc, key));
}

static const char *text(const json_t *doc, const char *key)
{
	const char *value = json_string_value(json_object_get(doc, key));

	return value ? value : "";
}

static void add_size(struct cb_buf *out, int64_t size, int width, bool sign)
{
	cleanup_buf struct cb_buf shown = { 0 };

	if (sign || size < 0)
		cb_buf_addc(&shown, size < 0 ? '-' : '+');
	cb_num_format_size(&shown, (uint64_t)(size < 0 ? -size : size));
	cb_buf_addf(out, "%*s", width, cb_buf_str(&shown));
}

static void add_layers(struct cb_buf *out, const json_t *doc)
{
	json_t *layer;
	size_t i;

	cb_buf_adds(out, "\nLAYER  COMPRESSED    UNPACKED     FILES  INSTRUCTION\n");
	json_array_foreach(json_object_get(doc, "layers"), i, layer)
	{
		cb_buf_addf(out, "%5zu  ", i + 1);
		add_size(out, number(layer, "compressed"), 10, false);
		cb_buf_adds(out, "  ");
		add_size(out, number(layer, "unpacked"), 10, false);
		cb_buf_addf(out, "  %8lld  ", (long long)number(layer, "files"));
		cb_storecmd_cut(out, text(layer, "created_by"), STEP_MAX);
		cb_buf_addc(out, '\n');
	}
}

static void add_list(struct cb_buf *out, const char *title, const json_t *list)
{
	json_t *item;
	size_t i;

	if (json_array_size(list))
		cb_buf_addf(out, "\n%s:\n", title);
	json_array_foreach(list, i, item)
	{
		add_size(out, number(item, "size"), 10, false);
		cb_buf_adds(out, "  ");
		cb_examine_add(out, text(item, "path"));
		if (number(item, "deleted_in"))
			cb_buf_addf(out, "  (layer %lld, deleted in %lld)", (long long)number(item, "layer"),
				(long long)number(item, "deleted_in"));
		else if (number(item, "overwritten_in"))
			cb_buf_addf(out, "  (layer %lld, overwritten in %lld)", (long long)number(item, "layer"),
				(long long)number(item, "overwritten_in"));
		else if (number(item, "layer"))
			cb_buf_addf(out, "  (layer %lld)", (long long)number(item, "layer"));
		cb_buf_addc(out, '\n');
	}
}

static void add_repeated(struct cb_buf *out, const json_t *repeated)
{
	json_t *group, *path;
	size_t i, k;

	if (!number(repeated, "groups"))
		return;
	cb_buf_adds(out, "\nThe same content more than once: ");
	add_size(out, number(repeated, "size"), 0, false);
	cb_buf_addf(out, " too many in %lld groups\n", (long long)number(repeated, "groups"));
	json_array_foreach(json_object_get(repeated, "largest"), i, group)
	{
		const json_t *paths = json_object_get(group, "paths");

		add_size(out, number(group, "size"), 10, false);
		cb_buf_addf(out, "  %lld times:", (long long)number(group, "times"));
		json_array_foreach(paths, k, path)
		{
			cb_buf_addc(out, ' ');
			cb_examine_add(out, json_string_value(path));
		}
		cb_buf_adds(out, number(group, "times") > (int64_t)json_array_size(paths) ? " ...\n" : "\n");
	}
}

static void add_changes(struct cb_buf *out, const char *title, const json_t *list)
{
	json_t *item;
	size_t i;

	if (json_array_size(list))
		cb_buf_addf(out, "\n%s:\n", title);
	json_array_foreach(list, i, item)
	{
		add_size(out, number(item, "grew"), 10, true);
		cb_buf_adds(out, "  ");
		cb_examine_add(out, text(item, "path"));
		cb_buf_adds(out, !number(item, "before") ? "  (new)\n" : !number(item, "size") ? "  (gone)\n" : "\n");
	}
}

static void add_against(struct cb_buf *out, const json_t *doc, const json_t *against)
{
	if (!against)
		return;
	cb_buf_adds(out, "\nAgainst ");
	cb_examine_add(out, text(against, "name"));
	cb_buf_adds(out, ": compressed ");
	add_size(out, number(against, "compressed_grew"), 0, true);
	cb_buf_adds(out, ", unpacked ");
	add_size(out, number(against, "unpacked_grew"), 0, true);
	cb_buf_adds(out, ", the files of the result ");
	add_size(out, number(against, "result_grew"), 0, true);
	cb_buf_addf(out, "; %lld of %zu layers are shared\n", (long long)number(against, "shared_layers"),
		json_array_size(json_object_get(doc, "layers")));
	add_changes(out, "Files that grew or shrank most", json_object_get(against, "files"));
	add_changes(out, "Directories that grew or shrank most", json_object_get(against, "directories"));
}

static void add_report(struct cb_buf *out, const json_t *doc)
{
	const json_t *image = json_object_get(doc, "image"), *result = json_object_get(doc, "result");
	const json_t *wasted = json_object_get(doc, "wasted");

	cb_examine_add(out, text(image, "name"));
	cb_buf_addf(out, "  %s  %s\n%zu layers, ", text(image, "digest"), text(image, "platform"),
		json_array_size(json_object_get(doc, "layers")));
	add_size(out, number(doc, "compressed"), 0, false);
	cb_buf_adds(out, " compressed, ");
	add_size(out, number(doc, "unpacked"), 0, false);
	cb_buf_adds(out, " unpacked; the result is ");
	add_size(out, number(result, "size"), 0, false);
	cb_buf_addf(out, " in %lld files\n", (long long)number(result, "files"));
	add_layers(out, doc);
	add_list(out, "Largest files", json_object_get(doc, "largest_files"));
	add_list(out, "Largest directories", json_object_get(doc, "largest_directories"));
	if (number(wasted, "files")) {
		cb_buf_adds(out, "\nIn vain: ");
		add_size(out, number(wasted, "size"), 0, false);
		cb_buf_addf(out, " in %lld files that later layers overwrite or delete\n",
			(long long)number(wasted, "files"));
		add_list(out, "Largest of these", json_object_get(wasted, "largest"));
	}
	add_repeated(out, json_object_get(doc, "repeated"));
	add_against(out, doc, json_object_get(doc, "against"));
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;
	uint64_t top;

	switch (opt->id) {
	case OPT_AGAINST:
		request->against = value;
		return 0;
	case OPT_FORMAT:
		return cb_storecmd_format(value, &request->json, err);
	case OPT_PLATFORM:
		request->has_platform = true;
		return cb_storecmd_platform(value, &request->platform, err);
	case OPT_TOP:
		if (!cb_num_u64(value, &top) || top > TOP_MAX)
			return cb_err_set(err, CB_ERR_USAGE, "--top is a number up to %d, not \"%s\"", TOP_MAX, value);
		request->top = (unsigned int)top;
		return 0;
	default:
		return cb_transfer_set(&request->options, opt, value, err);
	}
}

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (request->name && request->against)
		return cb_err_set(err, CB_ERR_USAGE, "size compares two images at most: \"%s\"", value);
	*(request->name ? &request->against : &request->name) = value;
	return 0;
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "size",
		.tables = { cb_size_options, cb_access_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r == 0 && !ret->name)
		return cb_err_set(err, CB_ERR_USAGE, "size needs an image");
	return r;
}

static int size_main(void *arg, struct cb_err **err)
{
	struct sizing *sizing = arg;
	const struct request *request = sizing->request;
	const struct cb_platform *platform = request->has_platform ? &request->platform : NULL;
	struct cb_image_source image = { 0 }, against = { 0 };
	int r = cb_image_source_open(&sizing->transfer, request->name, platform, &image, err);

	if (r == 0 && request->against)
		r = cb_image_source_open(&sizing->transfer, request->against, platform, &against, err);
	if (r == 0 && (!image.config || (request->against && !against.config))) {
		r = cb_err_set(err, CB_ERR_USAGE, "%s is a directory, which has no layers",
			image.config ? request->against : request->name);
		cb_err_hint(err, r, "cbuild diff compares directories, too");
	}
	if (r == 0)
		r = cb_size_examine(
			&sizing->transfer, &image, request->against ? &against : NULL, request->top, &sizing->doc, err);
	cb_image_source_done(&image);
	cb_image_source_done(&against);
	return r;
}

static int print(const struct sizing *sizing)
{
	cleanup_buf struct cb_buf out = { 0 };

	if (sizing->request->json) {
		cleanup_free char *doc = cb_json_dump(sizing->doc, false);

		cb_buf_addf(&out, "%s\n", doc);
	} else {
		add_report(&out, sizing->doc);
	}
	return cb_storecmd_print(&out);
}

int cb_cmd_size(int argc, char **argv)
{
	struct request request = { .top = TOP_DEFAULT };
	struct sizing sizing = { .request = &request };
	cleanup_err struct cb_err *err = NULL;
	int r = read_arguments(argc, argv, &request, &err), status;

	if (r == 0)
		r = cb_transfer_open(&sizing.transfer, &request.options, "Reading", &err);
	if (r > 0) {
		status = cb_help_command("size");
	} else if (r < 0) {
		status = cb_report_fail(err, NULL, NULL);
	} else {
		r = cb_transfer_run(&sizing.transfer, "reading the layers", size_main, &sizing, &err);
		status = cb_transfer_conclude(&sizing.transfer, r, err);
		cb_transfer_close(&sizing.transfer);
		if (status == CB_EXIT_OK)
			status = print(&sizing);
	}
	json_decref(sizing.doc);
	cb_transfer_options_done(&request.options);
	return status;
}
