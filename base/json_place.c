/* Where in the text of a document a value is. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* The end of the value at @p. The text is known to be well-formed. */
static const char *skip_value(const char *p)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			for (p++; *p != '"'; p++)
				if (*p == '\\')
					p++;
			p++;
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth--;
			p++;
		} else {
			p += depth ? 1 : strcspn(p, ",]} \t\r\n");
		}
	} while (depth);
	return p;
}

/* The member @key or the element @index of what is at @p; where it is not, @p itself. */
static const char *step_into(const char *p, const char *key, size_t len, size_t index)
{
	const char *at = skip_space(p + 1);

	for (size_t i = 0; *at != '}' && *at != ']'; i++) {
		const char *end = skip_value(at);
		if (key ? (size_t)(end - at) == len + 2 && memcmp(at + 1, key, len) == 0 : i == index)
			return key ? skip_space(skip_space(end) + 1) : at;
		if (key)
			end = skip_value(skip_space(skip_space(end) + 1));
		at = skip_space(end);
		if (*at == ',')
			at = skip_space(at + 1);
	}
	return p;
}

/* "syscalls[3].args[0].op" */
static const char *find(const char *text, const char *path)
{
	const char *p = skip_space(text);

	while (*path) {
		size_t len = strcspn(path, ".[");
		if (*path == '[') {
			char *end;
			size_t index = strtoul(path + 1, &end, 10);
			p = step_into(p, NULL, 0, index);
			path = end + 1;
		} else {
			p = step_into(p, path, len, 0);
			path += len;
		}
		if (*path == '.')
			path++;
	}
	return p;
}

void cb_json_place(const char *text, const char *path, unsigned int *line, unsigned int *col)
{
	*line = *col = 1;
	for (const char *p = text, *end = find(text, path); p < end; p++) {
		*col = *p == '\n' ? 1 : *col + 1;
		*line += *p == '\n';
	}
}
