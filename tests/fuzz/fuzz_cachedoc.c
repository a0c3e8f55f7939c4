/* library: layers */
/* What remote caches hand out: documents of records, ActionResult messages, lists of files. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "layers/cachedoc.h"
#include "layers/filelist.h"
#include "layers/remotecache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_doc(const char *data, size_t size)
{
	static const struct cb_cachedoc_limits limits = { .records = 3, .blobs = 4, .bytes = 1000 };
	CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *doc = NULL;
	CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *again = NULL;
	CB_CLEANUP(cb_cachedoc_free) struct cb_cachedoc *joined = cb_cachedoc_new();
	cleanup_free char *first = NULL, *second = NULL;
	cleanup_free struct cb_descriptor *blobs = NULL;
	size_t len, n;

	if (cb_cachedoc_parse(data, size, &doc, NULL) < 0)
		return;
	first = cb_cachedoc_write(doc, &len);
	assert(cb_cachedoc_parse(first, len, &again, NULL) == 0);
	second = cb_cachedoc_write(again, &len);
	assert(strcmp(first, second) == 0);
	cb_cachedoc_merge(joined, doc, &limits);
	blobs = cb_cachedoc_blobs(joined, &n);
	assert(n <= limits.blobs && cb_cachedoc_records(joined) <= limits.records);
}

static void try_message(const uint8_t *data, size_t size)
{
	cleanup_buf struct cb_buf record = { 0 };

	if (cb_action_result_read(data, size, &record) == 0)
		assert(record.len <= size);
}

static void try_list(const uint8_t *data, size_t size)
{
	struct cb_content_files files = { 0 };

	(void)!cb_filelist_unpack(data, size, &files, NULL);
	cb_content_files_done(&files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_doc((const char *)data, size);
	try_message(data, size);
	try_list(data, size);
	return 0;
}
