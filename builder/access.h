/*
 * How registries are reached: the options of every command that talks to one.
 */
#ifndef CB_BUILDER_ACCESS_H
#define CB_BUILDER_ACCESS_H

#include "base/err.h"
#include "base/strv.h"
#include "builder/opt.h"
#include "layers/registry.h"

/** Their ids in tables begin here. */
#define CB_ACCESS_ID 500

/** Zero-initialise, end with cb_access_done. */
struct cb_access {
	char *ca_cert;           /* PEM file, or NULL */
	struct cb_strv insecure; /* host[:port] that may be plain HTTP or have a bad certificate */
	int timeout_s;           /* 0: the client's defaults */
	int retries;             /* 0: the default; negative: none */
	uint64_t upload_chunk;   /* bytes; 0: blobs go up whole */
};
void cb_access_done(struct cb_access *access);
#define cleanup_access __attribute__((cleanup(cb_access_done)))

/** The options, ended by a zero entry. cb_build_options has them too. */
extern const struct cb_opt cb_access_options[];
/** Takes the value of one of them. */
int cb_access_set(struct cb_access *access, const struct cb_opt *opt, const char *value, struct cb_err **err);
/** Borrows from @access. */
void cb_access_apply(const struct cb_access *access, struct cb_registry_options *options);

#endif
