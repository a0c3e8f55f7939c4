/*
 * Images of the store to a registry.
 *
 * Blobs go first, several at a time, then manifests, an index last of all, so that whoever finds a name finds all of
 * the image. Documents are sent as the bytes that they are: the digest there is the digest here. Layers with a foreign
 * media type and addresses of their own are left where they are.
 */
#ifndef CB_LAYERS_PUSH_H
#define CB_LAYERS_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/strv.h"
#include "layers/descriptor.h"
#include "layers/ref.h"
#include "layers/registry.h"
#include "layers/store.h"

enum cb_push_state {
	CB_PUSH_WAITING, /* listed, once for each blob, before anything is sent */
	CB_PUSH_SENDING, /* bytes are on their way, or about to be */
	CB_PUSH_SENT,
	CB_PUSH_THERE,   /* the repository had it */
	CB_PUSH_MOUNTED, /* linked from another repository */
};

struct cb_push {
	struct cb_registry *registry;
	struct cb_store *store;
	const struct cb_descriptor *desc; /* manifest or index in the store */
	const struct cb_ref *ref;         /* registry and repository; its tag is not looked at */
	const struct cb_strv *tags;       /* names for @desc; none: it is found by its digest only */
	const struct cb_strv *mount_from; /* repositories of the same registry that may have layers; or NULL */
	unsigned int parallel;            /* blobs at a time; 0: 4 */
	/** Brings a blob that the store has not into it, when the registry has not got it either. May be NULL. */
	int (*fetch)(void *userdata, const struct cb_descriptor *blob, struct cb_cancel *cancel, struct cb_err **err);
	/** From several threads. @sent of the blob's size. May be NULL. */
	void (*progress)(void *userdata, const struct cb_descriptor *blob, enum cb_push_state state, uint64_t sent);
	void *userdata;
	struct cb_cancel *cancel;
};

/** CB_ERR_NOT_FOUND when a document or blob is nowhere. */
int cb_push_image(const struct cb_push *what, struct cb_err **err);

#endif
