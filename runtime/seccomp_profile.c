#include "runtime/seccomp_profile.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/late.h"
#include "runtime/sandbox.h"
#include "runtime/seccomp_rules.h"

/* Numbers of x32 have this bit. */
#define X32_BIT 0x40000000U

static struct cb_late lib = CB_LATE_INIT("libseccomp.so.2");

/* What of libseccomp is called; all of it or nothing. */
struct calls {
	scmp_filter_ctx (*init)(uint32_t);
	void (*release)(scmp_filter_ctx);
	int (*attr_set)(scmp_filter_ctx, enum scmp_filter_attr, uint32_t);
	uint32_t (*arch_native)(void);
	int (*arch_add)(scmp_filter_ctx, uint32_t);
	int (*arch_remove)(scmp_filter_ctx, uint32_t);
	int (*resolve)(uint32_t, const char *);
	int (*add)(scmp_filter_ctx, uint32_t, int, unsigned int, const struct scmp_arg_cmp *);
	int (*export_bpf)(scmp_filter_ctx, int);
};

static int load(struct calls *c, struct cb_err **err)
{
	static const char *const names[] = { "seccomp_init", "seccomp_release", "seccomp_attr_set",
		"seccomp_arch_native", "seccomp_arch_add", "seccomp_arch_remove", "seccomp_syscall_resolve_name_arch",
		"seccomp_rule_add_array", "seccomp_export_bpf" };
	void *found[ARRAY_SIZE(names)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		found[i] = cb_late_find(&lib, names[i]);
		if (found[i])
			continue;
		cb_err_set(err, CB_ERR_UNSUPPORTED, "profiles need the library libseccomp.so.2");
		return cb_err_hint(err, CB_ERR_UNSUPPORTED, "install it: apt-get install libseccomp2");
	}
	_Static_assert(sizeof(*c) == sizeof(found), "one function for each name");
	memcpy(c, found, sizeof(found));
	return 0;
}

void cb_seccomp_host_init(struct cb_seccomp_host *ret)
{
	struct utsname uts;

	*ret = (struct cb_seccomp_host){ .caps = CB_CAPS_DEFAULT };
	if (uname(&uts) == 0)
		(void)cb_seccomp_version(uts.release, &ret->kernel, &ret->major);
}

static int refuse(const char *name, const char *what, int errnum, struct cb_err **err)
{
	return cb_err_set(err, CB_ERR_USAGE, "%s: %s: %s", name, what, strerror(errnum));
}

static int set_arches(const struct calls *c, scmp_filter_ctx ctx, const char *name,
	const struct cb_seccomp_rules *rules, uint32_t host, struct cb_err **err)
{
	int r = 0;

	if (host != c->arch_native()) {
		r = c->arch_add(ctx, host);
		if (r == 0)
			r = c->arch_remove(ctx, c->arch_native());
	}
	for (size_t i = 0; r == 0 && i < rules->n_arches; i++) {
		r = c->arch_add(ctx, rules->arches[i]);
		/* There already; or of the other byte order, and so of another machine. */
		if (r == -EEXIST || r == -EDOM)
			r = 0;
	}
	return r < 0 ? refuse(name, "architectures", -r, err) : 0;
}

static int add_call(const struct calls *c, scmp_filter_ctx ctx, const struct cb_seccomp_rule *rule, int nr)
{
	bool twice = false;
	int r = 0;

	for (unsigned int i = 0; i < rule->n_args; i++)
		for (unsigned int j = 0; j < i; j++)
			twice |= rule->args[i].arg == rule->args[j].arg;
	if (!twice)
		return c->add(ctx, rule->action, nr, rule->n_args, rule->args);
	/* Two conditions on one argument: runc takes all conditions as alternatives then. */
	for (unsigned int i = 0; r == 0 && i < rule->n_args; i++)
		r = c->add(ctx, rule->action, nr, 1, &rule->args[i]);
	return r;
}

static int add_rule(const struct calls *c, scmp_filter_ctx ctx, const char *name, const struct cb_seccomp_rules *rules,
	const struct cb_seccomp_rule *rule, struct cb_strv *unknown, struct cb_err **err)
{
	/* libseccomp refuses what says nothing. */
	if (rule->action == rules->default_action)
		return 0;
	for (size_t i = 0; i < rule->names.n; i++) {
		const char *call = rule->names.v[i];
		/* Rules are in numbers of the native architecture, and translated by name. */
		int nr = c->resolve(c->arch_native(), call);
		if (nr == __NR_SCMP_ERROR) {
			if (rules->default_action == SCMP_ACT_ALLOW || rules->default_action == SCMP_ACT_LOG)
				cb_strv_add(unknown, call);
			continue;
		}
		int r = add_call(c, ctx, rule, nr);
		/* Once more the same is no mistake. */
		if (r < 0 && r != -EEXIST)
			return refuse(name, call, -r, err);
	}
	return 0;
}

/* The highest number that a rule names. */
static uint32_t highest(const struct calls *c, const struct cb_seccomp_rules *rules, uint32_t arch)
{
	uint32_t most = 0;

	for (size_t i = 0; i < rules->n_rules; i++)
		for (size_t j = 0; j < rules->rules[i].names.n; j++) {
			int nr = c->resolve(arch, rules->rules[i].names.v[j]);
			if (nr > 0 && (uint32_t)nr < X32_BIT)
				most = CB_MAX(most, (uint32_t)nr);
		}
	return most;
}

/*
 * Calls that are younger than all that the profile knows get ENOSYS, as on a kernel that does not have them, so that
 * programs fall back to what it does know; runc has the same rule.
 */
static void add_unknown_rule(uint32_t audit_arch, uint32_t most, struct cb_buf *out)
{
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit_arch, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, most, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};

	cb_buf_add(out, code, sizeof(code));
}

static int export(const struct calls *c, scmp_filter_ctx ctx, const char *name, struct cb_buf *out, struct cb_err **err)
{
	cleanup_close int fd = memfd_create("cbuild-filter", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : c->export_bpf(ctx, fd);

	if (r < 0)
		return refuse(name, "compile the filter", -r, err);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return cb_err_errno(err, errno, "read the compiled filter");
	r = cb_fd_read_all(fd, BPF_MAXINSNS * sizeof(struct sock_filter) * 4, name, out, err);
	if (r < 0)
		return r;
	if (out->len > BPF_MAXINSNS * sizeof(struct sock_filter))
		return cb_err_set(err, CB_ERR_USAGE, "%s: the filter has %zu instructions, the kernel takes %d", name,
			out->len / sizeof(struct sock_filter), BPF_MAXINSNS);
	return 0;
}

static int compile(const struct calls *c, const char *name, const struct cb_seccomp_rules *rules, uint32_t host,
	struct cb_buf *out, struct cb_strv *unknown, struct cb_err **err)
{
	scmp_filter_ctx ctx = c->init(rules->default_action);
	int r;

	if (!ctx)
		return cb_err_set(err, CB_ERR_INTERNAL, "%s: libseccomp makes no filter", name);
	/* A binary tree, where the library can; and other architectures end the process, as in the default filter. */
	(void)c->attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	(void)c->attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	r = set_arches(c, ctx, name, rules, host, err);
	for (size_t i = 0; r == 0 && i < rules->n_rules; i++)
		r = add_rule(c, ctx, name, rules, &rules->rules[i], unknown, err);
	/* Tokens of libseccomp are the kernel's AUDIT_ARCH_, but for x32, which is nobody's host. */
	if (r == 0 && (rules->default_action & 0xffff0000U) == SCMP_ACT_ERRNO(0))
		add_unknown_rule(host, highest(c, rules, host), out);
	if (r == 0)
		r = export(c, ctx, name, out, err);
	c->release(ctx);
	return r;
}

int cb_seccomp_profile_compile(const char *name, const char *text, size_t len, const struct cb_seccomp_host *host,
	struct cb_buf *ret, struct cb_strv *unknown, struct cb_err **err)
{
	struct cb_seccomp_host where = *host;
	struct cb_seccomp_rules rules;
	struct calls c = { 0 };
	int r = load(&c, err);

	if (r < 0)
		return r;
	if (!where.arch)
		where.arch = c.arch_native();
	r = cb_seccomp_rules_read(name, text, len, &where, &rules, err);
	if (r < 0)
		return r;
	r = compile(&c, name, &rules, where.arch, ret, unknown, err);
	cb_seccomp_rules_done(&rules);
	return r;
}
