/* Typed instructions and stages: what the planner gets, with places. */
#include "unit/parser/grammar_cases.h"

static void add_text(struct cb_buf *out, const char *name, const struct cb_text *text)
{
	if (text->s)
		cb_buf_addf(out, " %s=%s@%u:%u", name, text->s, text->line, text->col);
}

static void add_texts(struct cb_buf *out, const char *name, const struct cb_texts *texts)
{
	for (size_t i = 0; i < texts->n; i++)
		add_text(out, name, &texts->v[i]);
}

static void add_copy(struct cb_buf *out, const struct cb_copy *copy)
{
	add_texts(out, "source", &copy->sources);
	add_text(out, "dest", &copy->dest);
	add_text(out, "from", &copy->from);
	add_text(out, "chown", &copy->chown);
	add_text(out, "chmod", &copy->chmod);
	add_text(out, "checksum", &copy->checksum);
	add_texts(out, "exclude", &copy->excludes);
	cb_buf_adds(out, copy->link ? " link" : "");
	cb_buf_adds(out, copy->parents ? " parents" : "");
	cb_buf_adds(out, !copy->has_keep_git_dir ? "" : copy->keep_git_dir ? " keep-git-dir" : " no-keep-git-dir");
	cb_buf_adds(out, !copy->has_unpack ? "" : copy->unpack ? " unpack" : " no-unpack");
}

static void add_run(struct cb_buf *out, const struct cb_run *run)
{
	static const char *const networks[] = { "default", "none", "host" };

	cb_buf_adds(out, run->shell ? " shell" : " exec");
	add_texts(out, "argv", &run->argv);
	add_text(out, "script", &run->script);
	if (run->network_at.s)
		cb_buf_addf(out, " network=%s", networks[run->network]);
	if (run->security_at.s)
		cb_buf_addf(out, " security=%d", run->security);
	for (size_t i = 0; i < run->n_devices; i++)
		cb_buf_addf(out, " device=%s%s", run->devices[i].name.s, run->devices[i].required ? "!" : "");
}

static void add_health(struct cb_buf *out, const struct cb_health_check *health)
{
	cb_buf_addf(out, " %s", health->type == CB_HEALTH_NONE ? "none" : health->cmd.shell ? "shell" : "exec");
	add_texts(out, "argv", &health->cmd.argv);
	if (health->interval || health->timeout || health->start_period || health->start_interval || health->retries)
		cb_buf_addf(out, " %jd/%jd/%jd/%jd/%jd", (intmax_t)health->interval, (intmax_t)health->timeout,
			(intmax_t)health->start_period, (intmax_t)health->start_interval, (intmax_t)health->retries);
}

static void add_instr(struct cb_buf *out, const struct cb_instr *instr)
{
	cb_buf_adds(out, cb_keyword_upper(instr->kw));
	switch (instr->kw) {
	case CB_KW_COPY:
	case CB_KW_ADD:
		add_copy(out, &instr->copy);
		break;
	case CB_KW_RUN:
		add_run(out, &instr->run);
		break;
	case CB_KW_HEALTHCHECK:
		add_health(out, &instr->health);
		break;
	case CB_KW_ENV:
	case CB_KW_LABEL:
	case CB_KW_ARG:
		cb_buf_adds(out, instr->pairs.legacy ? " legacy" : "");
		for (size_t i = 0; i < instr->pairs.n; i++) {
			add_text(out, "key", &instr->pairs.v[i].key);
			add_text(out, "value", &instr->pairs.v[i].value);
		}
		break;
	case CB_KW_CMD:
	case CB_KW_ENTRYPOINT:
		cb_buf_adds(out, instr->command.shell ? " shell" : " exec");
		add_texts(out, "argv", &instr->command.argv);
		break;
	case CB_KW_EXPOSE:
	case CB_KW_VOLUME:
	case CB_KW_SHELL:
		add_texts(out, "word", &instr->words);
		break;
	case CB_KW_ONBUILD:
		cb_buf_addf(out, " %s | ", instr->onbuild.text.s);
		add_instr(out, instr->onbuild.child);
		break;
	default:
		add_text(out, "text", &instr->text);
		break;
	}
}

/* The only instruction of "FROM a\n<in>". */
static char *instr_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_buf struct cb_buf full = { 0 }, out = { 0 };

	cb_buf_addf(&full, "FROM a\n%s", in);
	assert_int_equal(cb_parse(full.data, full.len, &file, NULL), 0);
	assert_int_equal(file->n_stages, 1);
	assert_int_equal(file->stages[0].n_instrs, 1);
	add_instr(&out, &file->stages[0].instrs[0]);
	return cb_buf_take(&out);
}

static const struct grammar_case rows[] = {
	{ "COPY", "COPY a b c", "COPY source=a@2:6 source=b@2:8 dest=c@2:10" },
	{ "COPY over lines", "COPY a \\\n   b \\\n# x\n c", "COPY source=a@2:6 source=b@3:4 dest=c@5:2" },
	{ "COPY in JSON", "COPY [\"a b\", \"c\"]", "COPY source=a b@2:7 dest=c@2:14" },
	{ "COPY with flags", "COPY --from=x --chown=u:g --chmod=755 --link --parents --exclude=*.c --exclude=d a b",
		"COPY source=a@2:82 dest=b@2:84 from=x@2:13 chown=u:g@2:23 chmod=755@2:35 exclude=*.c@2:66 exclude=d@2:80 "
		"link parents" },
	{ "COPY with flags off", "COPY --link=false --parents=false a b", "COPY source=a@2:35 dest=b@2:37" },
	{ "COPY with empty flags", "COPY --from= --chown= --chmod= a b", "COPY source=a@2:32 dest=b@2:34" },
	{ "ADD", "ADD --checksum=sha256:x --keep-git-dir --unpack=false a b",
		"ADD source=a@2:55 dest=b@2:57 checksum=sha256:x@2:16 keep-git-dir no-unpack" },
	{ "ADD, explicitly off and on", "ADD --keep-git-dir=false --unpack a b",
		"ADD source=a@2:35 dest=b@2:37 no-keep-git-dir unpack" },
	{ "RUN", "RUN a  'b'", "RUN shell script=a  'b'@2:5" },
	{ "RUN nothing", "RUN", "RUN shell script=@2:1" },
	{ "RUN empty array", "RUN []", "RUN exec" },
	{ "RUN exec form", "RUN [\"a\", \"b\"]", "RUN exec argv=a@2:6 argv=b@2:11" },
	{ "RUN with flags", "RUN --network=host --security=insecure --device=d,required a",
		"RUN shell script=a@2:60 network=host security=1 device=d!" },
	{ "RUN with defaults written", "RUN --network=default --security=sandbox a",
		"RUN shell script=a@2:42 network=default security=0" },
	{ "HEALTHCHECK NONE", "HEALTHCHECK NONE", "HEALTHCHECK none" },
	{ "HEALTHCHECK CMD", "HEALTHCHECK CMD a b", "HEALTHCHECK shell argv=a b@2:17" },
	{ "HEALTHCHECK array", "HEALTHCHECK --retries=2 --interval=1s CMD [\"a\", \"b\"]",
		"HEALTHCHECK exec argv=a@2:44 argv=b@2:49 1000000000/0/0/0/2" },
	{ "HEALTHCHECK times", "HEALTHCHECK --interval=1ms --timeout=2s --start-period=3m --start-interval=4h CMD a",
		"HEALTHCHECK shell argv=a@2:83 1000000/2000000000/180000000000/14400000000000/0" },
	{ "ENV", "ENV a=b \\\n c=\"d e\"", "ENV key=a@2:5 value=b@2:7 key=c@3:2 value=\"d e\"@3:4" },
	{ "ENV legacy", "ENV a  b c", "ENV legacy key=a@2:5 value=b c@2:8" },
	{ "LABEL", "LABEL a= b=c", "LABEL key=a@2:7 value=@2:9 key=b@2:10 value=c@2:12" },
	{ "ARG", "ARG a b= c=$d", "ARG key=a@2:5 key=b@2:7 value=@2:9 key=c@2:10 value=$d@2:12" },
	{ "CMD shell form", "CMD a  b", "CMD shell argv=a  b@2:5" },
	{ "CMD exec form", "CMD [\"a\"]", "CMD exec argv=a@2:6" },
	{ "CMD empty array", "CMD []", "CMD exec" },
	{ "CMD nothing", "CMD", "CMD shell" },
	{ "ENTRYPOINT", "ENTRYPOINT [\"a\", \"b\"]", "ENTRYPOINT exec argv=a@2:13 argv=b@2:18" },
	{ "SHELL", "SHELL [\"a\", \"-c\"]", "SHELL word=a@2:8 word=-c@2:13" },
	{ "EXPOSE is sorted", "EXPOSE 90/udp 100 80 $p",
		"EXPOSE word=$p@2:22 word=100@2:15 word=80@2:19 word=90/udp@2:8" },
	{ "VOLUME", "VOLUME /a /b", "VOLUME word=/a@2:8 word=/b@2:11" },
	{ "VOLUME is trimmed", "VOLUME [\" /a \"]", "VOLUME word=/a@2:9" },
	{ "USER", "USER  a:b ", "USER text=a:b@2:7" },
	{ "WORKDIR", "WORKDIR /a b", "WORKDIR text=/a b@2:9" },
	{ "STOPSIGNAL", "STOPSIGNAL --a SIGINT", "STOPSIGNAL text=SIGINT@2:16" },
	{ "MAINTAINER", "MAINTAINER a b", "MAINTAINER text=a b@2:12" },
	{ "ONBUILD", "ONBUILD  COPY a b", "ONBUILD COPY a b | COPY source=a@2:15 dest=b@2:17" },
	{ "ONBUILD over lines", "onbuild \\\n  RUN a \\\n  b", "ONBUILD RUN a   b | RUN shell script=a   b@3:7" },
	{ "ONBUILD with a body", "ONBUILD RUN <<-A sh\n\tx\n\tA",
		"ONBUILD RUN <<-A sh\n\tx\nA | RUN shell script=<<-A sh\n\tx\nA@2:13" },
};

static void instructions(void **state)
{
	(void)state;
	run_cases(rows, ARRAY_SIZE(rows), instr_text);
}

static void stages(void **state)
{
	static const char in[] = "ARG v=1\n"
				 "FROM --platform=$P base:$v AS Build\n"
				 "RUN a \\\n"
				 "  b\n"
				 "FROM build\n"
				 "FROM x as BUILD\n"
				 "COPY <<A /\n"
				 "A\n";
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	const struct cb_stage *stage;

	(void)state;
	assert_int_equal(cb_parse(in, strlen(in), &file, NULL), 0);
	assert_int_equal(file->n_globals, 1);
	assert_string_equal(file->globals[0].pairs.v[0].key.s, "v");
	assert_int_equal(file->n_stages, 3);

	stage = &file->stages[0];
	assert_int_equal(stage->index, 0);
	assert_string_equal(stage->name, "build");
	assert_string_equal(stage->from->from.name_as_written, "Build");
	assert_string_equal(stage->base.s, "base:$v");
	assert_string_equal(stage->platform.s, "$P");
	assert_int_equal(stage->platform.col, 17);
	assert_int_equal(stage->n_instrs, 1);
	assert_int_equal(stage->line, 2);
	assert_int_equal(stage->end_line, 4);

	stage = &file->stages[1];
	assert_int_equal(stage->index, 1);
	assert_null(stage->name);
	assert_null(stage->platform.s);
	assert_int_equal(stage->n_instrs, 0);
	assert_int_equal(stage->end_line, 5);

	stage = &file->stages[2];
	assert_int_equal(stage->n_instrs, 1);
	assert_int_equal(stage->end_line, 8);
	assert_ptr_equal(cb_buildfile_stage(file, "BuIlD"), stage);
	assert_null(cb_buildfile_stage(file, "x"));
	assert_null(cb_buildfile_stage(file, "0"));
}

/* "keyword text", or the error, of an ONBUILD trigger. */
static char *trigger_text(const char *in)
{
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };

	if (cb_parse_trigger(in, &file, &err) < 0)
		return error_text(err);
	assert_int_equal(file->n_stages, 1);
	assert_null(file->stages[0].base.s);
	assert_int_equal(file->stages[0].n_instrs, 1);
	add_instr(&out, &file->stages[0].instrs[0]);
	return cb_buf_take(&out);
}

static void triggers(void **state)
{
	static const struct grammar_case cases[] = {
		{ "RUN", "RUN a", "RUN shell script=a@1:5" },
		{ "body", "COPY <<A /b\nx\nA", "COPY dest=/b@1:10" },
		{ "lower case", "env a=b", "ENV key=a@1:5 value=b@1:7" },
		{ "empty", "", "the Buildfile cannot be empty" },
		{ "two", "RUN a\nRUN b", "an ONBUILD trigger must be one instruction" },
		{ "FROM", "FROM a", "1:1: FROM isn't allowed as an ONBUILD trigger" },
		{ "ONBUILD", "ONBUILD RUN a", "1:1: ONBUILD isn't allowed as an ONBUILD trigger" },
		{ "MAINTAINER", "MAINTAINER a", "1:1: MAINTAINER isn't allowed as an ONBUILD trigger" },
		{ "unknown", "FOO",
			"1:1: unknown instruction: \"FOO\" (if it goes on with the instruction above, each line but the last must end in \\)" },
	};

	(void)state;
	run_cases(cases, ARRAY_SIZE(cases), trigger_text);
}

static void trigger_of_trigger(void **state)
{
	static const char in[] = "FROM a\nONBUILD COPY <<-'A' <<B c\n\t$x\n\tA\n y\nB\n";
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL, *again = NULL;
	const struct cb_copy *copy;

	(void)state;
	assert_int_equal(cb_parse(in, strlen(in), &file, NULL), 0);
	assert_int_equal(cb_parse_trigger(file->stages[0].instrs[0].onbuild.text.s, &again, NULL), 0);
	copy = &again->stages[0].instrs[0].copy;
	assert_int_equal(copy->n_files, 2);
	assert_string_equal(copy->files[0].data, "$x\n");
	assert_false(copy->files[0].expand);
	assert_string_equal(copy->files[1].data, " y\n");
	assert_true(copy->files[1].expand);
}

static void stage_names(void **state)
{
	static const struct {
		const char *name;
		bool valid;
	} names[] = {
		{ "a", true },
		{ "a0-_.", true },
		{ "scratch", true },
		{ "", false },
		{ "A", false },
		{ "0", false },
		{ "-a", false },
		{ "a b", false },
		{ "a/b", false },
		{ "a:b", false },
		{ "\xc3\xa4", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(cb_stage_name_valid(names[i].name), names[i].valid);
}

static void node_places(void **state)
{
	static const char in[] = "\n\\\n  FROM a\n  RUN \\\n# x\n    b\\\ncd\n";
	CB_CLEANUP(cb_buildfile_free) struct cb_buildfile *file = NULL;
	const struct cb_node *node;
	unsigned int line, col;

	(void)state;
	assert_int_equal(cb_parse(in, strlen(in), &file, NULL), 0);
	node = file->nodes[0];
	assert_int_equal(node->line, 2);
	assert_int_equal(node->end_line, 3);
	assert_string_equal(node->original, "  FROM a");
	assert_int_equal(node->args.v[0].line, 3);
	assert_int_equal(node->args.v[0].col, 8);

	node = file->nodes[1];
	assert_int_equal(node->line, 4);
	assert_int_equal(node->col, 3);
	assert_int_equal(node->end_line, 7);
	assert_string_equal(node->original, "RUN     bcd");
	assert_string_equal(node->rest, "bcd");
	cb_node_place(node, 8, &line, &col);
	assert_int_equal(line, 6);
	assert_int_equal(col, 5);
	cb_node_place(node, 10, &line, &col);
	assert_int_equal(line, 7);
	assert_int_equal(col, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions),
		cmocka_unit_test(stages),
		cmocka_unit_test(triggers),
		cmocka_unit_test(trigger_of_trigger),
		cmocka_unit_test(stage_names),
		cmocka_unit_test(node_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
