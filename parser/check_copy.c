/* Sources of COPY and ADD against the ignore file; words of EXPOSE. */
#include <ctype.h>
#include <string.h>

#include "base/path.h"
#include "parser/checker.h"

static bool is_remote(const char *source)
{
	static const char *const schemes[] = { "http://", "https://", "git://", "ssh://", "git@" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (cb_str_starts(source, schemes[i]))
			return true;
	return false;
}

/* Does the file take everything out of the context? */
static bool ignores_all(const struct cb_strv *patterns)
{
	for (size_t i = 0; patterns && i < patterns->n; i++) {
		const char *pattern = patterns->v[i];

		if (!strcmp(pattern, "*") || !strcmp(pattern, "**") || !strcmp(pattern, "**/*"))
			return true;
	}
	return false;
}

void check_ignored(struct checker *c, const struct cb_instr *instr, const struct cb_node *node, const char *source)
{
	const struct cb_ignore *ignore = c->options->ignore;
	cleanup_free char *clean = NULL, *full = NULL;
	bool ignored;

	if (!ignore || cb_ignore_has_exceptions(ignore) || is_remote(source))
		return;
	clean = cb_path_clean(source);
	full = cb_path_abs(source);
	if (!full[1])
		ignored = ignores_all(c->options->ignore_patterns);
	else
		ignored = cb_ignore_match(ignore, full + 1, false) != CB_IGNORE_KEEP;
	if (ignored)
		check_report(c, CB_RULE_COPY_IGNORED_FILE, node,
			"Attempting to %s file \"%s\" that is excluded by .dockerignore",
			instr->kw == CB_KW_ADD ? "Add" : "Copy", clean);
}

void check_port(struct checker *c, const struct cb_node *node, const char *port)
{
	const char *colon = strrchr(port, ':');
	const char *slash = strchr(colon ? colon : port, '/');

	for (const char *p = slash ? slash : ""; *p; p++) {
		if (!isupper((unsigned char)*p))
			continue;
		check_report(c, CB_RULE_EXPOSE_PROTO_CASING, node,
			"Defined protocol '%s' in EXPOSE instruction should be lowercase", port);
		break;
	}
	/* "::80" says nothing before the port. */
	if (colon && strspn(port, ":") != (size_t)(colon + 1 - port))
		check_report(c, CB_RULE_EXPOSE_INVALID_FORMAT, node,
			"EXPOSE instruction should not define an IP address or host-port mapping, found '%s'", port);
}
