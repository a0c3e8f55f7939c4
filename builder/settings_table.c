/* The options of `cbuild build`: parser, help, completions and the check of the man page read this table. */
#include "builder/access_ids.h"
#include "builder/settings.h"
#include "builder/settings_ids.h"

#define VALUE CB_OPT_VALUE
#define FLAG CB_OPT_FLAG

/* Kept one line an option. */
/* clang-format off */
const struct cb_opt cb_build_options[] = {
	{ "add-host", 0, VALUE, SET_ADD_HOST, "NAME:IP", "add a line to /etc/hosts of RUN steps", NULL },
	{ "allow", 0, VALUE, SET_ALLOW, "ENTITLEMENT", "grant what a Buildfile may ask for: network.host, security.insecure", "network.host|security.insecure" },
	{ "allow-secret-leak", 0, FLAG, SET_ALLOW_SECRET_LEAK, NULL, "warn only when the image holds the value of a secret", NULL },
	{ "annotation", 0, VALUE, SET_ANNOTATION, "[TYPE:]KEY=VALUE", "add an annotation to the manifest; TYPE: manifest, manifest-descriptor", NULL },
	{ "build-arg", 0, VALUE, SET_BUILD_ARG, "KEY[=VALUE]", "set an ARG; without a value, from the environment", NULL },
	{ "build-context", 0, VALUE, SET_BUILD_CONTEXT, "NAME=SOURCE", "give FROM, COPY --from and mounts another source called NAME: DIR, docker-image://REF, oci-layout://DIR, a URL or a git repository", NULL },
	ACCESS_OPT_CA_CERT,
	{ "cache-from", 0, VALUE, SET_CACHE_FROM, "SOURCE", "look for results in a remote cache too: type=registry|local|http|s3 and where", NULL },
	{ "cache-to", 0, VALUE, SET_CACHE_TO, "DEST", "give results to a remote cache: type=registry|local|http|s3 and where; mode=max: of all steps", NULL },
	{ "call", 0, VALUE, SET_CALL, "METHOD[,format=json]", "build, or only answer: check, outline (arguments, secrets), targets (stages)", "build|check|outline|targets" },
	{ "cgroup-parent", 0, VALUE, SET_CGROUP_PARENT, "PATH", "make the control groups of RUN steps below PATH", NULL },
	{ "check", 0, FLAG, SET_CHECK, NULL, "report build checks and build nothing: --call=check", NULL },
	{ "ci-output", 0, VALUE, SET_CI_OUTPUT, "SYSTEM", "hand the result to the CI system: github, or tekton[=DIR]", "github|tekton" },
	{ "cpu-period", 0, VALUE, SET_CPU_PERIOD, "MICROSECONDS", "the period of --cpu-quota; default: 100000", NULL },
	{ "cpu-quota", 0, VALUE, SET_CPU_QUOTA, "MICROSECONDS", "processor time that a RUN step may use in each period", NULL },
	{ "cpu-shares", 'c', VALUE, SET_CPU_SHARES, "N", "weight of RUN steps when processors are busy; 1024 is usual", NULL },
	{ "cpuset-cpus", 0, VALUE, SET_CPUSET_CPUS, "LIST", "processors that RUN steps may use: 0-3,7", NULL },
	{ "cpuset-mems", 0, VALUE, SET_CPUSET_MEMS, "LIST", "memory nodes that RUN steps may use", NULL },
	{ "debug", 'D', FLAG, SET_DEBUG, NULL, "tell on standard error what happens inside", NULL },
	{ "digest-file", 0, VALUE, SET_DIGEST_FILE, "FILE", "write the digest of the manifest to FILE", "file" },
	{ "dns", 0, VALUE, SET_DNS, "IP", "name server of RUN steps, in place of the host's", NULL },
	{ "dns-option", 0, VALUE, SET_DNS_OPTION, "OPTION", "option line of resolv.conf in RUN steps", NULL },
	{ "dns-search", 0, VALUE, SET_DNS_SEARCH, "DOMAIN", "search domain of RUN steps", NULL },
	{ "explain", 0, CB_OPT_OPTIONAL, SET_EXPLAIN, "text|json", "say at the end, for each step, what it was that made it run", "text|json" },
	{ "file", 'f', VALUE, SET_FILE, "FILE", "the Buildfile (\"-\": standard input); default: Buildfile, Dockerfile, Containerfile or dockerfile in CONTEXT", "file" },
	{ "hostname", 0, VALUE, SET_HOSTNAME, "NAME", "host name in RUN steps; default: buildkitsandbox", NULL },
	{ "iidfile", 0, VALUE, SET_IIDFILE, "FILE", "write the image ID to FILE", "file" },
	ACCESS_OPT_INSECURE,
	{ "isolation", 0, VALUE, SET_ISOLATION, "MODE", "how RUN steps are separated from the host", "auto|root+userns|root|ranges|single|shared|chroot" },
	{ "jobs", 'j', VALUE, SET_JOBS, "N", "run at most N steps at the same time", NULL },
	{ "label", 0, VALUE, SET_LABEL, "KEY=VALUE", "add a label to the image", NULL },
	{ "memory", 'm', VALUE, SET_MEMORY, "SIZE", "memory that a RUN step may use: 512m, 2g", NULL },
	{ "memory-swap", 0, VALUE, SET_MEMORY_SWAP, "SIZE", "memory and swap together; -1: any amount of swap; default: twice --memory", NULL },
	{ "metadata-file", 0, VALUE, SET_METADATA_FILE, "FILE", "write digests and names of the result to FILE as JSON", "file" },
	{ "network", 0, VALUE, SET_NETWORK, "MODE", "network of RUN steps that do not say", "default|none|host" },
	{ "no-cache", 0, FLAG, SET_NO_CACHE, NULL, "run every step, use no earlier result", NULL },
	{ "no-cache-filter", 0, VALUE, SET_NO_CACHE_FILTER, "STAGE", "use no earlier result for these stages", NULL },
	{ "output", 'o', VALUE, SET_OUTPUT, "DEST", "where the result goes: DIR, \"-\", or type=oci|docker|local|tar|image|registry,dest=PATH", NULL },
	{ "output-env", 0, VALUE, SET_OUTPUT_ENV, "FILE", "write IMAGE_ID, IMAGE_DIGEST, IMAGE_NAME and IMAGE_REF to FILE, for a shell to read", "file" },
	{ "pids-limit", 0, VALUE, SET_PIDS_LIMIT, "N", "processes of a RUN step; -1: any number; default: 4096 where it can be set", NULL },
	{ "platform", 0, VALUE, SET_PLATFORM, "OS/ARCH", "the platform to build for; several, separated by commas, become an index", NULL },
	{ "progress", 0, VALUE, SET_PROGRESS, "MODE", "how progress is shown", "auto|tty|plain|rawjson|quiet|none" },
	{ "pull", 0, FLAG, SET_PULL, NULL, "look for newer base images even when there is a local one", NULL },
	{ "push", 0, FLAG, SET_PUSH, NULL, "push the image to the registries of its names: -o type=registry", NULL },
	{ "quiet", 'q', FLAG, SET_QUIET, NULL, "show no progress, print the image ID", NULL },
	ACCESS_OPT_RETRIES,
	ACCESS_OPT_TIMEOUT,
	{ "reproducible", 0, FLAG, SET_REPRODUCIBLE, NULL, "the same sources give the same image, byte for byte: all times are SOURCE_DATE_EPOCH, else the commit of the context, else 0", NULL },
	{ "resource", 0, VALUE, SET_RESOURCE, "KEY=VALUE", "memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus or cpuset-mems, as the option of that name", NULL },
	{ "root", 0, VALUE, SET_ROOT, "DIR", "the store; default: $CBUILD_ROOT, /var/lib/cbuild, or ~/.local/share/cbuild of an ordinary user", "dir" },
	{ "secret", 0, VALUE, SET_SECRET, "id=ID[,src=FILE|,env=NAME]", "offer a secret to RUN --mount=type=secret", NULL },
	{ "shm-size", 0, VALUE, SET_SHM_SIZE, "SIZE", "size of /dev/shm in RUN steps", NULL },
	{ "ssh", 0, VALUE, SET_SSH, "ID[=SOCKET|KEY]", "offer an SSH agent, or one with these keys, to RUN --mount=type=ssh", NULL },
	{ "step-timeout", 0, VALUE, SET_STEP_TIMEOUT, "TIME", "end a RUN step that takes longer: 90s, 1h30m", NULL },
	{ "tag", 't', VALUE, SET_TAG, "NAME[:TAG]", "name the image in the store and in the outputs", NULL },
	{ "target", 0, VALUE, SET_TARGET, "STAGE", "the stage to build; default: the last one", NULL },
	{ "timeout", 0, VALUE, SET_TIMEOUT, "TIME", "end the build when it takes longer", NULL },
	{ "ulimit", 0, VALUE, SET_ULIMIT, "NAME=SOFT[:HARD]", "resource limit of RUN steps", NULL },
	ACCESS_OPT_CHUNK,

	/* Accepted for old scripts, without effect but one warning. */
	{ "compress", 0, FLAG, SET_IGNORED, NULL, NULL, NULL },
	{ "force-rm", 0, FLAG, SET_IGNORED, NULL, NULL, NULL },
	{ "rm", 0, FLAG, SET_IGNORED, NULL, NULL, NULL },
	{ "squash", 0, FLAG, SET_IGNORED, NULL, NULL, NULL },
	{ "security-opt", 0, VALUE, SET_IGNORED, "OPTION", NULL, NULL },

	/* Of docker's client and not done here: named, so that the message says so. */
	{ "attest", 0, VALUE, SET_UNSUPPORTED, "ATTRS", NULL, NULL },
	{ "builder", 0, VALUE, SET_UNSUPPORTED, "NAME", NULL, NULL },
	{ "load", 0, FLAG, SET_UNSUPPORTED, NULL, NULL, NULL },
	{ "policy", 0, VALUE, SET_UNSUPPORTED, "ATTRS", NULL, NULL },
	{ "provenance", 0, VALUE, SET_UNSUPPORTED, "MODE", NULL, NULL },
	{ "sbom", 0, VALUE, SET_UNSUPPORTED, "MODE", NULL, NULL },
	{ 0 },
};
/* clang-format on */
