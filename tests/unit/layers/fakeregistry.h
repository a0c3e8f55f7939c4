/*
 * A registry in the test's process: blobs and manifests in memory, with a hook for faults; and small images to put in.
 */
#ifndef CB_TESTS_FAKEREGISTRY_H
#define CB_TESTS_FAKEREGISTRY_H

#include <pthread.h>

#include "base/buf.h"
#include "base/map.h"
#include "layers/digest.h"
#include "layers/platform.h"
#include "layers/registry.h"
#include "unit/layers/httpd.h"

struct fake_registry;
/** 1 when it answered and the connection stays, 0 when it closes, -1 to go on. Called with the lock held. */
typedef int (*fake_fault)(struct fake_registry *reg, struct httpd_request *req);

struct fake_registry {
	struct httpd *server;
	pthread_mutex_t lock;
	struct cb_map *blobs;      /* digest -> struct fake_item */
	struct cb_map *manifests;  /* "repository:tag" and "repository@digest" -> struct fake_item */
	_Atomic(fake_fault) fault; /* asked before the normal answer; tests change it while the server runs */
	int n;                     /* for the hook */
	struct cb_map *sessions;   /* open uploads: number -> struct fake_item */
	int n_sessions;
};

struct fake_item {
	struct cb_buf data;
	char *type;
};

void fake_registry_start(struct fake_registry *reg);
void fake_registry_stop(struct fake_registry *reg);
/** "127.0.0.1:PORT/<rest>". Caller frees. */
char *fake_registry_name(const struct fake_registry *reg, const char *rest);
/** The same as a reference. Caller frees. */
struct cb_ref *fake_registry_ref(const struct fake_registry *reg, const char *rest);
/** A client that gives up soon and uploads in pieces of @chunk bytes (0: in one). Caller frees. */
struct cb_registry *fake_registry_client(uint64_t chunk);

void fake_put_blob(struct fake_registry *reg, const void *data, size_t len, struct cb_digest *ret);
/** @tag may be NULL. */
void fake_put_manifest(struct fake_registry *reg, const char *repository, const char *tag, const char *type,
	const void *data, size_t len, struct cb_digest *ret);
struct fake_item *fake_blob(struct fake_registry *reg, const char *digest);

enum fake_codec { FAKE_GZIP, FAKE_ZSTD, FAKE_PLAIN };

/** Appends one ustar entry: a directory when @name ends with a slash, else a file with @content. */
void fake_tar_add(struct cb_buf *tar, const char *name, const void *content, size_t len);
void fake_tar_end(struct cb_buf *tar);
void fake_compress(const struct cb_buf *in, enum fake_codec codec, struct cb_buf *out);

/**
 * Puts an image of @n_layers layers for @platform; layer i has "layer-i" (a file that holds its number) and "size-i" of
 * @size bytes that do not compress. Codecs alternate. *ret is the manifest's digest.
 */
void fake_put_image(struct fake_registry *reg, const char *repository, const char *tag, const char *platform,
	unsigned int n_layers, size_t size, struct cb_digest *ret);

#endif
