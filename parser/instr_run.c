/* RUN: command or here-documents, mounts, network, security, devices. */
#include <string.h>

#include "base/buf.h"
#include "base/csv.h"
#include "base/strv.h"
#include "parser/diag.h"
#include "parser/flags.h"
#include "parser/heredoc.h"
#include "parser/instr.h"
#include "parser/mountflag.h"

enum { FLAG_MOUNT, FLAG_NETWORK, FLAG_SECURITY, FLAG_DEVICE, FLAG_MAX };

/* The index of the flag's value in @names. */
static int choose(const struct cb_flag *flag, const char *const *names, size_t n, size_t *ret, struct cb_err **err)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(flag->value.s, names[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	cb_err_at(err, CB_ERR_INPUT, flag->value.line, flag->value.col, "unsupported value \"%.100s\" of flag --%s",
		flag->value.s, flag->name);
	return cb_diag_did_you_mean(err, CB_ERR_INPUT, "", flag->value.s, names, n);
}

static int set_network(struct cb_run *run, const struct cb_flag *flag, struct cb_err **err)
{
	static const char *const names[] = {
		[CB_NETWORK_DEFAULT] = "default", [CB_NETWORK_NONE] = "none", [CB_NETWORK_HOST] = "host"
	};
	size_t i = 0;
	int r = flag->used ? choose(flag, names, ARRAY_SIZE(names), &i, err) : 0;

	run->network = (enum cb_network)i;
	run->network_at = flag->value;
	return r;
}

static int set_security(struct cb_run *run, const struct cb_flag *flag, struct cb_err **err)
{
	static const char *const names[] = { [CB_SECURITY_SANDBOX] = "sandbox", [CB_SECURITY_INSECURE] = "insecure" };
	size_t i = 0;
	int r = flag->used ? choose(flag, names, ARRAY_SIZE(names), &i, err) : 0;

	run->security = (enum cb_security)i;
	run->security_at = flag->value;
	return r;
}

static int set_mounts(struct cb_run *run, struct cb_arena *arena, const struct cb_flag *flag, struct cb_err **err)
{
	struct cb_mount_spec *v = cb_arena_alloc(arena, flag->list.n * sizeof(*v));
	int r;

	for (size_t i = 0; i < flag->list.n; i++) {
		r = cb_mount_spec_parse(arena, flag->list.v[i], &v[i], err);
		if (r < 0)
			return r;
	}
	run->mounts = v;
	run->n_mounts = flag->list.n;
	return 0;
}

static int bad_device(struct cb_err **err, struct cb_text text, const char *what)
{
	return cb_err_at(err, CB_ERR_INPUT, text.line, text.col, "device \"%.100s\": %s", text.s, what);
}

/* One field of --device: a name of the form vendor/class=name has an "=" of its own. */
static int device_field(
	struct cb_arena *arena, const char *field, struct cb_text text, struct cb_device *device, struct cb_err **err)
{
	if (cb_str_ieq(field, "required")) {
		device->required = true;
		return 0;
	}
	if (strncasecmp(field, "required=", strlen("required=")) == 0) {
		if (!cb_mount_bool(field + strlen("required="), &device->required))
			return bad_device(err, text, "required takes true or false");
		return 0;
	}
	if (device->name.s)
		return bad_device(err, text, "it has more than one name");
	if (strncasecmp(field, "name=", strlen("name=")) == 0)
		field += strlen("name=");
	device->name = (struct cb_text){ cb_arena_strdup(arena, field), text.line, text.col };
	return 0;
}

static int parse_device(struct cb_arena *arena, struct cb_text text, struct cb_device *ret, struct cb_err **err)
{
	struct cb_span rest = cb_span_str(text.s);
	cleanup_buf struct cb_buf buf = { 0 };
	bool more = true;
	const char *at;
	int r;

	while (more) {
		r = cb_csv_next(&rest, &buf, &at, &more, err);
		if (r == 0)
			r = device_field(arena, cb_buf_str(&buf), text, ret, err);
		if (r < 0)
			return cb_err_locate(err, r, text.line, text.col, 0);
	}
	if (!ret->name.s || *ret->name.s == '\0')
		return bad_device(err, text, "it has no name");
	return 0;
}

static int set_devices(struct cb_run *run, struct cb_arena *arena, const struct cb_flag *flag, struct cb_err **err)
{
	struct cb_device *v = cb_arena_alloc(arena, flag->list.n * sizeof(*v));
	int r;

	for (size_t i = 0; i < flag->list.n; i++) {
		r = parse_device(arena, flag->list.v[i], &v[i], err);
		if (r < 0)
			return r;
	}
	run->devices = v;
	run->n_devices = flag->list.n;
	return 0;
}

/* The here-document is the whole command: its body is the script. */
static int set_body(struct cb_run *run, struct cb_arena *arena, const struct cb_heredoc *doc, struct cb_text at,
	struct cb_err **err)
{
	cleanup_buf struct cb_buf body = { 0 };

	cb_heredoc_text(doc, &body);
	run->script = (struct cb_text){ cb_arena_strndup(arena, cb_buf_str(&body), body.len), doc->line, 1 };
	run->is_file = cb_str_starts(run->script.s, "#!");
	run->file_name = doc->name;
	if (run->is_file && (strchr(doc->name, '/') || strcmp(doc->name, ".") == 0 || strcmp(doc->name, "..") == 0))
		return cb_err_at(err, CB_ERR_INPUT, at.line, at.col, "\"%.100s\" cannot be the name of a script's file",
			doc->name);
	return 0;
}

/* The line with bodies and terminators behind it: the shell reads the here-documents. */
static void set_line(struct cb_run *run, struct cb_arena *arena, const struct cb_node *docs, struct cb_text line)
{
	cleanup_buf struct cb_buf all = { 0 };

	run->script = line;
	if (docs->n_heredocs == 0)
		return;
	cb_buf_adds(&all, line.s);
	for (size_t i = 0; i < docs->n_heredocs; i++) {
		cb_buf_addc(&all, '\n');
		cb_buf_add(&all, docs->heredocs[i].content, docs->heredocs[i].len);
		cb_buf_adds(&all, docs->heredocs[i].name);
	}
	run->script.s = cb_arena_strndup(arena, cb_buf_str(&all), all.len);
}

static int set_command(struct cb_run *run, struct cb_arena *arena, const struct cb_node *node,
	const struct cb_node *docs, struct cb_err **err)
{
	struct cb_heredoc token;
	int r;

	run->shell = !node->json;
	if (node->json) {
		run->argv = node->args;
		return 0;
	}
	if (node->args.n == 0) {
		run->script = (struct cb_text){ "", node->line, 1 };
		return 0;
	}
	if (docs->n_heredocs == 1) {
		r = cb_heredoc_token(arena, node->args.v[0].s, &token, err);
		if (r < 0)
			return r;
		if (r > 0)
			return set_body(run, arena, &docs->heredocs[0], node->args.v[0], err);
	}
	set_line(run, arena, docs, node->args.v[0]);
	return 0;
}

int cb_instr_run(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	struct cb_flag flags[FLAG_MAX] = {
		[FLAG_MOUNT] = { .name = "mount", .type = CB_FLAG_LIST },
		[FLAG_NETWORK] = { .name = "network", .type = CB_FLAG_STRING },
		[FLAG_SECURITY] = { .name = "security", .type = CB_FLAG_STRING },
		[FLAG_DEVICE] = { .name = "device", .type = CB_FLAG_LIST },
	};
	int r;

	r = cb_flags_check(arena, ret->node, flags, FLAG_MAX, err);
	if (r == 0)
		r = set_network(&ret->run, &flags[FLAG_NETWORK], err);
	if (r == 0)
		r = set_security(&ret->run, &flags[FLAG_SECURITY], err);
	if (r == 0)
		r = set_mounts(&ret->run, arena, &flags[FLAG_MOUNT], err);
	if (r == 0)
		r = set_devices(&ret->run, arena, &flags[FLAG_DEVICE], err);
	if (r == 0)
		r = set_command(&ret->run, arena, ret->node, docs, err);
	return r;
}
