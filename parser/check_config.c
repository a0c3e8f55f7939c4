/* What is reported: the directive, the build argument, comments above instructions. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "parser/checker.h"
#include "parser/mountflag.h"

#define PARTS_MAX 3

void check_config_done(struct check_config *config)
{
	cb_strv_done(&config->skip);
	cb_strv_done(&config->experimental);
	*config = (struct check_config){ 0 };
}

static void add_rules(const char *text, bool *all, struct cb_strv *ret)
{
	cleanup_strv struct cb_strv parts = { 0 };

	if (!strcmp(text, "all")) {
		*all = true;
		return;
	}
	cb_strv_split(&parts, text, ',');
	for (size_t i = 0; i < parts.n; i++)
		cb_strv_take(ret, cb_str_trim(parts.v[i]));
}

static int add_part(struct check_config *config, const char *part, struct cb_err **err)
{
	const char *eq = strchr(part, '=');
	cleanup_free char *raw = cb_xstrndup(part, eq ? (size_t)(eq - part) : strlen(part));
	cleanup_free char *key = cb_str_trim(raw);
	cleanup_free char *value = cb_str_trim(eq ? eq + 1 : "");

	if (!eq)
		return cb_err_set(err, CB_ERR_INPUT, "invalid check option \"%.100s\"", part);
	if (!strcmp(key, "skip")) {
		add_rules(value, &config->skip_all, &config->skip);
	} else if (!strcmp(key, "experimental")) {
		add_rules(value, &config->experimental_all, &config->experimental);
	} else if (!strcmp(key, "error")) {
		if (!cb_mount_bool(value, &config->fail))
			return cb_err_set(
				err, CB_ERR_INPUT, "check option error is true or false, not \"%.100s\"", value);
	} else {
		cb_err_set(err, CB_ERR_INPUT, "invalid check option \"%.100s\"", key);
		return cb_err_hint(err, CB_ERR_INPUT, "the options are skip, error and experimental");
	}
	return 0;
}

int check_config_add(struct check_config *config, const char *text, struct cb_err **err)
{
	cleanup_strv struct cb_strv parts = { 0 };
	cleanup_free char *trimmed = cb_str_trim(text);
	int r = 0;

	if (!*trimmed)
		return 0;
	cb_strv_split(&parts, trimmed, ';');
	if (parts.n > PARTS_MAX)
		return cb_err_set(err, CB_ERR_INPUT, "check has %zu options, %d are possible", parts.n, PARTS_MAX);
	for (size_t i = 0; i < parts.n && r == 0; i++)
		r = add_part(config, parts.v[i], err);
	return r;
}

int check_config_of_file(struct check_config *config, const struct cb_buildfile *file, const struct cb_strv *build_args,
	struct cb_err **err)
{
	const char *given = cb_env_get(build_args, "BUILDKIT_DOCKERFILE_CHECK");
	const struct cb_text *directive = &file->directives.check;
	int r;

	if (given) {
		r = check_config_add(config, given, err);
		return r < 0 ? cb_err_wrap(err, r, "build argument BUILDKIT_DOCKERFILE_CHECK") : 0;
	}
	if (!directive->s)
		return 0;
	r = check_config_add(config, directive->s, err);
	return r < 0 ? cb_err_locate(err, r, directive->line, directive->col, directive->line) : 0;
}

const char *check_config_comment(const char *comment)
{
	const char *p = comment;

	while (isspace((unsigned char)*p))
		p++;
	if (strncasecmp(p, "check", 5) != 0)
		return NULL;
	p += 5;
	while (isspace((unsigned char)*p))
		p++;
	return *p == '=' ? p + 1 : NULL;
}

static bool wants(const struct check_config *config, const struct cb_rule *rule, bool *experimental)
{
	if (config->skip_all || cb_strv_has(&config->skip, rule->name))
		return false;
	*experimental |= config->experimental_all || cb_strv_has(&config->experimental, rule->name);
	return true;
}

bool check_config_wants(const struct check_config *config, const struct cb_rule *rule, const struct cb_node *node)
{
	bool experimental = !rule->experimental;

	if (!wants(config, rule, &experimental))
		return false;
	for (size_t i = 0; node && i < node->comments.n; i++) {
		const char *text = check_config_comment(node->comments.v[i].s);
		struct check_config here = { 0 };
		cleanup_free char *value = NULL;
		bool wanted;

		if (!text)
			continue;
		text += strspn(text, " \t");
		value = cb_xstrndup(text, strcspn(text, " \t"));
		/* A comment that is no option of checks is only a comment. */
		wanted = check_config_add(&here, value, NULL) < 0 || wants(&here, rule, &experimental);
		check_config_done(&here);
		if (!wanted)
			return false;
	}
	return experimental;
}
