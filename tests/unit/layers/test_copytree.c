#include "unit/layers/treebuild.h"

#include <fnmatch.h>

#include "base/pool.h"
#include "layers/copytree.h"
#include "layers/dest.h"
#include "layers/match.h"

/* A case is about the upper: what the copy wrote, parents that it copied up included. */
struct row {
	const char *name;
	const char *src;     /* the source tree */
	const char *parents; /* what the destination has */
	const char *args; /* [--chown= --chmod= --parents --link --exclude= --workdir= --file=NAME=DATA] SRC... DEST */
	const char *want; /* the upper afterwards, or the error when code < 0 */
	int code;
};

static const struct row rows[] = {
#include "unit/layers/copy_rows.h"
};

static int match(const char *pattern, const char *name, struct cb_err **err)
{
	if (strcmp(pattern, "[") == 0)
		return cb_err_set(err, CB_ERR_INPUT, "syntax error in pattern");
	return fnmatch(pattern, name, 0) == 0;
}

struct excludes {
	struct cb_glob *globs[16];
	bool again[16]; /* "!" */
	size_t n;
};

static enum cb_path_verdict verdict(void *userdata, const char *path, bool is_dir)
{
	struct excludes *e = userdata;
	bool out = false, later = false;

	for (size_t i = 0; i < e->n; i++) {
		enum cb_path_verdict v = cb_glob_test(e->globs[i], path);

		if (v == CB_PATH_TAKE)
			out = !e->again[i];
		if (v != CB_PATH_DROP && e->again[i])
			later = true;
	}
	if (!out)
		return CB_PATH_TAKE;
	return is_dir && later ? CB_PATH_PEEK : CB_PATH_DROP;
}

struct plan {
	struct cb_copy_spec spec;
	struct cb_strv sources;
	struct cb_owner owner;
	struct cb_chmod chmod;
	struct excludes excludes;
	struct cb_path_filter filter;
	struct cb_copy_file files[4];
	char file_text[4][128];
	char chown_text[128];
	bool link, parents, context;
	char *dest, *workdir;
};

static const char *value_of(const char *word, const char *flag)
{
	size_t n = strlen(flag);

	return strncmp(word, flag, n) == 0 ? word + n : NULL;
}

static void add_exclude(struct plan *p, const char *value)
{
	size_t i = p->excludes.n++;

	p->excludes.again[i] = *value == '!';
	assert_int_equal(cb_glob_new(value + (*value == '!'), match, &p->excludes.globs[i], NULL), 0);
	p->filter = (struct cb_path_filter){ verdict, &p->excludes };
	p->spec.exclude = &p->filter;
}

static void add_file(struct plan *p, const char *value)
{
	size_t i = p->spec.n_files++;
	char *data;

	snprintf(p->file_text[i], sizeof(p->file_text[i]), "%s", value);
	data = strchr(p->file_text[i], '=');
	*data++ = '\0';
	p->files[i] = (struct cb_copy_file){ p->file_text[i], data, strlen(data) };
	p->spec.files = p->files;
}

static int parse_flag(struct plan *p, const char *word, struct cb_err **err)
{
	const char *value;
	int r = 0;

	if ((value = value_of(word, "--chown=")))
		snprintf(p->chown_text, sizeof(p->chown_text), "%s", value);
	else if ((value = value_of(word, "--chmod="))) {
		r = cb_chmod_parse(value, &p->chmod, err);
		p->spec.chmod = &p->chmod;
	} else if ((value = value_of(word, "--exclude=")))
		add_exclude(p, value);
	else if ((value = value_of(word, "--file=")))
		add_file(p, value);
	else if ((value = value_of(word, "--workdir=")))
		p->workdir = cb_xstrdup(value);
	else if (strcmp(word, "--link") == 0)
		p->link = true;
	else if (strcmp(word, "--parents") == 0)
		p->parents = true;
	else if (strcmp(word, "--context") == 0)
		p->context = true;
	else
		fail_msg("bad flag %s", word);
	return r;
}

static int parse_args(struct plan *p, const char *args, struct cb_err **err)
{
	char *copy = cb_xstrdup(args), *save = NULL;
	int r = 0;

	for (char *word = strtok_r(copy, " ", &save); word && r == 0; word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, "--", 2) == 0)
			r = parse_flag(p, word, err);
		else
			cb_strv_add(&p->sources, strcmp(word, "''") == 0 ? "" : word);
	}
	if (r == 0) {
		p->dest = cb_xstrdup(p->sources.v[p->sources.n - 1]);
		cb_strv_remove(&p->sources, p->sources.n - 1);
	}
	p->spec.dest = p->dest;
	p->spec.workdir = p->workdir;
	free(copy);
	return r;
}

static void plan_done(struct plan *p)
{
	cb_strv_done(&p->sources);
	cb_chmod_done(&p->chmod);
	for (size_t i = 0; i < p->excludes.n; i++)
		cb_glob_free(p->excludes.globs[i]);
	free(p->dest);
	free(p->workdir);
}

static int run_copy(struct plan *p, int src, struct cb_tree *parents, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_sources struct cb_sources sources = { 0 };
	struct cb_match_spec spec = { .match = match, .parents = p->parents };
	int r;

	assert_int_equal(p->context ? cb_tree_new_plain(src, NULL, true, &tree, err)
				    : cb_tree_new_layers(&src, 1, tb_flavour(), &tree, err),
		0);
	spec.tree = p->spec.src = tree;
	for (size_t i = 0; i < p->sources.n; i++) {
		r = cb_sources_add(&sources, &spec, p->sources.v[i], err);
		if (r < 0)
			return r;
	}
	p->spec.sources = &sources;
	if (*p->chown_text) {
		r = cb_chown_lookup(p->chown_text, p->link ? NULL : parents, &p->owner, err);
		assert_int_equal(r, 0);
		p->spec.chown = &p->owner;
	}
	p->spec.parents = p->link ? NULL : parents;
	/* Shown like the times of built trees: what is made says @1. */
	p->spec.created = (struct timespec){ .tv_sec = 1, .tv_nsec = 123456789 };
	return cb_copy_run(&p->spec, err);
}

/* Runs a row; the result is in @out. */
static int run_row(const struct row *row, struct cb_pool *pool, struct cb_buf *out, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *parents = NULL;
	cleanup_close int src = tb_dir(), below = tb_dir(), upper = tb_dir();
	struct plan p = { .spec = { .upper = upper, .pool = pool } };
	int r;

	tb_build(src, row->src);
	tb_build(below, row->parents);
	assert_int_equal(cb_tree_new_layers(&below, 1, tb_flavour(), &parents, err), 0);
	r = parse_args(&p, row->args, err);
	if (r == 0)
		r = run_copy(&p, src, parents, err);
	if (r == 0)
		tb_show(upper, "", out);
	plan_done(&p);
	return r;
}

/* Rows with other owners, devices or security.* cannot run where there is one id. */
static bool needs_root(const struct row *row)
{
	const char *texts[] = { row->src, row->parents, row->args, row->want };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		for (const char *at = strchr(texts[i], ':'); at; at = strchr(at + 1, ':')) {
			if (at > texts[i] && at[-1] >= '0' && at[-1] <= '9' && at[1] >= '0' && at[1] <= '9' &&
				!(at[-1] == '0' && at[1] == '0'))
				return true;
		}
		if (strstr(texts[i], ">1.3") || strstr(texts[i], "--chown"))
			return true;
	}
	return false;
}

static void check_rows(struct cb_pool *pool)
{
	size_t failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf out = { 0 };
		const char *got;
		int r;

		if (!tb_root && needs_root(&rows[i])) {
			print_message("# SKIPPED (needs root): %s\n", rows[i].name);
			continue;
		}
		r = run_row(&rows[i], pool, &out, &err);
		got = r < 0 ? cb_err_msg(err) : cb_buf_str(&out);
		if (r == rows[i].code && strcmp(got, rows[i].want) == 0)
			continue;
		failed++;
		print_message("# row: %s (%s)\n# got  %s\n# want %s\n", rows[i].name, rows[i].args, got, rows[i].want);
	}
	assert_int_equal(failed, 0);
}

static void copy_rows(void **state)
{
	(void)state;
	check_rows(NULL);
}

static void copy_rows_in_parallel(void **state)
{
	struct cb_pool *pool = cb_pool_new("test", 3);

	(void)state;
	check_rows(pool);
	cb_pool_free(pool);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_rows),
		cmocka_unit_test(copy_rows_in_parallel),
	};

	return tb_run(tests);
}
