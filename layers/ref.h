/*
 * Image references: [registry[:port]/]repository[:tag][@digest], normalised as Docker does.
 *
 * "busybox" is docker.io/library/busybox:latest. The first component is a registry when it holds a dot or a colon, is
 * "localhost" or has capitals. No tag is added beside a digest.
 */
#ifndef CB_LAYERS_REF_H
#define CB_LAYERS_REF_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "layers/digest.h"

struct cb_ref {
	char *registry;   /* "docker.io", "localhost:5000", "[::1]:5000" */
	char *repository; /* "library/busybox" */
	char *tag;        /* NULL only beside a digest */
	struct cb_digest digest;
	bool has_digest;
};

/** Longest reference that is accepted. */
#define CB_REF_MAX 4096

/** CB_ERR_INPUT with a message that names @text and what is wrong with it. */
int cb_ref_parse(const char *text, struct cb_ref **ret, struct cb_err **err);
struct cb_ref *cb_ref_free(struct cb_ref *ref);
CB_DEFINE_CLEANUP(struct cb_ref *, cb_ref_free)
struct cb_ref *cb_ref_copy(const struct cb_ref *ref);

/** The full normalised form "docker.io/library/busybox:latest[@sha256:…]". Caller frees. */
char *cb_ref_format(const struct cb_ref *ref);
/** The form people type: without "docker.io/", "library/" and, when @short_tag, ":latest". Caller frees. */
char *cb_ref_familiar(const struct cb_ref *ref, bool short_tag);
/** "registry/repository", without tag and digest. Caller frees. */
char *cb_ref_name(const struct cb_ref *ref);
bool cb_ref_equal(const struct cb_ref *a, const struct cb_ref *b);
/** True when @tag may be a tag: [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}. */
bool cb_ref_tag_valid(const char *tag);

#endif
