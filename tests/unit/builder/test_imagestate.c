/* What instructions leave in the image: configuration, history, environment. Through the planner, as a build does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "planfix.h"

#define D1 "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define PATH_ENV "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char base[] =
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2020-01-02T03:04:05Z\",\"config\":{\"Env\":[\"PATH=/b\",\"B=1\"],"
	"\"Cmd\":[\"sh\"],\"Entrypoint\":[\"/e\"],\"WorkingDir\":\"/base\",\"User\":\"joe\",\"Labels\":{\"l\":\"1\"},"
	"\"ExposedPorts\":{\"1/tcp\":{}},\"OnBuild\":[\"ENV T=1\"]},"
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\"]},"
	"\"history\":[{\"created\":\"2020-01-01T00:00:00Z\",\"created_by\":\"b\"}]}";

/* @want: the object "config" of the image. */
static const struct {
	const char *what, *text, *args;
	bool image;
	const char *want;
} configs[] = {
	{ "scratch", "FROM scratch\n", NULL, false, "{\"Env\":[\"" PATH_ENV "\"],\"WorkingDir\":\"/\"}" },
	{ "a base keeps all but its triggers", "FROM base\n", NULL, true,
		"{\"User\":\"joe\",\"ExposedPorts\":{\"1/tcp\":{}},\"Env\":[\"PATH=/b\",\"B=1\",\"T=1\"],\"Entrypoint\":[\"/"
		"e\"],\"Cmd\":[\"sh\"],\"WorkingDir\":\"/base\",\"Labels\":{\"l\":\"1\"}}" },
	{ "ENV replaces in place and sees the line before", "FROM scratch\nENV A=1 B=2\nENV A=3 C=$A-$B\n", NULL, false,
		"{\"Env\":[\"" PATH_ENV "\",\"A=3\",\"B=2\",\"C=1-2\"],\"WorkingDir\":\"/\"}" },
	{ "ARG never reaches the config", "FROM scratch\nARG A=1\nENV B=$A\nARG B=2\nENV C=$B\n", NULL, false,
		"{\"Env\":[\"" PATH_ENV "\",\"B=1\",\"C=2\"],\"WorkingDir\":\"/\"}" },
	{ "a build argument beats the default", "ARG A=0\nFROM scratch\nARG A=1\nARG N\nENV B=$A C=${N-unset}\n", "A=9",
		false, "{\"Env\":[\"" PATH_ENV "\",\"B=9\",\"C=unset\"],\"WorkingDir\":\"/\"}" },
	{ "a global argument must be declared", "ARG G=g\nFROM scratch\nENV A=${G-none}\nARG G\nENV B=$G\n", NULL,
		false, "{\"Env\":[\"" PATH_ENV "\",\"A=none\",\"B=g\"],\"WorkingDir\":\"/\"}" },
	{ "FROM stage inherits arguments", "FROM scratch AS a\nARG A=1\nFROM a\nENV B=$A\n", NULL, false,
		"{\"Env\":[\"" PATH_ENV "\",\"B=1\"],\"WorkingDir\":\"/\"}" },
	{ "platform arguments need ARG",
		"FROM scratch\nENV A=$TARGETARCH\nARG TARGETARCH TARGETSTAGE\nENV B=$TARGETARCH "
		"C=$TARGETSTAGE\n",
		NULL, false, "{\"Env\":[\"" PATH_ENV "\",\"A=\",\"B=amd64\",\"C=default\"],\"WorkingDir\":\"/\"}" },
	{ "shell forms use SHELL", "FROM scratch\nSHELL [\"/b\",\"-x\"]\nCMD a  \"b\"\n", NULL, false,
		"{\"Env\":[\"" PATH_ENV
		"\"],\"Cmd\":[\"/b\",\"-x\",\"a  \\\"b\\\"\"],\"WorkingDir\":\"/\",\"ArgsEscaped\":true,\"Shell\":[\"/b\",\"-x\"]}" },
	{ "ENTRYPOINT drops an inherited CMD", "FROM base\nENTRYPOINT [\"/x\"]\n", NULL, true,
		"{\"User\":\"joe\",\"ExposedPorts\":{\"1/tcp\":{}},\"Env\":[\"PATH=/b\",\"B=1\",\"T=1\"],\"Entrypoint\":[\"/"
		"x\"],\"WorkingDir\":\"/base\",\"Labels\":{\"l\":\"1\"}}" },
	{ "but not one of the stage", "FROM scratch\nCMD [\"c\"]\nENTRYPOINT [\"/x\"]\n", NULL, false,
		"{\"Env\":[\"" PATH_ENV
		"\"],\"Entrypoint\":[\"/x\"],\"Cmd\":[\"c\"],\"WorkingDir\":\"/\",\"ArgsEscaped\":true}" },
	{ "ports", "FROM scratch\nEXPOSE 90-91/UDP 80 127.0.0.1:8080:81\n", NULL, false,
		"{\"ExposedPorts\":{\"80/tcp\":{},\"81/tcp\":{},\"90/udp\":{},\"91/udp\":{}},\"Env\":[\"" PATH_ENV
		"\"],\"WorkingDir\":\"/\"}" },
	{ "ports with what publishes them", "FROM scratch\nEXPOSE [::1]:8080:81 ::1:1-2:90 :82 0083/ 9-10:11-12/Sctp\n",
		NULL, false,
		"{\"ExposedPorts\":{\"11/sctp\":{},\"12/sctp\":{},\"81/tcp\":{},\"82/tcp\":{},\"83/tcp\":{},\"90/tcp\":{}},"
		"\"Env\":[\"" PATH_ENV "\"],\"WorkingDir\":\"/\"}" },
	{ "volumes, labels, signal", "FROM scratch\nVOLUME /v [\"x\"]\nLABEL a=\"b c\" d=e\nSTOPSIGNAL SIGUSR1\n", NULL,
		false,
		"{\"Env\":[\"" PATH_ENV
		"\"],\"Volumes\":{\"/v\":{},\"[x]\":{}},\"WorkingDir\":\"/\",\"Labels\":{\"a\":\"b "
		"c\",\"d\":\"e\"},\"StopSignal\":\"SIGUSR1\"}" },
	{ "WORKDIR joins, USER stays text", "FROM base\nWORKDIR x\nWORKDIR ../y/.\nUSER ${U:-me}:grp\n", NULL, true,
		"{\"User\":\"me:grp\",\"ExposedPorts\":{\"1/tcp\":{}},\"Env\":[\"PATH=/b\",\"B=1\",\"T=1\"],\"Entrypoint\":[\"/"
		"e\"],\"Cmd\":[\"sh\"],\"WorkingDir\":\"/base/y\",\"Labels\":{\"l\":\"1\"}}" },
	{ "triggers are stored", "FROM scratch\nONBUILD RUN make\nONBUILD COPY a b\n", NULL, false,
		"{\"Env\":[\"" PATH_ENV "\"],\"WorkingDir\":\"/\",\"OnBuild\":[\"RUN make\",\"COPY a b\"]}" },
	{ "HEALTHCHECK", "FROM scratch\nHEALTHCHECK --interval=5s --retries=2 CMD [\"a\"]\n", NULL, false,
		"{\"Env\":[\"" PATH_ENV
		"\"],\"WorkingDir\":\"/\",\"Healthcheck\":{\"Test\":[\"CMD\",\"a\"],\"Interval\":5000000000,\"Retries\":2}}" },
};

static void configuration(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++) {
		struct planfix fix;
		cleanup_free char *text = NULL, *got = NULL, *want = NULL;
		cleanup_json json_t *doc = NULL, *expected = NULL;
		int r = planfix_init(&fix, configs[i].text, configs[i].args, NULL, configs[i].image ? base : NULL);

		print_message("# %s%s\n", configs[i].what, cb_err_msg(fix.err));
		assert_int_equal(r, 0);
		text = cb_image_config_write(fix.plan->targets[0].image->config, NULL);
		assert_int_equal(cb_json_parse(text, strlen(text), &doc, NULL), 0);
		assert_int_equal(cb_json_parse(configs[i].want, strlen(configs[i].want), &expected, NULL), 0);
		got = cb_json_dump(json_object_get(doc, "config"), true);
		want = cb_json_dump(expected, true);
		assert_string_equal(got, want);
		planfix_done(&fix);
	}
}

/* @want: created_by of the new items, "+" before those with a layer. */
static const struct {
	const char *what, *text, *args, *want;
} histories[] = {
	{ "all forms",
		"FROM scratch\nENV a=b c=d\nLABEL x=y\nARG n=v m\nWORKDIR /w\nWORKDIR /\nUSER u\nCMD [\"x\",\"y z\"]\n"
		"ENTRYPOINT x\nEXPOSE 90/udp 80\nVOLUME /a /b\nSHELL [\"a\",\"b\"]\nSTOPSIGNAL 9\nMAINTAINER me\n"
		"HEALTHCHECK --interval=90s CMD curl x\nONBUILD RUN x\n",
		NULL,
		" ENV a=b c=d\n LABEL x=y\n ARG n=v m\n+WORKDIR /w\n WORKDIR /\n USER u\n CMD [\"x\" \"y z\"]\n"
		" ENTRYPOINT [\"/bin/sh\" \"-c\" \"x\"]\n EXPOSE [80/tcp 90/udp]\n VOLUME [/a /b]\n SHELL [a b]\n"
		" STOPSIGNAL 9\n MAINTAINER me\n"
		" HEALTHCHECK {Test:[CMD-SHELL curl x] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s "
		"Retries:0}\n" },
	{ "COPY shows expanded values", "FROM scratch\nARG D=/d\nCOPY --chown=1:2 --chmod=644 a b $D/ \n", NULL,
		" ARG D=/d\n+COPY --chown=1:2 --chmod=644 a b /d/ # buildkit\n" },
	{ "COPY without what is no content", "FROM scratch AS x\nFROM scratch\nCOPY --from=x --link --exclude=y a b\n",
		NULL, "+COPY a b # buildkit\n" },
	{ "ADD and here-documents", "FROM scratch\nADD a <<F1 <<F2 /d/\nx\nF1\ny\nF2\n", NULL,
		"+ADD a <<F1 <<F2 /d/ # buildkit\n" },
	{ "RUN", "FROM base\nRUN echo  \"x\"\nRUN [\"a\",\"b c\"]\n", NULL,
		"+RUN /bin/sh -c echo  \"x\" # buildkit\n+RUN a b c # buildkit\n" },
	{ "RUN with arguments", "FROM base\nARG A=1\nARG B\nENV A=2\nRUN x\n", NULL,
		" ARG A=1\n ARG B\n ENV A=2\n+RUN |2 A=2 B= /bin/sh -c x # buildkit\n" },
	{ "proxies stay out", "FROM base\nARG A=1\nRUN x\n", "HTTP_PROXY=http://p",
		" ARG A=1\n+RUN |1 A=1 /bin/sh -c x # buildkit\n" },
};

static void history(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(histories); i++) {
		struct planfix fix;
		cleanup_buf struct cb_buf out = { 0 };
		const struct cb_image_config *config;
		int r = planfix_init(&fix, histories[i].text, histories[i].args, NULL, NULL);

		print_message("# %s%s\n", histories[i].what, cb_err_msg(fix.err));
		assert_int_equal(r, 0);
		config = fix.plan->targets[0].image->config;
		for (size_t k = 0; k < config->n_history; k++) {
			assert_string_equal(config->history[k].comment, "buildkit.dockerfile.v0");
			cb_buf_addf(&out, "%s%s\n", config->history[k].empty_layer ? " " : "+",
				config->history[k].created_by);
		}
		assert_string_equal(cb_buf_str(&out), histories[i].want);
		planfix_done(&fix);
	}
}

/* Times and layers of the finished image, one line an item: time, layer. */
static void finish(void **state)
{
	struct planfix fix;
	struct cb_image_layer_fact facts[3] = { { .base = true }, { .created = { .tv_sec = 100 } },
		{ .created = { .tv_sec = 200 } } };
	static const char *const want[] = { "2020-01-01T00:00:00Z", "1970-01-01T00:01:40Z", "1970-01-01T00:01:40Z",
		"1970-01-01T00:01:40Z", "1970-01-01T00:01:40Z", "1970-01-01T00:03:20Z", "1970-01-01T00:03:20Z" };
	const struct cb_image_config *config;

	(void)state;
	assert_int_equal(
		planfix_init(&fix, "FROM base\nENV A=1\nWORKDIR /a\nENV B=1\nRUN x\nENV C=1\n", NULL, NULL, base), 0);
	cb_digest_parse(D1, &facts[0].diff_id);
	cb_digest_of("1", 1, &facts[1].diff_id);
	cb_digest_of("2", 1, &facts[2].diff_id);
	cb_imagestate_finish(fix.plan->targets[0].image, facts, 3, NULL);
	config = fix.plan->targets[0].image->config;
	assert_int_equal(config->n_history, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(config->history[i].created, want[i]);
	assert_string_equal(config->created, "1970-01-01T00:03:20Z");
	assert_int_equal(config->n_diff_ids, 3);
	planfix_done(&fix);
}

static void metadata_only_keeps_the_time_of_its_base(void **state)
{
	struct planfix fix;
	struct cb_image_layer_fact fact = { .base = true };

	(void)state;
	assert_int_equal(planfix_init(&fix, "FROM base\nENV A=1\n", NULL, NULL, base), 0);
	cb_digest_parse(D1, &fact.diff_id);
	cb_imagestate_finish(fix.plan->targets[0].image, &fact, 1, NULL);
	assert_string_equal(fix.plan->targets[0].image->config->created, "2020-01-01T00:00:00Z");
	planfix_done(&fix);
}

static void epoch_rules_new_times(void **state)
{
	struct planfix fix;
	struct cb_image_layer_fact facts[2] = { { .base = true }, { .created = { .tv_sec = 100 } } };
	struct timespec epoch = { .tv_sec = 7 };

	(void)state;
	assert_int_equal(planfix_init(&fix, "FROM base\nRUN x\n", NULL, NULL, base), 0);
	cb_digest_parse(D1, &facts[0].diff_id);
	cb_digest_of("1", 1, &facts[1].diff_id);
	cb_imagestate_finish(fix.plan->targets[0].image, facts, 2, &epoch);
	assert_string_equal(fix.plan->targets[0].image->config->history[0].created, "2020-01-01T00:00:00Z");
	assert_string_equal(fix.plan->targets[0].image->config->created, "1970-01-01T00:00:07Z");
	planfix_done(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration),
		cmocka_unit_test(history),
		cmocka_unit_test(finish),
		cmocka_unit_test(metadata_only_keeps_the_time_of_its_base),
		cmocka_unit_test(epoch_rules_new_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
