/* library: parser */
/* Whole files: nodes, validation, printing, mounts, and the trigger of every ONBUILD read again. */
#include <assert.h>
#include <stdint.h>

#include "base/buf.h"
#include "parser/dump.h"
#include "parser/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every text has a place inside the file. */
static void check_places(const struct cb_buildfile *file)
{
	for (size_t i = 0; i < file->n_nodes; i++) {
		const struct cb_node *node = file->nodes[i];

		assert(node->line >= 1 && node->end_line >= node->line);
		assert(i == 0 || node->line > file->nodes[i - 1]->end_line);
		for (size_t k = 0; k < node->args.n; k++)
			assert(node->args.v[k].line >= node->line && node->args.v[k].line <= node->end_line);
	}
}

static void visit(const struct cb_instr *instr)
{
	if (instr->kw == CB_KW_ONBUILD) {
		CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *trigger = NULL;

		cb_parse_trigger(instr->onbuild.text.s, &trigger, NULL);
	}
	for (size_t i = 0; instr->kw == CB_KW_RUN && i < instr->run.n_mounts; i++) {
		CB_CLEANUP(cb_mount_free) struct cb_mount *mount = NULL;

		cb_mount_resolve(&instr->run.mounts[i], NULL, NULL, &mount, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *nodes = NULL, *file = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };

	if (cb_parse_nodes((const char *)data, size, &nodes, &err) < 0) {
		assert(err && !nodes);
		return 0;
	}
	check_places(nodes);
	cb_dump_json(nodes, &out);
	cb_dump_sexp(nodes, &out);

	if (cb_parse((const char *)data, size, &file, &err) < 0) {
		assert(err && !file);
		return 0;
	}
	for (size_t i = 0; i < file->n_stages; i++) {
		for (size_t k = 0; k < file->stages[i].n_instrs; k++)
			visit(&file->stages[i].instrs[k]);
	}
	return 0;
}
