/* library: parser */
/* Whatever parses can be formatted without a change of its meaning, and once more without any change. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "parser/format.h"
#include "parser/parse.h"
#include "parser/sametree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *before = NULL, *after = NULL;
	cleanup_buf struct cb_buf out = { 0 }, again = { 0 };
	unsigned int line;
	int r;

	if (cb_parse_nodes((const char *)data, size, &before, NULL) < 0)
		return 0;
	/* Refused would mean that only the last check found a wrong change. */
	r = cb_format((const char *)data, size, &out, NULL);
	assert(r == 0);
	r = cb_parse_nodes(out.data, out.len, &after, NULL);
	assert(r == 0);
	assert(cb_same_tree(before, after, &line));
	r = cb_format(out.data, out.len, &again, NULL);
	assert(r == 0);
	assert(again.len == out.len && memcmp(again.data, out.data, out.len) == 0);
	return 0;
}
