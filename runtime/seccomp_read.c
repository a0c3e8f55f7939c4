/* The JSON of a profile: every member has its type, and none is unknown. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "runtime/seccomp_rules.h"
#include "runtime/seccomp_words.h"

#define PATH_TEXT_MAX 256

struct reader {
	const char *name, *text;
	const struct cb_seccomp_host *host;
	struct cb_seccomp_rules *rules;
	uint32_t default_errno;
};

__attribute__((format(printf, 4, 5))) static int bad(
	const struct reader *r, const char *path, struct cb_err **err, const char *fmt, ...)
{
	unsigned int line, col;
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	cb_json_place(r->text, path, &line, &col);
	return cb_err_set(err, CB_ERR_USAGE, "%s:%u:%u: %s%s%s", r->name, line, col, path, *path ? ": " : "", what);
}

/* A place inside of another; all of them are short. */
__attribute__((format(printf, 2, 3))) static void put_path(char out[static PATH_TEXT_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, PATH_TEXT_MAX, fmt, ap);
	va_end(ap);
}

/* ---- members --------------------------------------------------------------------------------------------------- */

/* Every member is one of @known (NULL-terminated). */
static int check_members(
	const struct reader *r, const json_t *obj, const char *path, const char *const *known, struct cb_err **err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(obj))
		return bad(r, path, err, "an object is expected");
	json_object_foreach((json_t *)obj, key, value)
	{
		const char *const *k = known;
		while (*k && strcmp(*k, key) != 0)
			k++;
		if (*k)
			continue;
		size_t n = (size_t)(k - known);
		const char *near = cb_str_nearest(key, known, n);
		char place[PATH_TEXT_MAX];
		put_path(place, "%s%s%.64s", path, *path ? "." : "", key);
		/* A key with a dot or bracket in it would be looked for elsewhere. */
		bool plain = !strpbrk(key, ".[");
		return bad(r, plain ? place : path, err, "unknown member \"%.64s\"%s%s%s", key,
			near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	}
	return 0;
}

static const char *text_of(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

/* An errno (or what a tracer is told): *ret stays when it is not there. */
static int read_errno(const struct reader *r, const json_t *obj, const char *path, const char *key, uint32_t *ret,
	struct cb_err **err)
{
	const json_t *v = json_object_get(obj, key);
	char place[PATH_TEXT_MAX];

	if (!v || json_is_null(v))
		return 0;
	put_path(place, "%s%s%s", path, *path ? "." : "", key);
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 4095)
		return bad(r, place, err, "a number from 0 to 4095 is expected");
	*ret = (uint32_t)json_integer_value(v);
	return 0;
}

static int read_action(const struct reader *r, const json_t *obj, const char *path, const char *key, uint32_t code,
	uint32_t *ret, struct cb_err **err)
{
	const char *text = text_of(obj, key);
	char place[PATH_TEXT_MAX];

	put_path(place, "%s%s%s", path, *path ? "." : "", key);
	if (!text)
		return bad(r, json_object_get(obj, key) ? place : path, err, "%s is missing or no text", key);
	if (strcmp(text, "SCMP_ACT_NOTIFY") == 0)
		return bad(r, place, err, "SCMP_ACT_NOTIFY is not supported: nobody would answer");
	uint32_t action;
	if (!cb_seccomp_action(text, &action))
		return bad(r, place, err, "unknown action \"%.64s\"", text);
	*ret = action;
	if (action == SCMP_ACT_ERRNO(0))
		*ret = SCMP_ACT_ERRNO(code);
	else if (action == SCMP_ACT_TRACE(0))
		*ret = SCMP_ACT_TRACE(code);
	return 0;
}

/* ---- architectures --------------------------------------------------------------------------------------------- */

/* 1: of none that could be added. */
static int read_arch(const struct reader *r, const json_t *v, const char *path, uint32_t *ret, struct cb_err **err)
{
	const char *text = json_string_value(v);

	if (text && cb_seccomp_arch(text, ret))
		return 0;
	if (text && cb_seccomp_is_other_arch(text))
		return 1;
	return bad(r, path, err, "unknown architecture \"%.64s\"", text ? text : "(not a text)");
}

static int add_arch(const struct reader *r, const json_t *v, const char *path, struct cb_err **err)
{
	uint32_t token = 0;
	int got = read_arch(r, v, path, &token, err);

	if (got != 0)
		return got < 0 ? got : 0;
	for (size_t i = 0; i < r->rules->n_arches; i++)
		if (r->rules->arches[i] == token)
			return 0;
	if (r->rules->n_arches == CB_SECCOMP_ARCHES_MAX)
		return bad(r, path, err, "more than %d architectures", CB_SECCOMP_ARCHES_MAX);
	r->rules->arches[r->rules->n_arches++] = token;
	return 0;
}

static int add_arch_list(const struct reader *r, const json_t *list, const char *path, struct cb_err **err)
{
	char place[PATH_TEXT_MAX];
	int got = 0;

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return bad(r, path, err, "a list is expected");
	for (size_t i = 0; got == 0 && i < json_array_size(list); i++) {
		put_path(place, "%s[%zu]", path, i);
		got = add_arch(r, json_array_get(list, i), place, err);
	}
	return got;
}

/* Of archMap only the entry of the host counts. */
static int read_arch_map(const struct reader *r, const json_t *map, struct cb_err **err)
{
	static const char *const known[] = { "architecture", "subArchitectures", NULL };
	char path[PATH_TEXT_MAX], place[PATH_TEXT_MAX];

	if (!map || json_is_null(map))
		return 0;
	if (!json_is_array(map))
		return bad(r, "archMap", err, "a list is expected");
	for (size_t i = 0; i < json_array_size(map); i++) {
		const json_t *entry = json_array_get(map, i);
		uint32_t token = 0;
		put_path(path, "archMap[%zu]", i);
		int got = check_members(r, entry, path, known, err);
		if (got < 0)
			return got;
		put_path(place, "%s.architecture", path);
		got = read_arch(r, json_object_get(entry, "architecture"), place, &token, err);
		put_path(place, "%s.subArchitectures", path);
		if (got == 0 && token == r->host->arch)
			got = add_arch_list(r, json_object_get(entry, "subArchitectures"), place, err);
		if (got < 0)
			return got;
	}
	return 0;
}

/* ---- conditions ------------------------------------------------------------------------------------------------ */

static int has_cap(const struct reader *r, const json_t *v, const char *path, bool *ret, struct cb_err **err)
{
	const char *text = json_string_value(v);
	unsigned int number;

	if (!text || !cb_seccomp_capability(text, &number))
		return bad(r, path, err, "unknown capability \"%.64s\"", text ? text : "(not a text)");
	*ret = (r->host->caps >> number) & 1;
	return 0;
}

/* Names of architectures that nobody here knows are of other machines. */
static int is_arch(const struct reader *r, const json_t *v, const char *path, bool *ret, struct cb_err **err)
{
	const char *text = json_string_value(v);
	uint32_t arch;

	if (!text)
		return bad(r, path, err, "a text is expected");
	*ret = cb_seccomp_go_arch(text, &arch) && arch == r->host->arch;
	return 0;
}

/* How many of a list hold, and how many there are. */
static int count(const struct reader *r, const json_t *filter, const char *path, const char *key,
	int (*one)(const struct reader *, const json_t *, const char *, bool *, struct cb_err **), size_t *held,
	size_t *n, struct cb_err **err)
{
	const json_t *list = json_object_get(filter, key);
	char place[PATH_TEXT_MAX];

	*held = *n = 0;
	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list)) {
		put_path(place, "%s.%s", path, key);
		return bad(r, place, err, "a list is expected");
	}
	for (*n = 0; *n < json_array_size(list); ++*n) {
		bool holds = false;
		put_path(place, "%s.%s[%zu]", path, key, *n);
		int got = one(r, json_array_get(list, *n), place, &holds, err);
		if (got < 0)
			return got;
		*held += holds;
	}
	return 0;
}

const char *cb_seccomp_version(const char *text, unsigned int *kernel, unsigned int *major)
{
	char *dot, *end;
	unsigned long a = strtoul(text, &dot, 10), b;

	if (dot == text || *dot != '.' || a > 999)
		return NULL;
	b = strtoul(dot + 1, &end, 10);
	if (end == dot + 1 || b > 9999 || !isdigit((unsigned char)text[0]) || !isdigit((unsigned char)dot[1]))
		return NULL;
	*kernel = (unsigned int)a;
	*major = (unsigned int)b;
	return end;
}

/* "4.8": 1 when the kernel is at least that, 0 when not or when nothing is said (@said). */
static int read_kernel(
	const struct reader *r, const json_t *filter, const char *path, bool *said, bool *holds, struct cb_err **err)
{
	const json_t *v = json_object_get(filter, "minKernel");
	const char *text = json_string_value(v);
	char place[PATH_TEXT_MAX];
	unsigned int kernel, major;

	*said = *holds = false;
	if (!v || json_is_null(v) || (text && !*text))
		return 0;
	put_path(place, "%s.minKernel", path);
	const char *rest = text ? cb_seccomp_version(text, &kernel, &major) : NULL;
	if (!rest || *rest)
		return bad(r, place, err, "a version like \"4.8\" is expected");
	*said = true;
	*holds = r->host->kernel > kernel || (r->host->kernel == kernel && r->host->major >= major);
	return 0;
}

/* Docker's rule: all of includes must hold (of its architectures one), and nothing of excludes. */
static int read_filter(const struct reader *r, const json_t *rule, const char *path, const char *key, bool include,
	bool *applies, struct cb_err **err)
{
	static const char *const known[] = { "caps", "arches", "minKernel", NULL };
	const json_t *filter = json_object_get(rule, key);
	char place[PATH_TEXT_MAX];
	size_t caps = 0, n_caps = 0, machines = 0, n_machines = 0;
	bool said = false, kernel = false;

	if (!filter || json_is_null(filter))
		return 0;
	put_path(place, "%s.%s", path, key);
	int got = check_members(r, filter, place, known, err);
	if (got == 0)
		got = count(r, filter, place, "caps", has_cap, &caps, &n_caps, err);
	if (got == 0)
		got = count(r, filter, place, "arches", is_arch, &machines, &n_machines, err);
	if (got == 0)
		got = read_kernel(r, filter, place, &said, &kernel, err);
	if (got < 0)
		return got;
	if (include)
		*applies &= caps == n_caps && (!n_machines || machines) && (!said || kernel);
	else
		*applies &= !caps && !machines && !kernel;
	return 0;
}

/* ---- rules ----------------------------------------------------------------------------------------------------- */

static int read_u64(const struct reader *r, const json_t *obj, const char *path, const char *key, bool required,
	uint64_t *ret, struct cb_err **err)
{
	const json_t *v = json_object_get(obj, key);
	char place[PATH_TEXT_MAX];

	*ret = 0;
	if (!v && !required)
		return 0;
	put_path(place, "%s.%s", path, key);
	/* jansson has no numbers above 2^63 - 1; as real ones they come near enough to be wrong. */
	if (!v || !json_is_integer(v) || json_integer_value(v) < 0)
		return bad(r, v ? place : path, err, "%s: a number from 0 to 2^63-1 is expected", key);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int read_arg(
	const struct reader *r, const json_t *arg, const char *path, struct scmp_arg_cmp *ret, struct cb_err **err)
{
	static const char *const known[] = { "index", "value", "valueTwo", "op", NULL };
	uint64_t index = 0, a = 0, b = 0;
	char place[PATH_TEXT_MAX];
	int got = check_members(r, arg, path, known, err);

	if (got == 0)
		got = read_u64(r, arg, path, "index", true, &index, err);
	if (got == 0)
		got = read_u64(r, arg, path, "value", true, &a, err);
	if (got == 0)
		got = read_u64(r, arg, path, "valueTwo", false, &b, err);
	if (got < 0)
		return got;
	put_path(place, "%s.index", path);
	if (index > 5)
		return bad(r, place, err, "a system call has the arguments 0 to 5");
	const char *text = text_of(arg, "op");
	uint32_t op;
	put_path(place, "%s.op", path);
	if (!text || !cb_seccomp_operator(text, &op))
		return bad(r, text ? place : path, err, "unknown operator \"%.64s\"", text ? text : "(missing)");
	*ret = (struct scmp_arg_cmp){
		.arg = (unsigned int)index, .op = (enum scmp_compare)op, .datum_a = a, .datum_b = b
	};
	return 0;
}

static int read_args(
	const struct reader *r, const json_t *rule, const char *path, struct cb_seccomp_rule *ret, struct cb_err **err)
{
	const json_t *list = json_object_get(rule, "args");
	char place[PATH_TEXT_MAX];
	int got = 0;

	if (!list || json_is_null(list))
		return 0;
	put_path(place, "%s.args", path);
	if (!json_is_array(list) || json_array_size(list) > CB_SECCOMP_ARGS_MAX)
		return bad(r, place, err, "a list of at most %d conditions is expected", CB_SECCOMP_ARGS_MAX);
	for (size_t i = 0; got == 0 && i < json_array_size(list); i++) {
		put_path(place, "%s.args[%zu]", path, i);
		got = read_arg(r, json_array_get(list, i), place, &ret->args[ret->n_args++], err);
	}
	return got;
}

static int add_name(
	const struct reader *r, const json_t *v, const char *path, struct cb_seccomp_rule *ret, struct cb_err **err)
{
	const char *name = json_string_value(v);

	if (!name || !*name || strlen(name) > 64)
		return bad(r, path, err, "the name of a system call is expected");
	if (r->rules->n_names++ == CB_SECCOMP_NAMES_MAX)
		return bad(r, path, err, "more than %d names", CB_SECCOMP_NAMES_MAX);
	cb_strv_add(&ret->names, name);
	return 0;
}

static int read_names(
	const struct reader *r, const json_t *rule, const char *path, struct cb_seccomp_rule *ret, struct cb_err **err)
{
	const json_t *list = json_object_get(rule, "names"), *one = json_object_get(rule, "name");
	char place[PATH_TEXT_MAX];
	int got = 0;

	/* "name" is what profiles had before "names". */
	if (one && list)
		return bad(r, path, err, "\"name\" and \"names\" exclude each other");
	put_path(place, "%s.%s", path, one ? "name" : "names");
	if (one)
		return add_name(r, one, place, ret, err);
	if (!json_is_array(list) || !json_array_size(list))
		return bad(r, list ? place : path, err, "names: a list of system calls is expected");
	for (size_t i = 0; got == 0 && i < json_array_size(list); i++) {
		put_path(place, "%s.names[%zu]", path, i);
		got = add_name(r, json_array_get(list, i), place, ret, err);
	}
	return got;
}

static int read_rule(const struct reader *r, const json_t *v, const char *path, struct cb_err **err)
{
	static const char *const known[] = { "names", "name", "action", "errnoRet", "args", "comment", "includes",
		"excludes", NULL };
	struct cb_seccomp_rule rule = { 0 };
	bool applies = true;
	uint32_t code = r->default_errno;
	int got = check_members(r, v, path, known, err);

	if (got == 0)
		got = read_errno(r, v, path, "errnoRet", &code, err);
	if (got == 0)
		got = read_action(r, v, path, "action", code, &rule.action, err);
	if (got == 0)
		got = read_filter(r, v, path, "includes", true, &applies, err);
	if (got == 0)
		got = read_filter(r, v, path, "excludes", false, &applies, err);
	if (got == 0)
		got = read_args(r, v, path, &rule, err);
	if (got == 0)
		got = read_names(r, v, path, &rule, err);
	if (got < 0 || !applies) {
		cb_strv_done(&rule.names);
		return got;
	}
	CB_GROW(r->rules->rules, r->rules->cap_rules, r->rules->n_rules + 1);
	r->rules->rules[r->rules->n_rules++] = rule;
	return 0;
}

static int read_rules(const struct reader *r, const json_t *list, struct cb_err **err)
{
	char path[PATH_TEXT_MAX];
	int got = 0;

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list) || json_array_size(list) > CB_SECCOMP_RULES_MAX)
		return bad(r, "syscalls", err, "a list of at most %d rules is expected", CB_SECCOMP_RULES_MAX);
	for (size_t i = 0; got == 0 && i < json_array_size(list); i++) {
		put_path(path, "syscalls[%zu]", i);
		got = read_rule(r, json_array_get(list, i), path, err);
	}
	return got;
}

static int read_profile(struct reader *r, const json_t *doc, struct cb_err **err)
{
	static const char *const known[] = { "defaultAction", "defaultErrnoRet", "architectures", "archMap", "syscalls",
		"flags", "comment", NULL };
	int got = check_members(r, doc, "", known, err);

	if (got == 0)
		got = read_errno(r, doc, "", "defaultErrnoRet", &r->default_errno, err);
	if (got == 0)
		got = read_action(r, doc, "", "defaultAction", r->default_errno, &r->rules->default_action, err);
	if (got == 0 && json_object_get(doc, "architectures") && json_object_get(doc, "archMap"))
		return bad(r, "archMap", err, "\"architectures\" and \"archMap\" exclude each other");
	if (got == 0)
		got = add_arch_list(r, json_object_get(doc, "architectures"), "architectures", err);
	if (got == 0)
		got = read_arch_map(r, json_object_get(doc, "archMap"), err);
	return got < 0 ? got : read_rules(r, json_object_get(doc, "syscalls"), err);
}

int cb_seccomp_rules_read(const char *name, const char *text, size_t len, const struct cb_seccomp_host *host,
	struct cb_seccomp_rules *ret, struct cb_err **err)
{
	struct cb_seccomp_rules rules = { 0 };
	/* EPERM, as docker's default. */
	struct reader r = { .name = name, .text = text, .host = host, .rules = &rules, .default_errno = 1 };
	json_error_t why;

	if (len > CB_SECCOMP_PROFILE_MAX)
		return cb_err_set(
			err, CB_ERR_USAGE, "%s: a profile has at most %u bytes", name, CB_SECCOMP_PROFILE_MAX);
	/* Its own limit of depth is 2048. */
	cleanup_json json_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!doc)
		return cb_err_set(err, CB_ERR_USAGE, "%s:%d:%d: %s", name, why.line, why.column, why.text);
	int got = read_profile(&r, doc, err);
	if (got < 0) {
		cb_seccomp_rules_done(&rules);
		return got;
	}
	*ret = rules;
	return 0;
}

void cb_seccomp_rules_done(struct cb_seccomp_rules *rules)
{
	for (size_t i = 0; i < rules->n_rules; i++)
		cb_strv_done(&rules->rules[i].names);
	free(rules->rules);
	*rules = (struct cb_seccomp_rules){ 0 };
}
