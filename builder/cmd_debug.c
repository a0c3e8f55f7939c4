/* `cbuild debug words`: expansion by request, one JSON object a line, for tests and editors. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "parser/expand.h"

/** Reads the environment; a name without "=" is empty. */
static int read_env(const json_t *request, struct cb_strv *env, struct cb_err **err)
{
	int r = cb_json_get_strv(request, "env", env, err);

	for (size_t i = 0; r >= 0 && i < env->n; i++) {
		if (!strchr(env->v[i], '=')) {
			char *with = cb_xasprintf("%s=", env->v[i]);

			free(env->v[i]);
			env->v[i] = with;
		}
	}
	return r;
}

static int answer_request(const json_t *request, json_t **ret, struct cb_err **err)
{
	cleanup_strv struct cb_strv env = { 0 }, words = { 0 };
	cleanup_free char *word = NULL;
	const char *op, *input, *escape;
	struct cb_expand how = { .env = &env };
	int r;

	if (cb_json_get_str(request, "op", &op, err) || cb_json_get_str(request, "input", &input, err))
		return err && *err ? (*err)->code : cb_err_set(err, CB_ERR_INPUT, "op and input are needed");
	r = cb_json_get_str(request, "escape", &escape, err);
	if (r < 0)
		return r;
	r = read_env(request, &env, err);
	if (r < 0)
		return r;
	if (escape && strcmp(escape, "\\") && strcmp(escape, "`"))
		return cb_err_set(err, CB_ERR_INPUT, "escape is a backslash or a backtick");
	how.escape = escape ? *escape : '\\';
	if (!strcmp(op, "word")) {
		r = cb_expand_word(input, &how, &word, err);
		if (r < 0)
			return r;
		*ret = json_string(word);
	} else if (!strcmp(op, "words")) {
		r = cb_expand_words(input, &how, &words, err);
		if (r < 0)
			return r;
		*ret = cb_json_from_strv(&words);
	} else {
		return cb_err_set(err, CB_ERR_INPUT, "op is word or words, not \"%s\"", op);
	}
	return *ret ? 0 : cb_err_set(err, CB_ERR_INPUT, "the result is not UTF-8");
}

static void answer_line(const char *line, size_t len)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_json json_t *request = NULL, *answer = NULL;
	cleanup_free char *text = NULL;
	json_t *result = NULL;
	int r;

	r = cb_json_parse(line, len, &request, &err);
	if (r >= 0 && !json_is_object(request))
		r = cb_err_set(&err, CB_ERR_INPUT, "a request is a JSON object");
	if (r >= 0)
		r = answer_request(request, &result, &err);
	answer = r < 0 ? json_pack("{s:s?}", "error", cb_err_msg(err)) : json_pack("{s:o}", "result", result);
	text = answer ? cb_json_dump(answer, false) : cb_xstrdup("{\"error\":\"the message is not UTF-8\"}");
	printf("%s\n", text);
}

int cb_cmd_debug(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	if (argc > 0 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")))
		return cb_help_command("debug");
	if (argc != 1 || strcmp(argv[0], "words")) {
		cb_err_set(&err, CB_ERR_USAGE, "debug knows one subject: cbuild debug words");
		return cb_report_fail(err, NULL, NULL);
	}
	while ((len = getline(&line, &cap, stdin)) >= 0) {
		if (len <= 1)
			continue;
		answer_line(line, (size_t)len);
		fflush(stdout);
	}
	if (ferror(stdin) || ferror(stdout)) {
		cb_err_set(&err, CB_ERR_IO, "standard input or output failed");
		return cb_report_fail(err, NULL, NULL);
	}
	return CB_EXIT_OK;
}
