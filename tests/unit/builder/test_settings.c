/* The command line of `cbuild build` as values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "builder/settings.h"

static char *const environment[] = { (char *)"TOKEN=secret", (char *)"EMPTY=", (char *)"CBUILD_ROOT=/env/root", NULL };

/** Arguments are separated by '|'. */
static int parse(struct cb_settings *settings, const char *args, char *const *env, struct cb_err **err)
{
	cleanup_strv struct cb_strv argv = { 0 };

	cb_settings_init(settings);
	if (*args)
		cb_strv_split(&argv, args, '|');
	return cb_settings_parse(settings, (int)argv.n, argv.v, env, err);
}

static void add(struct cb_buf *out, const char *name, const char *value)
{
	if (value)
		cb_buf_addf(out, "%s%s=%s", out->len ? " " : "", name, value);
}

static void add_list(struct cb_buf *out, const char *name, const struct cb_strv *list)
{
	for (size_t i = 0; i < list->n; i++)
		add(out, name, list->v[i]);
}

static void add_number(struct cb_buf *out, const char *name, uint64_t value)
{
	if (value)
		cb_buf_addf(out, "%s%s=%llu", out->len ? " " : "", name, (unsigned long long)value);
}

static void add_signed(struct cb_buf *out, const char *name, int64_t value)
{
	if (value)
		cb_buf_addf(out, "%s%s=%lld", out->len ? " " : "", name, (long long)value);
}

/** Everything that differs from the defaults, in the order of the struct. */
static void show(struct cb_buf *out, const struct cb_settings *s)
{
	add(out, "file", s->file);
	add(out, "context", s->context);
	add(out, "target", s->target);
	add_list(out, "arg", &s->build_args);
	add_list(out, "ctx", &s->build_contexts);
	add_list(out, "platform", &s->platforms);
	add_list(out, "label", &s->labels);
	add_list(out, "tag", &s->tags);
	for (size_t i = 0; i < s->n_outputs; i++) {
		add(out, "type", s->outputs[i].type);
		add(out, "dest", s->outputs[i].dest);
		add_list(out, "attr", &s->outputs[i].attrs);
	}
	add(out, "iidfile", s->iidfile);
	add(out, "metadata", s->metadata_file);
	add_number(out, "no-cache", s->no_cache);
	add_list(out, "filter", &s->no_cache_filter);
	add_number(out, "pull", s->pull);
	add_number(out, "network", s->network);
	add_list(out, "host", &s->add_hosts);
	add_number(out, "shm", s->shm_size);
	for (size_t i = 0; i < s->n_ulimits; i++)
		cb_buf_addf(out, " ulimit=%s:%lld:%lld", s->ulimits[i].name, (long long)s->ulimits[i].soft,
			(long long)s->ulimits[i].hard);
	for (size_t i = 0; i < s->n_secrets; i++) {
		add(out, "secret", s->secrets[i].id);
		add(out, "src", s->secrets[i].src);
		add(out, "env", s->secrets[i].env);
	}
	add_list(out, "allow", &s->allow);
	add(out, "isolation", strcmp(s->isolation, "auto") ? s->isolation : NULL);
	add_signed(out, "memory", (int64_t)s->limits.memory);
	add_signed(out, "swap", s->limits.memory_swap);
	add_signed(out, "shares", (int64_t)s->limits.cpu_shares);
	add_signed(out, "period", (int64_t)s->limits.cpu_period);
	add_signed(out, "quota", s->limits.cpu_quota);
	add(out, "cpus", s->limits.cpuset_cpus);
	add(out, "mems", s->limits.cpuset_mems);
	add(out, "parent", s->limits.cgroup_parent);
	add_signed(out, "pids", s->limits.pids);
	if (s->security.seccomp_profile || s->security.seccomp_unconfined)
		cb_buf_addf(out, " seccomp=%s", s->security.seccomp_profile ? s->security.seccomp_profile : "none");
	if (s->security.no_new_privs)
		cb_buf_adds(out, " no-new-privileges");
	add_signed(out, "step-time", s->step_timeout);
	add_signed(out, "time", s->timeout);
	if (s->fetch_limit != CB_FETCH_LIMIT_DEFAULT)
		cb_buf_addf(out, " fetch=%llu", (unsigned long long)s->fetch_limit);
	if (s->fetch_timeout != CB_FETCH_TIMEOUT_DEFAULT)
		cb_buf_addf(out, " fetch-time=%lld", (long long)s->fetch_timeout);
	add(out, "hostname", s->hostname);
	add_list(out, "dns", &s->dns);
	add_list(out, "search", &s->dns_search);
	add_list(out, "option", &s->dns_options);
	add_number(out, "jobs", s->jobs);
	add(out, "root", strcmp(s->root, "/env/root") ? s->root : NULL);
	add(out, "ca", s->access.ca_cert);
	add_list(out, "insecure", &s->access.insecure);
	add_number(out, "push", s->push);
	add_number(out, "timeout", (uint64_t)s->access.timeout_s);
	add_number(out, "retries", (uint64_t)s->access.retries);
	add_number(out, "chunk", s->access.upload_chunk);
	add_number(out, "progress", s->progress);
	add_number(out, "quiet", s->quiet);
	add_number(out, "debug", s->debug);
	add_list(out, "ignored", &s->ignored);
}

static const struct {
	const char *args, *want;
} rows[] = {
	{ ".", "context=." },
	{ "-f|x/Buildfile|dir", "file=x/Buildfile context=dir" },
	{ "-f|-|.", "file=- context=." },
	{ "-", "context=-" },
	{ ".|--target|Prod", "context=. target=Prod" },
	{ ".|--build-arg|A=1|--build-arg|B=x=y", "context=. arg=A=1 arg=B=x=y" },
	{ ".|--build-arg|A=1|--build-arg|A=2", "context=. arg=A=2" },
	{ ".|--build-arg|A=", "context=. arg=A=" },
	{ ".|--build-arg|TOKEN|--build-arg|NOT_THERE|--build-arg|EMPTY", "context=. arg=TOKEN=secret arg=EMPTY=" },
	{ ".|--build-context|base=./dir|--build-context|go=/usr/lib/go",
		"context=. ctx=base=./dir ctx=go=/usr/lib/go" },
	{ ".|--platform|linux/amd64,linux/arm64", "context=. platform=linux/amd64 platform=linux/arm64" },
	{ ".|--label|a=1|--label|b|--label|a=2", "context=. label=a=2 label=b=" },
	{ ".|-t|a|-tb:1|--tag=c", "context=. tag=a tag=b:1 tag=c" },
	{ ".|-o|out", "context=. type=local dest=out" },
	{ ".|-o|-", "context=. type=tar dest=-" },
	{ ".|-o|type=oci,dest=x.tar", "context=. type=oci dest=x.tar" },
	{ ".|-o|dest=x.tar,type=docker,name=a:b,compression=zstd",
		"context=. type=docker dest=x.tar attr=name=a:b attr=compression=zstd" },
	{ ".|-o|type=oci,\"dest=a,b.tar\"", "context=. type=oci dest=a,b.tar" },
	{ ".|-o|type=oci,\"dest=a\"\"b\"", "context=. type=oci dest=a\"b" },
	{ ".|-o|TYPE=oci,Name=x,name=y", "context=. type=oci attr=name=y" },
	{ ".|-o|a|-o|type=image", "context=. type=local dest=a type=image" },
	{ ".|--iidfile|i|--metadata-file|m", "context=. iidfile=i metadata=m" },
	{ ".|--no-cache|--pull", "context=. no-cache=1 pull=1" },
	{ ".|--no-cache|--no-cache=false", "context=." },
	{ ".|--no-cache-filter|a, b|--no-cache-filter|c", "context=. filter=a filter=b filter=c" },
	{ ".|--network|none", "context=. network=1" },
	{ ".|--network|host", "context=. network=2 allow=network.host" },
	{ ".|--network|default", "context=." },
	{ ".|--add-host|db:10.0.0.1|--add-host|x=::1|--add-host|y:[fe80::1]",
		"context=. host=db=10.0.0.1 host=x=::1 host=y=fe80::1" },
	{ ".|--shm-size|64m", "context=. shm=67108864" },
	{ ".|--ulimit|nofile=10:20", "context=. ulimit=nofile:10:20" },
	{ ".|--ulimit|core=0|--ulimit|nproc=-1|--ulimit|stack=5:-1",
		"context=. ulimit=core:0:0 ulimit=nproc:-1:-1 ulimit=stack:5:-1" },
	{ ".|--secret|id=a,src=f", "context=. secret=a src=f" },
	{ ".|--secret|id=a,env=TOKEN", "context=. secret=a env=TOKEN" },
	{ ".|--secret|id=TOKEN", "context=. secret=TOKEN env=TOKEN" },
	{ ".|--secret|id=file.txt", "context=. secret=file.txt src=file.txt" },
	{ ".|--secret|type=env,id=x", "context=. secret=x env=x" },
	{ ".|--secret|type=file,id=TOKEN", "context=. secret=TOKEN src=TOKEN" },
	{ ".|--secret|type=env,id=x,src=TOKEN", "context=. secret=x env=TOKEN" },
	{ ".|--security-opt|seccomp=p.json|--security-opt|no-new-privileges:true",
		"context=. seccomp=p.json no-new-privileges" },
	{ ".|--security-opt|seccomp=p.json|--security-opt|seccomp=builtin|--security-opt|no-new-privileges|--security-opt|no-new-privileges=0",
		"context=." },
	{ ".|--allow|network.host|--allow|network.host|--allow|security.insecure",
		"context=. allow=network.host allow=security.insecure" },
	{ ".|--isolation|ranges", "context=. isolation=ranges" },
	{ ".|--isolation|default", "context=." },
	{ ".|-j|4", "context=. jobs=4" },
	{ ".|-j4", "context=. jobs=4" },
	{ ".|--root|/x", "context=. root=/x" },
	{ ".|--ca-cert|ca.pem|--insecure-registry|h:5000", "context=. ca=ca.pem insecure=h:5000" },
	{ ".|--push|--registry-timeout|7|--registry-retries|0|--upload-chunk|5m",
		"context=. push=1 timeout=7 retries=18446744073709551615 chunk=5242880" },
	{ ".|--progress|plain", "context=. progress=2" },
	{ ".|--progress=rawjson", "context=. progress=3" },
	{ ".|-q", "context=. progress=4 quiet=1" },
	{ ".|-D", "context=. debug=1" },
	{ ".|--rm|--compress=false|--force-rm", "context=. ignored=rm ignored=compress ignored=force-rm" },
	{ ".|-m|1g|--memory=2g|--memory-swap|3g", "context=. memory=2147483648 swap=3221225472" },
	{ ".|-m|8m|--memory-swap=-1|--pids-limit|0", "context=. memory=8388608 swap=-1 pids=-1" },
	{ ".|-c|5|--cpu-period|50000|--cpu-quota=25000|--cpuset-cpus|0-1,3|--cpuset-mems|0|--cgroup-parent|/a",
		"context=. shares=5 period=50000 quota=25000 cpus=0-1,3 mems=0 parent=/a" },
	{ ".|--resource|memory=64m,cpu-shares=7|--resource|cpuset-cpus=1",
		"context=. memory=67108864 shares=7 cpus=1" },
	{ ".|--fetch-limit|1g|--fetch-timeout|5m", "context=. fetch=1073741824 fetch-time=300000000000" },
	{ ".|--fetch-limit|0|--fetch-timeout|0", "context=. fetch=0 fetch-time=0" },
	{ ".|--pids-limit|100|--step-timeout|90|--timeout|1h",
		"context=. pids=100 step-time=90000000000 time=3600000000000" },
	{ ".|--hostname|h|--dns|::1|--dns|1.2.3.4|--dns-search|a.b|--dns-option|ndots:1",
		"context=. hostname=h dns=::1 dns=1.2.3.4 search=a.b option=ndots:1" },
	{ ".|--provenance=false|--sbom=false|--push=false", "context=." },
};

static void values_arrive(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_settings struct cb_settings settings;
		cleanup_err struct cb_err *err = NULL;
		cleanup_buf struct cb_buf got = { 0 };
		int r;

		print_message("# %s\n", rows[i].args);
		r = parse(&settings, rows[i].args, environment, &err);
		assert_string_equal(cb_err_msg(err), "");
		assert_int_equal(r, 0);
		show(&got, &settings);
		assert_string_equal(cb_buf_str(&got), rows[i].want);
	}
}

static const struct {
	const char *args, *message;
} errors[] = {
	{ "", "the context is missing" },
	{ "a|b", "one context, please: \"a\" and \"b\" are two" },
	{ ".|--", NULL },
	{ "-f|-|-", "context and Buildfile cannot both come from standard input" },
	{ ".|-f|", "--file is empty" },
	{ ".|--target=", "--target is empty" },
	{ ".|-t|", "--tag is empty" },
	{ ".|--build-arg|=x", "--build-arg is KEY=VALUE, not \"=x\"" },
	{ ".|--build-arg|", "--build-arg is KEY=VALUE, not \"\"" },
	{ ".|--build-context|x", "--build-context is KEY=VALUE, not \"x\"" },
	{ ".|--label|=x", "--label is KEY=VALUE, not \"=x\"" },
	{ ".|--sbom|true", "--sbom is not supported by this version of cbuild" },
	{ ".|--platform|a,,b", "--platform \"a,,b\" has an empty part" },
	{ ".|--no-cache-filter|", "--no-cache-filter \"\" has an empty part" },
	{ ".|-o|", "--output is empty" },
	{ ".|-o|dest=x", "--output dest=x: type= is missing" },
	{ ".|-o|type=oci,x", "--output type=oci,x: \"x\" is not key=value" },
	{ ".|-o|type=oci,dest=", "--output type=oci,dest=: dest= is empty" },
	{ ".|-o|type=,dest=x", "--output type=,dest=x: type= is missing" },
	{ ".|-o|type=oci,dest=a\"b", "--output: bare quote in \"type=oci,dest=a\"b\"" },
	{ ".|-o|\"type=oci", "--output: bad quoting in \"\"type=oci\"" },
	{ ".|--no-cache=x", "option --no-cache is true or false, not \"x\"" },
	{ ".|--network|bridge", "--network is default, none or host, not \"bridge\"" },
	{ ".|--add-host|x", "--add-host is NAME:IP, not \"x\"" },
	{ ".|--add-host|:1.2.3.4", "--add-host is NAME:IP, not \":1.2.3.4\"" },
	{ ".|--add-host|x:host-gate", "--add-host x:host-gate: \"host-gate\" is not an IP address" },
	{ ".|--add-host|x:1.2.3", "--add-host x:1.2.3: \"1.2.3\" is not an IP address" },
	{ ".|-m|x", "--memory is a size such as 512m, not \"x\"" },
	{ ".|-m|1m", "--memory is too small: the least is 6m" },
	{ ".|--memory-swap|1g", "--memory-swap counts memory and swap together: give --memory, too" },
	{ ".|-m|1g|--memory-swap|1m",
		"--memory-swap counts memory and swap together: it cannot be less than --memory" },
	{ ".|--cpu-shares|1", "--cpu-shares is a number from 2 to 262144, not \"1\"" },
	{ ".|--cpu-quota|5", "--cpu-quota is a number of microseconds from 1000, not \"5\"" },
	{ ".|--cpuset-cpus|a", "--cpuset-cpus is a list such as 0-3,7, not \"a\"" },
	{ ".|--pids-limit|-2", "--pids-limit is a number of processes, or -1 for any, not \"-2\"" },
	{ ".|--resource|disk=1g", "--resource disk=1g: \"disk=1g\" is not KEY=VALUE of a known key" },
	{ ".|--resource|memory=1g,cpu-shares=x",
		"--resource memory=1g,cpu-shares=x: --cpu-shares is a number from 2 to 262144, not \"x\"" },
	{ ".|--timeout|-1s", "--timeout is a time such as 90s or 1h30m, not \"-1s\"" },
	{ ".|--dns|a.b", "--dns is an IP address, not \"a.b\"" },
	{ ".|--shm-size|big", "--shm-size is a size such as 64m, not \"big\"" },
	{ ".|--ulimit|nofile", "--ulimit is NAME=SOFT[:HARD], not \"nofile\"" },
	{ ".|--ulimit|nofil=1", "--ulimit nofil=1: unknown limit \"nofil\"" },
	{ ".|--ulimit|nofile=a", "--ulimit nofile=a: a limit is a number, or -1 for none" },
	{ ".|--ulimit|nofile=1:", "--ulimit nofile=1:: a limit is a number, or -1 for none" },
	{ ".|--ulimit|nofile=-2", "--ulimit nofile=-2: a limit is a number, or -1 for none" },
	{ ".|--ulimit|nofile=2:1", "--ulimit nofile=2:1: the soft limit is above the hard one" },
	{ ".|--ulimit|nofile=-1:5", "--ulimit nofile=-1:5: the soft limit is above the hard one" },
	{ ".|--secret|src=x", "--secret src=x: id= is missing" },
	{ ".|--secret|id=a,x", "--secret id=a,x: \"x\" is not key=value" },
	{ ".|--secret|id=a,path=x", "--secret id=a,path=x: unknown key \"path\"" },
	{ ".|--secret|id=a,type=x", "--secret id=a,type=x: type is file or env, not \"x\"" },
	{ ".|--secret|id=a,src=f,env=E", "--secret id=a,src=f,env=E: src= and env= exclude each other" },
	{ ".|--security-opt|seccomp=unconfined",
		"--security-opt seccomp=unconfined: entitlement security.insecure is not allowed" },
	{ ".|--security-opt|seccomp", "--security-opt seccomp: a profile is missing" },
	{ ".|--security-opt|no-new-privileges=2", "--security-opt no-new-privileges is true or false, not \"2\"" },
	{ ".|--security-opt|no-new-privs", "--security-opt: unknown option \"no-new-privs\"" },
	{ ".|--allow|all", "--allow: unknown entitlement \"all\"" },
	{ ".|--isolation|vm", "--isolation: unknown mode \"vm\"" },
	{ ".|-j|0", "--jobs is a number from 1 to 4096, not \"0\"" },
	{ ".|-j|x", "--jobs is a number from 1 to 4096, not \"x\"" },
	{ ".|-j|5000", "--jobs is a number from 1 to 4096, not \"5000\"" },
	{ ".|--progress|fancy", "--progress: unknown mode \"fancy\"" },
	{ ".|--load=rkt", "--load is docker, podman or auto, not \"rkt\"" },
	{ ".|--registry-timeout|0", "--registry-timeout is a number from 1 to 86400, not \"0\"" },
	{ ".|--registry-retries|many", "--registry-retries is a number from 0 to 1000, not \"many\"" },
	{ ".|--upload-chunk|0", "--upload-chunk is a size such as 16m, not \"0\"" },
	{ ".|--cache-to|type=local,mode=max", "--cache-to type=local,mode=max: dest= is missing" },
	{ ".|--cache-from|type=gha", "--cache-from type=gha: there is no such type" },
	{ ".|--attest|x", "--attest is not supported by this version of cbuild" },
	{ ".|--ssh|=x", "--ssh =x: expected default, ID or ID=SOCKET|KEY" },
	{ ".|--ssh|x=", "--ssh x=: expected default, ID or ID=SOCKET|KEY" },
	{ ".|--ssh|x=a,,b", "--ssh x=a,,b has an empty part" },
	{ ".|--ssh|x|--ssh|x=/y", "--ssh x is given twice" },
	{ ".|--taget|x", "unknown option --taget" },
};

static void errors_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		cleanup_settings struct cb_settings settings;
		cleanup_err struct cb_err *err = NULL;
		int r;

		print_message("# %s\n", errors[i].args);
		r = parse(&settings, errors[i].args, environment, &err);
		assert_string_equal(cb_err_msg(err), errors[i].message ? errors[i].message : "");
		assert_int_equal(r, errors[i].message ? CB_ERR_USAGE : 0);
	}
}

static void environment_counts(void **state)
{
	cleanup_settings struct cb_settings settings;
	char *const env[] = { (char *)"BUILDKIT_PROGRESS=plain", (char *)"SOURCE_DATE_EPOCH=5", NULL };
	char *const bad[] = { (char *)"BUILDKIT_PROGRESS=loud", NULL };

	(void)state;
	assert_int_equal(parse(&settings, ".", env, NULL), 0);
	assert_int_equal(settings.progress, CB_PROGRESS_PLAIN);
	assert_string_equal(cb_env_get(&settings.build_args, "SOURCE_DATE_EPOCH"), "5");
	cb_settings_done(&settings);
	assert_int_equal(parse(&settings, ".|--progress=tty|--build-arg|SOURCE_DATE_EPOCH=7", env, NULL), 0);
	assert_int_equal(settings.progress, CB_PROGRESS_TTY);
	assert_string_equal(cb_env_get(&settings.build_args, "SOURCE_DATE_EPOCH"), "7");
	cb_settings_done(&settings);
	assert_int_equal(parse(&settings, ".", bad, NULL), CB_ERR_USAGE);
	cb_settings_done(&settings);
	assert_int_equal(parse(&settings, ".|--help|--nonsense", env, NULL), 1);
}

static void root_has_defaults(void **state)
{
	char *const home[] = { (char *)"HOME=/home/u", NULL }, *const xdg[] = { (char *)"XDG_DATA_HOME=/d", NULL };
	cleanup_free char *option = cb_settings_default_root("/o", environment);
	cleanup_free char *variable = cb_settings_default_root(NULL, environment);
	cleanup_free char *from_home = cb_settings_default_root(NULL, home);
	cleanup_free char *from_xdg = cb_settings_default_root(NULL, xdg);

	(void)state;
	assert_string_equal(option, "/o");
	assert_string_equal(variable, "/env/root");
	assert_string_equal(from_home, geteuid() ? "/home/u/.local/share/cbuild" : "/var/lib/cbuild");
	assert_string_equal(from_xdg, geteuid() ? "/d/cbuild" : "/var/lib/cbuild");
}

static void attributes_are_found(void **state)
{
	struct cb_output_spec spec;

	(void)state;
	assert_int_equal(cb_output_spec_parse("type=oci,dest=x,tar=false", &spec, NULL), 0);
	assert_string_equal(cb_output_spec_get(&spec, "tar"), "false");
	assert_null(cb_output_spec_get(&spec, "dest"));
	cb_output_spec_done(&spec);
}

static int set_extra(void *arg, int id, const char *value, struct cb_err **err)
{
	(void)err;
	assert_int_equal(id, CB_SETTINGS_EXTRA_ID);
	*(const char **)arg = value;
	return 0;
}

static void commands_add_options(void **state)
{
	static const struct cb_opt table[] = {
		{ "format", 0, CB_OPT_VALUE, CB_SETTINGS_EXTRA_ID, "F", "", NULL },
		{ 0 },
	};
	char *argv[] = { (char *)"--format", (char *)"dot", (char *)"-t", (char *)"x", (char *)"." };
	cleanup_settings struct cb_settings settings;
	const char *format = NULL;
	struct cb_settings_extra extra = { table, set_extra, &format };

	(void)state;
	cb_settings_init(&settings);
	assert_int_equal(cb_settings_parse_extra(&settings, &extra, 5, argv, environment, NULL), 0);
	assert_string_equal(format, "dot");
	assert_string_equal(settings.tags.v[0], "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_arrive),
		cmocka_unit_test(errors_are_told),
		cmocka_unit_test(environment_counts),
		cmocka_unit_test(root_has_defaults),
		cmocka_unit_test(attributes_are_found),
		cmocka_unit_test(commands_add_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
