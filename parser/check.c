/* Checks: the walk over a file. */
#include "parser/check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "parser/checker.h"

/* ---- findings ------------------------------------------------------------------------------------------------- */

static void finding_done(struct cb_finding *finding)
{
	free(finding->msg);
	free(finding->wanted);
}

void cb_findings_done(struct cb_findings *findings)
{
	for (size_t i = 0; i < findings->n; i++)
		finding_done(&findings->v[i]);
	free(findings->v);
	*findings = (struct cb_findings){ 0 };
}

void cb_findings_unique(struct cb_findings *findings)
{
	size_t n = 0;

	for (size_t i = 0; i < findings->n; i++) {
		struct cb_finding *finding = &findings->v[i];
		bool again = false;

		for (size_t k = 0; k < n && !again; k++)
			again = findings->v[k].rule == finding->rule && findings->v[k].node == finding->node &&
				!strcmp(findings->v[k].msg, finding->msg);
		if (again)
			finding_done(finding);
		else
			findings->v[n++] = *finding;
	}
	findings->n = n;
}

static struct cb_finding *add(struct cb_findings *findings, const struct cb_finding *finding)
{
	CB_GROW(findings->v, findings->cap, findings->n + 1);
	findings->v[findings->n] = *finding;
	return &findings->v[findings->n++];
}

/* The same words about the same place; a rule's findings at one node stand together. */
static bool said(const struct cb_findings *findings, const struct cb_finding *finding)
{
	for (size_t i = findings->n; i-- > 0 && findings->v[i].node == finding->node;)
		if (findings->v[i].rule == finding->rule && !strcmp(findings->v[i].msg, finding->msg))
			return true;
	return false;
}

struct cb_finding *check_report(
	struct checker *c, enum cb_rule_id rule, const struct cb_node *node, const char *fmt, ...)
{
	struct cb_finding finding = { .rule = &cb_rules[rule], .node = node };
	va_list ap;

	if (rule == CB_RULE_NOT_PORTABLE ? !c->options->portable : finding.rule->own && !c->options->own)
		return NULL;
	if (!check_config_wants(&c->config, finding.rule, node))
		return NULL;
	va_start(ap, fmt);
	finding.msg = cb_xvasprintf(fmt, ap);
	va_end(ap);
	finding.line = node->line;
	finding.col = node->col;
	finding.end_line = node->end_line;
	if (said(c->out, &finding)) {
		free(finding.msg);
		return NULL;
	}
	return add(c->out, &finding);
}

/* From lines of the tree to lines of files. */
static void localise(const struct cb_buildfile *file, struct cb_finding *finding)
{
	const struct cb_source_file *source = cb_buildfile_place(file, finding->line, &finding->line);

	if (!source)
		return;
	finding->file = source->name;
	finding->end_line -= source->base;
}

void cb_check_note(const struct cb_buildfile *file, const struct cb_strv *build_args, enum cb_rule_id rule,
	const struct cb_node *node, const char *msg, struct cb_findings *ret)
{
	struct cb_finding finding = { .rule = &cb_rules[rule], .node = node };
	struct check_config config = { 0 };

	check_config_of_file(&config, file, build_args, NULL);
	if (check_config_wants(&config, finding.rule, node)) {
		finding.msg = cb_xstrdup(msg);
		finding.line = node->line;
		finding.col = node->col;
		finding.end_line = node->end_line;
		localise(file, &finding);
		add(ret, &finding);
	}
	check_config_done(&config);
}

char *cb_findings_failure(const struct cb_findings *findings)
{
	cleanup_buf struct cb_buf text = { 0 };
	bool seen[CB_RULE_MAX_] = { false };

	for (size_t i = 0; i < findings->n; i++)
		seen[findings->v[i].rule - cb_rules] = true;
	for (size_t i = 0; i < CB_RULE_FIRST_OWN_; i++)
		if (seen[i])
			cb_buf_addf(
				&text, "%s%s", text.len ? ", " : "lint violation found for rules: ", cb_rules[i].name);
	return findings->fail && text.len ? cb_buf_take(&text) : NULL;
}

static int compare(const void *a, const void *b)
{
	const struct cb_finding *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	return strcmp(x->msg, y->msg);
}

/* ---- what is checked ------------------------------------------------------------------------------------------ */

static void need(struct checker *c, const char *name, struct check_stage *at, bool numbers)
{
	const struct cb_stage *stage = cb_buildfile_stage(c->file, name);
	char *end;
	unsigned long index;

	if (!stage && numbers && *name >= '0' && *name <= '9') {
		index = strtoul(name, &end, 10);
		if (!*end && index < c->file->n_stages)
			stage = &c->file->stages[index];
	}
	/* A later one is an error of the build. */
	if (stage && stage->index < at->stage->index)
		c->stages[stage->index].active = true;
}

static const struct cb_stage *target_of(const struct checker *c)
{
	if (c->options->target)
		return cb_buildfile_stage(c->file, c->options->target);
	if (c->options->target_index && c->options->target_index <= c->file->n_stages)
		return &c->file->stages[c->options->target_index - 1];
	return NULL;
}

/* What is used stands before it: one way back is enough. */
static int mark_active(struct checker *c, struct cb_err **err)
{
	const struct cb_stage *target;

	if (!c->options->target && !c->options->target_index) {
		for (size_t i = 0; i < c->file->n_stages; i++)
			c->stages[i].active = true;
		return 0;
	}
	target = target_of(c);
	if (!target)
		return cb_err_set(err, CB_ERR_INPUT, "target stage \"%.100s\" could not be found", c->options->target);
	c->stages[target->index].active = true;
	for (size_t i = target->index + 1; i-- > 0;) {
		struct check_stage *at = &c->stages[i];

		if (!at->active)
			continue;
		if (at->base)
			at->base->active = true;
		for (size_t k = 0; k < at->stage->n_instrs; k++) {
			const struct cb_instr *instr = &at->stage->instrs[k];

			if (instr->kw == CB_KW_COPY && instr->copy.from.s)
				need(c, instr->copy.from.s, at, true);
			for (size_t m = 0; instr->kw == CB_KW_RUN && m < instr->run.n_mounts; m++)
				if (instr->run.mounts[m].from)
					need(c, instr->run.mounts[m].from, at, false);
		}
	}
	return 0;
}

static int walk(struct checker *c, struct cb_err **err)
{
	const struct cb_stage *target;
	int r;

	check_file(c);
	check_portable(c);
	r = check_from_lines(c, err);
	if (r == 0)
		r = mark_active(c, err);
	if (r < 0)
		return r;
	target = target_of(c);
	for (size_t i = 0; i < c->file->n_stages; i++) {
		struct check_stage *stage = &c->stages[i];

		/* Those that are not needed lend their scope to none that is. */
		if (!stage->active)
			continue;
		stage->final = target ? stage->stage == target : i + 1 == c->file->n_stages;
		check_own(c, stage);
		r = check_stage(c, stage, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void stage_done(struct check_stage *stage)
{
	cb_scope_done(&stage->scope);
	cb_strv_done(&stage->used);
	free(stage->image);
	free(stage->platform);
}

int cb_check(const struct cb_buildfile *file, const struct cb_check_options *options, struct cb_findings *ret,
	struct cb_err **err)
{
	struct checker c = { .file = file, .options = options, .out = ret };
	size_t first = ret->n;
	int r;

	assert(options->build_args);
	r = check_config_of_file(&c.config, file, options->build_args, err);
	if (r == 0) {
		ret->fail = c.config.fail;
		c.names = cb_map_new(NULL);
		c.stages = cb_newa0(struct check_stage, file->n_stages + 1);
		cb_globals_init(&c.globals, options->build_args, &options->platforms, file->directives.escape);
		r = walk(&c, err);
		for (size_t i = 0; i < file->n_stages; i++)
			stage_done(&c.stages[i]);
		cb_globals_done(&c.globals);
		cb_strv_done(&c.unset);
		cb_map_free(c.names);
		free(c.stages);
		if (ret->n > first)
			qsort(ret->v + first, ret->n - first, sizeof(*ret->v), compare);
		for (size_t i = first; i < ret->n; i++)
			localise(file, &ret->v[i]);
	}
	check_config_done(&c.config);
	return r;
}
