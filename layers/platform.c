#include "layers/platform.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/strv.h"

static const char *const known_os[] = { "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios",
	"js", "linux", "macos", "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos" };
static const char *const known_arch[] = { "386", "aarch64", "amd64", "arm", "arm64", "arm64be", "armbe", "armel",
	"armhf", "i386", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc", "ppc64", "ppc64le", "riscv",
	"riscv64", "s390", "s390x", "sparc", "sparc64", "wasm", "x86-64", "x86_64" };

/* Other names of an architecture; an empty variant leaves the given one. */
static const struct {
	const char *from, *arch, *variant;
} arch_aliases[] = {
	{ "i386", "386", "" },
	{ "i486", "386", "" },
	{ "i586", "386", "" },
	{ "i686", "386", "" },
	{ "x86_64", "amd64", "" },
	{ "x86-64", "amd64", "" },
	{ "aarch64", "arm64", "" },
	{ "armhf", "arm", "v7" },
	{ "armel", "arm", "v6" },
	{ "armv5l", "arm", "v5" },
	{ "armv6l", "arm", "v6" },
	{ "armv7l", "arm", "v7" },
	{ "armv8l", "arm", "v8" },
	{ "loongarch64", "loong64", "" },
};

static bool listed(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (cb_str_ieq(list[i], word))
			return true;
	return false;
}

static void set_field(char *field, size_t size, const char *value)
{
	snprintf(field, size, "%s", value);
}

void cb_platform_normalize(struct cb_platform *p)
{
	cb_str_lower(p->os);
	cb_str_lower(p->arch);
	cb_str_lower(p->variant);
	if (strcmp(p->os, "macos") == 0)
		set_field(p->os, sizeof(p->os), "darwin");

	for (size_t i = 0; i < ARRAY_SIZE(arch_aliases); i++) {
		if (strcmp(p->arch, arch_aliases[i].from) != 0)
			continue;
		set_field(p->arch, sizeof(p->arch), arch_aliases[i].arch);
		if (arch_aliases[i].variant[0])
			set_field(p->variant, sizeof(p->variant), arch_aliases[i].variant);
		break;
	}

	if (p->variant[0] >= '1' && p->variant[0] <= '9' && p->variant[1] == '\0' && strcmp(p->arch, "arm") == 0) {
		p->variant[1] = p->variant[0];
		p->variant[0] = 'v';
		p->variant[2] = '\0';
	}
	if (strcmp(p->arch, "arm") == 0 && !p->variant[0])
		set_field(p->variant, sizeof(p->variant), "v7");
	if (strcmp(p->arch, "arm64") == 0 &&
		(strcmp(p->variant, "8") == 0 || strcmp(p->variant, "v8") == 0 || strcmp(p->variant, "v8.0") == 0))
		p->variant[0] = '\0';
	if (strcmp(p->arch, "amd64") == 0 && strcmp(p->variant, "v1") == 0)
		p->variant[0] = '\0';
}

void cb_platform_host(struct cb_platform *ret)
{
	struct utsname un;

	memset(ret, 0, sizeof(*ret));
	set_field(ret->os, sizeof(ret->os), "linux");
	if (uname(&un) == 0)
		snprintf(ret->arch, sizeof(ret->arch), "%.31s", un.machine);
	cb_platform_normalize(ret);
}

static bool component_ok(const char *s, size_t max)
{
	size_t len = strlen(s);

	return len > 0 && len < max &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

/* Takes "(VERSION)" off the operating system, as in "windows(10.0.17763)/amd64". */
static bool split_os_version(char *os, struct cb_platform *out)
{
	char *open = strchr(os, '(');
	size_t len;

	if (!open)
		return true;
	len = strlen(open);
	if (len < 3 || open[len - 1] != ')')
		return false;
	open[len - 1] = '\0';
	if (!component_ok(open + 1, sizeof(out->os_version)))
		return false;
	set_field(out->os_version, sizeof(out->os_version), open + 1);
	*open = '\0';
	return true;
}

static bool parse_single(const char *word, struct cb_platform *out)
{
	struct cb_platform host;

	cb_platform_host(&host);
	if (listed(known_os, ARRAY_SIZE(known_os), word)) {
		set_field(out->os, sizeof(out->os), word);
		set_field(out->arch, sizeof(out->arch), host.arch);
		set_field(out->variant, sizeof(out->variant), host.variant);
		return true;
	}
	if (listed(known_arch, ARRAY_SIZE(known_arch), word)) {
		set_field(out->os, sizeof(out->os), host.os);
		set_field(out->arch, sizeof(out->arch), word);
		return true;
	}
	return false;
}

int cb_platform_parse(const char *text, struct cb_platform *ret, struct cb_err **err)
{
	cleanup_strv struct cb_strv parts = { 0 };
	struct cb_platform out = { 0 };

	if (!*text)
		return cb_err_set(err, CB_ERR_INPUT, "platform is empty");
	cb_strv_split(&parts, text, '/');
	if (parts.n > 3)
		return cb_err_set(err, CB_ERR_INPUT, "invalid platform \"%s\": expected os[/arch[/variant]]", text);
	if (!split_os_version(parts.v[0], &out))
		return cb_err_set(err, CB_ERR_INPUT, "invalid platform \"%s\": bad os version", text);
	for (size_t i = 0; i < parts.n; i++)
		if (!component_ok(parts.v[i], sizeof(out.os)))
			return cb_err_set(
				err, CB_ERR_INPUT, "invalid platform \"%s\": bad component \"%s\"", text, parts.v[i]);

	if (parts.n == 1) {
		if (!parse_single(parts.v[0], &out))
			return cb_err_set(err, CB_ERR_INPUT,
				"invalid platform \"%s\": unknown operating system or architecture", text);
	} else {
		set_field(out.os, sizeof(out.os), parts.v[0]);
		set_field(out.arch, sizeof(out.arch), parts.v[1]);
		if (parts.n == 3)
			set_field(out.variant, sizeof(out.variant), parts.v[2]);
	}
	cb_platform_normalize(&out);
	*ret = out;
	return 0;
}

static int unknown(const char *what, const char *word, const char *const *known, size_t n, struct cb_err **err)
{
	const char *near = cb_str_nearest(word, known, n);
	cleanup_buf struct cb_buf list = { 0 };

	cb_err_set(err, CB_ERR_INPUT, "unknown %s \"%s\"", what, word);
	if (near)
		return cb_err_hint(err, CB_ERR_INPUT, "did you mean \"%s\"?", near);
	for (size_t i = 0; i < n; i++)
		cb_buf_addf(&list, "%s%s", i ? ", " : "", known[i]);
	return cb_err_hint(err, CB_ERR_INPUT, "known are %s", cb_buf_str(&list));
}

int cb_platform_check(const struct cb_platform *platform, struct cb_err **err)
{
	if (!listed(known_os, ARRAY_SIZE(known_os), platform->os))
		return unknown("operating system", platform->os, known_os, ARRAY_SIZE(known_os), err);
	if (!listed(known_arch, ARRAY_SIZE(known_arch), platform->arch))
		return unknown("architecture", platform->arch, known_arch, ARRAY_SIZE(known_arch), err);
	return 0;
}

void cb_platform_format(const struct cb_platform *p, char out[static CB_PLATFORM_TEXT_MAX])
{
	snprintf(out, CB_PLATFORM_TEXT_MAX, "%s/%s%s%s", p->os[0] ? p->os : "unknown", p->arch[0] ? p->arch : "unknown",
		p->variant[0] ? "/" : "", p->variant);
}

bool cb_platform_equal(const struct cb_platform *a, const struct cb_platform *b)
{
	struct cb_platform x = *a, y = *b;

	cb_platform_normalize(&x);
	cb_platform_normalize(&y);
	if (x.os_version[0] && y.os_version[0] && strcmp(x.os_version, y.os_version) != 0)
		return false;
	return strcmp(x.os, y.os) == 0 && strcmp(x.arch, y.arch) == 0 && strcmp(x.variant, y.variant) == 0;
}

/* "v7" → 7; the plain name of amd64 is v1, of arm64 v8. -1 when it is no level. */
static int level(const struct cb_platform *p)
{
	if (!p->variant[0])
		return strcmp(p->arch, "arm64") == 0 ? 8 : 1;
	if (p->variant[0] == 'v' && p->variant[1] >= '1' && p->variant[1] <= '9' && !p->variant[2])
		return p->variant[1] - '0';
	return -1;
}

int cb_platform_match(const struct cb_platform *want, const struct cb_platform *have)
{
	struct cb_platform w = *want, h = *have;
	int lw, lh;

	cb_platform_normalize(&w);
	cb_platform_normalize(&h);
	if (strcmp(w.os, h.os) != 0 || strcmp(w.arch, h.arch) != 0)
		return 0;
	if (strcmp(w.variant, h.variant) == 0)
		return w.os_version[0] && strcmp(w.os_version, h.os_version) == 0 ? 101 : 100;

	if (strcmp(w.arch, "amd64") != 0 && strcmp(w.arch, "arm") != 0 && strcmp(w.arch, "arm64") != 0)
		return 0;
	lw = level(&w);
	lh = level(&h);
	return lw > 0 && lh > 0 && lh < lw ? 10 + lh : 0;
}
