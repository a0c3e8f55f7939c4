/* Completions for fish. */
#include "builder/completion.h"

#include <string.h>

#include "base/mem.h"

static const char helpers[] =
	"function __cbuild_command --description 'Is the command of the line one of these?'\n"
	"    set -l words (commandline -opc)\n"
	"    set -l command build\n"
	"    if set -q words[2]; and contains -- $words[2] $__cbuild_commands\n"
	"        set command $words[2]\n"
	"    end\n"
	"    contains -- $command $argv\n"
	"end\n"
	"\n"
	"function __cbuild_first\n"
	"    test (count (commandline -opc)) -eq 1\n"
	"end\n"
	"\n"
	"function __cbuild_images\n"
	"    set -l words (commandline -opc)\n"
	"    command -sq $words[1]; or return\n"
	"    $words[1] images 2>/dev/null | awk 'NR > 1 && $2 != \"<none>\" { print $1 \":\" $2 }'\n"
	"end\n"
	"\n"
	"function __cbuild_stages --description 'The stages of the Buildfile that is, or would be, built'\n"
	"    set -l words (commandline -opc)\n"
	"    set -l cbuild $words[1]\n"
	"    command -sq $cbuild; or return\n"
	"    set -l context .\n"
	"    set -l options\n"
	"    set -l i 2\n"
	"    while test $i -le (count $words)\n"
	"        switch $words[$i]\n"
	"            case -f --file\n"
	"                set i (math $i + 1)\n"
	"                set options --file=$words[$i]\n"
	"            case '--file=*'\n"
	"                set options $words[$i]\n"
	"            case '-*'\n"
	"            case '*'\n"
	"                test -d $words[$i]; and set context $words[$i]\n"
	"        end\n"
	"        set i (math $i + 1)\n"
	"    end\n"
	"    $cbuild build --call=targets $options $context 2>/dev/null </dev/null |\n"
	"        awk 'NR > 1 && $1 != \"(default)\" { print $1 }'\n"
	"end\n"
	"\n"
	"complete -c cbuild -f\n";

static void add_quoted(struct cb_buf *out, const char *text)
{
	cb_buf_addc(out, '\'');
	for (const char *p = text; *p; p++) {
		if (*p == '\'' || *p == '\\')
			cb_buf_addc(out, '\\');
		cb_buf_addc(out, *p);
	}
	cb_buf_addc(out, '\'');
}

static void add_value(struct cb_buf *out, const struct cb_opt *opt)
{
	if (opt->kind == CB_OPT_VALUE)
		cb_buf_adds(out, " -r");
	switch (cb_completion_value(opt)) {
	case CB_OFFER_FILES:
		cb_buf_adds(out, " -F");
		break;
	case CB_OFFER_DIRS:
		cb_buf_adds(out, " -f -a '(__fish_complete_directories)'");
		break;
	case CB_OFFER_STAGES:
		cb_buf_adds(out, " -f -a '(__cbuild_stages)'");
		break;
	case CB_OFFER_WORDS:
		cb_buf_adds(out, " -f -a '");
		cb_completion_words(out, opt->choices);
		cb_buf_adds(out, "'");
		break;
	case CB_OFFER_NOTHING:
		cb_buf_adds(out, " -f");
		break;
	}
}

static void add_option(struct cb_buf *out, const char *commands, const struct cb_opt *opt)
{
	cb_buf_addf(out, "complete -c cbuild -n '__cbuild_command %s' -l %s", commands, opt->name);
	if (opt->letter)
		cb_buf_addf(out, " -s %c", opt->letter);
	if (opt->kind != CB_OPT_FLAG)
		add_value(out, opt);
	cb_buf_adds(out, " -d ");
	add_quoted(out, opt->help);
	cb_buf_addc(out, '\n');
}

static void add_table(struct cb_buf *out, const struct cb_option_table *table)
{
	cleanup_free char *commands = cb_strv_join(&table->commands, " ");

	cb_buf_addc(out, '\n');
	for (const struct cb_opt *opt = table->options; opt->name; opt++)
		if (cb_completion_shown(opt))
			add_option(out, commands, opt);
}

static void add_operand(struct cb_buf *out, const struct cb_command *command, const char *what)
{
	cb_buf_addf(out, "complete -c cbuild -n '__cbuild_command %s' %s\n", command->name, what);
}

static void add_operands(struct cb_buf *out, const struct cb_command *command)
{
	struct cb_operands operands;

	cb_completion_operands(command, &operands);
	for (size_t i = 0; i < operands.words.n; i++) {
		cleanup_free char *what = cb_xasprintf("-a %s", operands.words.v[i]);

		add_operand(out, command, what);
	}
	if (operands.commands)
		add_operand(out, command, "-a \"$__cbuild_commands\"");
	if (operands.images)
		add_operand(out, command, "-a '(__cbuild_images)'");
	if (operands.files || operands.program)
		add_operand(out, command, "-F");
	else if (operands.dirs)
		add_operand(out, command, "-a '(__fish_complete_directories)'");
	cb_strv_done(&operands.words);
}

void cb_completion_fish(struct cb_buf *out)
{
	struct cb_option_tables tables;

	cb_option_tables_init(&tables);
	cb_buf_adds(
		out, "# fish completion for cbuild, printed by \"cbuild completion fish\"\n\nset -g __cbuild_commands");
	for (size_t i = 0; i < cb_n_commands; i++)
		cb_buf_addf(out, " %s", cb_commands[i].name);
	cb_buf_addf(out, "\n\n%s", helpers);
	for (size_t i = 0; i < cb_n_commands; i++) {
		cb_buf_addf(out, "complete -c cbuild -n __cbuild_first -a %s -d ", cb_commands[i].name);
		add_quoted(out, cb_commands[i].summary);
		cb_buf_addc(out, '\n');
	}
	cb_buf_adds(out, "complete -c cbuild -l help -s h -d 'print this help'\n");
	for (size_t i = 0; i < tables.n; i++)
		add_table(out, &tables.v[i]);
	cb_buf_addc(out, '\n');
	for (size_t i = 0; i < cb_n_commands; i++)
		add_operands(out, &cb_commands[i]);
	cb_option_tables_done(&tables);
}
