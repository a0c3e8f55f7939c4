/* library: parser */
/* Ignore files. The first line is the path, the rest the file. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "parser/dockerignore.h"
#include "parser/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CB_CLEANUP(cb_ignore_free) struct cb_ignore *ignore = NULL;
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	cleanup_free char *text = NULL, *path = NULL, *file = NULL, *dir = NULL;
	enum cb_ignore_verdict as_file, as_dir, parent;

	if (!line || size > 4096)
		return 0;
	text = cb_xstrndup((const char *)data, (size_t)(line - data));
	path = cb_path_abs(text);
	file = cb_xstrndup((const char *)line + 1, size - (size_t)(line - data) - 1);
	(void)cb_pattern_match(file, text, NULL);
	if (cb_pattern_check(file, NULL) == 0 && cb_pattern_match(file, text, NULL) < 0)
		__builtin_trap();
	if (cb_ignore_parse(file, strlen(file), &ignore, NULL) < 0)
		return 0;
	as_file = cb_ignore_match(ignore, path + 1, false);
	as_dir = cb_ignore_match(ignore, path + 1, true);
	if (as_file == CB_IGNORE_PRUNE || (as_file == CB_IGNORE_KEEP) != (as_dir == CB_IGNORE_KEEP))
		__builtin_trap();
	/* Beneath a pruned directory nothing is kept. */
	dir = cb_path_dir(path);
	if (!dir[1])
		return 0;
	parent = cb_ignore_match(ignore, dir + 1, true);
	if (parent == CB_IGNORE_PRUNE && as_dir != CB_IGNORE_PRUNE)
		__builtin_trap();
	return 0;
}
