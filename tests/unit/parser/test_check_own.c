/* Our own rules: where each fires and where it is silent. */
#include "unit/parser/check_cases.h"

static char *rules(const char *in)
{
	struct cb_check_options opts = { .own = true };

	return rules_text(in, &opts);
}

#define TEST(table)                                                                                                    \
	static void own_##table(void **state)                                                                          \
	{                                                                                                              \
		(void)state;                                                                                           \
		run_cases(table, ARRAY_SIZE(table), rules);                                                            \
	}

#define ON "FROM a:1\n"
#define CLEAN " && rm -rf /var/lib/apt/lists/*"

static const struct grammar_case images[] = {
	{ "no tag", "FROM a", "1 UnpinnedBaseImage" },
	{ "no tag but a port", "FROM host:5000/a", "1 UnpinnedBaseImage" },
	{ "by an argument", "ARG x=a\nFROM $x", "2 UnpinnedBaseImage" },
	{ "COPY --from", ON "COPY --from=a/b c d", "2 UnpinnedBaseImage" },
	{ "tag", "FROM host:5000/a:1", "" },
	{ "digest", "FROM a@sha256:00", "" },
	{ "stage", "FROM a:1 AS b\nFROM b\nCOPY --from=b c d\nCOPY --from=0 e f", "" },
	{ "scratch", "FROM scratch", "" },
	{ "latest", "FROM a:latest", "1 LatestTag" },
	{ "latest with a host", "FROM host/a:latest", "1 LatestTag" },
	{ "latest of COPY", ON "COPY --from=a:latest b c", "2 LatestTag" },
	{ "latest in a name", "FROM latest:1", "" },
	{ "latest and more", "FROM a:latest-slim", "" },
	{ "latest and digest", "FROM a:latest@sha256:00", "" },
	{ "skipped", "# check=skip=UnpinnedBaseImage\nFROM a", "" },
};
TEST(images)

static const struct grammar_case apt[] = {
	{ "recommends", ON "RUN apt-get install -y b", "2 AptGetNoRecommends" },
	{ "recommends in a chain", ON "RUN a && b=c apt-get -y install d; e", "2 AptGetNoRecommends" },
	{ "recommends in sh -c", ON "RUN [\"sh\", \"-c\", \"apt-get install -y b\"]", "2 AptGetNoRecommends" },
	{ "recommends under sudo", ON "RUN sudo -E apt-get install -y b", "2 AptGetNoRecommends, 2 SudoInRun" },
	{ "none", ON "RUN apt-get install -y --no-install-recommends b", "" },
	{ "none by an option", ON "RUN apt-get -o APT::Install-Recommends=false install -y b", "" },
	{ "not installing", ON "RUN apt-get remove -y b", "" },
	{ "words", ON "RUN echo apt-get install b", "" },
	{ "quoted", ON "RUN echo 'x; apt-get install b'", "" },
	{ "comment", ON "RUN <<E\n# apt-get install b\ntrue\nE", "" },

	{ "no -y", ON "RUN apt-get install --no-install-recommends b", "2 AptGetYes" },
	{ "-q is not enough", ON "RUN apt-get install -q --no-install-recommends b", "2 AptGetYes" },
	{ "here-document", ON "RUN <<E\napt-get install --no-install-recommends b\nE", "2 AptGetYes" },
	{ "--yes", ON "RUN apt-get install --yes --no-install-recommends b", "" },
	{ "-qqy", ON "RUN apt-get -qqy install --no-install-recommends b", "" },
	{ "--assume-yes", ON "RUN apt-get install --no-install-recommends b --assume-yes", "" },

	{ "update alone", ON "RUN apt-get update", "2 AptGetUpdateAlone" },
	{ "update and others", ON "RUN apt-get update && apt-get clean", "2 AptGetUpdateAlone" },
	{ "update in a pipe", ON "RUN yes | apt-get update", "2 AptGetUpdateAlone" },
	{ "update and install", ON "RUN apt-get update && apt-get install -y --no-install-recommends b" CLEAN, "" },
	{ "update and upgrade", ON "RUN apt-get update && apt-get upgrade -y", "" },
	{ "update into a cache", ON "RUN --mount=type=cache,target=/var/lib/apt apt-get update", "" },

	{ "lists", ON "RUN apt-get update && apt-get install -y --no-install-recommends b", "2 AptListsKept" },
	{ "lists and clean", ON "RUN apt-get update && apt-get install -y --no-install-recommends b && apt-get clean",
		"2 AptListsKept" },
	{ "lists and another rm",
		ON "RUN apt-get update && apt-get install -y --no-install-recommends b && rm -rf /tmp/*",
		"2 AptListsKept" },
	{ "lists removed", ON "RUN apt-get update && apt-get install -y --no-install-recommends b" CLEAN, "" },
	{ "lists mounted",
		ON "RUN --mount=type=cache,target=/var/lib/apt/lists apt-get update && apt-get install -y "
		   "--no-install-recommends b",
		"" },
	{ "lists of an earlier step", ON "RUN apt-get install -y --no-install-recommends b", "" },

	{ "apt", ON "RUN apt list", "2 AptCommand" },
	{ "apt behind then", ON "RUN if a; then apt list; fi", "2 AptCommand" },
	{ "apt in full", ON "RUN /usr/bin/apt list", "2 AptCommand" },
	{ "apt-cache", ON "RUN apt-cache policy", "" },
	{ "apt as a word", ON "RUN echo apt", "" },
	{ "apt in a path", ON "RUN rm /etc/apt", "" },
};
TEST(apt)

static const struct grammar_case others[] = {
	{ "apk", ON "RUN apk add b", "2 ApkCacheKept" },
	{ "apk update", ON "RUN apk update && apk add b", "2 ApkCacheKept" },
	{ "apk virtual", ON "RUN apk add --virtual x b", "2 ApkCacheKept" },
	{ "apk --no-cache", ON "RUN apk add --no-cache b", "" },
	{ "apk --no-cache before", ON "RUN apk --no-cache add b", "" },
	{ "apk with a cache", ON "RUN --mount=type=cache,target=/var/cache/apk apk add b", "" },
	{ "apk del", ON "RUN apk del b", "" },

	{ "pip", ON "RUN pip install b", "2 PipCacheKept" },
	{ "pip3", ON "RUN pip3 install -r b", "2 PipCacheKept" },
	{ "python -m pip", ON "RUN python3.11 -m pip install b", "2 PipCacheKept" },
	{ "pip without cache", ON "RUN pip install --no-cache-dir b", "" },
	{ "pip by ENV", ON "ENV PIP_NO_CACHE_DIR=1\nRUN pip install b", "" },
	{ "pip with a cache", ON "RUN --mount=type=cache,target=/root/.cache/pip pip install b", "" },
	{ "pipx", ON "RUN pipx install b", "" },

	{ "sudo", ON "RUN sudo a", "2 SudoInRun" },
	{ "sudo later", ON "RUN a && sudo b", "2 SudoInRun" },
	{ "sudo in the exec form", ON "RUN [\"sudo\", \"a\"]", "2 SudoInRun" },
	{ "installing sudo", ON "RUN apk add --no-cache sudo", "" },
	{ "a file of sudo", ON "RUN rm /etc/sudoers", "" },
	{ "sudo in quotes", ON "RUN echo 'a; sudo b'", "" },

	{ "cd", ON "RUN cd /a && b", "2 CdInRun" },
	{ "cd ;", ON "RUN cd a; b", "2 CdInRun" },
	{ "cd on a line", ON "RUN <<E\ncd a\nb\nE", "2 CdInRun" },
	{ "cd later", ON "RUN a && cd b && c", "" },
	{ "cdrecord", ON "RUN cdrecord a", "" },
	{ "cd home", ON "RUN cd && b", "" },

	{ "two RUN", ON "RUN a\nRUN b", "3 ConsecutiveRun" },
	{ "three RUN are one row", ON "RUN a\nRUN b\nRUN c", "3 ConsecutiveRun" },
	{ "comment between", ON "RUN a\n\n# b\nRUN c", "5 ConsecutiveRun" },
	{ "one RUN", ON "RUN a", "" },
	{ "something between", ON "RUN a\nUSER b\nRUN c", "" },
	{ "other flags", ON "RUN a\nRUN --network=none b", "" },
	{ "other stage", ON "RUN a\n" ON "RUN b", "" },
};
TEST(others)

static const struct grammar_case files[] = {
	{ "ADD", ON "ADD a /", "2 AddInsteadOfCopy" },
	{ "ADD a folder", ON "ADD . /", "2 AddInsteadOfCopy" },
	{ "ADD two", ON "ADD a b /", "2 AddInsteadOfCopy" },
	{ "here-document", ON "ADD <<E /a\nE", "2 AddInsteadOfCopy" },
	{ "archive", ON "ADD a.tar.gz /", "" },
	{ "wildcard of archives", ON "ADD *.TGZ /", "" },
	{ "one of two", ON "ADD a b.tar /", "" },
	{ "URL", ON "ADD https://a/b /", "" },
	{ "git", ON "ADD git@a:b.git#c:d /", "" },
	{ "variable", ON "ARG a=b\nADD $a /", "" },
	{ "unpack", ON "ADD --unpack=false a /", "" },
	{ "COPY", ON "COPY a /", "" },

	{ "root", ON "USER root", "2 LastUserRoot" },
	{ "0:0", ON "USER 0:0", "2 LastUserRoot" },
	{ "root again", ON "USER a\nUSER root", "3 LastUserRoot" },
	{ "by an argument", ON "ARG u=root\nUSER $u:$u", "3 LastUserRoot" },
	{ "of the stage below", "FROM a:1 AS b\nUSER 0\nFROM b", "2 LastUserRoot" },
	{ "not the last", ON "USER root\nUSER a", "" },
	{ "no USER", ON, "" },
	{ "another stage", ON "USER root\n" ON "USER a", "" },
	{ "name begins with it", ON "USER rootless", "" },
};
TEST(files)

/* They are only for those who ask. */
static void own_off(void **state)
{
	cleanup_free char *got = rules_text("FROM a\nADD b c\nRUN sudo apt update\nRUN cd x && y\nUSER root", NULL);

	(void)state;
	assert_string_equal(got, "");
}

static void rule_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < CB_RULE_MAX_; i++) {
		const struct cb_rule *rule = &cb_rules[i];

		assert_non_null(rule->name);
		assert_non_null(rule->summary);
		assert_int_equal(rule->own, i >= CB_RULE_FIRST_OWN_);
		if (i != CB_RULE_INVALID_BASE_IMAGE_PLATFORM)
			assert_non_null(rule->url);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(rule->name, cb_rules[k].name);
	}
}

static void severities(void **state)
{
	enum cb_severity severity;

	(void)state;
	for (enum cb_severity i = CB_SEVERITY_ERROR; i <= CB_SEVERITY_STYLE; i++) {
		assert_true(cb_severity_parse(cb_severity_name(i), &severity));
		assert_int_equal(severity, i);
	}
	assert_false(cb_severity_parse("bad", &severity));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_images),
		cmocka_unit_test(own_apt),
		cmocka_unit_test(own_others),
		cmocka_unit_test(own_files),
		cmocka_unit_test(own_off),
		cmocka_unit_test(rule_table),
		cmocka_unit_test(severities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
