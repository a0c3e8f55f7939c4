#include "builder/cachekey.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "builder/context.h"
#include "parser/mountflag.h"

struct cb_cachekey {
	struct cb_hasher *hasher;
	json_t *fields; /* or NULL */
};

struct cb_cachekey *cb_cachekey_new(const char *kind, bool readable)
{
	struct cb_cachekey *key = cb_new0(struct cb_cachekey);

	key->hasher = cb_hasher_new();
	if (readable)
		key->fields = json_array();
	cb_hasher_addn(key->hasher, CB_CACHEKEY_VERSION);
	cb_hasher_adds(key->hasher, kind);
	return key;
}

struct cb_cachekey *cb_cachekey_free(struct cb_cachekey *key)
{
	if (!key)
		return NULL;
	cb_hasher_free(key->hasher);
	json_decref(key->fields);
	free(key);
	return NULL;
}

static void readable(struct cb_cachekey *key, const char *label, json_t *value)
{
	if (!key->fields) {
		json_decref(value);
		return;
	}
	json_array_append_new(key->fields, json_pack("[so]", label, value ? value : json_null()));
}

void cb_cachekey_str(struct cb_cachekey *key, const char *label, const char *value)
{
	cb_hasher_adds(key->hasher, label);
	cb_hasher_addn(key->hasher, value ? 1 : 0);
	if (value)
		cb_hasher_adds(key->hasher, value);
	if (key->fields)
		readable(key, label, value ? json_string(value) : json_null());
}

void cb_cachekey_words(struct cb_cachekey *key, const char *label, const struct cb_words *words)
{
	json_t *list = key->fields ? json_array() : NULL;

	cb_hasher_adds(key->hasher, label);
	cb_hasher_addn(key->hasher, words->n);
	for (size_t i = 0; i < words->n; i++) {
		cb_hasher_adds(key->hasher, words->v[i]);
		if (list)
			json_array_append_new(list, json_string(words->v[i]));
	}
	readable(key, label, list);
}

void cb_cachekey_num(struct cb_cachekey *key, const char *label, int64_t value)
{
	cb_hasher_adds(key->hasher, label);
	cb_hasher_addn(key->hasher, (uint64_t)value);
	if (key->fields)
		readable(key, label, json_integer(value));
}

void cb_cachekey_finish(struct cb_cachekey *key, struct cb_digest *ret, json_t **ret_fields)
{
	cb_hasher_finish(key->hasher, ret);
	if (ret_fields)
		*ret_fields = CB_TAKE_PTR(key->fields);
}

/* ---- operands ------------------------------------------------------------------------------------------------- */

/*
 * Of a source that is written out only the last component counts: it may name the copy, while the way to it does not
 * change what is copied. What a pattern matched is in the digest of the files.
 */
static void copy_sources(struct cb_cachekey *key, const struct cb_op_copy *op)
{
	for (size_t i = 0; i < op->sources.n; i++) {
		cleanup_free char *path = cb_path_abs(op->sources.v[i]);

		/* What it is called is in the digest of the file; where it is fetched from does not matter. */
		if (op->add && cb_context_is_remote(op->sources.v[i]))
			cb_cachekey_str(key, "source", "remote");
		else if (op->parents)
			cb_cachekey_str(key, "source", op->sources.v[i]);
		else if (strpbrk(path, "*?[\\"))
			cb_cachekey_str(key, "source", "*");
		else
			cb_cachekey_str(key, "source", cb_path_base(path));
	}
}

static void copy_operands(struct cb_cachekey *key, const struct cb_op_copy *op)
{
	copy_sources(key, op);
	for (size_t i = 0; i < op->n_files; i++) {
		struct cb_digest digest;

		cb_digest_of(op->files[i].data, op->files[i].len, &digest);
		cb_cachekey_str(key, "heredoc", op->files[i].name);
		cb_cachekey_str(key, "content", digest.text);
	}
	cb_cachekey_str(key, "dest", op->dest);
	cb_cachekey_str(key, "workdir", *op->dest == '/' ? NULL : op->workdir);
	cb_cachekey_str(key, "chown", op->chown);
	cb_cachekey_str(key, "chmod", op->chmod);
	cb_cachekey_words(key, "exclude", &op->excludes);
	cb_cachekey_num(key, "parents", op->parents);
	cb_cachekey_num(key, "keep archives", op->add ? op->keep_archives : 1);
	if (op->unpack)
		cb_cachekey_num(key, "unpack", op->unpack);
}

static void run_mount(struct cb_cachekey *key, const struct cb_op_mount *mount)
{
	const struct cb_mount *m = mount->mount;

	cb_cachekey_str(key, "mount", cb_mount_type_name(m->type));
	cb_cachekey_str(key, "target", m->target);
	cb_cachekey_num(key, "readonly", m->readonly);
	if (m->type == CB_MOUNT_CACHE)
		cb_cachekey_str(key, "cache", mount->cache_name);
	if (m->type == CB_MOUNT_TMPFS)
		cb_cachekey_num(key, "size", m->has_size ? (int64_t)m->size : 0);
	if (m->type == CB_MOUNT_SECRET || m->type == CB_MOUNT_SSH) {
		cb_cachekey_str(key, "id", m->id);
		cb_cachekey_str(key, "variable", m->env);
		cb_cachekey_num(key, "uid", m->has_uid ? m->uid : 0);
		cb_cachekey_num(key, "gid", m->has_gid ? m->gid : 0);
		cb_cachekey_num(key, "mode", m->has_mode ? m->mode : 0);
	}
}

static void run_operands(struct cb_cachekey *key, const struct cb_op_run *op)
{
	cb_cachekey_words(key, "argv", &op->argv);
	for (size_t i = 0; i < op->env.n; i++)
		cb_cachekey_str(key, "env", op->env.v[i]);
	cb_cachekey_str(key, "workdir", op->cwd);
	cb_cachekey_str(key, "user", op->user);
	cb_cachekey_num(key, "network", op->network);
	cb_cachekey_num(key, "security", op->security);
	cb_cachekey_words(key, "hosts", &op->hosts);
	cb_cachekey_words(key, "ulimits", &op->ulimits);
	for (size_t i = 0; i < op->n_mounts; i++)
		run_mount(key, &op->mounts[i]);
	if (op->script) {
		cb_cachekey_str(key, "script path", op->script_path);
		cb_cachekey_str(key, "script", op->script);
	}
}

static void select_operands(struct cb_cachekey *key, const struct cb_op_select *op)
{
	cb_cachekey_words(key, "sources", &op->sources);
	cb_cachekey_words(key, "exclude", &op->excludes);
	cb_cachekey_num(key, "parents", op->parents);
	cb_cachekey_num(key, "literal", op->literal);
}

void cb_cachekey_operands(struct cb_cachekey *key, enum cb_vertex_kind kind, const void *op)
{
	switch (kind) {
	case CB_VERTEX_IMAGE: {
		const struct cb_base *base = ((const struct cb_op_image *)op)->base;
		char platform[CB_PLATFORM_TEXT_MAX];

		/* The layers say all; a name only stands in for an image that was not looked up. */
		if (base->chain) {
			cb_cachekey_str(key, "layers", cb_chain_content(base->chain));
			break;
		}
		cb_platform_format(&base->platform, platform);
		cb_cachekey_str(key, "name", base->name);
		cb_cachekey_str(key, "platform", platform);
		break;
	}
	case CB_VERTEX_CONTEXT:
		cb_cachekey_num(key, "context", (int64_t)(intptr_t)((const struct cb_op_context *)op)->context);
		break;
	case CB_VERTEX_SELECT:
		select_operands(key, op);
		break;
	case CB_VERTEX_RUN:
		run_operands(key, op);
		break;
	case CB_VERTEX_COPY:
	case CB_VERTEX_ADD:
		copy_operands(key, op);
		break;
	case CB_VERTEX_WORKDIR:
		cb_cachekey_str(key, "path", ((const struct cb_op_workdir *)op)->path);
		cb_cachekey_str(key, "user", ((const struct cb_op_workdir *)op)->user);
		cb_cachekey_str(key, "created", ((const struct cb_op_workdir *)op)->created);
		break;
	case CB_VERTEX_MERGE:
		break;
	}
}

void cb_cachekey_of_operands(enum cb_vertex_kind kind, const void *op, struct cb_digest *ret)
{
	CB_CLEANUP(cb_cachekey_free) struct cb_cachekey *key = cb_cachekey_new(cb_vertex_kind_name(kind), false);

	cb_cachekey_operands(key, kind, op);
	cb_cachekey_finish(key, ret, NULL);
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

/* Inputs that are only needed to execute say nothing about the result. */
static bool counts(const struct cb_input *input)
{
	return input->role == CB_INPUT_PARENT || input->role == CB_INPUT_SOURCE || input->role == CB_INPUT_FILES;
}

static void definition(const struct cb_vertex *vertex, bool lasting, const char *salt, struct cb_digest *ret)
{
	CB_CLEANUP(cb_cachekey_free) struct cb_cachekey *key = cb_cachekey_new("definition", false);

	cb_cachekey_str(key, "operands", vertex->operands.text);
	for (size_t i = 0; i < vertex->n_inputs; i++) {
		const struct cb_vertex *input = vertex->inputs[i].vertex;

		if (!counts(&vertex->inputs[i]))
			continue;
		cb_cachekey_num(key, "role", vertex->inputs[i].role);
		cb_cachekey_str(key, "input", lasting ? input->lasting.text : input->key.text);
	}
	cb_cachekey_str(key, "salt", salt);
	cb_cachekey_finish(key, ret, NULL);
}

void cb_cachekey_definition(struct cb_vertex *vertex, const char *salt)
{
	const struct cb_step_result *result = vertex->result;

	if (vertex->content_defined) {
		vertex->key = result->content;
		vertex->lasting = result->content;
		return;
	}
	definition(vertex, true, NULL, &vertex->lasting);
	definition(vertex, false, vertex->no_cache ? salt : NULL, &vertex->key);
}

void cb_cachekey_content(const struct cb_vertex *vertex, const char *parent, struct cb_digest *ret, json_t **ret_fields)
{
	CB_CLEANUP(cb_cachekey_free)
	struct cb_cachekey *key = cb_cachekey_new(cb_vertex_kind_name(vertex->kind), ret_fields != NULL);

	cb_cachekey_operands(key, vertex->kind, vertex->op);
	for (size_t i = 0; i < vertex->n_inputs; i++) {
		const struct cb_step_result *input = vertex->inputs[i].vertex->result;

		if (!counts(&vertex->inputs[i]))
			continue;
		if (vertex->inputs[i].role == CB_INPUT_FILES)
			cb_cachekey_str(key, "files", input->content.text);
		else
			cb_cachekey_str(key, "parent", parent ? parent : cb_chain_content(input->chain));
	}
	cb_cachekey_finish(key, ret, ret_fields);
}
