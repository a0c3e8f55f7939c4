/* `cbuild diff A B`: how two images differ, in configuration, history and files. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "builder/command.h"
#include "builder/diffdoc.h"
#include "builder/difftree.h"
#include "builder/examine.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/storecmd.h"

enum { OPT_EXIT_CODE = 1, OPT_FORMAT, OPT_PLATFORM, OPT_TIMES };

const struct cb_opt cb_diff_options[] = {
	{ "exit-code", 0, CB_OPT_FLAG, OPT_EXIT_CODE, NULL, "exit with 1 when the images differ", NULL },
	{ "format", 0, CB_OPT_VALUE, OPT_FORMAT, "FORMAT", "text or json", "text|json" },
	{ "platform", 0, CB_OPT_VALUE, OPT_PLATFORM, "OS/ARCH", "of an image of several platforms this one", NULL },
	{ "times", 0, CB_OPT_FLAG, OPT_TIMES, NULL, "other times are a difference, too", NULL },
	CB_TRANSFER_OPTS,
	{ 0 },
};

struct request {
	struct cb_transfer_options options;
	const char *names[2];
	size_t n_names;
	bool json, has_platform, exit_code, times;
	struct cb_platform platform;
};

struct comparing {
	struct cb_transfer transfer;
	const struct request *request;
	struct cb_image_source a, b;
	json_t *config, *history; /* arrays of differences */
	FILE *files;              /* of the trees, as they are printed */
	struct cb_diff_counts counts;
};

/* ---- comparing ------------------------------------------------------------------------------------------------ */

static int parse_config(const struct cb_image_source *source, json_t **ret, struct cb_err **err)
{
	return cb_json_parse(cb_buf_str((struct cb_buf *)&source->config_json), source->config_json.len, ret, err);
}

static int compare_documents(struct comparing *c, struct cb_err **err)
{
	cleanup_json json_t *a = NULL, *b = NULL;
	bool times = c->request->times;
	int r;

	/* A directory has none. */
	if (!c->a.config || !c->b.config)
		return 0;
	r = parse_config(&c->a, &a, err);
	if (r == 0)
		r = parse_config(&c->b, &b, err);
	if (r < 0)
		return r;
	cb_diff_config(a, b, times, c->config);
	cb_diff_members("annotations", c->a.annotations, c->b.annotations, c->config);
	cb_diff_history(json_object_get(a, "history"), json_object_get(b, "history"), times, c->history);
	return 0;
}

static int compare_files(struct comparing *c, struct cb_err **err)
{
	CB_CLEANUP(cb_filetable_free) struct cb_filetable *a = NULL, *b = NULL;
	int r;

	c->files = tmpfile();
	if (!c->files)
		return cb_err_errno(err, errno, "temporary file");
	/* Equal layers are not even fetched. */
	if (cb_image_source_same_files(&c->a, &c->b))
		return 0;
	r = cb_filetable_new(&a, err);
	if (r == 0)
		r = cb_filetable_new(&b, err);
	if (r == 0)
		r = cb_image_source_files(&c->transfer, &c->a, a, NULL, err);
	if (r == 0)
		r = cb_image_source_files(&c->transfer, &c->b, b, NULL, err);
	if (r == 0)
		r = cb_diff_trees(a, b, c->request->times, c->request->json, c->files, &c->counts, err);
	if (r == 0 && fflush(c->files) != 0)
		r = cb_err_errno(err, errno, "write the differences");
	return r;
}

static int diff_main(void *arg, struct cb_err **err)
{
	struct comparing *c = arg;
	const struct request *request = c->request;
	const struct cb_platform *platform = request->has_platform ? &request->platform : NULL;
	int r = cb_image_source_open(&c->transfer, request->names[0], platform, &c->a, err);

	if (r == 0)
		r = cb_image_source_open(&c->transfer, request->names[1], platform, &c->b, err);
	if (r == 0)
		r = compare_documents(c, err);
	return r < 0 ? r : compare_files(c, err);
}

/* ---- printing ------------------------------------------------------------------------------------------------- */

static bool differ(const struct comparing *c)
{
	return json_array_size(c->config) || json_array_size(c->history) || c->counts.added || c->counts.removed ||
	       c->counts.changed;
}

static int copy_files(const struct comparing *c)
{
	int fd = fileno(c->files);

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return cb_fd_copy(fd, STDOUT_FILENO, NULL, NULL) < 0 ? -1 : 0;
}

/* @before, then the differing files, then @after. */
static int print_around(const struct comparing *c, const struct cb_buf *before, const struct cb_buf *after)
{
	cleanup_err struct cb_err *err = NULL;

	if (cb_fd_write_all(STDOUT_FILENO, before->data, before->len) == 0 && copy_files(c) == 0 &&
		cb_fd_write_all(STDOUT_FILENO, after->data, after->len) == 0)
		return CB_EXIT_OK;
	cb_err_errno(&err, errno, "write standard output");
	return cb_report_fail(err, NULL, NULL);
}

static void add_side(struct cb_buf *out, const char *label, const struct cb_image_source *source)
{
	cb_buf_addf(out, "%s ", label);
	cb_examine_add(out, source->text);
	if (source->config)
		cb_buf_addf(out, "  %s", source->digest.text);
	cb_buf_addc(out, '\n');
}

static void add_history(struct cb_buf *out, const json_t *list)
{
	json_t *one;
	size_t i;

	if (json_array_size(list))
		cb_buf_adds(out, "history:\n");
	json_array_foreach(list, i, one)
	{
		const json_t *a = json_object_get(one, "a"), *entry = a ? a : json_object_get(one, "b");
		const char *step = json_string_value(json_object_get(entry, "created_by"));
		const char *comment = json_string_value(json_object_get(entry, "comment"));
		const char *created = json_string_value(json_object_get(entry, "created"));

		cb_buf_adds(out, a ? "  - " : "  + ");
		cb_examine_add(out, step ? step : comment ? comment : "a step without text");
		if (created) {
			cb_buf_adds(out, "  (");
			cb_examine_add(out, created);
			cb_buf_addc(out, ')');
		}
		cb_buf_addc(out, '\n');
	}
}

static int print_text(const struct comparing *c)
{
	cleanup_buf struct cb_buf before = { 0 }, after = { 0 };
	uint64_t n = c->counts.added + c->counts.removed + c->counts.changed;

	add_side(&before, "a:", &c->a);
	add_side(&before, "b:", &c->b);
	if (json_array_size(c->config))
		cb_buf_adds(&before, "configuration:\n");
	cb_diff_print_config(&before, c->config);
	add_history(&before, c->history);
	if (n) {
		cb_buf_adds(&before, "files:\n");
		cb_buf_addf(&after, "%llu only in b, %llu only in a, %llu differ\n",
			(unsigned long long)c->counts.added, (unsigned long long)c->counts.removed,
			(unsigned long long)c->counts.changed);
	} else {
		cb_buf_adds(&after, differ(c) ? "the files are the same\n" : "no difference\n");
	}
	return print_around(c, &before, &after);
}

static void add_member(struct cb_buf *out, const char *key, const json_t *value)
{
	cleanup_free char *text = cb_json_dump(value, false);

	cb_buf_addf(out, "  \"%s\": %s,\n", key, text);
}

static int print_json(const struct comparing *c)
{
	cleanup_buf struct cb_buf before = { 0 }, after = { 0 };
	cleanup_json json_t *a = cb_examine_image(&c->a), *b = cb_examine_image(&c->b);

	cb_buf_addf(&before, "{\n  \"differ\": %s,\n", differ(c) ? "true" : "false");
	add_member(&before, "a", a);
	add_member(&before, "b", b);
	add_member(&before, "config", c->config);
	add_member(&before, "history", c->history);
	cb_buf_adds(&before, "  \"files\": [");
	cb_buf_addf(&after, "\n  ],\n  \"added\": %llu,\n  \"removed\": %llu,\n  \"changed\": %llu\n}\n",
		(unsigned long long)c->counts.added, (unsigned long long)c->counts.removed,
		(unsigned long long)c->counts.changed);
	return print_around(c, &before, &after);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_EXIT_CODE:
		request->exit_code = cb_opt_bool(value);
		return 0;
	case OPT_FORMAT:
		return cb_storecmd_format(value, &request->json, err);
	case OPT_PLATFORM:
		request->has_platform = true;
		return cb_storecmd_platform(value, &request->platform, err);
	case OPT_TIMES:
		request->times = cb_opt_bool(value);
		return 0;
	default:
		return cb_transfer_set(&request->options, opt, value, err);
	}
}

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (request->n_names == ARRAY_SIZE(request->names))
		return cb_err_set(err, CB_ERR_USAGE, "diff compares two images: \"%s\" is a third", value);
	request->names[request->n_names++] = value;
	return 0;
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "diff",
		.tables = { cb_diff_options, cb_access_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r == 0 && ret->n_names < ARRAY_SIZE(ret->names)) {
		cb_err_set(err, CB_ERR_USAGE, "diff needs two images");
		return cb_err_hint(err, CB_ERR_USAGE, "for example: cbuild diff app:1 app:2");
	}
	return r;
}

static int compare(struct comparing *c)
{
	cleanup_err struct cb_err *err = NULL;
	int r = cb_transfer_run(&c->transfer, "comparing", diff_main, c, &err);
	int status = cb_transfer_conclude(&c->transfer, r, err);

	cb_transfer_close(&c->transfer);
	if (status != CB_EXIT_OK)
		return status;
	status = c->request->json ? print_json(c) : print_text(c);
	return status == CB_EXIT_OK && c->request->exit_code && differ(c) ? CB_EXIT_FAILED : status;
}

int cb_cmd_diff(int argc, char **argv)
{
	struct request request = { 0 };
	struct comparing c = { .request = &request, .config = json_array(), .history = json_array() };
	cleanup_err struct cb_err *err = NULL;
	int r = read_arguments(argc, argv, &request, &err), status;

	if (r == 0)
		r = cb_transfer_open(&c.transfer, &request.options, "Reading", &err);
	status = r > 0 ? cb_help_command("diff") : r < 0 ? cb_report_fail(err, NULL, NULL) : compare(&c);
	if (c.files)
		fclose(c.files);
	json_decref(c.config);
	json_decref(c.history);
	cb_image_source_done(&c.a);
	cb_image_source_done(&c.b);
	cb_transfer_options_done(&request.options);
	return status;
}
