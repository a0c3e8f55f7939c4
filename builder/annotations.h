/*
 * --annotation [TYPE[,TYPE…]:]KEY=VALUE, as docker buildx takes it: TYPE is manifest (the default) or
 * manifest-descriptor, each perhaps with [OS/ARCH] behind it; index and index-descriptor are of the index of several
 * platforms.
 */
#ifndef CB_BUILDER_ANNOTATIONS_H
#define CB_BUILDER_ANNOTATIONS_H

#include <jansson.h>

#include "base/err.h"
#include "base/strv.h"
#include "layers/platform.h"

/**
 * Those of the list that count for the image of @platform (NULL: only their form is checked): *ret_manifest and
 * *ret_descriptor are new objects of strings, or NULL when there are none. CB_ERR_USAGE.
 */
int cb_annotations_of(const struct cb_strv *list, const struct cb_platform *platform, json_t **ret_manifest,
	json_t **ret_descriptor, struct cb_err **err);

/** The same for the index; without one (@several false), those that are for it are a CB_ERR_USAGE. */
int cb_annotations_of_index(
	const struct cb_strv *list, bool several, json_t **ret_index, json_t **ret_descriptor, struct cb_err **err);

#endif
