/* Our own rules about the commands of RUN. */
#include <ctype.h>
#include <string.h>

#include "parser/checker.h"

/* What one RUN does, gathered over its commands. */
struct deeds {
	bool apt_update, apt_install, apt_upgrade, lists_removed, no_recommends_missing, yes_missing;
	bool apt, sudo, apk_cache, pip_cache, first_cd;
	size_t commands;
};

static bool is_flag(const char *word, char letter, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if (!strncmp(word, names[i], len) && (!word[len] || word[len] == '='))
			return true;
	}
	/* Bundled letters; -o takes the rest as its value. */
	return letter && word[0] == '-' && isalpha((unsigned char)word[1]) && word[1] != 'o' && strchr(word, letter);
}

static bool has_flag(const struct cb_strv *words, char letter, const char *const *names, size_t n)
{
	for (size_t i = 1; i < words->n; i++)
		if (is_flag(words->v[i], letter, names, n))
			return true;
	return false;
}

/* The first operand: the subcommand of apt-get, apk, pip. */
static const char *subcommand(const struct cb_strv *words)
{
	for (size_t i = 1; i < words->n; i++) {
		const char *word = words->v[i];

		if (!strcmp(word, "-o") || !strcmp(word, "-c") || !strcmp(word, "-t"))
			i++;
		else if (*word != '-')
			return word;
	}
	return "";
}

/* apt-get or apt. */
static void see_apt(struct deeds *deeds, const struct cb_strv *words)
{
	static const char *const yes[] = { "--yes", "--assume-yes", "-qq", "--quiet=2", "-q=2" };
	static const char *const slim[] = { "--no-install-recommends", "APT::Install-Recommends=false",
		"APT::Install-Recommends=0", "-oAPT::Install-Recommends=false", "-oAPT::Install-Recommends=0" };
	const char *what = subcommand(words);

	if (!strcmp(what, "update"))
		deeds->apt_update = true;
	if (!strcmp(what, "upgrade") || !strcmp(what, "dist-upgrade") || !strcmp(what, "full-upgrade"))
		deeds->apt_upgrade = true;
	if (strcmp(what, "install") != 0 && strcmp(what, "build-dep") != 0)
		return;
	deeds->apt_install = true;
	if (!strcmp(what, "install") && !has_flag(words, 0, slim, ARRAY_SIZE(slim)))
		deeds->no_recommends_missing = true;
	if (!has_flag(words, 'y', yes, ARRAY_SIZE(yes)))
		deeds->yes_missing = true;
}

static bool is_python(const char *word)
{
	return !strncmp(word, "python", 6) && word[6 + strspn(word + 6, "0123456789.")] == '\0';
}

static void see_pip(struct deeds *deeds, const struct cb_strv *words)
{
	static const char *const clean[] = { "--no-cache-dir" };
	size_t at = 0;

	if (words->n > 3 && is_python(words->v[0]) && !strcmp(words->v[1], "-m") && !strcmp(words->v[2], "pip"))
		at = 2;
	else if (strncmp(words->v[0], "pip", 3) != 0 || words->v[0][3 + strspn(words->v[0] + 3, "0123456789.")])
		return;
	if (at + 1 < words->n && !strcmp(words->v[at + 1], "install") && !has_flag(words, 0, clean, ARRAY_SIZE(clean)))
		deeds->pip_cache = true;
}

static void see(struct deeds *deeds, const struct cb_strv *words)
{
	static const char *const no_cache[] = { "--no-cache" };
	const char *command = cb_str_starts(words->v[0], "/usr/bin/") ? words->v[0] + 9 : words->v[0];

	if (!deeds->commands++ && !strcmp(command, "cd") && words->n == 2)
		deeds->first_cd = true;
	if (!strcmp(command, "sudo"))
		deeds->sudo = true;
	if (!strcmp(command, "apt"))
		deeds->apt = true;
	if (!strcmp(command, "apt-get") || !strcmp(command, "apt"))
		see_apt(deeds, words);
	if (!strcmp(command, "apk") && !strcmp(subcommand(words), "add") &&
		!has_flag(words, 0, no_cache, ARRAY_SIZE(no_cache)))
		deeds->apk_cache = true;
	see_pip(deeds, words);
	for (size_t i = 1; !strcmp(command, "rm") && i < words->n; i++)
		if (cb_str_starts(words->v[i], "/var/lib/apt/lists") || cb_str_starts(words->v[i], "/var/cache/apk"))
			deeds->lists_removed = true;
}

static void scan(struct deeds *deeds, const char *text)
{
	cleanup_strv struct cb_strv words = { 0 };
	struct cb_span rest = cb_span_str(text);

	while (check_shell_next(&rest, &words)) {
		see(deeds, &words);
		if (strcmp(words.v[0], "sudo") != 0)
			continue;
		/* What sudo runs. */
		cb_strv_remove(&words, 0);
		while (words.n && words.v[0][0] == '-')
			cb_strv_remove(&words, 0);
		if (words.n)
			see(deeds, &words);
	}
}

/* Is there a cache or tmpfs mount whose target is @path or something above it, or begins with it? */
static bool has_mount(const struct cb_run *run, const char *path)
{
	for (size_t i = 0; i < run->n_mounts; i++) {
		const struct cb_mount_spec *mount = &run->mounts[i];
		bool keeps_out = false;
		const char *target = NULL;

		for (size_t k = 0; k < mount->n_fields; k++) {
			const struct cb_mount_field *field = &mount->fields[k];

			if (field->key == CB_MOUNT_KEY_TYPE && field->value.s)
				keeps_out = !strcmp(field->value.s, "cache") || !strcmp(field->value.s, "tmpfs");
			if (field->key == CB_MOUNT_KEY_TARGET)
				target = field->value.s;
		}
		if (keeps_out && target && (strstr(target, path) || cb_str_starts(path, target)))
			return true;
	}
	return false;
}

static void report(
	struct checker *c, const struct check_stage *stage, const struct cb_instr *instr, const struct deeds *deeds)
{
	const struct cb_node *node = instr->node;
	const struct cb_run *run = &instr->run;
	bool no_pip_cache = cb_scope_get(&stage->scope, "PIP_NO_CACHE_DIR");

	if (deeds->sudo)
		check_report(c, CB_RULE_SUDO_IN_RUN, node, "sudo in RUN: use USER where another user is needed");
	if (deeds->apt)
		check_report(c, CB_RULE_APT_COMMAND, node, "apt is meant for people: use apt-get in RUN");
	if (deeds->apt_update && !deeds->apt_install && !deeds->apt_upgrade && !has_mount(run, "/var/lib/apt"))
		check_report(c, CB_RULE_APT_GET_UPDATE_ALONE, node,
			"apt-get update alone: install packages in the same RUN");
	if (deeds->yes_missing)
		check_report(c, CB_RULE_APT_GET_YES, node, "apt-get install without -y asks a question");
	if (deeds->no_recommends_missing)
		check_report(c, CB_RULE_APT_GET_NO_RECOMMENDS, node, "apt-get install without --no-install-recommends");
	if (deeds->apt_update && deeds->apt_install && !deeds->lists_removed && !has_mount(run, "/var/lib/apt"))
		check_report(c, CB_RULE_APT_LISTS_KEPT, node,
			"Package lists stay in the layer: remove /var/lib/apt/lists/* in the same RUN");
	if (deeds->apk_cache && !deeds->lists_removed && !has_mount(run, "/var/cache/apk"))
		check_report(
			c, CB_RULE_APK_CACHE_KEPT, node, "apk add without --no-cache keeps its index in the layer");
	if (deeds->pip_cache && !no_pip_cache && !has_mount(run, "/.cache"))
		check_report(c, CB_RULE_PIP_CACHE_KEPT, node,
			"pip install without --no-cache-dir keeps its downloads in the layer");
	if (deeds->first_cd)
		check_report(c, CB_RULE_CD_IN_RUN, node, "RUN begins with cd: use WORKDIR");
}

void check_run(struct checker *c, const struct check_stage *stage, const struct cb_instr *instr)
{
	const struct cb_run *run = &instr->run;
	struct deeds deeds = { 0 };
	cleanup_strv struct cb_strv words = { 0 };

	if (!c->options->own)
		return;
	if (run->shell && run->script.s && !run->is_file) {
		scan(&deeds, run->script.s);
	} else if (!run->shell && run->argv.n) {
		const char *shell = run->argv.v[0].s, *base = strrchr(shell, '/');

		base = base ? base + 1 : shell;
		if (run->argv.n >= 3 && (!strcmp(base, "sh") || !strcmp(base, "bash")) && run->argv.v[1].s[0] == '-' &&
			cb_str_ends(run->argv.v[1].s, "c")) {
			scan(&deeds, run->argv.v[2].s);
		} else {
			for (size_t i = 0; i < run->argv.n; i++)
				cb_strv_add(&words, run->argv.v[i].s);
			see(&deeds, &words);
		}
	}
	report(c, stage, instr, &deeds);
}
