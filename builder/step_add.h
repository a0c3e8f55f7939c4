/*
 * ADD of local files. Not for others than step_copy.c.
 */
#ifndef CB_BUILDER_STEP_ADD_H
#define CB_BUILDER_STEP_ADD_H

#include "base/err.h"
#include "builder/step.h"
#include "layers/copytree.h"
#include "layers/flavour.h"

/**
 * Unpacks the archives among the sources of @spec into its destination, a snapshot of @flavour, and copies the other
 * sources.
 */
int cb_step_add(const struct cb_copy_spec *spec, enum cb_flavour flavour, struct cb_err **err);

#endif
