/*
 * layers/tarwrite.h: byte for byte what Go's archive/tar writes. The digests were made by it (Go 1.26, the headers of
 * type PAX, whiteouts of unspecified type, one header each, no content).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "layers/digest.h"
#include "layers/tarread.h"
#include "layers/tarwrite.h"

static const struct {
	struct cb_tar_entry entry;
	const char *sha256;
} golden[] = {
	{ { "f", (enum cb_tar_type)'0', 0644, 0, 0, UINT64_C(0), 1000, "", 0, 0, NULL, 0, NULL, 0 },
		"a109305ff94f6808022ec4944e730b953d7d343ea84e23f0abda59cdef8cced8" },
	{ { "dir/", (enum cb_tar_type)'5', 01777, 5, 7, UINT64_C(0), 1234567890, "", 0, 0, NULL, 0, NULL, 0 },
		"c8880d9ae06867fb68bcced04fdc511ac75a96907d83682aec176e22b1a02c3e" },
	{ { "s", (enum cb_tar_type)'2', 0777, 0, 0, UINT64_C(0), 0, "target", 0, 0, NULL, 0, NULL, 0 },
		"7ef1782e10fde138522c14d3f5556aff44f04f1ee5c3dd6d42501ae753d31ad3" },
	{ { "h", (enum cb_tar_type)'1', 0644, 0, 0, UINT64_C(0), 0, "f", 0, 0, NULL, 0, NULL, 0 },
		"8de13053943495e8e9dac20e95b50c9e45aa803908634b8bbcf1301f40e32273" },
	{ { "c", (enum cb_tar_type)'3', 0600, 0, 0, UINT64_C(0), 0, "", 1, 3, NULL, 0, NULL, 0 },
		"512234682b162d4a2f77c9a32c876fbcac8750724d5ac71fb840c3615d2102f9" },
	{ { "b", (enum cb_tar_type)'4', 0600, 0, 0, UINT64_C(0), 0, "", 259, 70000, NULL, 0, NULL, 0 },
		"d4af2ce5e79b23e22e2d73fcb012fe3cdd5c4eacce69aa3d2a642ce86859fb4f" },
	{ { "p", (enum cb_tar_type)'6', 0600, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"39198a574e6613062a6b76bbe5580f0ce41cd5fd471dbdc9839a45bf72b9e546" },
	{ { "big", (enum cb_tar_type)'0', 0600, 0, 0, UINT64_C(17179869184), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"4834f7ce6d708df1bb3ca5dd90d47e30d5cda8792c7d0f01637f4301a027518b" },
	{ { "ids", (enum cb_tar_type)'0', 0600, 2097152, 4294967294, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"5f25c474349ec5308c335704637b325eee7dc7ca1f47307b3a819425bcf348fe" },
	{ { "ids-fit", (enum cb_tar_type)'0', 0600, 2097151, 2097151, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"e816c7fabd0b495011977aa127dcb21ca0f684294db512acb7816ab637a0c7e4" },
	{ { "neg", (enum cb_tar_type)'0', 0600, 0, 0, UINT64_C(0), -5, "", 0, 0, NULL, 0, NULL, 0 },
		"7ae4dd7dc7294480f71f3a351ae7fb42d64c55b35de86dbadbf8358019525563" },
	{ { "far", (enum cb_tar_type)'0', 0600, 0, 0, UINT64_C(0), 8589934592, "", 0, 0, NULL, 0, NULL, 0 },
		"8fb284294c5fbef4e071aa8ec6a90c0f109d315861953092643d714d23c6d282" },
	{ { "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
		  (enum cb_tar_type)'0', 0644, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"a793a7c408062e50039ea3bfb1107450e445280fe222c7f64025027d72432bab" },
	{ { "a/012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
		  (enum cb_tar_type)'0', 0644, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"bd0b8f0ab3f36b55d33af27cfc68af428abe49aa314501eb3dc7f724f02a9c62" },
	{ { "dir/012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/",
		  (enum cb_tar_type)'5', 0755, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"998ad6215ef98a98b8c6650c7b6d4340914309da8076e656e38803031fea4417" },
	{ { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		  (enum cb_tar_type)'0', 0644, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"54a866c106a42ec3491590d332ffe549d8077a899fcc7a538d6c7f29d1a54774" },
	{ { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/",
		  (enum cb_tar_type)'5', 0755, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"2f622c4389eeadc7e5a4e5128329711faa55b40a9a5a8ce4f311f5e64cc0ad20" },
	{ { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/",
		  (enum cb_tar_type)'5', 0755, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"6d921ebd75d5f2e9562e9923dfffb2cd35ccab2f52c1cd40c21219180609ad8c" },
	{ { "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/f",
		  (enum cb_tar_type)'0', 0644, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"69e8f281fe859ec581968a4ed0e3476fa1d352d0c240fb9491e9f074731a4e2f" },
	{ { "lnk", (enum cb_tar_type)'2', 0777, 0, 0, UINT64_C(0), 0,
		  "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
		  0, 0, NULL, 0, NULL, 0 },
		"c729af4b104f584e0c757b6fbd291d5e3adfbcc13ec4aee068f451cc52265229" },
	{ { "lnk2", (enum cb_tar_type)'2', 0777, 0, 0, UINT64_C(0), 0,
		  "y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/y/",
		  0, 0, NULL, 0, NULL, 0 },
		"61c22f67555a9b2eeca11d71405071bebf51d1cbc6eec714c6b5f8035dacd61b" },
	{ { "h\303\251llo/w\303\266rld", (enum cb_tar_type)'0', 0644, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL,
		  0 },
		"b70f085c9d3adb8716b1d1f568964c4f8816b31463353c196c5ef59d9a619ef6" },
	{ { "bad\377\376utf/x", (enum cb_tar_type)'0', 0644, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"5d122443c546c71a13b22cb8e3f56d9d0f4cf5831fcb2c1dad129a848a5884aa" },
	{ { "trunc\342\202", (enum cb_tar_type)'0', 0644, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"50a16708a4487bf02eeb8ed4215150c2d8f0b5ca97ff288cec23dd1085eb389a" },
	{ { "lnk3", (enum cb_tar_type)'2', 0777, 0, 0, UINT64_C(0), 0, "\342\202\254", 0, 0, NULL, 0, NULL, 0 },
		"6af34f1581a3c8348bcfc0cbbf68f33a6db438ca324b1b592b552e622e54d21c" },
	{ { "cap", (enum cb_tar_type)'0', 0755, 0, 0, UINT64_C(0), 0, "", 0, 0,
		  "\001\000\000\002\000 \000\000\000\000\000\000\000\000\000\000\000\000\000\000", 20, NULL, 0 },
		"ec820e27ab25550f914bb954b45ce04b5a78da76b95e8caeb816a63e47299310" },
	{ { "long/012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/cap\303\251",
		  (enum cb_tar_type)'0', 0755, 3000000, 0, UINT64_C(0), 0, "", 0, 0, "\001\000\000\002abc\012=", 9,
		  NULL, 0 },
		"509629229ce71f0f6014b09c39174438f554cd270813a4838cd547c5a7afdf56" },
	{ { "\303\251", (enum cb_tar_type)'5', 0755, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"93a4ba6a032d72b137ce9d4aa4c573922c93f2df39ac500101ab8f95a4aa04c6" },
	{ { "a/.wh.b", (enum cb_tar_type)'0', 00, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"d73f1aeb3e37c28b86ee1b365f7d6f857aeb81790f23978c394ec8cc41caa9ee" },
	{ { "a/012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/.wh.b",
		  (enum cb_tar_type)'0', 00, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"c8114eeda38e2df56b542c198ec0071252f129e96aef12af8499413631c2dec8" },
	{ { "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqq/012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
		  (enum cb_tar_type)'0', 00, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"420315a879941424294fb204ae348445f6b58f846e767a997b6d1888373d06da" },
	{ { "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/.wh.b",
		  (enum cb_tar_type)'0', 00, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"392beb1d72b23beeccd487807f49804fa56742264b86473752ae4ffa5281330c" },
	{ { "h\303\251/.wh.b", (enum cb_tar_type)'0', 00, 0, 0, UINT64_C(0), 0, "", 0, 0, NULL, 0, NULL, 0 },
		"7641f37ee00a0846ad12079e585f8e8008ffe632f1b0b4a6455a0ed118cd7682" },
};

static void as_go_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		cleanup_buf struct cb_buf out = { 0 };
		CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *w = cb_tarwriter_new(cb_sink_buf(&out));
		struct cb_digest digest;

		print_message("# %s\n", golden[i].entry.path);
		assert_int_equal(cb_tarwriter_entry(w, &golden[i].entry, NULL), 0);
		cb_digest_of(out.data, out.len, &digest);
		assert_string_equal(cb_digest_hex(&digest), golden[i].sha256);
		assert_int_equal(cb_tarwriter_bytes(w), out.len);
	}
}

/** What was written is read back the same. */
static void read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
		cleanup_buf struct cb_buf out = { 0 };
		CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *w = cb_tarwriter_new(cb_sink_buf(&out));
		const struct cb_tar_entry *want = &golden[i].entry;
		CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *r = NULL;
		const struct cb_tar_item *item = NULL;
		struct cb_source_mem mem;
		size_t len = strlen(want->path);

		assert_int_equal(cb_tarwriter_entry(w, want, NULL), 0);
		mem = (struct cb_source_mem){ out.data, out.len, 0 };
		r = cb_tarreader_new(cb_source_mem(&mem));
		assert_int_equal(cb_tarreader_next(r, &item, NULL), 0);
		assert_memory_equal(item->path, want->path, len);
		assert_true(item->path[len] == '\0' || strcmp(item->path + len, "/") == 0);
		assert_string_equal(item->link, want->link);
		assert_int_equal(item->type, want->type);
		assert_int_equal(item->mode, want->mode);
		assert_int_equal(item->uid, want->uid);
		assert_int_equal(item->gid, want->gid);
		assert_int_equal(item->size, want->size);
		assert_int_equal(item->mtime.tv_sec, want->mtime);
		assert_int_equal(item->major, want->major);
		assert_int_equal(item->minor, want->minor);
		assert_int_equal(item->n_xattrs, want->capability_len > 0);
		if (item->n_xattrs > 0) {
			assert_string_equal(item->xattrs[0].name, "security.capability");
			assert_int_equal(item->xattrs[0].len, want->capability_len);
			assert_memory_equal(item->xattrs[0].value, want->capability, want->capability_len);
		}
	}
}

static void content_and_end(void **state)
{
	cleanup_buf struct cb_buf out = { 0 };
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *w = cb_tarwriter_new(cb_sink_buf(&out));
	const struct cb_tar_entry entry = { .path = "f", .type = CB_TAR_FILE, .size = 3 };
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	assert_int_equal(cb_tarwriter_dir(w, "d", 0, NULL), 0);
	assert_int_equal(out.len, 512);
	assert_int_equal(cb_tarwriter_file(w, "d/e", 0644, 0, "", 0, NULL), 0);
	assert_int_equal(out.len, 1024);
	assert_int_equal(cb_tarwriter_entry(w, &entry, NULL), 0);
	assert_int_equal(cb_tarwriter_data(w, "ab", 2, NULL), 0);
	assert_int_equal(cb_tarwriter_entry(w, &entry, &err), CB_ERR_INTERNAL);
	assert_string_equal(cb_err_msg(err), "tar entry before \"f\" is short of 1 bytes");
	assert_int_equal(cb_tarwriter_finish(w, &err), CB_ERR_INTERNAL);
	assert_int_equal(cb_tarwriter_data(w, "cd", 2, &err), CB_ERR_INTERNAL);
	assert_int_equal(cb_tarwriter_data(w, "c", 1, NULL), 0);
	assert_int_equal(out.len, 2048);
	assert_memory_equal(out.data + 1536, "abc\0\0", 5);
	assert_int_equal(cb_tarwriter_finish(w, NULL), 0);
	assert_int_equal(out.len, 3072);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_go_writes),
		cmocka_unit_test(read_back),
		cmocka_unit_test(content_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
