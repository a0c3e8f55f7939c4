/*
 * --squash: the layers of a result as one.
 */
#ifndef CB_BUILDER_SQUASH_H
#define CB_BUILDER_SQUASH_H

#include "builder/build.h"
#include "builder/result.h"
#include "layers/compress.h"

/**
 * Joins the layers that the build made (CB_SQUASH_NEW) or all of them (CB_SQUASH_ALL); all blobs are in the store. As
 * docker does it, the items of the joined layers stay in the history as empty ones, and one more stands for the layer.
 * Nothing happens where there are fewer than two.
 */
int cb_squash_result(struct cb_build *build, enum cb_squash mode, const struct cb_compress_spec *compression,
	struct cb_result *result, struct cb_err **err);

#endif
