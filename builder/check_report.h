/*
 * Findings of checks in the formats that people, editors and CI systems read.
 *
 *   tty         for people: rule, message, place, excerpt; ends with a line that counts them
 *   json        what BuildKit's lint request answers, with a severity beside
 *   sarif       SARIF 2.1.0
 *   github      workflow commands of GitHub Actions
 *   gitlab      code quality report of GitLab
 *   checkstyle  checkstyle XML
 *   junit       JUnit XML: one failed case a finding, or one passed case
 *
 * Pure: findings to bytes, the same for the same input.
 */
#ifndef CB_BUILDER_CHECK_REPORT_H
#define CB_BUILDER_CHECK_REPORT_H

#include "builder/report.h"
#include "parser/check.h"

enum cb_check_format {
	CB_CHECK_TTY,
	CB_CHECK_JSON,
	CB_CHECK_SARIF,
	CB_CHECK_GITHUB,
	CB_CHECK_GITLAB,
	CB_CHECK_CHECKSTYLE,
	CB_CHECK_JUNIT,
};

/** False when @name is no format. */
bool cb_check_format_parse(const char *name, enum cb_check_format *ret);
/** Appends the report of @findings about @src. */
void cb_check_print(enum cb_check_format format, const struct cb_findings *findings, const struct cb_report_source *src,
	struct cb_buf *out);

/* The formats, each in its file. */
void cb_check_print_json(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out);
void cb_check_print_sarif(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out);
void cb_check_print_gitlab(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out);
void cb_check_print_checkstyle(
	const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out);
void cb_check_print_junit(const struct cb_findings *findings, const struct cb_report_source *src, struct cb_buf *out);

/** The file of @finding as the user knows it. */
const char *cb_check_file(const struct cb_finding *finding, const struct cb_report_source *src);
/** @s with bad UTF-8 replaced. Caller frees. */
char *cb_check_clean(const char *s);
/** base64 of @len bytes. Caller frees. */
char *cb_check_base64(const void *data, size_t len);

#endif
