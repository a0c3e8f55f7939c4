/* library: parser */
/*
 * Variable expansion. First byte: flags and escape character; the rest is the input. Variables hold every kind of
 * value, so that operators have something to work on.
 */
#include <stdint.h>
#include <string.h>

#include "parser/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const values[] = { "A=value", "E=", "S=a b  c", "P=/usr/bin:/bin", "G=a*b?c[d]", "N=one\ntwo",
	"Q=\"q'", "D=$A ${E}", "F=src/lib/main.test.c", "U=\xC3\xA9t\xC3\xA9", "B=bad\xFF" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_strv struct cb_strv env = { 0 }, words = { 0 }, used = { 0 }, unset = { 0 };
	cleanup_free char *input = NULL, *word = NULL;
	struct cb_expand how = { .env = &env, .used = &used, .unset = &unset };
	int r, w;

	if (!size || size > 4096)
		return 0;
	how.flags = data[0] & 15;
	how.escape = data[0] & 16 ? '`' : '\\';
	input = cb_xstrndup((const char *)data + 1, size - 1);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		cb_strv_add(&env, values[i]);
	r = cb_expand_word(input, &how, &word, NULL);
	w = cb_expand_words(input, &how, &words, NULL);
	/* Both read the same language, and words are never empty. */
	if (r != w || (r < 0 && (word || words.n)))
		__builtin_trap();
	for (size_t i = 0; i < words.n; i++) {
		if (!*words.v[i])
			__builtin_trap();
	}
	return 0;
}
