/* COPY and ADD. */
#include <string.h>

#include "base/buf.h"
#include "parser/flags.h"
#include "parser/heredoc.h"
#include "parser/instr.h"

enum {
	/* Both take these, ... */
	FLAG_CHOWN,
	FLAG_CHMOD,
	FLAG_LINK,
	FLAG_EXCLUDE,
	N_COMMON,
	/* ... COPY these ... */
	FLAG_FROM = N_COMMON,
	FLAG_PARENTS,
	N_COPY,
	/* ... and ADD these. */
	FLAG_CHECKSUM = N_COMMON,
	FLAG_KEEP_GIT_DIR,
	FLAG_UNPACK,
	N_ADD,
};

static int check_from(const struct cb_text *from, struct cb_err **err)
{
	if (!from->s || !strchr(from->s, '$'))
		return 0;
	cb_err_at(err, CB_ERR_INPUT, from->line, from->col, "flag --from does not support variable expansion");
	return cb_err_hint(err, CB_ERR_INPUT,
		"name a stage with FROM ... AS NAME, where global ARGs can be used, and write --from=NAME");
}

static int set_flags(struct cb_instr *ret, struct cb_arena *arena, struct cb_err **err)
{
	struct cb_flag flags[N_ADD] = {
		[FLAG_CHOWN] = { .name = "chown", .type = CB_FLAG_STRING },
		[FLAG_CHMOD] = { .name = "chmod", .type = CB_FLAG_STRING },
		[FLAG_LINK] = { .name = "link", .type = CB_FLAG_BOOL },
		[FLAG_EXCLUDE] = { .name = "exclude", .type = CB_FLAG_LIST },
	};
	struct cb_copy *copy = &ret->copy;
	bool is_add = ret->kw == CB_KW_ADD;
	int r;

	if (is_add) {
		flags[FLAG_CHECKSUM] = (struct cb_flag){ .name = "checksum", .type = CB_FLAG_STRING };
		flags[FLAG_KEEP_GIT_DIR] = (struct cb_flag){ .name = "keep-git-dir", .type = CB_FLAG_BOOL };
		flags[FLAG_UNPACK] = (struct cb_flag){ .name = "unpack", .type = CB_FLAG_BOOL };
	} else {
		flags[FLAG_FROM] = (struct cb_flag){ .name = "from", .type = CB_FLAG_STRING };
		flags[FLAG_PARENTS] = (struct cb_flag){ .name = "parents", .type = CB_FLAG_BOOL };
	}
	r = cb_flags_check(arena, ret->node, flags, is_add ? N_ADD : N_COPY, err);
	if (r < 0)
		return r;

	copy->chown = cb_flag_text(&flags[FLAG_CHOWN]);
	copy->chmod = cb_flag_text(&flags[FLAG_CHMOD]);
	copy->link = flags[FLAG_LINK].on;
	copy->excludes = flags[FLAG_EXCLUDE].list;
	if (!is_add) {
		copy->from = cb_flag_text(&flags[FLAG_FROM]);
		copy->parents = flags[FLAG_PARENTS].on;
		return check_from(&copy->from, err);
	}
	copy->checksum = cb_flag_text(&flags[FLAG_CHECKSUM]);
	copy->has_keep_git_dir = flags[FLAG_KEEP_GIT_DIR].used;
	copy->keep_git_dir = flags[FLAG_KEEP_GIT_DIR].on;
	copy->has_unpack = flags[FLAG_UNPACK].used;
	copy->unpack = flags[FLAG_UNPACK].on;
	return 0;
}

/* The last here-document of that name: with several of one name, the file gets its last content anyway. */
static const struct cb_heredoc *find_doc(const struct cb_node *docs, const char *name)
{
	for (size_t i = docs->n_heredocs; i > 0; i--) {
		if (strcmp(docs->heredocs[i - 1].name, name) == 0)
			return &docs->heredocs[i - 1];
	}
	return NULL;
}

static int set_file(struct cb_inline_file *file, struct cb_arena *arena, const struct cb_node *docs,
	const struct cb_heredoc *token, const struct cb_text *word, struct cb_err **err)
{
	const struct cb_heredoc *doc = find_doc(docs, token->name);
	cleanup_buf struct cb_buf body = { 0 };

	if (!doc) {
		cb_err_at(err, CB_ERR_INPUT, word->line, word->col, "here-document \"%.100s\" has no body", word->s);
		return cb_err_hint(err, CB_ERR_INPUT, "an unbalanced quote on the line hides here-documents");
	}
	if (strchr(token->name, '/') || strcmp(token->name, ".") == 0 || strcmp(token->name, "..") == 0)
		return cb_err_at(err, CB_ERR_INPUT, word->line, word->col, "\"%.100s\" cannot be the name of a file",
			token->name);

	cb_heredoc_text(doc, &body);
	*file = (struct cb_inline_file){
		.name = { token->name, word->line, word->col },
		.data = cb_arena_strndup(arena, cb_buf_str(&body), body.len),
		.len = body.len,
		.expand = token->expand,
		.line = doc->line,
	};
	return 0;
}

/* Paths and here-documents among the sources. */
static int set_sources(struct cb_copy *copy, struct cb_arena *arena, const struct cb_node *node,
	const struct cb_node *docs, struct cb_err **err)
{
	size_t n = node->args.n - 1;
	struct cb_inline_file *files = cb_arena_alloc(arena, CB_MIN(n, docs->n_heredocs + 1) * sizeof(*files));
	struct cb_heredoc token;
	int r;

	copy->sources.v = cb_arena_alloc(arena, n * sizeof(*copy->sources.v));
	for (size_t i = 0; i < n; i++) {
		const struct cb_text *word = &node->args.v[i];

		r = node->json ? 0 : cb_heredoc_token(arena, word->s, &token, NULL);
		if (r <= 0) {
			copy->sources.v[copy->sources.n++] = *word;
			continue;
		}
		if (copy->n_files == docs->n_heredocs)
			return cb_err_at(err, CB_ERR_INPUT, word->line, word->col,
				"here-document \"%.100s\" has no body", word->s);
		r = set_file(&files[copy->n_files], arena, docs, &token, word, err);
		if (r < 0)
			return r;
		copy->n_files++;
	}
	copy->files = files;
	return 0;
}

int cb_instr_copy(struct cb_instr *ret, struct cb_arena *arena, const struct cb_node *docs, struct cb_err **err)
{
	const struct cb_node *node = ret->node;
	const char *upper = cb_keyword_upper(node->kw);
	struct cb_copy *copy = &ret->copy;
	struct cb_heredoc token;
	int r;

	r = set_flags(ret, arena, err);
	if (r < 0)
		return r;
	if (node->args.n < 2) {
		cb_instr_err(err, node, "%s requires at least two arguments", upper);
		return cb_err_hint(err, CB_ERR_INPUT, "the last one is the destination");
	}
	copy->dest = node->args.v[node->args.n - 1];
	if (!node->json && cb_heredoc_token(arena, copy->dest.s, &token, NULL) > 0)
		return cb_err_at(err, CB_ERR_INPUT, copy->dest.line, copy->dest.col,
			"%s cannot accept a here-document as a destination", upper);
	r = set_sources(copy, arena, node, docs, err);
	if (r < 0)
		return r;
	if (copy->n_files < docs->n_heredocs) {
		cb_instr_err(err, node, "%s has a here-document that is not one of its sources", upper);
		return cb_err_hint(
			err, CB_ERR_INPUT, "a source is one word: write <<NAME without blanks or quoted blanks");
	}
	return 0;
}
