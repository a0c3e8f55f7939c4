/*
 * What checks know of base images: their configs, looked up when a rule asks.
 *
 * The store is asked, and registries only when the command may. What cannot be had is not known, and rules about it
 * stay silent; that is told once for each image when registries were asked. One thread.
 */
#ifndef CB_BUILDER_CHECK_BASES_H
#define CB_BUILDER_CHECK_BASES_H

#include "builder/build.h"

struct cb_check_bases;

/** @build (borrowed) can fetch, or is NULL: one is opened then when there is something to look up. */
struct cb_check_bases *cb_check_bases_new(const struct cb_settings *settings, bool ask, struct cb_build *build);
struct cb_check_bases *cb_check_bases_free(struct cb_check_bases *bases);
CB_DEFINE_CLEANUP(struct cb_check_bases *, cb_check_bases_free)

/** The image that is called @name (also "oci-layout://…") for @platform, or NULL. */
const struct cb_image *cb_check_bases_get(
	struct cb_check_bases *bases, const char *name, const struct cb_platform *platform);

#endif
