/* Findings as JSON: BuildKit's lint results, SARIF, GitLab's code quality. */
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "builder/check_report.h"
#include "layers/digest.h"

static json_t *text(const char *s)
{
	cleanup_free char *clean = cb_check_clean(s);

	return json_string(clean);
}

static void put(json_t *obj, const char *key, json_t *value)
{
	json_object_set_new(obj, key, value);
}

static void finish(json_t *doc, struct cb_buf *out)
{
	char *dump = json_dumps(doc, JSON_INDENT(2));

	cb_buf_adds(out, dump);
	cb_buf_addc(out, '\n');
	free(dump);
}

static json_t *position(unsigned int line)
{
	json_t *at = json_object();

	put(at, "line", json_integer(line));
	return at;
}

/* ---- json ----------------------------------------------------------------------------------------------------- */

static json_t *location(const struct cb_finding *finding, const struct cb_report_source *src)
{
	json_t *where = json_object(), *range = json_object(), *ranges = json_array();

	for (size_t i = 0; finding->file && i < src->n_more; i++)
		if (!strcmp(src->more[i].name, finding->file))
			put(where, "sourceIndex", json_integer((json_int_t)i + 1));
	put(range, "start", position(finding->line));
	put(range, "end", position(finding->end_line));
	json_array_append_new(ranges, range);
	put(where, "ranges", ranges);
	return where;
}

static json_t *source(const struct cb_report_source *src)
{
	cleanup_free char *data = cb_check_base64(src->data ? src->data : "", src->data ? src->len : 0);
	json_t *obj = json_object();

	put(obj, "filename", text(src->name));
	put(obj, "language", json_string("Dockerfile"));
	put(obj, "data", json_string(data));
	return obj;
}

void cb_check_print_json(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out)
{
	cleanup_json json_t *doc = json_object();
	json_t *warnings = json_array(), *sources = json_array();

	for (size_t i = 0; i < findings->n; i++) {
		const struct cb_finding *finding = &findings->v[i];
		json_t *obj = json_object();

		put(obj, "ruleName", json_string(finding->rule->name));
		put(obj, "description", json_string(finding->rule->summary));
		if (finding->rule->url)
			put(obj, "url", json_string(finding->rule->url));
		put(obj, "page", json_string(finding->rule->page));
		put(obj, "detail", text(finding->msg));
		put(obj, "severity", json_string(cb_severity_name(finding->rule->severity)));
		put(obj, "location", location(finding, src));
		json_array_append_new(warnings, obj);
	}
	json_array_append_new(sources, source(src));
	for (size_t i = 0; i < src->n_more; i++)
		json_array_append_new(sources, source(&src->more[i]));
	put(doc, "warnings", warnings);
	put(doc, "sources", sources);
	finish(doc, out);
}

/* ---- sarif ---------------------------------------------------------------------------------------------------- */

static const char *level(enum cb_severity severity)
{
	switch (severity) {
	case CB_SEVERITY_ERROR:
		return "error";
	case CB_SEVERITY_WARNING:
		return "warning";
	case CB_SEVERITY_INFO:
	case CB_SEVERITY_STYLE:
		break;
	}
	return "note";
}

static json_t *message(const char *s)
{
	json_t *obj = json_object();

	put(obj, "text", text(s));
	return obj;
}

static json_t *driver(void)
{
	json_t *obj = json_object(), *rules = json_array();

	for (size_t i = 0; i < CB_RULE_MAX_; i++) {
		const struct cb_rule *rule = &cb_rules[i];
		json_t *entry = json_object(), *config = json_object();

		put(entry, "id", json_string(rule->name));
		put(entry, "shortDescription", message(rule->summary));
		if (rule->url && cb_str_starts(rule->url, "https://"))
			put(entry, "helpUri", json_string(rule->url));
		put(entry, "help", message(rule->page));
		put(config, "level", json_string(level(rule->severity)));
		put(entry, "defaultConfiguration", config);
		json_array_append_new(rules, entry);
	}
	put(obj, "name", json_string("cbuild"));
	put(obj, "version", json_string(CB_VERSION));
	put(obj, "rules", rules);
	return obj;
}

/* A relative reference: what is no plain path character is escaped. */
static json_t *uri(const char *path)
{
	cleanup_buf struct cb_buf buf = { 0 };

	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || strchr("-._~/", c))
			cb_buf_addc(&buf, *path);
		else
			cb_buf_addf(&buf, "%%%02X", c);
	}
	return json_string(cb_buf_str(&buf));
}

static json_t *result(const struct cb_finding *finding, const struct cb_report_source *src)
{
	json_t *obj = json_object(), *place = json_object(), *physical = json_object(), *artifact = json_object(),
	       *region = json_object(), *places = json_array();

	put(artifact, "uri", uri(cb_check_file(finding, src)));
	put(region, "startLine", json_integer(finding->line));
	put(region, "startColumn", json_integer(finding->col));
	put(region, "endLine", json_integer(finding->end_line));
	put(physical, "artifactLocation", artifact);
	put(physical, "region", region);
	put(place, "physicalLocation", physical);
	json_array_append_new(places, place);
	put(obj, "ruleId", json_string(finding->rule->name));
	put(obj, "ruleIndex", json_integer(finding->rule - cb_rules));
	put(obj, "level", json_string(level(finding->rule->severity)));
	put(obj, "message", message(finding->msg));
	put(obj, "locations", places);
	return obj;
}

void cb_check_print_sarif(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out)
{
	cleanup_json json_t *doc = json_object();
	json_t *run = json_object(), *runs = json_array(), *tool = json_object(), *results = json_array();

	for (size_t i = 0; i < findings->n; i++)
		json_array_append_new(results, result(&findings->v[i], src));
	put(tool, "driver", driver());
	put(run, "tool", tool);
	put(run, "results", results);
	json_array_append_new(runs, run);
	put(doc, "$schema", json_string("https://json.schemastore.org/sarif-2.1.0.json"));
	put(doc, "version", json_string("2.1.0"));
	put(doc, "runs", runs);
	finish(doc, out);
}

/* ---- gitlab --------------------------------------------------------------------------------------------------- */

/* The same finding keeps its fingerprint when lines are added above it; the count tells equal ones apart. */
static json_t *fingerprint(const struct cb_finding *finding, const struct cb_report_source *src, struct cb_map *seen)
{
	cleanup_free char *key =
		cb_xasprintf("%s\n%s\n%s", cb_check_file(finding, src), finding->rule->name, finding->msg);
	uintptr_t count = (uintptr_t)cb_map_get(seen, key) + 1;
	cleanup_free char *full = cb_xasprintf("%s\n%zu", key, (size_t)count);
	struct cb_digest digest;

	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the map's value is the count itself */
	cb_map_set(seen, key, (void *)count);
	cb_digest_of(full, strlen(full), &digest);
	return json_string(digest.text + strlen("sha256:"));
}

static json_t *content(const struct cb_rule *rule)
{
	cleanup_free char *body = cb_xasprintf("%s See %s.", rule->summary, rule->page);
	json_t *obj = json_object();

	put(obj, "body", json_string(body));
	return obj;
}

void cb_check_print_gitlab(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out)
{
	static const char *const severities[] = { "major", "minor", "info", "info" };
	CB_CLEANUP(cb_map_free) struct cb_map *seen = cb_map_new(NULL);
	cleanup_json json_t *doc = json_array();

	for (size_t i = 0; i < findings->n; i++) {
		const struct cb_finding *finding = &findings->v[i];
		json_t *obj = json_object(), *where = json_object(), *lines = json_object();

		put(lines, "begin", json_integer(finding->line));
		put(lines, "end", json_integer(finding->end_line));
		put(where, "path", text(cb_check_file(finding, src)));
		put(where, "lines", lines);
		put(obj, "description", text(finding->msg));
		put(obj, "check_name", json_string(finding->rule->name));
		put(obj, "content", content(finding->rule));
		put(obj, "fingerprint", fingerprint(finding, src, seen));
		put(obj, "severity", json_string(severities[finding->rule->severity]));
		put(obj, "location", where);
		json_array_append_new(doc, obj);
	}
	finish(doc, out);
}
