/* `cbuild du`: what the store holds, and how much of it could go. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "base/strv.h"
#include "base/timefmt.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/inputs.h"
#include "builder/report.h"
#include "builder/storecmd.h"
#include "builder/usagefilter.h"

/* Columns of a description in the table. */
#define TITLE_MAX 60

enum { OPT_FILTER = 1, OPT_FORMAT, OPT_ROOT, OPT_VERBOSE };

const struct cb_opt cb_du_options[] = {
	{ "filter", 0, CB_OPT_VALUE, OPT_FILTER, "KEY=VALUE",
		"only what this holds for: id, parent, type, description, until, inuse, named, shared, private, mutable",
		NULL },
	{ "format", 0, CB_OPT_VALUE, OPT_FORMAT, "FORMAT", "text or json", "text|json" },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ "verbose", 'v', CB_OPT_FLAG, OPT_VERBOSE, NULL, "all that is known of each item", NULL },
	{ 0 },
};

struct request {
	struct cb_usage_filter *filter;
	bool json, verbose;
	const char *root;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_FILTER:
		return cb_usage_filter_add(request->filter, value, err);
	case OPT_FORMAT:
		return cb_storecmd_format(value, &request->json, err);
	case OPT_ROOT:
		request->root = value;
		return 0;
	default:
		request->verbose = cb_opt_bool(value);
		return 0;
	}
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = {
		.command = "du", .tables = { cb_du_options }, .option = take_option, .arg = ret
	};

	return cb_opt_read(&reader, argc, argv, err);
}

/* ---- as text -------------------------------------------------------------------------------------------------- */

static const char *state(const struct cb_usage_item *item)
{
	if (item->in_use)
		return "in use";
	return item->named ? "image" : "reclaimable";
}

static void add_line(struct cb_buf *out, const struct cb_usage_item *item, int64_t now)
{
	cleanup_buf struct cb_buf size = { 0 }, age = { 0 }, title = { 0 };
	cleanup_free char *text = item->title ? cb_inputs_place_text(item->title) : NULL;
	const char *id = item->id;

	cb_num_format_size(&size, item->size);
	cb_storecmd_age(&age, now, item->last_used);
	if (text)
		cb_storecmd_cut(&title, text, TITLE_MAX);
	if (cb_str_starts(id, "sha256:"))
		id += strlen("sha256:");
	cb_buf_addf(out, "%-20.20s  %-10s  %-11s  %9s  %-14s  %s\n", id, item->type ? item->type : "", state(item),
		cb_buf_str(&size), cb_buf_str(&age), cb_buf_str(&title));
}

static void add_field(struct cb_buf *out, const char *name, const char *value)
{
	cleanup_buf struct cb_buf line = { 0 };

	cb_buf_addf(&line, "%-14s", name);
	cb_report_text(out, cb_buf_str(&line), value ? value : "");
}

static void add_record(struct cb_buf *out, const struct cb_usage_item *item)
{
	cleanup_buf struct cb_buf size = { 0 };
	cleanup_free char *text = item->title ? cb_inputs_place_text(item->title) : NULL;
	cleanup_free char *uses = cb_xasprintf("%llu", (unsigned long long)item->uses);
	char created[CB_TIME_TEXT_MAX], used[CB_TIME_TEXT_MAX];

	cb_num_format_size(&size, item->size);
	cb_buf_addf(&size, " (%llu bytes)", (unsigned long long)item->size);
	cb_time_format((struct timespec){ .tv_sec = item->created }, created);
	cb_time_format((struct timespec){ .tv_sec = item->last_used }, used);
	add_field(out, "ID:", item->id);
	if (item->parent)
		add_field(out, "Parent:", item->parent);
	add_field(out, "Type:", item->type);
	if (text)
		add_field(out, "Description:", text);
	add_field(out, "Size:", cb_buf_str(&size));
	add_field(out, "Created:", created);
	add_field(out, "Last used:", used);
	if (item->kind != CB_USAGE_BLOB)
		add_field(out, "Used:", uses);
	add_field(out, "In use:", item->in_use ? "true" : "false");
	add_field(out, "Named:", item->named ? "true" : "false");
	add_field(out, "Shared:", item->children ? "true" : "false");
	add_field(out, "Reclaimable:", cb_usage_reclaimable(item) ? "true" : "false");
	cb_buf_addc(out, '\n');
}

static void add_sum(struct cb_buf *out, const char *name, uint64_t bytes)
{
	cleanup_buf struct cb_buf size = { 0 };

	cb_num_format_size(&size, bytes);
	cb_buf_addf(out, "%-14s%s\n", name, cb_buf_str(&size));
}

struct sums {
	uint64_t in_use, named, reclaimable, total;
};

static void add_text(
	struct cb_buf *out, const struct request *request, struct cb_usage_item **v, size_t n, const struct sums *sums)
{
	int64_t now = cb_time_now().tv_sec;

	if (n && !request->verbose)
		cb_buf_addf(out, "%-20s  %-10s  %-11s  %9s  %-14s  %s\n", "ID", "TYPE", "STATE", "SIZE", "LAST USED",
			"DESCRIPTION");
	for (size_t i = 0; i < n; i++) {
		if (request->verbose)
			add_record(out, v[i]);
		else
			add_line(out, v[i], now);
	}
	if (n && !request->verbose)
		cb_buf_addc(out, '\n');
	add_sum(out, "In use:", sums->in_use);
	add_sum(out, "Images:", sums->named);
	add_sum(out, "Reclaimable:", sums->reclaimable);
	add_sum(out, "Total:", sums->total);
}

/* ---- as JSON -------------------------------------------------------------------------------------------------- */

static void add_json_time(json_t *obj, const char *key, int64_t seconds)
{
	char text[CB_TIME_TEXT_MAX];

	cb_time_format((struct timespec){ .tv_sec = seconds }, text);
	json_object_set_new(obj, key, json_string(text));
}

static json_t *item_json(const struct cb_usage_item *item)
{
	cleanup_free char *text = item->title ? cb_inputs_place_text(item->title) : NULL;
	json_t *obj = json_object();

	json_object_set_new(obj, "id", json_string(item->id));
	json_object_set_new(obj, "type", json_string(item->type ? item->type : ""));
	if (item->parent)
		json_object_set_new(obj, "parent", json_string(item->parent));
	if (text)
		json_object_set_new(obj, "description", json_string(text));
	json_object_set_new(obj, "size", json_integer((json_int_t)item->size));
	add_json_time(obj, "created", item->created);
	add_json_time(obj, "lastUsed", item->last_used);
	json_object_set_new(obj, "uses", json_integer((json_int_t)item->uses));
	json_object_set_new(obj, "inUse", json_boolean(item->in_use));
	json_object_set_new(obj, "named", json_boolean(item->named));
	json_object_set_new(obj, "shared", json_boolean(item->children > 0));
	json_object_set_new(obj, "reclaimable", json_boolean(cb_usage_reclaimable(item)));
	return obj;
}

static void add_json(struct cb_buf *out, struct cb_usage_item **v, size_t n, const struct sums *sums)
{
	cleanup_json json_t *doc = json_object();
	json_t *items = json_array();
	cleanup_free char *text = NULL;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(items, item_json(v[i]));
	json_object_set_new(doc, "items", items);
	json_object_set_new(doc, "inUse", json_integer((json_int_t)sums->in_use));
	json_object_set_new(doc, "images", json_integer((json_int_t)sums->named));
	json_object_set_new(doc, "reclaimable", json_integer((json_int_t)sums->reclaimable));
	json_object_set_new(doc, "total", json_integer((json_int_t)sums->total));
	text = cb_json_dump(doc, false);
	cb_buf_addf(out, "%s\n", text);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static int larger_first(const void *a, const void *b)
{
	const struct cb_usage_item *x = *(struct cb_usage_item *const *)a, *y = *(struct cb_usage_item *const *)b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void print_usage(struct cb_buf *out, const struct request *request, struct cb_usage *usage)
{
	cleanup_free struct cb_usage_item **v = cb_xcalloc(usage->n + 1, sizeof(*v));
	struct sums sums = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < usage->n; i++) {
		struct cb_usage_item *item = &usage->v[i];

		if (!cb_usage_filter_match(request->filter, item))
			continue;
		v[n++] = item;
		sums.total += item->size;
		*(item->in_use ? &sums.in_use : item->named ? &sums.named : &sums.reclaimable) += item->size;
	}
	qsort(v, n, sizeof(*v), larger_first);
	if (request->json)
		add_json(out, v, n, &sums);
	else
		add_text(out, request, v, n, &sums);
}

int cb_cmd_du(int argc, char **argv)
{
	CB_CLEANUP(cb_usage_filter_free) struct cb_usage_filter *filter = cb_usage_filter_new();
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_usage struct cb_usage usage = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct request request = { .filter = filter };
	int r = read_arguments(argc, argv, &request, &err);

	if (r > 0)
		return cb_help_command("du");
	if (r == 0)
		r = cb_storecmd_open(request.root, &store, &err);
	if (r == 0)
		r = cb_usage_read(store, cb_storecmd_cancel(), &usage, &err);
	if (r < 0)
		return cb_storecmd_fail(err);
	print_usage(&out, &request, &usage);
	return cb_storecmd_print(&out);
}
