/*
 * Build-time compiler: seccomp_profile.txt in, a C table of BPF instructions out, so that starting a container only
 * loads a ready program. System call numbers come from libseccomp; the program is a binary search over ranges of
 * numbers, half the size of a list of comparisons and a few steps deep.
 *
 * Usage: seccomp_gen PROFILE OUTPUT ARCH   (a name of the table "machines"; each comes with its 32-bit sibling)
 */
#include <ctype.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MAX_RULES 1024
#define MAX_RANGES 2048
#define MAX_CODE 4096
#define NO_RULE (-1)

#ifndef AUDIT_ARCH_LOONGARCH64
#define AUDIT_ARCH_LOONGARCH64 (258 | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif

/* The highest number that seccomp_profile.txt and this program know of (file_setattr, Linux 6.17). */
#define HIGHEST_NUMBER 469

enum kind { RULE_ALLOW, RULE_IN, RULE_CLEAR, RULE_ERRNO, RULE_ASK };

struct range {
	uint32_t first; /* up to the next one's first */
	uint32_t ret;   /* what to return, unless rule */
	int rule;
};

struct rule {
	char name[48];
	char machine[16]; /* the only one that has it, or "" */
	int fallback;     /* number when libseccomp does not know the name, or -1 */
	enum kind kind;
	unsigned int arg;
	uint32_t value;          /* mask or errno */
	struct range values[64]; /* RULE_ASK: the values themselves */
	size_t n_values;
};

static struct rule rules[MAX_RULES];
static size_t n_rules;
static struct sock_filter code[MAX_CODE];
static size_t n_code;

static CB_NORETURN void fail(const char *what, const char *where)
{
	fprintf(stderr, "seccomp_gen: %s: %s\n", what, where);
	exit(1);
}

static void emit(uint16_t op, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (n_code == MAX_CODE)
		fail("program too long", "");
	code[n_code++] = (struct sock_filter){ op, jt, jf, k };
}

/* A machine with the numbers of its calls, by an architecture of libseccomp. */
struct machine {
	const char *names[2]; /* as uname says, and others do */
	uint32_t arch, audit;
	uint32_t compat, compat_audit; /* 32-bit programs that it runs, or 0 */
	bool big_endian;
};

static const struct machine machines[] = {
	{ { "x86_64", "amd64" }, SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, SCMP_ARCH_X86, AUDIT_ARCH_I386, false },
	{ { "aarch64", "arm64" }, SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, SCMP_ARCH_ARM, AUDIT_ARCH_ARM, false },
	{ { "riscv64", "riscv64" }, SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64, 0, 0, false },
	{ { "ppc64le", "powerpc64le" }, SCMP_ARCH_PPC64LE, AUDIT_ARCH_PPC64LE, 0, 0, false },
	{ { "s390x", "s390x" }, SCMP_ARCH_S390X, AUDIT_ARCH_S390X, SCMP_ARCH_S390, AUDIT_ARCH_S390, true },
/* Both have the kernel's generic table, and libseccomp knows LoongArch since 2.6. */
#ifdef SCMP_ARCH_LOONGARCH64
	{ { "loongarch64", "loong64" }, SCMP_ARCH_LOONGARCH64, AUDIT_ARCH_LOONGARCH64, 0, 0, false },
#else
	{ { "loongarch64", "loong64" }, SCMP_ARCH_RISCV64, AUDIT_ARCH_LOONGARCH64, 0, 0, false },
#endif
};

static const struct machine *machine; /* of the program that is made */

/*
 * Socket and System V calls that libseccomp names only by their multiplexers, and that exist as calls of their own: of
 * sockets since Linux 4.3 (ppc: always), of System V since 5.1 with one table for all machines.
 */
static const struct direct {
	const char *name;
	int x86, ppc; /* x86 and s390 have the same numbers */
} direct[] = {
	{ "socket", 359, 326 },
	{ "socketpair", 360, 333 },
	{ "bind", 361, 327 },
	{ "connect", 362, 328 },
	{ "listen", 363, 329 },
	{ "accept", -1, 330 },
	{ "accept4", 364, 344 },
	{ "getsockopt", 365, 340 },
	{ "setsockopt", 366, 339 },
	{ "getsockname", 367, 331 },
	{ "getpeername", 368, 332 },
	{ "send", -1, 334 },
	{ "sendto", 369, 335 },
	{ "sendmsg", 370, 341 },
	{ "recv", -1, 336 },
	{ "recvfrom", 371, 337 },
	{ "recvmsg", 372, 342 },
	{ "shutdown", 373, 338 },
	{ "semget", 393, 393 },
	{ "semctl", 394, 394 },
	{ "shmget", 395, 395 },
	{ "shmctl", 396, 396 },
	{ "shmat", 397, 397 },
	{ "shmdt", 398, 398 },
	{ "msgget", 399, 399 },
	{ "msgsnd", 400, 400 },
	{ "msgrcv", 401, 401 },
	{ "msgctl", 402, 402 },
};

static int number_of(const struct rule *rule, uint32_t arch)
{
	const bool ppc = arch == SCMP_ARCH_PPC64LE;

	if (*rule->machine && (strcmp(rule->machine, machine->names[0]) != 0 || arch != machine->arch))
		return -1;
	if (ppc || arch == SCMP_ARCH_X86 || arch == SCMP_ARCH_S390X || arch == SCMP_ARCH_S390) {
		for (size_t i = 0; i < ARRAY_SIZE(direct); i++)
			if (strcmp(direct[i].name, rule->name) == 0)
				return ppc ? direct[i].ppc : direct[i].x86;
		/* Of those with 64 bits only: others have semtimedop_time64. */
		if (arch != SCMP_ARCH_X86 && arch != SCMP_ARCH_S390 && strcmp(rule->name, "semtimedop") == 0)
			return 392;
	}

	int nr = seccomp_syscall_resolve_name_arch(arch, rule->name);
	if (nr == __NR_SCMP_ERROR && rule->fallback < 0)
		fail("unknown system call", rule->name);
	return nr == __NR_SCMP_ERROR ? rule->fallback : nr;
}

static char *next_word(char **at)
{
	*at += strspn(*at, " \t\n");
	if (!**at)
		return NULL;
	char *word = *at;
	*at += strcspn(*at, " \t\n");
	if (**at)
		*(*at)++ = '\0';
	return word;
}

static uint32_t number(const char *text, char **end)
{
	errno = 0;
	unsigned long long v = strtoull(text, end, 0);
	if (errno || v > UINT32_MAX || *end == text)
		fail("bad number", text);
	return (uint32_t)v;
}

static void add_value(struct rule *rule, uint32_t first, uint32_t last)
{
	struct range *v = rule->values;
	size_t n = rule->n_values;

	if (n + 2 >= ARRAY_SIZE(rule->values))
		fail("too many values", rule->name);
	if (n && v[n - 1].first == first)
		n--;
	v[n++] = (struct range){ first, SECCOMP_RET_ALLOW, NO_RULE };
	if (last < UINT32_MAX)
		v[n++] = (struct range){ last + 1, SECCOMP_RET_ERRNO | EPERM, NO_RULE };
	rule->n_values = n;
}

static void parse_asked(struct rule *rule, char *at)
{
	char *word = next_word(&at), *end;

	rule->kind = RULE_ASK;
	rule->value = number(word ? word : "", &end);
	word = next_word(&at);
	if (!word || strcmp(word, "asks") != 0)
		fail("asks expected", rule->name);
	while ((word = next_word(&at))) {
		if (rule->n_values == ARRAY_SIZE(rule->values))
			fail("too many values", rule->name);
		rule->values[rule->n_values++] = (struct range){ number(word, &end), SECCOMP_RET_USER_NOTIF, NO_RULE };
	}
}

static void parse_condition(struct rule *rule, char *at)
{
	char *word = next_word(&at), *end;

	if (!word || strncmp(word, "arg", 3) != 0 || !isdigit((unsigned char)word[3]))
		fail("argN expected after if", rule->name);
	rule->arg = (unsigned int)(word[3] - '0');
	word = next_word(&at);
	if (word && strcmp(word, "clear") == 0) {
		rule->kind = RULE_CLEAR;
		word = next_word(&at);
		rule->value = number(word ? word : "", &end);
		return;
	}
	if (word && strcmp(word, "masked") == 0) {
		parse_asked(rule, at);
		return;
	}
	if (!word || strcmp(word, "in") != 0)
		fail("in, clear or masked expected", rule->name);
	rule->kind = RULE_IN;
	rule->values[rule->n_values++] = (struct range){ 0, SECCOMP_RET_ERRNO | EPERM, NO_RULE };
	while ((word = next_word(&at))) {
		uint32_t first = number(word, &end), last = first;
		if (*end == '-')
			last = number(end + 1, &end);
		add_value(rule, first, last);
	}
}

static struct rule *add_rule(const char *word)
{
	struct rule *rule = &rules[n_rules++];
	const char *at = strchr(word, '@'), *colon = at ? strchr(at, ':') : NULL;
	size_t len = at ? (size_t)(at - word) : strlen(word);

	if (n_rules == MAX_RULES || len >= sizeof(rule->name))
		fail("too many or too long names", word);
	memcpy(rule->name, word, len);
	if (colon) {
		if ((size_t)(colon - at - 1) >= sizeof(rule->machine))
			fail("too long a machine", word);
		memcpy(rule->machine, at + 1, (size_t)(colon - at - 1));
	}
	rule->fallback = colon ? atoi(colon + 1) : at ? atoi(at + 1) : -1;
	return rule;
}

static void parse_line(char *line)
{
	struct rule *rule = NULL;
	char *word, *end;

	line[strcspn(line, "#")] = '\0';
	while ((word = next_word(&line))) {
		if (strcmp(word, "if") == 0 && rule) {
			parse_condition(rule, line);
			return;
		}
		if (strcmp(word, "errno") == 0 && rule) {
			rule->kind = RULE_ERRNO;
			word = next_word(&line);
			rule->value = number(word ? word : "", &end);
			return;
		}
		rule = add_rule(word);
	}
}

/* Instructions that a range needs as a leaf. */
static size_t tree_size(const struct range *ranges, size_t n);

static size_t leaf_size(const struct range *range)
{
	if (range->rule == NO_RULE)
		return 1;
	const struct rule *rule = &rules[range->rule];
	if (rule->kind == RULE_CLEAR || rule->kind == RULE_ASK)
		return 4 + rule->n_values;
	return 1 + tree_size(rule->values, rule->n_values);
}

static size_t tree_size(const struct range *ranges, size_t n)
{
	if (n == 1)
		return leaf_size(ranges);
	size_t left = tree_size(ranges, n / 2);
	return 1 + (left > UINT8_MAX ? 1 : 0) + left + tree_size(ranges + n / 2, n - n / 2);
}

static void emit_tree(const struct range *ranges, size_t n);

static void emit_leaf(const struct range *range)
{
	if (range->rule == NO_RULE) {
		emit(BPF_RET | BPF_K, range->ret, 0, 0);
		return;
	}
	const struct rule *rule = &rules[range->rule];
	/* s390 has the flags of clone behind the stack. */
	uint32_t arg = machine->big_endian && strcmp(rule->name, "clone") == 0 ? 1 : rule->arg;
	/* The kernel takes these arguments as 32 bits wide, so the low word is all of it. */
	uint32_t low = (uint32_t)offsetof(struct seccomp_data, args) + 8 * arg + (machine->big_endian ? 4 : 0);
	emit(BPF_LD | BPF_W | BPF_ABS, low, 0, 0);
	if (rule->kind == RULE_CLEAR) {
		emit(BPF_JMP | BPF_JSET | BPF_K, rule->value, 0, 1);
		emit(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
		emit(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	} else if (rule->kind == RULE_ASK) {
		emit(BPF_ALU | BPF_AND | BPF_K, rule->value, 0, 0);
		for (size_t i = 0; i < rule->n_values; i++)
			emit(BPF_JMP | BPF_JEQ | BPF_K, rule->values[i].first, (uint8_t)(rule->n_values - i), 0);
		emit(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		emit(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF, 0, 0);
	} else {
		emit_tree(rule->values, rule->n_values);
	}
}

static void emit_tree(const struct range *ranges, size_t n)
{
	if (n == 1) {
		emit_leaf(ranges);
		return;
	}
	size_t left = tree_size(ranges, n / 2);
	if (left > UINT8_MAX) {
		emit(BPF_JMP | BPF_JGE | BPF_K, ranges[n / 2].first, 0, 1);
		emit(BPF_JMP | BPF_JA, (uint32_t)left, 0, 0);
	} else {
		emit(BPF_JMP | BPF_JGE | BPF_K, ranges[n / 2].first, (uint8_t)left, 0);
	}
	emit_tree(ranges, n / 2);
	emit_tree(ranges + n / 2, n - n / 2);
}

/* One range for each run of numbers with one answer. */
static size_t ranges_of(uint32_t arch, struct range *ranges)
{
	static struct range by_number[HIGHEST_NUMBER + 1];
	size_t n = 0;

	for (uint32_t i = 0; i <= HIGHEST_NUMBER; i++)
		by_number[i] = (struct range){ i, SECCOMP_RET_ERRNO | EPERM, NO_RULE };
	for (size_t i = 0; i < n_rules; i++) {
		int nr = number_of(&rules[i], arch);
		if (nr < 0 || nr > HIGHEST_NUMBER)
			continue; /* not on this architecture, or far outside (arm's private ones, added below) */
		if (rules[i].kind == RULE_ALLOW)
			by_number[nr].ret = SECCOMP_RET_ALLOW;
		else if (rules[i].kind == RULE_ERRNO)
			by_number[nr].ret = SECCOMP_RET_ERRNO | (rules[i].value & SECCOMP_RET_DATA);
		else
			by_number[nr].rule = (int)i;
	}
	for (uint32_t i = 0; i <= HIGHEST_NUMBER; i++)
		if (!n || by_number[i].rule != NO_RULE || ranges[n - 1].rule != NO_RULE ||
			by_number[i].ret != ranges[n - 1].ret)
			ranges[n++] = by_number[i];
	ranges[n++] = (struct range){ HIGHEST_NUMBER + 1, SECCOMP_RET_ERRNO | ENOSYS, NO_RULE };
	if (arch == SCMP_ARCH_ARM) {
		/* breakpoint, cacheflush, usr26, usr32, set_tls */
		ranges[n++] = (struct range){ 0xf0001, SECCOMP_RET_ALLOW, NO_RULE };
		ranges[n++] = (struct range){ 0xf0003, SECCOMP_RET_ERRNO | ENOSYS, NO_RULE };
		ranges[n++] = (struct range){ 0xf0005, SECCOMP_RET_ALLOW, NO_RULE };
		ranges[n++] = (struct range){ 0xf0006, SECCOMP_RET_ERRNO | ENOSYS, NO_RULE };
	}
	return n;
}

static void compile(void)
{
	static struct range ranges[MAX_RANGES];
	size_t n = ranges_of(machine->arch, ranges), size = tree_size(ranges, n);

	emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	emit(BPF_JMP | BPF_JEQ | BPF_K, machine->audit, 1, 0);
	emit(BPF_JMP | BPF_JA, (uint32_t)size + 1, 0, 0);
	emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	emit_tree(ranges, n);
	if (machine->compat) {
		emit(BPF_JMP | BPF_JEQ | BPF_K, machine->compat_audit, 1, 0);
		emit(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
		emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
		n = ranges_of(machine->compat, ranges);
		emit_tree(ranges, n);
	} else {
		emit(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	}
}

static const struct machine *find_machine(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (strcmp(machines[i].names[0], name) == 0 || strcmp(machines[i].names[1], name) == 0)
			return &machines[i];
	fail("architecture without a table", name);
}

int main(int argc, char **argv)
{
	char line[4096];

	if (argc != 4)
		fail("usage", "seccomp_gen PROFILE OUTPUT ARCH");
	FILE *in = fopen(argv[1], "re");
	if (!in)
		fail("cannot read", argv[1]);
	while (fgets(line, sizeof(line), in))
		parse_line(line);
	fclose(in);

	machine = find_machine(argv[3]);
	compile();

	FILE *out = fopen(argv[2], "we");
	if (!out)
		fail("cannot write", argv[2]);
	fprintf(out, "/* Generated from seccomp_profile.txt: { code, jt, jf, k } */\n");
	for (size_t i = 0; i < n_code; i++)
		fprintf(out, "{ 0x%02x, %u, %u, 0x%08x },\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
	if (fclose(out) != 0)
		fail("cannot write", argv[2]);
	return 0;
}
