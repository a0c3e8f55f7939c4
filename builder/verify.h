/*
 * Comparing two builds of one Buildfile: `cbuild verify`.
 */
#ifndef CB_BUILDER_VERIFY_H
#define CB_BUILDER_VERIFY_H

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"

/**
 * Compares the images in the OCI layouts @first and @second (directories with one image each). 0: the same, and *out
 * (appended to) has a line that says so. 1: *out says where they begin to differ: the step, and the files of its layer.
 */
int cb_verify_compare(
	const char *first, const char *second, const struct cb_cancel *cancel, struct cb_buf *out, struct cb_err **err);

#endif
