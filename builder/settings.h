/*
 * What a build was asked to do: the command line of `cbuild build` as values.
 *
 * Filled by cb_settings_parse, read-only afterwards. Lists keep the order of the command line. Later issues add fields;
 * an option is in the table only when something acts on it.
 */
#ifndef CB_BUILDER_SETTINGS_H
#define CB_BUILDER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include "builder/access.h"
#include "builder/opt.h"
#include "parser/ast.h"
#include "runtime/spec.h"

/** Most concurrent RUN steps that --jobs takes. */
#define CB_SETTINGS_JOBS_MAX 4096
/** Of --fetch-limit and --fetch-timeout. */
#define CB_FETCH_LIMIT_DEFAULT (UINT64_C(16) << 30)
#define CB_FETCH_TIMEOUT_DEFAULT (INT64_C(3600) * 1000000000)

/** How progress is shown; AUTO is TTY on a terminal and PLAIN elsewhere. */
enum cb_progress_mode {
	CB_PROGRESS_AUTO,
	CB_PROGRESS_TTY,
	CB_PROGRESS_PLAIN,
	CB_PROGRESS_RAWJSON,
	CB_PROGRESS_QUIET,
	CB_PROGRESS_NONE,
};

/** What a build is asked for, --call. */
enum cb_call { CB_CALL_BUILD, CB_CALL_CHECK, CB_CALL_OUTLINE, CB_CALL_TARGETS };

/** --explain: tells at the end of a build why its steps ran. */
enum cb_explain_mode { CB_EXPLAIN_NONE, CB_EXPLAIN_TEXT, CB_EXPLAIN_JSON };

/** One -o: `type=oci,dest=x.tar,name=y` → type "oci", dest "x.tar", attrs "name=y". */
struct cb_output_spec {
	char *type;           /* oci docker local tar image registry cacheonly ... as written */
	char *dest;           /* path, "-" for standard output, or NULL */
	const char *engine;   /* docker without dest: --load=ENGINE; or NULL; borrowed */
	struct cb_strv attrs; /* the other keys as "k=v", in order */
};

/** One --secret: `id=x,src=FILE` or `id=x,env=NAME`. */
struct cb_secret_spec {
	char *id;
	char *src;           /* file, or NULL */
	char *env;           /* environment variable of cbuild, or NULL */
	struct cb_buf value; /* with @loaded; builder/secret.h */
	bool loaded;
};

/** One --ssh: `default`, `id=SOCKET[,raw=true]`, `id=KEY[,KEY…]`. */
struct cb_ssh_spec {
	char *id;
	bool raw;             /* the socket is no agent's: everything is passed on */
	struct cb_strv paths; /* a socket or key files; none: the agent of SSH_AUTH_SOCK */
};

/** One --ulimit: `nofile=1024:2048`. */
struct cb_ulimit_spec {
	char *name;
	int64_t soft, hard; /* -1: unlimited */
};

/** --security-opt, of all RUN steps. */
struct cb_security_options {
	char *seccomp_profile; /* path of a profile, or NULL: the default filter */
	bool seccomp_unconfined;
	bool no_new_privs;
	struct cb_strv warnings; /* about what was asked for and is not done */
};

/** Which layers of the result become one. */
enum cb_squash { CB_SQUASH_NONE, CB_SQUASH_NEW, CB_SQUASH_ALL };

struct cb_settings {
	/* what is built */
	char *file;                    /* -f; NULL: look in the context; "-": standard input */
	char *context;                 /* path, or "-"; never NULL after parsing */
	char *target;                  /* --target, or NULL: the last stage */
	struct cb_strv build_args;     /* "K=V"; a bare K took its value from the environment or was left out */
	struct cb_strv build_contexts; /* "name=value" */
	struct cb_strv platforms;      /* --platform, lists split at commas */
	struct cb_strv labels;         /* "K=V", later ones of a key replace earlier ones */
	enum cb_call call;
	bool call_json, call_ignore_status; /* format=json and ignorestatus of --call */
	/* what comes out */
	struct cb_strv tags;
	struct cb_output_spec *outputs;
	size_t n_outputs, cap_outputs;
	char *iidfile, *metadata_file, *digest_file, *output_env;
	struct cb_strv annotations; /* "[type:]key=value" */
	struct cb_strv ci_outputs;  /* "github", "tekton", "tekton=DIR" */
	char *load;                 /* into which engine: "auto", "docker", "podman"; or NULL */
	enum cb_squash squash;
	bool push;         /* to the registries of the names */
	bool reproducible; /* SOURCE_DATE_EPOCH has a default, and is the time of every file of new layers */
	/* cache */
	bool no_cache;
	bool pull;
	enum cb_explain_mode explain;
	struct cb_strv no_cache_filter;      /* stage names */
	struct cb_strv cache_from, cache_to; /* as given */
	struct cb_strv cache_mount_from, cache_mount_to;
	/* steps */
	enum cb_network network;  /* --network: of RUN steps without a flag of their own */
	struct cb_strv add_hosts; /* "name=address" */
	uint64_t shm_size;        /* bytes; 0: default */
	struct cb_limits limits;  /* its texts are the three that follow */
	char *cpuset_cpus, *cpuset_mems, *cgroup_parent;
	int64_t step_timeout, timeout; /* nanoseconds, of a RUN step and of the build; 0: none */
	uint64_t fetch_limit;          /* most bytes of a download or repository; 0: any */
	int64_t fetch_timeout;         /* nanoseconds for one of them; 0: any */
	char *hostname;                /* --hostname, or NULL */
	struct cb_strv dns, dns_search, dns_options;
	struct cb_ulimit_spec *ulimits;
	size_t n_ulimits, cap_ulimits;
	struct cb_secret_spec *secrets;
	size_t n_secrets, cap_secrets;
	struct cb_ssh_spec *ssh;
	size_t n_ssh, cap_ssh;
	struct cb_strv allow; /* entitlements: network.host, security.insecure */
	struct cb_security_options security;
	bool allow_secret_leak;
	char *isolation; /* "auto" or the name of a rung; never NULL after parsing */
	uint32_t jobs;   /* concurrent RUN steps; 0: chosen by the scheduler */
	/* environment of cbuild */
	char *root;              /* store: --root, CBUILD_ROOT, else the default; never NULL after parsing */
	struct cb_access access; /* registries; its certificates are for URLs, too */
	/* progress */
	enum cb_progress_mode progress;
	bool quiet; /* -q: only the image id on standard output */
	bool debug;
	/* legacy options that docker accepts without effect, as given; each earns one warning */
	struct cb_strv ignored;
};

/** Zeroes @settings and sets the defaults that do not depend on options. */
void cb_settings_init(struct cb_settings *settings);
void cb_settings_done(struct cb_settings *settings);
#define cleanup_settings __attribute__((cleanup(cb_settings_done)))

/**
 * Parses the arguments of `cbuild build` (argv[0] is the first argument, not the program) over an initialised struct.
 * @envp is a "K=V" array as main has it. 1 when --help was asked for and nothing else matters; CB_ERR_USAGE.
 */
int cb_settings_parse(
	struct cb_settings *settings, int argc, char *const *argv, char *const *envp, struct cb_err **err);

/** Options of a command that has more than those of build: ids from CB_SETTINGS_EXTRA_ID up go to @set. */
#define CB_SETTINGS_EXTRA_ID 1000
struct cb_settings_extra {
	const struct cb_opt *table; /* ended by a zero entry */
	int (*set)(void *arg, int id, const char *value, struct cb_err **err);
	void *arg;
};
/** As cb_settings_parse, for such a command. */
int cb_settings_parse_extra(struct cb_settings *settings, const struct cb_settings_extra *extra, int argc,
	char *const *argv, char *const *envp, struct cb_err **err);

/** The options of build, ended by a zero entry. */
extern const struct cb_opt cb_build_options[];
/**
 * Applies one option of cb_build_options; for a command that has some of them beside its own (it copies their entries).
 */
int cb_settings_set(struct cb_settings *settings, const struct cb_opt *opt, const char *value, char *const *envp,
	struct cb_err **err);
/** What follows the last option: defaults from the environment, contradictions. cb_settings_parse does it itself. */
int cb_settings_finish(struct cb_settings *settings, char *const *envp, struct cb_err **err);

/** Parses one -o value: "DIR", "-", or comma-separated key=value (CSV quotes allowed). Exposed for tests and `cbuild
 * run`. */
int cb_output_spec_parse(const char *text, struct cb_output_spec *ret, struct cb_err **err);
void cb_output_spec_done(struct cb_output_spec *spec);
/** The attribute @key, or NULL. */
const char *cb_output_spec_get(const struct cb_output_spec *spec, const char *key);

/** The mode called @text, which @source (an option or a variable, for errors) gave. */
int cb_progress_mode_parse(const char *source, const char *text, enum cb_progress_mode *ret, struct cb_err **err);
struct cb_platform;
/**
 * What --platform asks for: *ret are the platforms, each once, in their order (caller frees); without the option the
 * one of this machine. CB_ERR_USAGE.
 */
int cb_settings_platforms(
	const struct cb_settings *settings, struct cb_platform **ret, size_t *ret_n, struct cb_err **err);
/** The store directory: @option, else CBUILD_ROOT of @envp, else the default of this user. Caller frees. */
char *cb_settings_default_root(const char *option, char *const *envp);

#endif
