/* Findings as XML: checkstyle and JUnit. */
#include <string.h>

#include "base/strv.h"
#include "base/unicode.h"
#include "builder/check_report.h"

/* Characters that XML 1.0 has no way to write become U+FFFD. */
static void add_escaped(struct cb_buf *out, const char *s)
{
	const char *end = s + strlen(s);

	while (s < end) {
		uint32_t rune;

		s += cb_utf8_decode(s, end, &rune);
		if (rune == '&' || rune == '<' || rune == '>' || rune == '"' || rune == '\'' || rune == '\n' ||
			rune == '\t' || rune == '\r')
			cb_buf_addf(out, "&#%u;", rune);
		else
			cb_utf8_add(out, rune < 0x20 || rune == 0xFFFE || rune == 0xFFFF ? CB_RUNE_BAD : rune);
	}
}

static void add_attribute(struct cb_buf *out, const char *name, const char *value)
{
	cb_buf_addf(out, " %s=\"", name);
	add_escaped(out, value);
	cb_buf_addc(out, '"');
}

void cb_check_print_checkstyle(
	const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out)
{
	static const char *const severities[] = { "error", "warning", "info", "info" };
	const char *file = src->name;

	cb_buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<checkstyle version=\"4.3\">\n  <file");
	add_attribute(out, "name", file);
	cb_buf_adds(out, ">\n");
	for (size_t i = 0; i < findings->n; i++) {
		const struct cb_finding *finding = &findings->v[i];
		cleanup_free char *message = NULL;

		/* Findings of one file stand together. */
		if (strcmp(cb_check_file(finding, src), file) != 0) {
			file = cb_check_file(finding, src);
			cb_buf_adds(out, "  </file>\n  <file");
			add_attribute(out, "name", file);
			cb_buf_adds(out, ">\n");
		}
		cb_buf_addf(out, "    <error line=\"%u\" column=\"%u\" severity=\"%s\"", finding->line, finding->col,
			severities[finding->rule->severity]);
		message = cb_xasprintf("%s (%s)", finding->msg, finding->rule->page);
		add_attribute(out, "message", message);
		cb_buf_addf(out, " source=\"cbuild.%s\"/>\n", finding->rule->name);
	}
	cb_buf_adds(out, "  </file>\n</checkstyle>\n");
}

void cb_check_print_junit(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out)
{
	cb_buf_addf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
		"  <testsuite name=\"cbuild check\" tests=\"%zu\" failures=\"%zu\" errors=\"0\">\n",
		findings->n ? findings->n : 1, findings->n);
	for (size_t i = 0; i < findings->n; i++) {
		const struct cb_finding *finding = &findings->v[i];

		cb_buf_adds(out, "    <testcase");
		add_attribute(out, "classname", cb_check_file(finding, src));
		cb_buf_addf(out, " name=\"%s (line %u)\">\n      <failure", finding->rule->name, finding->line);
		add_attribute(out, "message", finding->msg);
		cb_buf_addf(out, " type=\"%s\">", cb_severity_name(finding->rule->severity));
		add_escaped(out, finding->rule->summary);
		cb_buf_addf(out, " See %s.", finding->rule->page);
		cb_buf_adds(out, "</failure>\n    </testcase>\n");
	}
	if (!findings->n) {
		cb_buf_adds(out, "    <testcase");
		add_attribute(out, "classname", src->name);
		cb_buf_adds(out, " name=\"checks\"/>\n");
	}
	cb_buf_adds(out, "  </testsuite>\n</testsuites>\n");
}
