#include "layers/chmod.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/num.h"

enum { WHO_U = 1, WHO_G = 2, WHO_O = 4, WHO_ALL = 7 };
enum { PERM_R = 4, PERM_W = 2, PERM_X = 1, PERM_BIG_X = 8, PERM_S = 16, PERM_T = 32 };

void cb_chmod_done(struct cb_chmod *chmod)
{
	free(chmod->clauses);
	*chmod = (struct cb_chmod){ 0 };
}

static int bad(struct cb_err **err, const char *text)
{
	if (isdigit((unsigned char)*text))
		return cb_err_set(err, CB_ERR_INPUT,
			"invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777", text);
	return cb_err_set(err, CB_ERR_INPUT,
		"invalid chmod parameter: '%s'. it should be octal, or symbolic such as u+x,go-w", text);
}

static char bit_of(const char *letters, const char *bits, char c)
{
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? bits[at - letters] : 0;
}

/* op perms, with the class letters read already. Moves *p behind it; false for a syntax error. */
static bool parse_action(const char **p, char who, struct cb_chmod_clause *ret)
{
	static const char perm_bits[] = { PERM_R, PERM_W, PERM_X, PERM_BIG_X, PERM_S, PERM_T, 0 };
	const char *s = *p;
	char bit;

	if (!*s || !strchr("+-=", *s))
		return false;
	*ret = (struct cb_chmod_clause){ .who = who, .op = *s++ };
	if (*s && strchr("ugo", *s)) {
		ret->copy = *s++;
	} else {
		while ((bit = bit_of("rwxXst", perm_bits, *s))) {
			ret->perm = (char)(ret->perm | bit);
			s++;
		}
	}
	*p = s;
	return true;
}

static bool parse_symbolic(const char *s, struct cb_chmod *ret)
{
	static const char who_bits[] = { WHO_U, WHO_G, WHO_O, WHO_ALL, 0 };
	size_t cap = 0;

	for (;;) {
		char who = 0, bit;

		while ((bit = bit_of("ugoa", who_bits, *s))) {
			who = (char)(who | bit);
			s++;
		}
		do {
			CB_GROW(ret->clauses, cap, ret->n + 1);
			if (!parse_action(&s, who, &ret->clauses[ret->n]))
				return false;
			ret->n++;
		} while (*s && *s != ',');
		if (!*s)
			return true;
		s++;
	}
}

int cb_chmod_parse(const char *text, struct cb_chmod *ret, struct cb_err **err)
{
	struct cb_chmod chmod = { 0 };
	uint32_t mode;

	if (strlen(text) > CB_CHMOD_TEXT_MAX)
		return cb_err_set(
			err, CB_ERR_INPUT, "invalid chmod parameter: longer than %d bytes", CB_CHMOD_TEXT_MAX);
	if (cb_num_octal(text, 07777, &mode)) {
		*ret = (struct cb_chmod){ .octal = true, .mode = mode };
		return 0;
	}
	if (!parse_symbolic(text, &chmod)) {
		cb_chmod_done(&chmod);
		return bad(err, text);
	}
	*ret = chmod;
	return 0;
}

static mode_t spread(mode_t rwx, char who)
{
	return (who & WHO_U ? rwx << 6 : 0) | (who & WHO_G ? rwx << 3 : 0) | (who & WHO_O ? rwx : 0);
}

static mode_t apply_clause(const struct cb_chmod_clause *c, mode_t mode, mode_t original, bool is_dir)
{
	char who = c->who ? c->who : WHO_ALL;
	mode_t rwx = c->perm & 7, set, clear;

	if (c->copy)
		rwx = (mode >> (c->copy == 'u' ? 6 : c->copy == 'g' ? 3 : 0)) & 7;
	if ((c->perm & PERM_BIG_X) && (is_dir || (original & 0111)))
		rwx |= 1;
	set = spread(rwx, who);
	if (c->perm & PERM_S)
		set |= (who & WHO_U ? S_ISUID : 0) | (who & WHO_G ? S_ISGID : 0);
	/* The sticky bit belongs to everybody: "o+t" alone means nothing. */
	if ((c->perm & PERM_T) && who != WHO_O)
		set |= S_ISVTX;
	clear = spread(7, who) | (who & WHO_U ? S_ISUID : 0) | (who & WHO_G ? S_ISGID : 0);
	switch (c->op) {
	case '+':
		return mode | set;
	case '-':
		return mode & ~set;
	default:
		return (mode & ~clear) | set;
	}
}

mode_t cb_chmod_apply(const struct cb_chmod *chmod, mode_t mode, bool is_dir)
{
	mode_t original = mode & 07777, now = original;

	if (chmod->octal)
		return chmod->mode;
	for (size_t i = 0; i < chmod->n; i++)
		now = apply_clause(&chmod->clauses[i], now, original, is_dir) & 07777;
	return now;
}
