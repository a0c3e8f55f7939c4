#include "runtime/emulate_elf.h"

#include <elf.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

/* exit(42), in each one's instructions. */
static const uint8_t code_amd64[] = { 0xb8, 60, 0, 0, 0, 0xbf, 42, 0, 0, 0, 0x0f, 0x05 };
static const uint8_t code_386[] = { 0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80 };
static const uint8_t code_arm[] = { 42, 0x00, 0xa0, 0xe3, 1, 0x70, 0xa0, 0xe3, 0, 0, 0, 0xef };
static const uint8_t code_arm64[] = { 0x40, 0x05, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4 };
static const uint8_t code_riscv64[] = { 0x13, 0x05, 0xa0, 0x02, 0x93, 0x08, 0xd0, 0x05, 0x73, 0, 0, 0 };
static const uint8_t code_ppc64le[] = { 42, 0, 0x60, 0x38, 1, 0, 0, 0x38, 0x02, 0, 0, 0x44 };
static const uint8_t code_s390x[] = { 0xa7, 0x29, 0, 42, 0x0a, 1 };
static const uint8_t code_mips64le[] = { 42, 0, 0x04, 0x24, 0xc2, 0x13, 0x02, 0x24, 0x0c, 0, 0, 0 };
static const uint8_t code_loong64[] = { 0x04, 0xa8, 0x80, 0x02, 0x0b, 0x74, 0x81, 0x02, 0, 0, 0x2b, 0 };

#define CODE(name) code_##name, sizeof(code_##name)

const struct cb_emulate_arch cb_emulate_archs[] = {
	{ "amd64", "x86_64", true, false, EM_X86_64, 0, CODE(amd64) },
	{ "386", "i386", false, false, EM_386, 0, CODE(386) },
	{ "arm64", "aarch64", true, false, EM_AARCH64, 0, CODE(arm64) },
	{ "arm", "arm", false, false, EM_ARM, 0x05000000 /* EABI 5 */, CODE(arm) },
	{ "riscv64", "riscv64", true, false, EM_RISCV, 0, CODE(riscv64) },
	{ "ppc64le", "ppc64le", true, false, EM_PPC64, 2 /* ELFv2 */, CODE(ppc64le) },
	{ "s390x", "s390x", true, true, EM_S390, 0, CODE(s390x) },
	{ "mips64le", "mips64el", true, false, EM_MIPS, 0x80000000U /* MIPS64 R2 */, CODE(mips64le) },
	{ "loong64", "loongarch64", true, false, EM_LOONGARCH, 0x43 /* double-float */, CODE(loong64) },
};
const size_t cb_n_emulate_archs = ARRAY_SIZE(cb_emulate_archs);

const struct cb_emulate_arch *cb_emulate_arch_find(const char *name)
{
	for (size_t i = 0; i < cb_n_emulate_archs; i++)
		if (strcmp(cb_emulate_archs[i].name, name) == 0)
			return &cb_emulate_archs[i];
	return NULL;
}

/* ---- the probe ------------------------------------------------------------------------------------------------ */

struct image {
	const struct cb_emulate_arch *arch;
	uint8_t *data;
	size_t len;
};

static void put(struct image *image, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		size_t shift = image->arch->big ? size - 1 - i : i;

		image->data[image->len++] = (uint8_t)(value >> (8 * shift));
	}
}

/* Address, offset and size have the width of the architecture. */
static void put_word(struct image *image, uint64_t value)
{
	put(image, value, image->arch->wide ? 8 : 4);
}

static void put_ident(struct image *image)
{
	const uint8_t ident[EI_NIDENT] = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
		image->arch->wide ? ELFCLASS64 : ELFCLASS32, image->arch->big ? ELFDATA2MSB : ELFDATA2LSB, EV_CURRENT };

	memcpy(image->data, ident, sizeof(ident));
	image->len = sizeof(ident);
}

size_t cb_emulate_probe(const struct cb_emulate_arch *arch, uint8_t out[static CB_EMULATE_PROBE_MAX])
{
	const size_t header = arch->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	const size_t segment = arch->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	const size_t size = header + segment + arch->code_len;
	const uint64_t base = 0x400000, page = 0x10000; /* the largest page of any */
	struct image image = { arch, out, 0 };

	put_ident(&image);
	put(&image, ET_EXEC, 2);
	put(&image, arch->machine, 2);
	put(&image, EV_CURRENT, 4);
	put_word(&image, base + header + segment);
	put_word(&image, header); /* of the segments */
	put_word(&image, 0);
	put(&image, arch->flags, 4);
	put(&image, header, 2);
	put(&image, segment, 2);
	put(&image, 1, 2);
	put(&image, 0, 6); /* no sections */

	put(&image, PT_LOAD, 4);
	if (arch->wide)
		put(&image, PF_R | PF_X, 4);
	put_word(&image, 0);
	put_word(&image, base);
	put_word(&image, base);
	put_word(&image, size);
	put_word(&image, size);
	if (!arch->wide)
		put(&image, PF_R | PF_X, 4);
	put_word(&image, page);
	memcpy(out + image.len, arch->code, arch->code_len);
	return image.len + arch->code_len;
}

/* ---- binfmt_misc ---------------------------------------------------------------------------------------------- */

char *cb_emulate_rule(const struct cb_emulate_arch *arch)
{
	uint8_t magic[CB_EMULATE_PROBE_MAX], mask[20];
	cleanup_buf struct cb_buf text = { 0 };

	(void)cb_emulate_probe(arch, magic);
	memset(mask, 0xff, sizeof(mask));
	/* Any operating system's ABI; both fixed and position-independent programs. */
	mask[EI_OSABI] = 0;
	mask[arch->big ? 17 : 16] = 0xfe;
	cb_buf_addf(&text, ":cbuild-%s:M::", arch->name);
	for (size_t i = 0; i < sizeof(mask); i++)
		cb_buf_addf(&text, "\\x%02x", (unsigned int)magic[i]);
	cb_buf_addc(&text, ':');
	for (size_t i = 0; i < sizeof(mask); i++)
		cb_buf_addf(&text, "\\x%02x", (unsigned int)mask[i]);
	cb_buf_addc(&text, ':');
	return cb_buf_take(&text);
}

bool cb_emulate_is_static(const uint8_t *head, size_t len)
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;

	/* Emulators are programs of this machine, and those that cbuild knows have 64 bits. */
	if (len < sizeof(ehdr) || memcmp(head, ELFMAG, SELFMAG) != 0 || head[EI_CLASS] != ELFCLASS64)
		return false;
	memcpy(&ehdr, head, sizeof(ehdr));
	if (ehdr.e_phentsize != sizeof(phdr) || ehdr.e_phoff > len)
		return false;
	for (size_t i = 0; i < ehdr.e_phnum; i++) {
		size_t at = (size_t)ehdr.e_phoff + i * sizeof(phdr);

		if (at + sizeof(phdr) > len)
			return false;
		memcpy(&phdr, head + at, sizeof(phdr));
		if (phdr.p_type == PT_INTERP)
			return false;
	}
	return ehdr.e_phnum > 0;
}
