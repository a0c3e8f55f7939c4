/* What completions offer, and `cbuild completion`, which prints them. */
#include "builder/completion.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "builder/help.h"
#include "builder/report.h"

bool cb_completion_shown(const struct cb_opt *opt)
{
	return opt->help != NULL;
}

enum cb_offer cb_completion_value(const struct cb_opt *opt)
{
	if (opt->choices && !strcmp(opt->choices, "file"))
		return CB_OFFER_FILES;
	if (opt->choices && !strcmp(opt->choices, "dir"))
		return CB_OFFER_DIRS;
	if (opt->choices)
		return CB_OFFER_WORDS;
	return opt->value && !strcmp(opt->value, "STAGE") ? CB_OFFER_STAGES : CB_OFFER_NOTHING;
}

void cb_completion_words(struct cb_buf *out, const char *choices)
{
	for (const char *p = choices; *p; p++)
		cb_buf_addc(out, *p == '|' ? ' ' : *p);
}

static void take_word(struct cb_operands *ret, const struct cb_command *command, const char *word)
{
	if (!strcmp(word, "CONTEXT") || !strcmp(word, "DIR"))
		ret->dirs = true;
	else if (!strcmp(word, "FILE"))
		ret->files = true;
	else if (!strcmp(word, "IMAGE") || !strcmp(word, "NAME") || !strcmp(word, "SOURCE"))
		ret->images = true;
	else if (!strcmp(word, "COMMAND") && command->run == cb_cmd_help)
		ret->commands = true;
	else if (!strcmp(word, "COMMAND"))
		ret->program = true;
	else if (islower((unsigned char)*word))
		cb_strv_add(&ret->words, word);
}

void cb_completion_operands(const struct cb_command *command, struct cb_operands *ret)
{
	cleanup_free char *args = cb_xstrdup(command->args);
	char *save = NULL;

	*ret = (struct cb_operands){ 0 };
	for (char *word = strtok_r(args, " |[].", &save); word; word = strtok_r(NULL, " |[].", &save))
		take_word(ret, command, word);
}

static struct cb_option_table *table_of(struct cb_option_tables *tables, const struct cb_opt *options)
{
	struct cb_option_table *table;

	for (size_t i = 0; i < tables->n; i++)
		if (tables->v[i].options == options)
			return &tables->v[i];
	tables->v = cb_xreallocarray(tables->v, tables->n + 1, sizeof(*tables->v));
	table = &tables->v[tables->n++];
	*table = (struct cb_option_table){ .options = options, .number = (unsigned int)tables->n };
	return table;
}

void cb_option_tables_init(struct cb_option_tables *tables)
{
	*tables = (struct cb_option_tables){ 0 };
	for (size_t i = 0; i < cb_n_commands; i++) {
		for (size_t t = 0; t < ARRAY_SIZE(cb_commands[i].options); t++) {
			const struct cb_opt *options = cb_commands[i].options[t];

			if (options)
				cb_strv_add(&table_of(tables, options)->commands, cb_commands[i].name);
		}
	}
}

void cb_option_tables_done(struct cb_option_tables *tables)
{
	for (size_t i = 0; i < tables->n; i++)
		cb_strv_done(&tables->v[i].commands);
	free(tables->v);
	*tables = (struct cb_option_tables){ 0 };
}

unsigned int cb_option_tables_number(const struct cb_option_tables *tables, const struct cb_opt *options)
{
	size_t i = 0;

	while (i < tables->n && tables->v[i].options != options)
		i++;
	assert(i < tables->n);
	return tables->v[i].number;
}

static const struct {
	const char *name;
	void (*print)(struct cb_buf *out);
} shells[] = {
	{ "bash", cb_completion_bash },
	{ "zsh", cb_completion_zsh },
	{ "fish", cb_completion_fish },
};

int cb_cmd_completion(int argc, char **argv)
{
	struct cb_opt_parser parser = { .argc = argc, .argv = argv };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	const struct cb_opt *opt;
	const char *value, *shell = NULL;
	int r;

	while ((r = cb_opt_next(&parser, &opt, &value, &err)) > 0) {
		if (opt)
			return cb_help_command("completion");
		if (shell) {
			r = cb_err_set(&err, CB_ERR_USAGE,
				"completions are for one shell, and there are two: %s and %s", shell, value);
			break;
		}
		shell = value;
	}
	if (r == 0 && !shell)
		r = cb_err_set(&err, CB_ERR_USAGE, "which shell? bash, zsh or fish");
	for (size_t i = 0; r == 0 && !out.len && i < ARRAY_SIZE(shells); i++)
		if (!strcmp(shells[i].name, shell))
			shells[i].print(&out);
	if (r == 0 && !out.len)
		r = cb_err_set(&err, CB_ERR_USAGE, "no completions for \"%s\", only for bash, zsh and fish", shell);
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	return cb_fd_write_all(STDOUT_FILENO, out.data, out.len) < 0 ? CB_EXIT_ENVIRONMENT : CB_EXIT_OK;
}
