#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/strv.h"
#include "layers/regauth.h"

static void challenge_done(struct cb_challenge *c)
{
	free(c->scheme);
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->error);
	*c = (struct cb_challenge){ 0 };
}

void cb_challenges_done(struct cb_challenges *list)
{
	for (size_t i = 0; i < list->n; i++)
		challenge_done(&list->v[i]);
	list->n = 0;
}

static void skip_space(struct cb_span *s)
{
	while (cb_span_peek(*s, 0) == ' ' || cb_span_peek(*s, 0) == '\t')
		s->p++;
}

/* RFC 9110 token; NULL when there is none. Caller frees. */
static char *take_token(struct cb_span *s)
{
	const char *start = s->p;
	int c;

	while ((c = cb_span_peek(*s, 0)) > 0 && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c)))
		s->p++;
	return s->p == start ? NULL : cb_xstrndup(start, (size_t)(s->p - start));
}

/* A token, or a quoted string without its quotes and backslashes; NULL when neither is there. Caller frees. */
static char *take_value(struct cb_span *s)
{
	cleanup_buf struct cb_buf text = { 0 };
	int c;

	if (cb_span_peek(*s, 0) != '"')
		return take_token(s);
	s->p++;
	while ((c = cb_span_peek(*s, 0)) >= 0 && c != '"') {
		if (c == '\\') {
			s->p++;
			c = cb_span_peek(*s, 0);
			if (c < 0)
				return NULL;
		}
		cb_buf_addc(&text, (char)c);
		s->p++;
	}
	if (c != '"')
		return NULL;
	s->p++;
	return cb_buf_take(&text);
}

/* Parameters that are not ours, and second ones of a name, are dropped. */
static void set_param(struct cb_challenge *c, const char *name, char *value)
{
	const struct {
		const char *name;
		char **slot;
	} known[] = { { "realm", &c->realm }, { "service", &c->service }, { "scope", &c->scope },
		{ "error", &c->error } };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (cb_str_ieq(known[i].name, name) && !*known[i].slot) {
			*known[i].slot = value;
			return;
		}
	free(value);
}

/* After "name" of "name = value": false when the word was no parameter, so that it begins the next challenge. */
static bool take_param(struct cb_span *s, struct cb_challenge *c, const char *name)
{
	struct cb_span at = *s;
	char *value;

	skip_space(&at);
	if (cb_span_peek(at, 0) != '=')
		return false;
	at.p++;
	skip_space(&at);
	value = take_value(&at);
	if (!value)
		return false;
	set_param(c, name, value);
	*s = at;
	return true;
}

void cb_challenges_parse(const char *value, struct cb_challenges *list)
{
	struct cb_span s = cb_span_str(value);
	struct cb_challenge *c = NULL;

	for (;;) {
		cleanup_free char *word = NULL;

		while (cb_span_peek(s, 0) == ',' || cb_span_peek(s, 0) == ' ' || cb_span_peek(s, 0) == '\t')
			s.p++;
		word = take_token(&s);
		if (!word)
			return;
		if (c && take_param(&s, c, word))
			continue;
		if (cb_span_peek(s, 0) == '=' || list->n == CB_CHALLENGES_MAX)
			return;
		c = &list->v[list->n++];
		c->scheme = cb_str_lower(CB_TAKE_PTR(word));
	}
}
