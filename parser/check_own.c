/* Our own rules that look at instructions, not at commands. */
#include <ctype.h>
#include <string.h>

#include "parser/checker.h"

/* ---- images --------------------------------------------------------------------------------------------------- */

void check_pinned(struct checker *c, const struct cb_node *node, const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *tag = strchr(slash ? slash : image, ':');

	if (strchr(image, '@'))
		return;
	if (!tag)
		check_report(c, CB_RULE_UNPINNED_BASE_IMAGE, node, "Image \"%s\" has neither tag nor digest", image);
	else if (!strcmp(tag, ":latest"))
		check_report(c, CB_RULE_LATEST_TAG, node, "Image \"%s\" has the tag latest", image);
}

static void check_from_flag(struct checker *c, const struct cb_instr *instr)
{
	const char *from = instr->copy.from.s;

	if (!from || cb_buildfile_stage(c->file, from) || !from[strspn(from, "0123456789")] ||
		!strcmp(from, "scratch") || (c->options->is_context && c->options->is_context(c->options->arg, from)))
		return;
	check_pinned(c, instr->node, from);
}

/* ---- ADD ------------------------------------------------------------------------------------------------------ */

/* ADD treats it in another way than COPY, or may do so. */
static bool is_special(const char *source)
{
	static const char *const ends[] = { ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".tlz", ".gz", ".bz2",
		".xz", ".zst", ".lzma", ".z", ".git" };
	static const char *const starts[] = { "http://", "https://", "ftp://", "git://", "ssh://", "git@" };
	cleanup_free char *lower = cb_str_lower(cb_xstrdup(source));

	if (strchr(lower, '$'))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		if (cb_str_starts(lower, starts[i]))
			return true;
	/* "repo.git#branch:folder" */
	lower[strcspn(lower, "#")] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (cb_str_ends(lower, ends[i]))
			return true;
	return false;
}

static void check_add(struct checker *c, const struct cb_instr *instr)
{
	const struct cb_copy *add = &instr->copy;

	if (add->has_unpack || add->checksum.s || add->has_keep_git_dir)
		return;
	for (size_t i = 0; i < add->sources.n; i++)
		if (is_special(add->sources.v[i].s))
			return;
	check_report(c, CB_RULE_ADD_INSTEAD_OF_COPY, instr->node, "ADD of local files: COPY does the same and no more");
}

/* ---- RUN after RUN -------------------------------------------------------------------------------------------- */

static bool same_flags(const struct cb_node *a, const struct cb_node *b)
{
	if (a->flags.n != b->flags.n)
		return false;
	for (size_t i = 0; i < a->flags.n; i++)
		if (strcmp(a->flags.v[i].s, b->flags.v[i].s) != 0)
			return false;
	return true;
}

void check_own(struct checker *c, const struct check_stage *stage)
{
	const struct cb_instr *instrs = stage->stage->instrs;
	size_t row = 0;

	if (!c->options->own)
		return;
	for (size_t i = 0; i < stage->stage->n_instrs; i++) {
		const struct cb_instr *instr = &instrs[i];

		if (instr->kw == CB_KW_COPY)
			check_from_flag(c, instr);
		if (instr->kw == CB_KW_ADD)
			check_add(c, instr);
		row = instr->kw != CB_KW_RUN ? 0 : row && same_flags(instr->node, instrs[i - 1].node) ? row + 1 : 1;
		/* Once for a whole row. */
		if (row == 2)
			check_report(c, CB_RULE_CONSECUTIVE_RUN, instr->node,
				"RUN follows RUN: each makes a layer of its own");
	}
}
