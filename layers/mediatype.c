#include "layers/mediatype.h"

#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

#define FOREIGN_OCI "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define FOREIGN_DOCKER "application/vnd.docker.image.rootfs.foreign.diff.tar"

enum family { OCI, DOCKER };

static const struct media {
	const char *type;
	enum cb_media_kind kind;
	enum family family;
	enum cb_codec codec;
	bool foreign;
} table[] = {
	{ CB_MEDIA_OCI_INDEX, CB_MEDIA_KIND_INDEX, OCI, CB_CODEC_NONE, false },
	{ CB_MEDIA_OCI_MANIFEST, CB_MEDIA_KIND_MANIFEST, OCI, CB_CODEC_NONE, false },
	{ CB_MEDIA_OCI_CONFIG, CB_MEDIA_KIND_CONFIG, OCI, CB_CODEC_NONE, false },
	{ CB_MEDIA_OCI_LAYER, CB_MEDIA_KIND_LAYER, OCI, CB_CODEC_NONE, false },
	{ CB_MEDIA_OCI_LAYER_GZIP, CB_MEDIA_KIND_LAYER, OCI, CB_CODEC_GZIP, false },
	{ CB_MEDIA_OCI_LAYER_ZSTD, CB_MEDIA_KIND_LAYER, OCI, CB_CODEC_ZSTD, false },
	{ FOREIGN_OCI, CB_MEDIA_KIND_LAYER, OCI, CB_CODEC_NONE, true },
	{ FOREIGN_OCI "+gzip", CB_MEDIA_KIND_LAYER, OCI, CB_CODEC_GZIP, true },
	{ FOREIGN_OCI "+zstd", CB_MEDIA_KIND_LAYER, OCI, CB_CODEC_ZSTD, true },
	{ CB_MEDIA_DOCKER_LIST, CB_MEDIA_KIND_INDEX, DOCKER, CB_CODEC_NONE, false },
	{ CB_MEDIA_DOCKER_MANIFEST, CB_MEDIA_KIND_MANIFEST, DOCKER, CB_CODEC_NONE, false },
	{ CB_MEDIA_DOCKER_CONFIG, CB_MEDIA_KIND_CONFIG, DOCKER, CB_CODEC_NONE, false },
	{ CB_MEDIA_DOCKER_LAYER, CB_MEDIA_KIND_LAYER, DOCKER, CB_CODEC_NONE, false },
	{ CB_MEDIA_DOCKER_LAYER_GZIP, CB_MEDIA_KIND_LAYER, DOCKER, CB_CODEC_GZIP, false },
	{ CB_MEDIA_DOCKER_LAYER_ZSTD, CB_MEDIA_KIND_LAYER, DOCKER, CB_CODEC_ZSTD, false },
	{ FOREIGN_DOCKER, CB_MEDIA_KIND_LAYER, DOCKER, CB_CODEC_NONE, true },
	{ FOREIGN_DOCKER ".gzip", CB_MEDIA_KIND_LAYER, DOCKER, CB_CODEC_GZIP, true },
};

static const struct media *find(const char *type)
{
	size_t len = type ? strcspn(type, "; \t") : 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (len && strlen(table[i].type) == len && strncmp(table[i].type, type, len) == 0)
			return &table[i];
	return NULL;
}

enum cb_media_kind cb_media_kind(const char *type)
{
	const struct media *media = find(type);

	return media ? media->kind : CB_MEDIA_KIND_UNKNOWN;
}

bool cb_media_is_docker(const char *type)
{
	const struct media *media = find(type);

	return media && media->family == DOCKER;
}

bool cb_media_is_foreign(const char *type)
{
	const struct media *media = find(type);

	return media && media->foreign;
}

enum cb_codec cb_media_layer_codec(const char *type)
{
	const struct media *media = find(type);

	return media ? media->codec : CB_CODEC_NONE;
}

const char *cb_media_layer_type(enum cb_codec codec, bool docker)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].kind == CB_MEDIA_KIND_LAYER && !table[i].foreign && table[i].codec == codec &&
			(table[i].family == DOCKER) == docker)
			return table[i].type;
	return CB_MEDIA_OCI_LAYER;
}
