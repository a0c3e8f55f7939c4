/* Rules that need the tree alone: casing, names of stages, blank lines, comments. */
#include <ctype.h>
#include <string.h>

#include "parser/checker.h"

static bool is_lower(const char *s)
{
	for (; *s; s++)
		if (isupper((unsigned char)*s))
			return false;
	return true;
}

static bool is_upper(const char *s)
{
	for (; *s; s++)
		if (islower((unsigned char)*s))
			return false;
	return true;
}

static void want(struct cb_finding *finding, const char *text, bool lower)
{
	if (!finding)
		return;
	finding->wanted = cb_xstrdup(text);
	for (char *p = finding->wanted; *p; p++)
		*p = (char)(lower ? tolower((unsigned char)*p) : toupper((unsigned char)*p));
}

/* ---- casing --------------------------------------------------------------------------------------------------- */

static void check_word(struct checker *c, const struct cb_node *node, bool lower)
{
	if (lower ? is_lower(node->word) : is_upper(node->word))
		return;
	want(check_report(c, CB_RULE_CONSISTENT_INSTRUCTION_CASING, node,
		     "Command '%s' should match the case of the command majority (%s)", node->word,
		     lower ? "lowercase" : "uppercase"),
		node->word, lower);
}

/* ARGs before the first FROM neither count nor are looked at. */
static void check_words(struct checker *c)
{
	size_t lower = 0, upper = 0;

	for (size_t i = 0; i < c->file->n_stages; i++) {
		const struct cb_stage *stage = &c->file->stages[i];

		for (size_t k = 0; k <= stage->n_instrs; k++) {
			const char *word = k ? stage->instrs[k - 1].node->word : stage->from->node->word;

			lower += is_lower(word);
			upper += is_upper(word);
		}
	}
	for (size_t i = 0; i < c->file->n_stages; i++) {
		const struct cb_stage *stage = &c->file->stages[i];

		for (size_t k = 0; k <= stage->n_instrs; k++)
			check_word(c, k ? stage->instrs[k - 1].node : stage->from->node, lower > upper);
	}
}

static void check_as(struct checker *c, const struct cb_node *node)
{
	const char *as = node->args.v[1].s;
	bool lower = is_lower(node->word);

	/* A FROM in mixed case is another rule's. */
	if ((!lower && !is_upper(node->word)) || (lower ? is_lower(as) : is_upper(as)))
		return;
	want(check_report(
		     c, CB_RULE_FROM_AS_CASING, node, "'%s' and '%s' keywords' casing do not match", as, node->word),
		as, lower);
}

/* ---- names of stages ------------------------------------------------------------------------------------------ */

static void check_stage_names(struct checker *c)
{
	CB_CLEANUP(cb_map_free) struct cb_map *seen = cb_map_new(NULL);

	for (size_t i = 0; i < c->file->n_stages; i++) {
		const struct cb_stage *stage = &c->file->stages[i];
		const struct cb_node *node = stage->from->node;
		const char *written = stage->from->from.name_as_written;

		if (!stage->name)
			continue;
		check_as(c, node);
		if (!is_lower(written))
			want(check_report(c, CB_RULE_STAGE_NAME_CASING, node, "Stage name '%s' should be lowercase",
				     written),
				written, true);
		if (!strcmp(stage->name, "scratch") || !strcmp(stage->name, "context"))
			check_report(c, CB_RULE_RESERVED_STAGE_NAME, node,
				"Stage name should not use the same name as reserved stage \"%s\"", stage->name);
		if (cb_map_has(seen, stage->name))
			check_report(c, CB_RULE_DUPLICATE_STAGE_NAME, node,
				"Duplicate stage name \"%s\", stage names should be unique", stage->name);
		cb_map_set(seen, stage->name, (void *)stage);
	}
}

/* ---- comments ------------------------------------------------------------------------------------------------- */

void check_description(struct checker *c, const struct cb_node *node, const char *const *names, size_t n)
{
	const char *last = NULL;
	size_t len;

	for (size_t i = 0; i < node->comments.n; i++)
		if (!check_config_comment(node->comments.v[i].s))
			last = node->comments.v[i].s;
	if (!last || !n)
		return;
	len = strcspn(last, " ");
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], last, len))
			return;
	check_report(c, CB_RULE_INVALID_DEFINITION_DESCRIPTION, node,
		"Comment for %s should follow the format: `# %s <description>`", cb_keyword_upper(node->kw),
		n > 1 ? "<arg_key>" : names[0]);
}

static void check_arg_comment(struct checker *c, const struct cb_instr *instr)
{
	cleanup_free const char **names = cb_xcalloc(instr->pairs.n + 1, sizeof(*names));

	for (size_t i = 0; i < instr->pairs.n; i++)
		names[i] = instr->pairs.v[i].key.s;
	check_description(c, instr->node, names, instr->pairs.n);
}

static void check_comments(struct checker *c)
{
	for (size_t i = 0; i < c->file->n_globals; i++)
		check_arg_comment(c, &c->file->globals[i]);
	for (size_t i = 0; i < c->file->n_stages; i++) {
		const struct cb_stage *stage = &c->file->stages[i];

		if (stage->name)
			check_description(c, stage->from->node, &stage->name, 1);
		for (size_t k = 0; k < stage->n_instrs; k++)
			if (stage->instrs[k].kw == CB_KW_ARG)
				check_arg_comment(c, &stage->instrs[k]);
	}
}

/* ---- blank lines ---------------------------------------------------------------------------------------------- */

static bool holds(const struct cb_node *node, unsigned int line)
{
	return node->line <= line && line <= node->end_line;
}

static void check_warnings(struct checker *c)
{
	size_t at = 0;

	for (size_t i = 0; i < c->file->n_warnings; i++) {
		const struct cb_parse_warning *warning = &c->file->warnings[i];
		struct cb_finding *finding;

		/* Both are in the order of reading: this is the next node, or one behind it. */
		for (size_t k = 0; k < c->file->n_nodes && !holds(c->file->nodes[at], warning->line); k++)
			at = (at + 1) % c->file->n_nodes;
		finding = check_report(c, CB_RULE_NO_EMPTY_CONTINUATION, c->file->nodes[at], "Empty continuation line");
		if (finding) {
			finding->line = finding->end_line = warning->line;
			finding->col = 1;
		}
	}
}

void check_file(struct checker *c)
{
	check_warnings(c);
	check_words(c);
	check_stage_names(c);
	check_comments(c);
}
