/*
 * The commands of a shell text, as far as rules about well-known programs need them: words and separators. This is no
 * shell parser: expansions stay as they are written, and what is nested in "..." is not looked into.
 */
#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "parser/checker.h"

/* Words of a command that no rule looks behind. */
#define WORDS_MAX 256

static bool is_separator(char c)
{
	return c && strchr(";&|\n()`", c);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Reads one word; quotes go, what they hold stays. */
static void read_word(struct cb_span *rest, struct cb_buf *word)
{
	char quote = 0;

	for (; rest->p < rest->end; rest->p++) {
		char c = *rest->p;

		if (!quote && (is_space(c) || is_separator(c)))
			return;
		if (c == '\\' && quote != '\'' && rest->p + 1 < rest->end) {
			c = *++rest->p;
			if (c == '\n')
				continue;
		} else if (!quote && (c == '\'' || c == '"')) {
			quote = c;
			continue;
		} else if (quote && c == quote) {
			quote = 0;
			continue;
		}
		cb_buf_addc(word, c);
	}
}

static bool is_assignment(const char *word)
{
	size_t len = 0;

	while (isalnum((unsigned char)word[len]) || word[len] == '_')
		len++;
	return len && word[len] == '=';
}

/* Words that stand before a command. */
static bool is_prefix(const char *word)
{
	static const char *const prefixes[] = { "then", "do", "else", "elif", "if", "while", "until", "!", "{", "time",
		"exec", "command", "env", "eatmydata" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strcmp(word, prefixes[i]))
			return true;
	return is_assignment(word);
}

bool check_shell_next(struct cb_span *rest, struct cb_strv *words)
{
	cleanup_buf struct cb_buf word = { 0 };

	cb_strv_done(words);
	while (rest->p < rest->end) {
		char c = *rest->p;

		if (is_separator(c)) {
			rest->p++;
			if (words->n)
				return true;
		} else if (is_space(c)) {
			rest->p++;
		} else if (c == '\\' && rest->p + 1 < rest->end && rest->p[1] == '\n') {
			rest->p += 2;
		} else if (c == '#') {
			while (rest->p < rest->end && *rest->p != '\n')
				rest->p++;
		} else {
			cb_buf_clear(&word);
			read_word(rest, &word);
			if (words->n < WORDS_MAX && (words->n || !is_prefix(cb_buf_str(&word))))
				cb_strv_add(words, cb_buf_str(&word));
		}
	}
	return words->n > 0;
}
