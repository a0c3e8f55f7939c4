/* Completions for zsh. */
#include "builder/completion.h"

#include <string.h>

#include "base/mem.h"

static const char head[] =
	"#compdef cbuild\n"
	"# zsh completion for cbuild, printed by \"cbuild completion zsh\"\n"
	"\n"
	"_cbuild_images()\n"
	"{\n"
	"\tlocal -a names\n"
	"\tnames=(${(f)\"$($cbuild images 2>/dev/null | awk 'NR > 1 && $2 != \"<none>\" { print $1 \":\" $2 }')\"})\n"
	"\tcompadd \"$@\" -a names\n"
	"}\n"
	"\n"
	"# The stages of the Buildfile that is, or would be, built.\n"
	"_cbuild_stages()\n"
	"{\n"
	"\tlocal -a names options\n"
	"\tlocal i context=.\n"
	"\tfor ((i = 2; i < CURRENT; i++)); do\n"
	"\t\tcase $words[i] in\n"
	"\t\t(-f | --file) options=(--file=${(Q)words[++i]}) ;;\n"
	"\t\t(--file=*) options=(${(Q)words[i]}) ;;\n"
	"\t\t(-*) ;;\n"
	"\t\t(*) [[ ! -d ${(Q)words[i]} ]] || context=${(Q)words[i]} ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tnames=(${(f)\"$($cbuild build --call=targets $options $context 2>/dev/null </dev/null |\n"
	"\t\tawk 'NR > 1 && $1 != \"(default)\" { print $1 }')\"})\n"
	"\tcompadd \"$@\" -a names\n"
	"}\n"
	"\n"
	"_cbuild()\n"
	"{\n"
	"\tlocal cbuild=${(Q)words[1]} context state state_descr line ret=1\n"
	"\tlocal -a commands\n"
	"\ttypeset -A opt_args\n";

/* Inside single quotes; what _arguments or _describe would take for its own is escaped, too. */
static void add_quoted(struct cb_buf *out, const char *text, const char *special)
{
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			cb_buf_adds(out, "'\\''");
		else if (strchr(special, *p))
			cb_buf_addf(out, "\\%c", *p);
		else
			cb_buf_addc(out, *p);
	}
}

static void add_action(struct cb_buf *out, const struct cb_opt *opt)
{
	switch (cb_completion_value(opt)) {
	case CB_OFFER_FILES:
		cb_buf_adds(out, "_files");
		break;
	case CB_OFFER_DIRS:
		cb_buf_adds(out, "_files -/");
		break;
	case CB_OFFER_STAGES:
		cb_buf_adds(out, "_cbuild_stages");
		break;
	case CB_OFFER_WORDS:
		cb_buf_adds(out, "(");
		cb_completion_words(out, opt->choices);
		cb_buf_adds(out, ")");
		break;
	case CB_OFFER_NOTHING:
		cb_buf_adds(out, " ");
		break;
	}
}

static void add_option(struct cb_buf *out, const struct cb_opt *opt)
{
	static const char *const equals[] = {
		[CB_OPT_VALUE] = "=",
		[CB_OPT_FLAG] = "",
		[CB_OPT_OPTIONAL] = "=-",
	};

	cb_buf_adds(out, "\t\t");
	if (opt->kind != CB_OPT_FLAG)
		cb_buf_adds(out, "'*'");
	else if (opt->letter)
		cb_buf_addf(out, "'(-%c --%s)'", opt->letter, opt->name);
	if (opt->letter)
		cb_buf_addf(out, "{-%c%s,--%s%s}'[", opt->letter, opt->kind == CB_OPT_FLAG ? "" : "+", opt->name,
			equals[opt->kind]);
	else
		cb_buf_addf(out, "--%s%s'[", opt->name, equals[opt->kind]);
	add_quoted(out, opt->help, "[]:\\");
	cb_buf_adds(out, "]");
	if (opt->kind != CB_OPT_FLAG) {
		cb_buf_adds(out, opt->kind == CB_OPT_OPTIONAL ? "::" : ":");
		add_quoted(out, opt->value, ":\\");
		cb_buf_adds(out, ":");
		add_action(out, opt);
	}
	cb_buf_adds(out, "'\n");
}

static void add_table(struct cb_buf *out, const struct cb_option_table *table)
{
	cb_buf_addf(out, "\tlocal -a table_%u\n\ttable_%u=(\n", table->number, table->number);
	for (const struct cb_opt *opt = table->options; opt->name; opt++)
		if (cb_completion_shown(opt))
			add_option(out, opt);
	cb_buf_adds(out, "\t)\n");
}

static void add_operands(struct cb_buf *out, const struct cb_command *command)
{
	struct cb_operands operands;

	cb_completion_operands(command, &operands);
	if (operands.program)
		cb_buf_adds(out, " '1:image:_cbuild_images' '*::command:_normal'");
	else if (operands.words.n || operands.commands || operands.images || operands.files || operands.dirs) {
		cb_buf_adds(out, " '*:operand:{");
		if (operands.words.n) {
			cleanup_free char *words = cb_strv_join(&operands.words, " ");

			cb_buf_addf(out, " compadd %s;", words);
		}
		if (operands.commands)
			cb_buf_adds(out, " _describe command commands;");
		if (operands.images)
			cb_buf_adds(out, " _cbuild_images;");
		if (operands.files)
			cb_buf_adds(out, " _files;");
		else if (operands.dirs)
			cb_buf_adds(out, " _files -/;");
		cb_buf_truncate(out, out->len - 1);
		cb_buf_adds(out, " }'");
	}
	cb_strv_done(&operands.words);
}

static void add_arguments(struct cb_buf *out, const struct cb_option_tables *tables, const struct cb_command *command)
{
	cb_buf_adds(out, "\t\t_arguments");
	for (size_t t = 0; t < ARRAY_SIZE(command->options); t++)
		if (command->options[t])
			cb_buf_addf(out, " $table_%u", cb_option_tables_number(tables, command->options[t]));
	cb_buf_adds(out, " '(-h --help)'{-h,--help}'[print this help]'");
	add_operands(out, command);
	cb_buf_adds(out, " && ret=0\n\t\t;;\n");
}

void cb_completion_zsh(struct cb_buf *out)
{
	struct cb_option_tables tables;

	cb_option_tables_init(&tables);
	cb_buf_adds(out, head);
	cb_buf_adds(out, "\tcommands=(\n");
	for (size_t i = 0; i < cb_n_commands; i++) {
		cb_buf_addf(out, "\t\t'%s:", cb_commands[i].name);
		add_quoted(out, cb_commands[i].summary, ":\\");
		cb_buf_adds(out, "'\n");
	}
	cb_buf_adds(out, "\t)\n");
	for (size_t i = 0; i < tables.n; i++)
		add_table(out, &tables.v[i]);
	cb_buf_adds(out, "\tif ((CURRENT == 2)) && [[ $words[2] != -* ]]; then\n"
			 "\t\t_describe command commands && ret=0\n"
			 "\t\t_files -/ && ret=0\n"
			 "\t\treturn ret\n"
			 "\tfi\n"
			 "\tcase $words[2] in\n");
	for (size_t i = 0; i < cb_n_commands; i++) {
		cb_buf_addf(out, "\t(%s)\n\t\tshift words\n\t\t((CURRENT--))\n", cb_commands[i].name);
		add_arguments(out, &tables, &cb_commands[i]);
	}
	cb_buf_adds(out, "\t(*)\n");
	add_arguments(out, &tables, cb_command_find("build"));
	cb_buf_adds(out, "\tesac\n\treturn ret\n}\n\n_cbuild \"$@\"\n");
	cb_option_tables_done(&tables);
}
