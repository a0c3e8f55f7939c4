/* NotPortable: what BuildKit does not take, or only in its development channel. */
#include "parser/checker.h"

static void check_instr(struct checker *c, const struct cb_instr *instr)
{
	if (instr->kw == CB_KW_RUN && instr->run.n_devices)
		check_report(c, CB_RULE_NOT_PORTABLE, instr->node,
			"RUN --device is in the labs channel of docker/dockerfile alone");
}

void check_portable(struct checker *c)
{
	if (!c->options->portable)
		return;
	for (size_t i = 0; i < c->file->n_nodes; i++)
		if (c->file->nodes[i]->kw == CB_KW_INCLUDE)
			check_report(c, CB_RULE_NOT_PORTABLE, c->file->nodes[i],
				"INCLUDE is of cbuild alone: cbuild flatten writes a plain Dockerfile");
	for (size_t i = 0; i < c->file->n_stages; i++) {
		const struct cb_stage *stage = &c->file->stages[i];

		if (stage->from->from.reset)
			check_report(c, CB_RULE_NOT_PORTABLE, stage->from->node,
				"FROM --reset is of cbuild alone: cbuild flatten writes what a plain Dockerfile can say");
		for (size_t k = 0; k < stage->n_instrs; k++)
			check_instr(c, &stage->instrs[k]);
	}
}
