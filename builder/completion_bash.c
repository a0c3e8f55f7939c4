/* Completions for bash. */
#include "builder/completion.h"

static const char helpers[] =
	"_cbuild_offer() # WORD...: those that go on from what is typed\n"
	"{\n"
	"\tlocal word\n"
	"\tfor word in \"$@\"; do\n"
	"\t\t[[ $word != \"$cur\"* ]] || COMPREPLY+=(\"$word\")\n"
	"\tdone\n"
	"}\n"
	"\n"
	"_cbuild_files() # -f|-d: files or directories\n"
	"{\n"
	"\tlocal names\n"
	"\tmapfile -t names < <(compgen \"$1\" -- \"$cur\")\n"
	"\t((${#names[@]} == 0)) || compopt -o filenames 2>/dev/null\n"
	"\tCOMPREPLY+=(\"${names[@]}\")\n"
	"}\n"
	"\n"
	"_cbuild_images()\n"
	"{\n"
	"\tlocal names\n"
	"\tmapfile -t names < <(\"$cbuild\" images 2>/dev/null | awk 'NR > 1 && $2 != \"<none>\" { print $1 \":\" $2 }')\n"
	"\t_cbuild_offer \"${names[@]}\"\n"
	"}\n"
	"\n"
	"# The stages of the Buildfile that is, or would be, built.\n"
	"_cbuild_stages()\n"
	"{\n"
	"\tlocal names i=2 context=. options=()\n"
	"\tfor ((; i < ${#words[@]} - 1; i++)); do\n"
	"\t\tcase ${words[i]} in\n"
	"\t\t-f | --file) options=(--file=\"${words[++i]}\") ;;\n"
	"\t\t--file=*) options=(\"${words[i]}\") ;;\n"
	"\t\t-*) ;;\n"
	"\t\t*) [[ ! -d ${words[i]} ]] || context=${words[i]} ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tmapfile -t names < <(\"$cbuild\" build --call=targets \"${options[@]}\" \"$context\" 2>/dev/null </dev/null |\n"
	"\t\tawk 'NR > 1 && $1 != \"(default)\" { print $1 }')\n"
	"\t_cbuild_offer \"${names[@]}\"\n"
	"}\n";

static const char start[] =
	"_cbuild()\n"
	"{\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} command=build number head\n"
	"\tlocal -a words\n"
	"\tread -ra words <<<\"$line\"\n"
	"\t[[ $line != *[[:space:]] ]] || words+=(\"\")\n"
	"\tlocal cbuild=${words[0]} cur=${words[${#words[@]} - 1]} option=${words[${#words[@]} - 2]}\n"
	"\tCOMPREPLY=()\n"
	"\t_cbuild_find\n"
	"\t# bash takes what follows the last = or : for the word.\n"
	"\t[[ $cur != *[=:]* || $COMP_WORDBREAKS != *:* ]] || {\n"
	"\t\thead=${cur%\"${cur##*[=:]}\"}\n"
	"\t\tCOMPREPLY=(\"${COMPREPLY[@]#\"$head\"}\")\n"
	"\t}\n"
	"}\n"
	"\n"
	"_cbuild_find()\n"
	"{\n"
	"\tif ((${#words[@]} > 2)); then\n"
	"\t\tcase ${words[1]} in\n";

static const char values[] = "\t\tesac\n"
			     "\tfi\n"
			     "\tif [[ $cur == --*=* ]]; then\n"
			     "\t\toption=${cur%%=*}=\n"
			     "\t\tcur=${cur#*=}\n"
			     "\tfi\n"
			     "\tif [[ $option == -* ]]; then\n"
			     "\t\tfor number in $(_cbuild_tables \"$command\"); do\n"
			     "\t\t\t\"_cbuild_value_$number\" \"$option\" && return\n"
			     "\t\tdone\n"
			     "\tfi\n"
			     "\tif [[ $cur == -* ]]; then\n"
			     "\t\t_cbuild_offer --help\n"
			     "\t\tfor number in $(_cbuild_tables \"$command\"); do\n"
			     "\t\t\t\"_cbuild_options_$number\"\n"
			     "\t\tdone\n"
			     "\t\treturn\n"
			     "\tfi\n";

static void add_commands(struct cb_buf *out, const char *between)
{
	for (size_t i = 0; i < cb_n_commands; i++)
		cb_buf_addf(out, "%s%s", i ? between : "", cb_commands[i].name);
}

static void add_names(struct cb_buf *out, const struct cb_option_table *table)
{
	cb_buf_addf(out, "\n_cbuild_options_%u()\n{\n\t_cbuild_offer", table->number);
	for (const struct cb_opt *opt = table->options; opt->name; opt++) {
		if (cb_completion_shown(opt) && opt->letter)
			cb_buf_addf(out, " -%c", opt->letter);
		if (cb_completion_shown(opt))
			cb_buf_addf(out, " --%s", opt->name);
	}
	cb_buf_adds(out, "\n}\n");
}

static void add_offer(struct cb_buf *out, const struct cb_opt *opt)
{
	switch (cb_completion_value(opt)) {
	case CB_OFFER_FILES:
		cb_buf_adds(out, " _cbuild_files -f");
		break;
	case CB_OFFER_DIRS:
		cb_buf_adds(out, " _cbuild_files -d");
		break;
	case CB_OFFER_STAGES:
		cb_buf_adds(out, " _cbuild_stages");
		break;
	case CB_OFFER_WORDS:
		cb_buf_adds(out, " _cbuild_offer ");
		cb_completion_words(out, opt->choices);
		break;
	case CB_OFFER_NOTHING:
		break;
	}
	cb_buf_adds(out, " ;;\n");
}

/* What may follow each option; a letter and its name alike, and names with "=". */
static void add_values(struct cb_buf *out, const struct cb_option_table *table)
{
	cb_buf_addf(out, "\n_cbuild_value_%u() # OPTION: 1 when it has no value\n{\n\tcase $1 in\n", table->number);
	for (const struct cb_opt *opt = table->options; opt->name; opt++) {
		if (!cb_completion_shown(opt) || opt->kind == CB_OPT_FLAG)
			continue;
		cb_buf_adds(out, "\t");
		if (opt->letter)
			cb_buf_addf(out, "-%c | ", opt->letter);
		if (opt->kind == CB_OPT_VALUE)
			cb_buf_addf(out, "--%s | ", opt->name);
		cb_buf_addf(out, "--%s=)", opt->name);
		add_offer(out, opt);
	}
	cb_buf_adds(out, "\t*) return 1 ;;\n\tesac\n}\n");
}

static void add_tables(struct cb_buf *out, const struct cb_option_tables *tables)
{
	cb_buf_adds(out, "\n_cbuild_tables() # COMMAND: the numbers of its tables of options\n{\n\tcase $1 in\n");
	for (size_t i = 0; i < cb_n_commands; i++) {
		const struct cb_command *command = &cb_commands[i];

		if (!command->options[0] && !command->options[1])
			continue;
		cb_buf_addf(out, "\t%s) echo", command->name);
		for (size_t t = 0; t < ARRAY_SIZE(command->options); t++)
			if (command->options[t])
				cb_buf_addf(out, " %u", cb_option_tables_number(tables, command->options[t]));
		cb_buf_adds(out, " ;;\n");
	}
	cb_buf_adds(out, "\tesac\n}\n");
}

static void add_operands(struct cb_buf *out, const struct cb_command *command)
{
	struct cb_operands operands;

	cb_completion_operands(command, &operands);
	cb_buf_addf(out, "\t%s)", command->name);
	if (operands.words.n)
		cb_buf_adds(out, " _cbuild_offer");
	for (size_t i = 0; i < operands.words.n; i++)
		cb_buf_addf(out, " %s", operands.words.v[i]);
	if (operands.words.n)
		cb_buf_adds(out, ";");
	if (operands.commands) {
		cb_buf_adds(out, " _cbuild_offer ");
		add_commands(out, " ");
		cb_buf_adds(out, ";");
	}
	if (operands.images)
		cb_buf_adds(out, " _cbuild_images;");
	if (operands.files || operands.program)
		cb_buf_adds(out, " _cbuild_files -f;");
	else if (operands.dirs)
		cb_buf_adds(out, " _cbuild_files -d;");
	if (out->data[out->len - 1] == ';')
		cb_buf_truncate(out, out->len - 1);
	cb_buf_adds(out, " ;;\n");
	cb_strv_done(&operands.words);
}

void cb_completion_bash(struct cb_buf *out)
{
	struct cb_option_tables tables;

	cb_option_tables_init(&tables);
	cb_buf_addf(out, "# bash completion for cbuild, printed by \"cbuild completion bash\"\n\n%s", helpers);
	for (size_t i = 0; i < tables.n; i++) {
		add_names(out, &tables.v[i]);
		add_values(out, &tables.v[i]);
	}
	add_tables(out, &tables);
	cb_buf_addf(out, "\n%s\t\t", start);
	add_commands(out, " | ");
	cb_buf_addf(out, ") command=${words[1]} ;;\n%s\tif ((${#words[@]} == 2)); then\n\t\t_cbuild_offer ", values);
	add_commands(out, " ");
	cb_buf_adds(out, "\n\tfi\n\tcase $command in\n");
	for (size_t i = 0; i < cb_n_commands; i++)
		add_operands(out, &cb_commands[i]);
	cb_buf_adds(out, "\tesac\n}\n\ncomplete -F _cbuild cbuild\n");
	cb_option_tables_done(&tables);
}
