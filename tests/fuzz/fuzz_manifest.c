/* library: layers */
/* Image documents from a registry: config, manifest, index. What parses is written, and then parses to the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "layers/config.h"
#include "layers/index.h"
#include "layers/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_config(const char *data, size_t size)
{
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *config = NULL;
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *again = NULL;
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *copy = NULL;
	cleanup_free char *first = NULL;
	cleanup_free char *second = NULL;
	size_t len;

	if (cb_image_config_parse(data, size, &config, NULL) < 0)
		return;
	copy = cb_image_config_copy(config);
	first = cb_image_config_write(copy, &len);
	assert(cb_image_config_parse(first, len, &again, NULL) == 0);
	second = cb_image_config_write(again, NULL);
	assert(strcmp(first, second) == 0);
}

static void try_manifest(const char *data, size_t size)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *again = NULL;
	cleanup_free char *first = NULL;
	cleanup_free char *second = NULL;
	size_t len;

	if (cb_manifest_parse(data, size, &manifest, NULL) < 0)
		return;
	first = cb_manifest_write(manifest, &len);
	assert(cb_manifest_parse(first, len, &again, NULL) == 0);
	second = cb_manifest_write(again, NULL);
	assert(strcmp(first, second) == 0);
}

static void try_index(const char *data, size_t size)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	CB_CLEANUP(cb_index_free) struct cb_index *again = NULL;
	cleanup_free char *first = NULL;
	cleanup_free char *second = NULL;
	cleanup_free char *platforms = NULL;
	struct cb_platform host;
	size_t len;

	if (cb_index_parse(data, size, &index, NULL) < 0)
		return;
	cb_platform_host(&host);
	cb_index_select(index, &host);
	platforms = cb_index_platforms(index);
	first = cb_index_write(index, &len);
	assert(cb_index_parse(first, len, &again, NULL) == 0);
	second = cb_index_write(again, NULL);
	assert(strcmp(first, second) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cb_media_sniff(NULL, (const char *)data, size);
	try_config((const char *)data, size);
	try_manifest((const char *)data, size);
	try_index((const char *)data, size);
	return 0;
}
