/*
 * Certificates that steps trust while they run, --ca-cert: never in a layer, in the history or in a key.
 *
 * The bundle of the image with the certificates added is mounted at a path of our own, which the usual variables name.
 * Where distributions keep their bundle, the step finds it with the certificates as an ordinary file, which it may
 * replace (as installing ca-certificates does); afterwards they are taken out again.
 */
#ifndef CB_BUILDER_STEP_TRUST_H
#define CB_BUILDER_STEP_TRUST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include "layers/tree.h"
#include "runtime/spec.h"

/** Most bytes of a bundle, ours and that of an image. */
#define CB_TRUST_MAX (16U << 20)
/** The value of --ca-cert that stands for what this host trusts. */
#define CB_TRUST_HOST "host"

/** Reads the certificates that --ca-cert @value names, as a block that can be found again. CB_ERR_USAGE. */
int cb_trust_load(const char *value, struct cb_buf *ret, struct cb_err **err);

struct cb_trust;

/**
 * Prepares a step on @tree with the certificates @block: variables that are not in @env are added, *ret_mount is to be
 * mounted (it borrows from *ret). With @upper, the empty upper directory of its snapshot (-1: none), the bundles of the
 * image get them, too.
 */
int cb_trust_begin(struct cb_tree *tree, const struct cb_buf *block, int upper, struct cb_strv *env,
	struct cb_run_mount *ret_mount, struct cb_trust **ret, struct cb_err **err);
/** Takes the certificates out of every file of @upper that has them; the step is over. */
int cb_trust_end(const struct cb_trust *trust, enum cb_flavour flavour, int upper, struct cb_err **err);
struct cb_trust *cb_trust_free(struct cb_trust *trust);

#endif
