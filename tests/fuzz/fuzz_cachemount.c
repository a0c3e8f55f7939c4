/* library: layers */
/*
 * Documents of cache mounts from a remote cache: the first byte says which. Records and indexes that parse are written,
 * and then are the same; lists hold what their reader promises.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "layers/mountdoc.h"
#include "layers/mountlist.h"
#include "layers/packset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_record(const char *data, size_t size)
{
	cleanup_mountdoc struct cb_mountdoc doc = { 0 };
	cleanup_mountdoc struct cb_mountdoc again = { 0 };
	cleanup_free char *first = NULL;
	cleanup_free char *second = NULL;

	if (cb_mountdoc_parse(data, size, &doc, NULL) < 0)
		return;
	first = cb_mountdoc_write(&doc);
	assert(cb_mountdoc_parse(first, strlen(first), &again, NULL) == 0);
	second = cb_mountdoc_write(&again);
	assert(strcmp(first, second) == 0);
}

static void try_index(const char *data, size_t size)
{
	cleanup_packset struct cb_packset set = { 0 };
	cleanup_packset struct cb_packset again = { 0 };
	cleanup_buf struct cb_buf first = { 0 };

	if (cb_packset_read(&set, data, size, NULL) < 0)
		return;
	for (size_t i = 0; i < set.n; i++) {
		cb_packset_use(&set, i);
		for (size_t k = 0; k < set.packs[i]->n_chunks; k++) {
			const struct cb_pack_chunk *chunk = &set.packs[i]->chunks[k];
			size_t pack;

			assert(chunk->at + chunk->len <= set.packs[i]->frames[chunk->frame].raw);
			chunk = cb_packset_find(&set, chunk->digest, &pack);
			assert(chunk && pack <= i);
			cb_packset_count(set.packs[pack], chunk);
			assert(set.packs[pack]->live <= set.packs[pack]->raw);
		}
	}
	cb_packset_write(&set, false, &first);
	assert(cb_packset_read(&again, first.data, first.len, NULL) == 0 && again.n == set.n);
}

static void try_lists(const char *data, size_t size)
{
	size_t cut = size ? (unsigned char)data[0] * size / 256 : 0;
	struct cb_source_mem tree = { data + (size > 0), cut, 0 };
	struct cb_source_mem times = { data + (size > 0) + cut, size - (size > 0) - cut, 0 };
	CB_CLEANUP(cb_mountlist_free) struct cb_mountlist *list = NULL;
	const struct cb_mount_entry *entry;
	size_t depth = 0;

	list = cb_mountlist_new(cb_source_mem(&tree), cb_source_mem(&times));
	while (cb_mountlist_next(list, &entry, NULL) == 0) {
		if (entry->kind == CB_MOUNT_UP) {
			assert(depth-- > 0);
			continue;
		}
		assert(depth ? *entry->name && !strchr(entry->name, '/') : !*entry->name);
		assert(strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0);
		depth += entry->kind == CB_MOUNT_DIR;
		assert(depth <= CB_MOUNT_DEPTH_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *rest = (const char *)data + 1;

	if (!size)
		return 0;
	switch (data[0] % 3) {
	case 0:
		try_record(rest, size - 1);
		break;
	case 1:
		try_index(rest, size - 1);
		break;
	default:
		try_lists(rest, size - 1);
		break;
	}
	return 0;
}
