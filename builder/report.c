#include "builder/report.h"

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "builder/redact.h"

/** Bytes of one source line that an excerpt shows. */
#define EXCERPT_MAX 200
/** Lines of a long instruction that an excerpt shows. */
#define EXCERPT_LINES_MAX 40

int cb_report_exit_status(int code)
{
	if (code >= 0)
		return CB_EXIT_OK;
	switch ((enum cb_code)code) {
	case CB_ERR_INPUT:
	case CB_ERR_NOT_FOUND:
	case CB_ERR_CORRUPT:
	case CB_ERR_LIMIT:
	case CB_ERR_DENIED:
	case CB_ERR_STEP:
		return CB_EXIT_FAILED;
	case CB_ERR_USAGE:
		return CB_EXIT_USAGE;
	case CB_ERR_NETWORK:
		return CB_EXIT_TRANSIENT;
	case CB_ERR_TIMEOUT:
		return CB_EXIT_TIMEOUT;
	case CB_ERR_CANCELED:
		return CB_EXIT_SIGINT;
	case CB_ERR_INTERNAL:
	case CB_ERR_IO:
	case CB_ERR_UNSUPPORTED:
	case CB_ERR_NO_SPACE:
		break;
	}
	return CB_EXIT_ENVIRONMENT;
}

/** Line @number of the source without its end; false when there is none. */
static bool find_line(const struct cb_report_source *src, unsigned int number, const char **ret, size_t *ret_len)
{
	const char *p, *end, *stop;

	if (!src || !src->data || !number)
		return false;
	p = src->data;
	end = p + src->len;
	while (--number) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return false;
		p++;
	}
	if (p == end)
		return false;
	stop = memchr(p, '\n', (size_t)(end - p));
	stop = stop ? stop : end;
	if (stop > p && stop[-1] == '\r')
		stop--;
	*ret = p;
	*ret_len = (size_t)(stop - p);
	return true;
}

/** Source text fit for a terminal. */
static void add_clean(struct cb_buf *out, const char *p, size_t len)
{
	const char *end = p + len;

	while (p < end) {
		uint32_t rune;

		p += cb_utf8_decode(p, end, &rune);
		cb_utf8_add(out, rune != '\t' && (rune < 0x20 || (rune >= 0x7F && rune < 0xA0)) ? CB_RUNE_BAD : rune);
	}
}

/** Blanks under @p, tabs kept, so that a caret comes to stand right. */
static void add_blanks(struct cb_buf *out, const char *p, size_t len)
{
	const char *end = p + len;

	while (p < end) {
		uint32_t rune;

		p += cb_utf8_decode(p, end, &rune);
		if (rune == '\t')
			cb_buf_addc(out, '\t');
		else
			cb_buf_addf(out, "%*s", (int)(rune < 0x20 ? 1 : cb_rune_width(rune)), "");
	}
}

static void add_caret_excerpt(
	struct cb_buf *out, const struct cb_report_source *src, unsigned int line, unsigned int col)
{
	size_t len, from = 0, at = col ? col - 1 : 0;
	const char *text;

	if (!find_line(src, line, &text, &len))
		return;
	at = CB_MIN(at, len);
	if (at > EXCERPT_MAX / 2)
		from = at - EXCERPT_MAX / 2;
	while (from && from < len && ((unsigned char)text[from] & 0xC0) == 0x80)
		from--;
	cb_buf_addf(out, "%5u | ", line);
	add_clean(out, text + from, CB_MIN(len - from, EXCERPT_MAX));
	cb_buf_adds(out, "\n");
	if (!col)
		return;
	cb_buf_adds(out, "      | ");
	add_blanks(out, text + from, at - from);
	cb_buf_adds(out, "^\n");
}

static void add_numbered_excerpt(
	struct cb_buf *out, const struct cb_report_source *src, unsigned int line, unsigned int end_line)
{
	unsigned int context, first, last;
	const char *text;
	size_t len;

	if (!find_line(src, line, &text, &len))
		return;
	end_line = CB_MAX(line, end_line);
	context = end_line == line ? 4 : 2;
	first = line > context ? line - context : 1;
	last = CB_MIN(end_line, line + EXCERPT_LINES_MAX) + context;
	cb_buf_adds(out, "--------------------\n");
	for (unsigned int at = first; at <= last && find_line(src, at, &text, &len); at++) {
		cb_buf_addf(out, "%4u | %s ", at, at >= line && at <= end_line ? ">>>" : "   ");
		add_clean(out, text, CB_MIN(len, EXCERPT_MAX));
		cb_buf_adds(out, "\n");
	}
	cb_buf_adds(out, "--------------------\n");
}

/** A message may carry text of a Buildfile or of a server: keep lines, drop what steers a terminal. */
static void add_message(struct cb_buf *out, const char *label, const char *message)
{
	cb_buf_adds(out, label);
	for (const char *p = message;;) {
		size_t len = strcspn(p, "\n");

		add_clean(out, p, len);
		cb_buf_adds(out, "\n");
		if (!p[len] || !p[len + 1])
			break;
		p += len + 1;
	}
}

static void add_hint(struct cb_buf *out, const struct cb_err *err)
{
	if (err->hint)
		add_message(out, "hint: ", err->hint);
}

static void report_step(struct cb_buf *out, const struct cb_err *err, const struct cb_report_source *src,
	const struct cb_report_step *step)
{
	if (step->tail && *step->tail) {
		cb_buf_adds(out, "------\n > ");
		add_clean(out, step->name ? step->name : "step", strlen(step->name ? step->name : "step"));
		cb_buf_adds(out, ":\n");
		add_message(out, "", step->tail);
		cb_buf_adds(out, "------\n");
	}
	if (src && err->line) {
		cb_buf_addf(out, "%s:%u\n", src->name, err->line);
		add_numbered_excerpt(out, src, err->line, err->end_line);
	}
	add_message(out, "error: ", cb_err_msg(err));
	add_hint(out, err);
}

/** The text that the lines of @err count in; NULL when it is not known. */
static const struct cb_report_source *source_of(const struct cb_report_source *src, const struct cb_err *err)
{
	if (!err->file)
		return src;
	for (size_t i = 0; src && i < src->n_more; i++)
		if (!strcmp(src->more[i].name, err->file))
			return &src->more[i];
	return NULL;
}

void cb_report_error(struct cb_buf *out, const struct cb_err *err, const struct cb_report_source *src,
	const struct cb_report_step *step)
{
	const char *name;

	if (step) {
		report_step(out, err, source_of(src, err), step);
		return;
	}
	name = err->file ? err->file : src ? src->name : NULL;
	if (err->line && name) {
		cb_buf_addf(out, "%s:%u:", name, err->line);
		if (err->col)
			cb_buf_addf(out, "%u:", err->col);
		add_message(out, " error: ", cb_err_msg(err));
		add_caret_excerpt(out, source_of(src, err), err->line, err->col);
	} else {
		add_message(out, "cbuild: error: ", cb_err_msg(err));
	}
	add_hint(out, err);
}

void cb_report_warning(struct cb_buf *out, const struct cb_report_source *src, unsigned int line, unsigned int col,
	const char *message)
{
	if (!src || !line) {
		add_message(out, "cbuild: warning: ", message);
		return;
	}
	cb_buf_addf(out, "%s:%u:", src->name, line);
	if (col)
		cb_buf_addf(out, "%u:", col);
	add_message(out, " warning: ", message);
}

void cb_report_excerpt(struct cb_buf *out, const struct cb_report_source *src, unsigned int line, unsigned int end_line)
{
	add_numbered_excerpt(out, src, line, end_line);
}

void cb_report_text(struct cb_buf *out, const char *label, const char *message)
{
	add_message(out, label, message);
}

int cb_report_fail_redacted(const struct cb_err *err, const struct cb_report_source *src,
	const struct cb_report_step *step, const struct cb_needles *needles)
{
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_free char *redacted = NULL;
	const char *text;

	cb_report_error(&out, err, src, step);
	redacted = cb_redact(needles, cb_buf_str(&out));
	text = redacted ? redacted : cb_buf_str(&out);
	/* Nowhere is left to complain when standard error is closed. */
	(void)!cb_fd_write_all(STDERR_FILENO, text, strlen(text));
	return cb_report_exit_status(err->code);
}

int cb_report_fail(const struct cb_err *err, const struct cb_report_source *src, const struct cb_report_step *step)
{
	return cb_report_fail_redacted(err, src, step, NULL);
}
