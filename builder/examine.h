/*
 * What the reports on images, `cbuild size` and `cbuild diff`, have in common.
 */
#ifndef CB_BUILDER_EXAMINE_H
#define CB_BUILDER_EXAMINE_H

#include <jansson.h>

#include "base/buf.h"
#include "builder/imagesource.h"

/** @text as a JSON string: bytes that are no UTF-8 become U+FFFD. */
json_t *cb_examine_text(const char *text);
/** Appends @text, fit for a terminal and without line ends. */
void cb_examine_add(struct cb_buf *out, const char *text);
/** {"name", "digest", "id", "platform"} of an image, {"name"} of a directory. */
json_t *cb_examine_image(const struct cb_image_source *source);

/** Makes the document of `cbuild size`: @against may be NULL. At most @top of what may be many. */
int cb_size_examine(struct cb_transfer *transfer, const struct cb_image_source *image,
	const struct cb_image_source *against, unsigned int top, json_t **ret, struct cb_err **err);

#endif
