#include "builder/opt.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

static const struct cb_opt help_table[] = {
	{ "help", 'h', CB_OPT_FLAG, CB_OPT_HELP, NULL, "print this help", NULL },
	{ 0 },
};

/** Candidates for a did-you-mean; more options than this are not looked at. */
#define CANDIDATES_MAX 128

bool cb_opt_bool(const char *value)
{
	return !strcmp(value, "true");
}

void cb_opt_stop(struct cb_opt_parser *parser)
{
	parser->only_operands = true;
}

static const struct cb_opt *find_long(const struct cb_opt_parser *parser, const char *name, size_t len)
{
	for (size_t t = 0; t < ARRAY_SIZE(parser->tables); t++) {
		for (const struct cb_opt *opt = parser->tables[t]; opt && opt->name; opt++) {
			if (strlen(opt->name) == len && !memcmp(opt->name, name, len))
				return opt;
		}
	}
	return len == 4 && !memcmp(name, "help", 4) ? help_table : NULL;
}

static const struct cb_opt *find_letter(const struct cb_opt_parser *parser, char letter)
{
	for (size_t t = 0; t < ARRAY_SIZE(parser->tables); t++) {
		for (const struct cb_opt *opt = parser->tables[t]; opt && opt->name; opt++) {
			if (opt->letter && opt->letter == letter)
				return opt;
		}
	}
	return letter == 'h' ? help_table : NULL;
}

static int unknown_long(const struct cb_opt_parser *parser, const char *name, size_t len, struct cb_err **err)
{
	cleanup_free char *text = cb_xstrndup(name, len);
	const char *candidates[CANDIDATES_MAX], *near;
	size_t n = 0;

	for (size_t t = 0; t < ARRAY_SIZE(parser->tables); t++) {
		for (const struct cb_opt *opt = parser->tables[t]; opt && opt->name && n < CANDIDATES_MAX; opt++) {
			if (opt->help)
				candidates[n++] = opt->name;
		}
	}
	near = cb_str_nearest(text, candidates, n);
	cb_err_set(err, CB_ERR_USAGE, "unknown option --%.100s", text);
	return near ? cb_err_hint(err, CB_ERR_USAGE, "did you mean --%s?", near) : CB_ERR_USAGE;
}

/** A flag's value: "true" without one. */
static int flag_value(const struct cb_opt *opt, const char *given, const char **ret, struct cb_err **err)
{
	if (!given || !strcmp(given, "true") || !strcmp(given, "1"))
		*ret = "true";
	else if (!strcmp(given, "false") || !strcmp(given, "0"))
		*ret = "false";
	else
		return cb_err_set(err, CB_ERR_USAGE, "option --%s is true or false, not \"%s\"", opt->name, given);
	return 1;
}

static int option_value(struct cb_opt_parser *parser, const struct cb_opt *opt, const char *shown, const char *given,
	const char **ret, struct cb_err **err)
{
	if (opt->kind == CB_OPT_FLAG)
		return flag_value(opt, given, ret, err);
	if (opt->kind == CB_OPT_OPTIONAL) {
		*ret = given ? given : "";
		return 1;
	}
	if (!given) {
		if (parser->at == parser->argc)
			return cb_err_set(err, CB_ERR_USAGE, "option %s needs a value: %s", shown, opt->value);
		given = parser->argv[parser->at++];
	}
	*ret = given;
	return 1;
}

int cb_opt_next(
	struct cb_opt_parser *parser, const struct cb_opt **ret_opt, const char **ret_value, struct cb_err **err)
{
	const struct cb_opt *opt;
	const char *arg, *value;
	char shown[3] = "-?";

	assert(parser->at <= parser->argc);
	if (parser->at == parser->argc)
		return 0;
	arg = parser->argv[parser->at++];
	if (!parser->only_operands && !strcmp(arg, "--")) {
		parser->only_operands = true;
		return cb_opt_next(parser, ret_opt, ret_value, err);
	}
	if (parser->only_operands || arg[0] != '-' || !arg[1]) {
		*ret_opt = NULL;
		*ret_value = arg;
		return 1;
	}
	if (arg[1] == '-') {
		size_t len = strcspn(arg + 2, "=");
		cleanup_free char *name = cb_xstrndup(arg, len + 2);

		opt = find_long(parser, arg + 2, len);
		if (!opt)
			return unknown_long(parser, arg + 2, len, err);
		*ret_opt = opt;
		value = arg[len + 2] == '=' ? arg + len + 3 : NULL;
		return option_value(parser, opt, name, value, ret_value, err);
	}
	opt = find_letter(parser, arg[1]);
	if (!opt || (opt->kind == CB_OPT_FLAG && arg[2]))
		return cb_err_set(err, CB_ERR_USAGE, "unknown option %.100s", arg);
	*ret_opt = opt;
	shown[1] = arg[1];
	value = arg[2] ? arg + 2 + (arg[2] == '=') : NULL;
	return option_value(parser, opt, shown, value, ret_value, err);
}

static int take_operand(const struct cb_opt_reader *reader, const char *value, struct cb_err **err)
{
	if (reader->operand)
		return reader->operand(reader->arg, value, err);
	if (!reader->operands)
		return cb_err_set(err, CB_ERR_USAGE, "%s takes no operand: \"%s\"", reader->command, value);
	cb_strv_add(reader->operands, value);
	return 0;
}

int cb_opt_read(const struct cb_opt_reader *reader, int argc, char *const *argv, struct cb_err **err)
{
	struct cb_opt_parser parser = {
		.argc = argc, .argv = argv, .tables = { reader->tables[0], reader->tables[1] }
	};
	const struct cb_opt *opt;
	const char *value;
	int r;

	while ((r = cb_opt_next(&parser, &opt, &value, err)) > 0) {
		if (opt && opt->id == CB_OPT_HELP)
			return 1;
		r = opt ? reader->option(reader->arg, opt, value, err) : take_operand(reader, value, err);
		if (r < 0)
			return r;
	}
	return r;
}

/** "-f, --file FILE" */
static void add_usage(struct cb_buf *out, const struct cb_opt *opt)
{
	if (opt->letter)
		cb_buf_addf(out, "-%c, ", opt->letter);
	else
		cb_buf_adds(out, "    ");
	cb_buf_addf(out, "--%s", opt->name);
	if (opt->value && opt->kind == CB_OPT_OPTIONAL)
		cb_buf_addf(out, "[=%s]", opt->value);
	else if (opt->value)
		cb_buf_addf(out, " %s", opt->value);
}

static void add_lines(struct cb_buf *out, const struct cb_opt *table, size_t width, size_t *ret_width)
{
	for (const struct cb_opt *opt = table; opt && opt->name; opt++) {
		cleanup_buf struct cb_buf usage = { 0 };

		if (!opt->help)
			continue;
		add_usage(&usage, opt);
		if (ret_width)
			*ret_width = CB_MAX(*ret_width, usage.len);
		else
			cb_buf_addf(out, "  %-*s  %s\n", (int)width, cb_buf_str(&usage), opt->help);
	}
}

void cb_opt_help(struct cb_buf *out, const struct cb_opt *const tables[2])
{
	const struct cb_opt *all[] = { tables[0], tables[1], help_table };
	size_t width = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		add_lines(out, all[i], 0, &width);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		add_lines(out, all[i], width, NULL);
}
