/*
 * ADD of local files. Not for others than step_copy.c.
 */
#ifndef CB_BUILDER_STEP_ADD_H
#define CB_BUILDER_STEP_ADD_H

#include "base/err.h"
#include "builder/step.h"
#include "layers/copytree.h"

/** Unpacks the archives among the sources of @spec into its destination and copies the other sources. */
int cb_step_add(const struct cb_copy_spec *spec, struct cb_err **err);

#endif
