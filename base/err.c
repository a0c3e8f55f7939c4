#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static int set(struct cb_err **err, enum cb_code code, int errnum, char *msg)
{
	if (!err) {
		free(msg);
		return code;
	}
	cb_err_free(*err);
	*err = cb_new0(struct cb_err);
	(*err)->code = code;
	(*err)->errnum = errnum;
	(*err)->msg = msg;
	return code;
}

int cb_err_set(struct cb_err **err, enum cb_code code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	set(err, code, 0, cb_xvasprintf(fmt, ap));
	va_end(ap);
	return code;
}

int cb_err_at(struct cb_err **err, enum cb_code code, unsigned int line, unsigned int col, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	set(err, code, 0, cb_xvasprintf(fmt, ap));
	va_end(ap);
	(*err)->line = line;
	(*err)->col = col;
	return code;
}

static enum cb_code code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
		return CB_ERR_NOT_FOUND;
	case ENOSPC:
	case EDQUOT:
		return CB_ERR_NO_SPACE;
	case EACCES:
	case EPERM:
		return CB_ERR_DENIED;
	default:
		return CB_ERR_IO;
	}
}

int cb_err_errno(struct cb_err **err, int errnum, const char *fmt, ...)
{
	enum cb_code code = code_of_errno(errnum);
	char reason[128];
	va_list ap;
	char *text;

	if (!err)
		return code;
	va_start(ap, fmt);
	text = cb_xvasprintf(fmt, ap);
	va_end(ap);
	set(err, code, errnum, cb_xasprintf("%s: %s", text, strerror_r(errnum, reason, sizeof(reason))));
	free(text);
	return code;
}

int cb_err_wrap(struct cb_err **err, int code, const char *fmt, ...)
{
	char *text, *joined;
	va_list ap;

	if (!err || !*err)
		return code;
	va_start(ap, fmt);
	text = cb_xvasprintf(fmt, ap);
	va_end(ap);
	joined = cb_xasprintf("%s: %s", text, (*err)->msg);
	free(text);
	free((*err)->msg);
	(*err)->msg = joined;
	return cb_err_recode(err, code);
}

int cb_err_recode(struct cb_err **err, int code)
{
	if (err && *err && code < 0)
		(*err)->code = (enum cb_code)code;
	return code;
}

int cb_err_locate(struct cb_err **err, int code, unsigned int line, unsigned int col, unsigned int end_line)
{
	if (err && *err && !(*err)->line) {
		(*err)->line = line;
		(*err)->col = col;
		(*err)->end_line = end_line;
	}
	return code;
}

int cb_err_hint(struct cb_err **err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err || !*err)
		return code;
	va_start(ap, fmt);
	free((*err)->hint);
	(*err)->hint = cb_xvasprintf(fmt, ap);
	va_end(ap);
	return code;
}

const char *cb_err_msg(const struct cb_err *err)
{
	return err ? err->msg : "";
}

int cb_err_move(struct cb_err **to, struct cb_err *from)
{
	int code = from ? from->code : 0;

	if (!from)
		return 0;
	if (!to) {
		cb_err_free(from);
		return code;
	}
	cb_err_free(*to);
	*to = from;
	return code;
}

struct cb_err *cb_err_copy(const struct cb_err *err)
{
	struct cb_err *copy;

	if (!err)
		return NULL;
	copy = cb_xmemdup(err, sizeof(*err));
	copy->msg = cb_xstrdup(err->msg);
	copy->hint = cb_xstrdup_null(err->hint);
	copy->file = cb_xstrdup_null(err->file);
	return copy;
}

struct cb_err *cb_err_free(struct cb_err *err)
{
	if (err) {
		free(err->msg);
		free(err->hint);
		free(err->file);
		free(err);
	}
	return NULL;
}
