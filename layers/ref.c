#include "layers/ref.h"

#include <string.h>

#include "base/strv.h"

#define NAME_MAX_LEN 255
#define TAG_MAX_LEN 128
#define DEFAULT_REGISTRY "docker.io"
#define OFFICIAL "library/"

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

bool cb_ref_tag_valid(const char *tag)
{
	size_t n = 0;

	for (; tag[n]; n++) {
		if (n >= TAG_MAX_LEN)
			return false;
		if (!is_alnum(tag[n]) && tag[n] != '_' && (n == 0 || (tag[n] != '.' && tag[n] != '-')))
			return false;
	}
	return n > 0;
}

/* alnum+ joined by one of: ".", "_", "__", "-"+ */
static bool path_component_ok(const char *s, size_t len)
{
	size_t i = 0;

	for (;;) {
		size_t word = i, sep;

		while (i < len && is_lower_alnum(s[i]))
			i++;
		if (i == word)
			return false;
		if (i == len)
			return true;

		sep = i;
		if (s[i] == '-')
			while (i < len && s[i] == '-')
				i++;
		else if (s[i] == '_')
			i += i + 1 < len && s[i + 1] == '_' ? 2 : 1;
		else if (s[i] == '.')
			i++;
		if (i == sep)
			return false;
	}
}

static bool repository_ok(const char *s)
{
	for (;;) {
		size_t len = strcspn(s, "/");

		if (!path_component_ok(s, len))
			return false;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

static bool host_ok(const char *s, size_t len)
{
	size_t start = 0;

	if (len > 2 && s[0] == '[' && s[len - 1] == ']')
		return strspn(s + 1, "0123456789abcdefABCDEF:") == len - 2;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && s[i] != '.') {
			if (!is_alnum(s[i]) && s[i] != '-')
				return false;
			continue;
		}
		if (i == start || s[start] == '-' || s[i - 1] == '-')
			return false;
		start = i + 1;
	}
	return true;
}

static bool registry_ok(const char *s)
{
	size_t host = s[0] == '[' ? strcspn(s, "]") + 1 : strcspn(s, ":");

	if (host > strlen(s) || !host_ok(s, host))
		return false;
	if (!s[host])
		return true;
	return s[host] == ':' && s[host + 1] && strspn(s + host + 1, "0123456789") == strlen(s + host + 1);
}

/* The first component is a registry when nothing else can look like it. */
static bool names_registry(const char *first)
{
	if (strpbrk(first, ".:[") || strcmp(first, "localhost") == 0)
		return true;
	for (const char *p = first; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			return true;
	return false;
}

static bool is_bare_id(const char *name)
{
	return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static int bad(struct cb_err **err, const char *text, const char *why)
{
	return cb_err_set(err, CB_ERR_INPUT, "invalid image reference \"%s\": %s", text, why);
}

/* Splits "@digest" and ":tag" off @name, in place. */
static int split_suffixes(char *name, const char *text, struct cb_ref *ref, struct cb_err **err)
{
	char *at = strchr(name, '@');
	char *colon, *slash;

	if (at) {
		*at = '\0';
		if (!cb_digest_parse(at + 1, &ref->digest))
			return bad(err, text, "the digest must be sha256: and 64 lower-case hex digits");
		ref->has_digest = true;
	}

	slash = strrchr(name, '/');
	colon = strrchr(slash ? slash : name, ':');
	if (colon) {
		*colon = '\0';
		if (!cb_ref_tag_valid(colon + 1))
			return bad(err, text, colon[1] ? "the tag is malformed" : "the tag is empty");
		ref->tag = cb_xstrdup(colon + 1);
	} else if (!ref->has_digest) {
		ref->tag = cb_xstrdup("latest");
	}
	return 0;
}

static void split_registry(const char *name, struct cb_ref *ref)
{
	const char *slash = strchr(name, '/');
	cleanup_free char *first = slash ? cb_xstrndup(name, (size_t)(slash - name)) : NULL;

	if (first && names_registry(first)) {
		ref->registry = cb_xstrdup(strcmp(first, "index.docker.io") == 0 ? DEFAULT_REGISTRY : first);
		name = slash + 1;
	} else {
		ref->registry = cb_xstrdup(DEFAULT_REGISTRY);
	}
	if (strcmp(ref->registry, DEFAULT_REGISTRY) == 0 && !strchr(name, '/'))
		ref->repository = cb_xasprintf(OFFICIAL "%s", name);
	else
		ref->repository = cb_xstrdup(name);
}

int cb_ref_parse(const char *text, struct cb_ref **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = cb_new0(struct cb_ref);
	cleanup_free char *name = NULL;
	cleanup_free char *lower = NULL;
	int r;

	if (!*text)
		return cb_err_set(err, CB_ERR_INPUT, "image reference is empty");
	if (strnlen(text, CB_REF_MAX + 1) > CB_REF_MAX)
		return cb_err_set(err, CB_ERR_INPUT, "image reference is longer than %d bytes", CB_REF_MAX);

	name = cb_xstrdup(text);
	r = split_suffixes(name, text, ref, err);
	if (r < 0)
		return r;
	if (is_bare_id(name))
		return bad(err, text, "a repository cannot be named by 64 hex digits");
	split_registry(name, ref);

	if (!registry_ok(ref->registry))
		return bad(err, text, "the registry is malformed");
	lower = cb_str_lower(cb_xstrdup(ref->repository));
	if (!repository_ok(ref->repository))
		return bad(err, text,
			repository_ok(lower) ? "the repository must be in lower case" : "the repository is malformed");
	if (strlen(ref->registry) + 1 + strlen(ref->repository) > NAME_MAX_LEN)
		return bad(err, text, "the name is longer than 255 bytes");

	*ret = CB_TAKE_PTR(ref);
	return 0;
}

struct cb_ref *cb_ref_free(struct cb_ref *ref)
{
	if (ref) {
		free(ref->registry);
		free(ref->repository);
		free(ref->tag);
		free(ref);
	}
	return NULL;
}

struct cb_ref *cb_ref_copy(const struct cb_ref *ref)
{
	struct cb_ref *copy = cb_new0(struct cb_ref);

	copy->registry = cb_xstrdup(ref->registry);
	copy->repository = cb_xstrdup(ref->repository);
	copy->tag = cb_xstrdup_null(ref->tag);
	copy->digest = ref->digest;
	copy->has_digest = ref->has_digest;
	return copy;
}

static char *format(const char *registry, const char *repository, const struct cb_ref *ref, bool short_tag)
{
	const char *tag = ref->tag;

	if (short_tag && tag && !ref->has_digest && strcmp(tag, "latest") == 0)
		tag = NULL;
	return cb_xasprintf("%s%s%s%s%s%s%s", registry, *registry ? "/" : "", repository, tag ? ":" : "",
		tag ? tag : "", ref->has_digest ? "@" : "", ref->has_digest ? ref->digest.text : "");
}

char *cb_ref_format(const struct cb_ref *ref)
{
	return format(ref->registry, ref->repository, ref, false);
}

/* "docker.io/a.b/c" must keep its registry, or it would come back as one of the registry "a.b"; an id would not at all.
 */
static bool needs_registry(const char *repository)
{
	const char *slash = strchr(repository, '/');
	cleanup_free char *first = slash ? cb_xstrndup(repository, (size_t)(slash - repository)) : NULL;

	return (first && names_registry(first)) || is_bare_id(repository);
}

char *cb_ref_familiar(const struct cb_ref *ref, bool short_tag)
{
	const char *repository = ref->repository;

	if (strcmp(ref->registry, DEFAULT_REGISTRY) != 0)
		return format(ref->registry, repository, ref, short_tag);
	/* "library/a/b" must keep its prefix to come back as itself. */
	if (cb_str_starts(repository, OFFICIAL) && !strchr(repository + strlen(OFFICIAL), '/'))
		repository += strlen(OFFICIAL);
	if (needs_registry(repository))
		return format(ref->registry, repository, ref, short_tag);
	return format("", repository, ref, short_tag);
}

char *cb_ref_name(const struct cb_ref *ref)
{
	return cb_xasprintf("%s/%s", ref->registry, ref->repository);
}

bool cb_ref_equal(const struct cb_ref *a, const struct cb_ref *b)
{
	return strcmp(a->registry, b->registry) == 0 && strcmp(a->repository, b->repository) == 0 &&
	       cb_str_eq(a->tag, b->tag) && a->has_digest == b->has_digest && cb_digest_equal(&a->digest, &b->digest);
}
