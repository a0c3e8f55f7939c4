/*
 * Media types of OCI and Docker images, and what they say about a blob.
 */
#ifndef CB_LAYERS_MEDIATYPE_H
#define CB_LAYERS_MEDIATYPE_H

#include <stdbool.h>

#include "layers/compress.h"

#define CB_MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define CB_MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define CB_MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define CB_MEDIA_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define CB_MEDIA_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define CB_MEDIA_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define CB_MEDIA_OCI_EMPTY "application/vnd.oci.empty.v1+json"
#define CB_MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define CB_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define CB_MEDIA_DOCKER_MANIFEST_V1 "application/vnd.docker.distribution.manifest.v1+json"
#define CB_MEDIA_DOCKER_MANIFEST_V1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define CB_MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define CB_MEDIA_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define CB_MEDIA_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define CB_MEDIA_DOCKER_LAYER_ZSTD "application/vnd.docker.image.rootfs.diff.tar.zstd"

enum cb_media_kind {
	CB_MEDIA_KIND_UNKNOWN,
	CB_MEDIA_KIND_INDEX,    /* OCI index or Docker manifest list */
	CB_MEDIA_KIND_MANIFEST, /* OCI or Docker schema 2 */
	CB_MEDIA_KIND_CONFIG,
	CB_MEDIA_KIND_LAYER,
};

/** The kind of @type; parameters (";…") are ignored; NULL is unknown. */
enum cb_media_kind cb_media_kind(const char *type);
/** True for the Docker family. */
bool cb_media_is_docker(const char *type);
/** True for foreign (non-distributable) layer types. */
bool cb_media_is_foreign(const char *type);
/** The compression that a layer's type names (the bytes decide in the end). */
enum cb_codec cb_media_layer_codec(const char *type);
/** The layer type of @codec; a static string. */
const char *cb_media_layer_type(enum cb_codec codec, bool docker);

#endif
