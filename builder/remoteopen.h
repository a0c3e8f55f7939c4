/* Opens the remote cache that an option names: of results (builder/remotes.h) or of cache mounts (cachemounts.h). */
#ifndef CB_BUILDER_REMOTEOPEN_H
#define CB_BUILDER_REMOTEOPEN_H

#include "builder/access.h"
#include "builder/remotespec.h"
#include "layers/ref.h"
#include "layers/remotecache.h"

struct cb_remote_opening {
	const struct cb_access *access;
	struct cb_registry *registry;
	const char *option;          /* that named it, for errors */
	bool to;                     /* it is written to */
	cb_remote_inline_fn inlined; /* reads records that images carry; or NULL */
};

/** *ret_ref is set for a registry only, and must live as long as the cache. Nothing is asked yet. */
int cb_remote_cache_open(const struct cb_remote_spec *spec, const struct cb_remote_opening *opening,
	struct cb_ref **ret_ref, struct cb_remote_cache **ret, struct cb_err **err);

#endif
