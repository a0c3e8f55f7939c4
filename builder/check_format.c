/* Findings for people and for GitHub Actions. */
#include <string.h>

#include "base/unicode.h"
#include "builder/check_report.h"

static const char *const names[] = {
	[CB_CHECK_TTY] = "tty",
	[CB_CHECK_JSON] = "json",
	[CB_CHECK_SARIF] = "sarif",
	[CB_CHECK_GITHUB] = "github",
	[CB_CHECK_GITLAB] = "gitlab",
	[CB_CHECK_CHECKSTYLE] = "checkstyle",
	[CB_CHECK_JUNIT] = "junit",
};

bool cb_check_format_parse(const char *name, enum cb_check_format *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(name, names[i])) {
			*ret = (enum cb_check_format)i;
			return true;
		}
	}
	return false;
}

const char *cb_check_file(const struct cb_finding *finding, const struct cb_report_source *src)
{
	return finding->file ? finding->file : src->name;
}

char *cb_check_clean(const char *s)
{
	cleanup_buf struct cb_buf out = { 0 };
	const char *end = s + strlen(s);

	while (s < end) {
		uint32_t rune;

		s += cb_utf8_decode(s, end, &rune);
		cb_utf8_add(&out, rune);
	}
	return cb_buf_take(&out);
}

char *cb_check_base64(const void *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = data;
	cleanup_buf struct cb_buf out = { 0 };

	for (size_t i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)p[i] << 16;

		three |= i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0;
		three |= i + 2 < len ? p[i + 2] : 0;
		cb_buf_addc(&out, digits[three >> 18]);
		cb_buf_addc(&out, digits[three >> 12 & 63]);
		cb_buf_addc(&out, i + 1 < len ? digits[three >> 6 & 63] : '=');
		cb_buf_addc(&out, i + 2 < len ? digits[three & 63] : '=');
	}
	return cb_buf_take(&out);
}

/* ---- tty ------------------------------------------------------------------------------------------------------ */

static const struct cb_report_source *source_of(const struct cb_finding *finding, const struct cb_report_source *src)
{
	if (!finding->file)
		return src;
	for (size_t i = 0; i < src->n_more; i++)
		if (!strcmp(src->more[i].name, finding->file))
			return &src->more[i];
	return NULL;
}

static void print_tty(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out)
{
	static const char *const labels[] = { "ERROR", "WARNING", "INFO", "STYLE" };

	for (size_t i = 0; i < findings->n; i++) {
		const struct cb_finding *finding = &findings->v[i];

		cb_buf_addf(out, "%s: %s", labels[finding->rule->severity], finding->rule->name);
		if (finding->rule->url)
			cb_buf_addf(out, " - %s", finding->rule->url);
		cb_buf_addc(out, '\n');
		cb_report_text(out, "", finding->msg);
		cb_report_text(out, "", finding->rule->summary);
		cb_buf_addf(out, "%s:%u\n", cb_check_file(finding, src), finding->line);
		cb_report_excerpt(out, source_of(finding, src), finding->line, finding->end_line);
		cb_buf_addc(out, '\n');
	}
	if (!findings->n)
		cb_buf_adds(out, "Check complete, no warnings found.\n");
	else
		cb_buf_addf(out, "Check complete, %zu %s been found!\n", findings->n,
			findings->n == 1 ? "warning has" : "warnings have");
}

/* ---- github --------------------------------------------------------------------------------------------------- */

static void add_escaped(struct cb_buf *out, const char *s, bool property)
{
	for (; *s; s++) {
		if (*s == '%' || *s == '\r' || *s == '\n' || (property && (*s == ':' || *s == ',')))
			cb_buf_addf(out, "%%%02X", (unsigned char)*s);
		else
			cb_buf_addc(out, *s);
	}
}

static void print_github(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out)
{
	static const char *const commands[] = { "error", "warning", "notice", "notice" };

	for (size_t i = 0; i < findings->n; i++) {
		const struct cb_finding *finding = &findings->v[i];
		cleanup_free char *message = cb_check_clean(finding->msg);

		cb_buf_addf(out, "::%s file=", commands[finding->rule->severity]);
		add_escaped(out, cb_check_file(finding, src), true);
		cb_buf_addf(
			out, ",line=%u,endLine=%u,title=%s::", finding->line, finding->end_line, finding->rule->name);
		add_escaped(out, message, false);
		cb_buf_addf(out, " (%s)\n", finding->rule->page);
	}
}

void cb_check_print(enum cb_check_format format, const struct cb_findings *findings, const struct cb_report_source *src,
	struct cb_buf *out)
{
	static void (*const print[])(const struct cb_findings *, const struct cb_report_source *, struct cb_buf *) = {
		[CB_CHECK_TTY] = print_tty,
		[CB_CHECK_JSON] = cb_check_print_json,
		[CB_CHECK_SARIF] = cb_check_print_sarif,
		[CB_CHECK_GITHUB] = print_github,
		[CB_CHECK_GITLAB] = cb_check_print_gitlab,
		[CB_CHECK_CHECKSTYLE] = cb_check_print_checkstyle,
		[CB_CHECK_JUNIT] = cb_check_print_junit,
	};

	print[format](findings, src, out);
}
