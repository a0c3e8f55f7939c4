#include "unit/runtime/bpf.h"

/* A 32-bit load; the kernel allows no other. */
static int load(const struct seccomp_data *data, uint32_t at, int big, uint32_t *ret)
{
	if (at % 4 || at >= sizeof(*data))
		return -1;
	if (at == offsetof(struct seccomp_data, nr)) {
		*ret = (uint32_t)data->nr;
	} else if (at == offsetof(struct seccomp_data, arch)) {
		*ret = data->arch;
	} else if (at < offsetof(struct seccomp_data, args)) {
		*ret = 0; /* of the instruction pointer */
	} else {
		size_t word = (at - offsetof(struct seccomp_data, args)) / 4;
		int high = (int)(word & 1) ^ (big ? 1 : 0);
		*ret = (uint32_t)(data->args[word / 2] >> (high ? 32 : 0));
	}
	return 0;
}

static int jumps(uint16_t code, uint32_t a, uint32_t k)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == k;
	case BPF_JGT:
		return a > k;
	case BPF_JGE:
		return a >= k;
	default: /* BPF_JSET */
		return (a & k) != 0;
	}
}

int64_t bpf_run(const struct sock_filter *code, size_t n, const struct seccomp_data *data, int big)
{
	uint32_t a = 0;

	for (size_t at = 0; at < n; at++) {
		const struct sock_filter *i = &code[at];
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (load(data, i->k, big, &a) < 0)
				return -1;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			at += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			at += jumps(i->code, a, i->k) ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			return -1;
		}
	}
	return -1;
}
