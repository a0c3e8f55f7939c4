/*
 * One --cache-from or --cache-to, --cache-mount-from or --cache-mount-to: "type=registry,ref=NAME", or a bare NAME.
 */
#ifndef CB_BUILDER_REMOTESPEC_H
#define CB_BUILDER_REMOTESPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strv.h"
#include "layers/compress.h"

enum cb_remote_type { CB_REMOTE_LOCAL_DIR, CB_REMOTE_HTTP, CB_REMOTE_REGISTRY, CB_REMOTE_S3, CB_REMOTE_INLINE };

/** How long a step waits for a cache, unless timeout= says otherwise. */
#define CB_REMOTE_TIMEOUT_NS INT64_C(10000000000)

struct cb_remote_spec {
	enum cb_remote_type type;
	struct cb_strv attrs; /* "key=value" */
	bool max;             /* mode=max: all steps, not only those of the result */
	bool must;            /* ignore-error=false */
	int64_t timeout_ns;   /* how long steps wait for one answer */
	/* of cache mounts */
	bool mounts;
	struct cb_strv ids;           /* patterns of id=; none: all */
	uint64_t max_size, max_total; /* bytes; 0: the default, no limit */
	bool on_success;              /* on=success: not after a build that failed */
};

/** Fills @ret, which was zeroed; @to: of --cache-to. CB_ERR_USAGE. */
int cb_remote_spec_parse(const char *text, bool to, struct cb_remote_spec *ret, struct cb_err **err);
/** The same for cache mounts, of the option @option. */
int cb_remote_spec_parse_mounts(
	const char *text, bool to, const char *option, struct cb_remote_spec *ret, struct cb_err **err);
void cb_remote_spec_done(struct cb_remote_spec *spec);
/** An attribute, or NULL. */
const char *cb_remote_spec_get(const struct cb_remote_spec *spec, const char *key);

#endif
