/*
 * Values of secrets in what is shown become "***".
 *
 * A redactor is one stream, in one thread. What may be the beginning of a value is held back until more comes or
 * cb_redactor_flush says that nothing does: a value is found wherever the stream was cut, and across line ends.
 */
#ifndef CB_BUILDER_REDACT_H
#define CB_BUILDER_REDACT_H

#include "base/buf.h"
#include "base/json.h"
#include "base/needles.h"

struct cb_redactor {
	const struct cb_needles *needles;
	struct cb_buf held;
};

/** Appends to @out what can be shown now. */
void cb_redactor_add(struct cb_redactor *redactor, const void *data, size_t len, struct cb_buf *out);
/** Appends all that was held back. */
void cb_redactor_flush(struct cb_redactor *redactor, struct cb_buf *out);
/** A line and its end are held back. */
bool cb_redactor_holds_line(const struct cb_redactor *redactor);
void cb_redactor_done(struct cb_redactor *redactor);

/** A text as a whole: NULL when it holds no value, else a new one without. */
char *cb_redact(const struct cb_needles *needles, const char *text);

/** Hides values in all strings of an object or array. */
void cb_redact_json(const struct cb_needles *needles, json_t *doc);

#endif
