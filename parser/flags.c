/* Flags of instructions. */
#include "parser/flags.h"

#include <assert.h>
#include <string.h>

#include "base/strv.h"
#include "parser/chars.h"
#include "parser/diag.h"

static bool is_ascii_space(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Takes the byte at the cursor, which a quote in *quote may guard, into the word. */
static void take_byte(struct cb_span *rest, char escape, int *quote, struct cb_buf *buf)
{
	char c = *rest->p++;

	if (*quote ? c == *quote : c == '\'' || c == '"') {
		*quote = *quote ? 0 : (unsigned char)c;
		return;
	}
	/* In '...' too; at the end of the line it vanishes. */
	if (c == escape) {
		if (cb_span_empty(*rest))
			return;
		c = *rest->p++;
	}
	cb_buf_addc(buf, c);
}

int cb_flag_next(struct cb_span *rest, char escape, struct cb_buf *buf, const char **at)
{
	int quote = 0;

	while (is_ascii_space(cb_span_peek(*rest, 0)))
		rest->p++;
	if (cb_span_peek(*rest, 0) != '-' || cb_span_peek(*rest, 1) != '-')
		return 0;

	*at = rest->p;
	cb_buf_clear(buf);
	while (!cb_span_empty(*rest) && (quote || !is_ascii_space((unsigned char)*rest->p)))
		take_byte(rest, escape, &quote, buf);
	return strcmp(cb_buf_str(buf), "--") != 0;
}

static struct cb_flag *find(struct cb_flag *flags, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
			return &flags[i];
	}
	return NULL;
}

static int unknown(struct cb_err **err, const struct cb_node *node, const struct cb_text *word, const char *name,
	const struct cb_flag *flags, size_t n)
{
	const char *upper = cb_keyword_upper(node->kw);
	const char *names[16];
	cleanup_buf struct cb_buf all = { 0 };

	assert(n <= ARRAY_SIZE(names));

	cb_err_at(err, CB_ERR_INPUT, word->line, word->col, "unknown flag: --%.100s", name);
	if (n == 0) {
		return cb_err_hint(
			err, CB_ERR_INPUT, "%s takes no flags; \"--\" before the arguments ends flags", upper);
	}
	for (size_t i = 0; i < n; i++) {
		names[i] = flags[i].name;
		cb_buf_addf(&all, "%s--%s", i ? ", " : "", flags[i].name);
	}
	if (!cb_str_nearest(name, names, n))
		return cb_err_hint(err, CB_ERR_INPUT, "%s takes %s", upper, cb_buf_str(&all));
	return cb_diag_did_you_mean(err, CB_ERR_INPUT, "--", name, names, n);
}

static int set_bool(struct cb_flag *flag, struct cb_text value, struct cb_err **err)
{
	if (!value.s || cb_str_ieq(value.s, "true")) {
		flag->on = true;
		return 0;
	}
	if (cb_str_ieq(value.s, "false")) {
		flag->on = false;
		return 0;
	}
	if (*value.s == '\0') {
		cb_err_at(err, CB_ERR_INPUT, value.line, value.col, "flag --%s has an empty value", flag->name);
		return cb_err_hint(err, CB_ERR_INPUT, "write --%s, or --%s=true or =false", flag->name, flag->name);
	}
	return cb_err_at(err, CB_ERR_INPUT, value.line, value.col, "flag --%s takes true or false, not \"%.100s\"",
		flag->name, value.s);
}

static int set(struct cb_arena *arena, struct cb_flag *flag, const struct cb_node *node, const struct cb_text *word,
	struct cb_text value, struct cb_err **err)
{
	if (flag->used && flag->type != CB_FLAG_LIST)
		return cb_err_at(err, CB_ERR_INPUT, word->line, word->col, "flag --%s is given twice", flag->name);
	flag->used = true;
	if (flag->type == CB_FLAG_BOOL)
		return set_bool(flag, value, err);
	if (!value.s && flag->type == CB_FLAG_OPTIONAL)
		return 0;
	if (!value.s) {
		cb_err_at(err, CB_ERR_INPUT, word->line, word->col, "flag --%s needs a value", flag->name);
		return cb_err_hint(err, CB_ERR_INPUT, "write --%s=VALUE", flag->name);
	}
	if (flag->type == CB_FLAG_STRING || flag->type == CB_FLAG_OPTIONAL) {
		flag->value = value;
		return 0;
	}
	if (!flag->list.v)
		flag->list.v = cb_arena_alloc(arena, node->flags.n * sizeof(*flag->list.v));
	flag->list.v[flag->list.n++] = value;
	return 0;
}

int cb_flags_check(
	struct cb_arena *arena, const struct cb_node *node, struct cb_flag *flags, size_t n, struct cb_err **err)
{
	assert(node);

	for (size_t i = 0; i < node->flags.n; i++) {
		const struct cb_text *word = &node->flags.v[i];
		const char *name = word->s + 2;
		size_t len = strcspn(name, "=");
		struct cb_flag *flag = find(flags, n, name, len);
		struct cb_text value = { 0 };
		int r;

		if (!flag) {
			cleanup_free char *shown = cb_xstrndup(name, len);

			return unknown(err, node, word, shown, flags, n);
		}
		if (name[len] == '=')
			value = (struct cb_text){ name + len + 1, word->line, word->col + 3 + (unsigned int)len };
		r = set(arena, flag, node, word, value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

struct cb_text cb_flag_text(const struct cb_flag *flag)
{
	return flag->value.s && *flag->value.s ? flag->value : (struct cb_text){ 0 };
}
