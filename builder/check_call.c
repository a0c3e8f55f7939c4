/* Outlines and lists of stages, printed. */
#include <string.h>

#include "builder/check_report.h"
#include "builder/check_source.h"

/* ---- text ----------------------------------------------------------------------------------------------------- */

static void add_cell(struct cb_buf *out, const char *text, size_t width)
{
	size_t before = out->len;

	for (; *text; text++)
		cb_buf_addc(out, (unsigned char)*text < 0x20 || *text == 0x7F ? ' ' : *text);
	if (width)
		cb_buf_addf(out, "%*s", (int)(CB_MAX(width, out->len - before) - (out->len - before) + 4), "");
}

/* Columns are as wide as they must be; empty ones at the end are left out. */
static void print_rows(struct cb_buf *out, const char *(*rows)[3], size_t n)
{
	size_t width[3] = { 0 };
	size_t columns = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < 3; k++) {
			size_t len = rows[i][k] ? strlen(rows[i][k]) : 0;

			width[k] = CB_MIN(CB_MAX(width[k], len), (size_t)60);
			columns = len ? CB_MAX(columns, k + 1) : columns;
		}
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < columns; k++)
			add_cell(out, rows[i][k] ? rows[i][k] : "", k + 1 < columns ? width[k] : 0);
		while (out->len && out->data[out->len - 1] == ' ')
			out->data[--out->len] = '\0';
		cb_buf_addc(out, '\n');
	}
}

static void print_list(struct cb_buf *out, const struct cb_outline_list *list, const char *const head[3], bool values)
{
	const char *(*rows)[3] = cb_xcalloc(list->n + 1, sizeof(*rows));

	memcpy(rows[0], head, sizeof(rows[0]));
	for (size_t i = 0; i < list->n; i++) {
		rows[i + 1][0] = list->v[i].name;
		rows[i + 1][1] = values ? list->v[i].value : list->v[i].required ? "true" : "";
		rows[i + 1][2] = values ? list->v[i].description : NULL;
	}
	if (list->n) {
		cb_buf_addc(out, '\n');
		print_rows(out, rows, list->n + 1);
	}
	free(rows);
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static void put_text(json_t *obj, const char *key, const char *value)
{
	cleanup_free char *clean = value ? cb_check_clean(value) : NULL;

	if (clean)
		json_object_set_new(obj, key, json_string(clean));
}

static json_t *json_of_list(const struct cb_outline_list *list, bool values)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++) {
		const struct cb_outline_item *item = &list->v[i];
		json_t *obj = json_object();

		put_text(obj, "name", item->name);
		put_text(obj, "description", item->description);
		put_text(obj, "value", item->value);
		if (!values)
			json_object_set_new(obj, "required", json_boolean(item->required));
		json_object_set_new(obj, "line", json_integer(item->line));
		json_array_append_new(array, obj);
	}
	return array;
}

static void finish(json_t *doc, struct cb_buf *out)
{
	char *text = json_dumps(doc, JSON_INDENT(2));

	cb_buf_adds(out, text);
	cb_buf_addc(out, '\n');
	free(text);
	json_decref(doc);
}

static const char *description(const struct cb_stage *stage)
{
	return stage->name ? cb_outline_description(stage->from->node, stage->name) : NULL;
}

void cb_check_print_outline(
	const struct cb_outline *outline, const struct cb_stage *target, bool json, struct cb_buf *out)
{
	static const char *const args[3] = { "BUILD ARG", "VALUE", "DESCRIPTION" };
	static const char *const secrets[3] = { "SECRET", "REQUIRED", NULL };
	static const char *const ssh[3] = { "SSH", "REQUIRED", NULL };

	if (json) {
		json_t *doc = json_object();

		put_text(doc, "name", target->name);
		put_text(doc, "description", description(target));
		json_object_set_new(doc, "args", json_of_list(&outline->args, true));
		json_object_set_new(doc, "secrets", json_of_list(&outline->secrets, false));
		json_object_set_new(doc, "ssh", json_of_list(&outline->ssh, false));
		finish(doc, out);
		return;
	}
	cb_buf_addf(out, "TARGET:         %s\n", target->name ? target->name : "default");
	if (description(target))
		cb_report_text(out, "DESCRIPTION:    ", description(target));
	print_list(out, &outline->args, args, true);
	print_list(out, &outline->secrets, secrets, false);
	print_list(out, &outline->ssh, ssh, false);
}

void cb_check_print_targets(const struct cb_buildfile *file, bool json, struct cb_buf *out)
{
	const char *(*rows)[3] = cb_xcalloc(file->n_stages + 1, sizeof(*rows));
	cleanup_strv struct cb_strv names = { 0 };
	json_t *doc = json_object(), *list = json_array();

	rows[0][0] = "TARGET";
	rows[0][1] = "BASE";
	rows[0][2] = "DESCRIPTION";
	for (size_t i = 0; i < file->n_stages; i++) {
		const struct cb_stage *stage = &file->stages[i];
		bool is_default = i + 1 == file->n_stages;
		json_t *obj = json_object();

		cb_strv_addf(&names, "%s%s",
			stage->name  ? stage->name
			: is_default ? ""
				     : "-",
			!is_default   ? ""
			: stage->name ? " (default)"
				      : "(default)");
		rows[i + 1][1] = stage->base.s;
		rows[i + 1][2] = description(stage);
		put_text(obj, "name", stage->name);
		if (is_default)
			json_object_set_new(obj, "default", json_true());
		put_text(obj, "description", description(stage));
		put_text(obj, "base", stage->base.s);
		put_text(obj, "platform", stage->platform.s);
		json_object_set_new(obj, "line", json_integer(stage->line));
		json_array_append_new(list, obj);
	}
	for (size_t i = 0; i < file->n_stages; i++)
		rows[i + 1][0] = names.v[i];
	json_object_set_new(doc, "targets", list);
	if (json)
		finish(json_incref(doc), out);
	else
		print_rows(out, rows, file->n_stages + 1);
	json_decref(doc);
	free(rows);
}
