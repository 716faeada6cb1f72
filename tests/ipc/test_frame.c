/* What stands before a message. */
#include "ipc/frame.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

struct line {
	enum carom_framing framing;
	uint64_t size;
	int length; /* or the error */
	const char *bytes;
};

static const struct line lines[] = {
	{ CAROM_FRAMING_PYTHON, 0, 4, "\0\0\0\0" },
	{ CAROM_FRAMING_PYTHON, 5, 4, "\0\0\0\5" },
	{ CAROM_FRAMING_PYTHON, 0x7fffffff, 4, "\x7f\xff\xff\xff" },
	{ CAROM_FRAMING_PYTHON, 0x80000000, 12, "\xff\xff\xff\xff\0\0\0\0\x80\0\0\0" },
	{ CAROM_FRAMING_PYTHON, INT64_MAX, 12, "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff" },
	{ CAROM_FRAMING_PYTHON, (uint64_t)INT64_MAX + 1, -EMSGSIZE, NULL },
	{ CAROM_FRAMING_LEGACY, 0x7fffffff, 4, "\x7f\xff\xff\xff" },
	{ CAROM_FRAMING_LEGACY, 0x80000000, -EMSGSIZE, NULL },
	{ CAROM_FRAMING_UNSIGNED, 0xc0000000, 4, "\xc0\0\0\0" },
	{ CAROM_FRAMING_UNSIGNED, 0xffffffff, 4, "\xff\xff\xff\xff" },
	{ CAROM_FRAMING_UNSIGNED, 0x100000000, -EMSGSIZE, NULL },
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* WA-04 */
Test(frame, is_the_length_as_each_framing_says_it)
{
	unsigned char frame[CAROM_FRAME_SIZE_MAX];

	for (size_t i = 0; i < COUNT(lines); i++) {
		const struct line *line = &lines[i];
		int n = carom_frame_encode(line->framing, line->size, frame);

		cr_expect(eq(int, n, line->length), "line %zu", i);
		if (n > 0)
			cr_expect(zero(int, memcmp(frame, line->bytes, (size_t)n)), "line %zu", i);
	}
}

Test(frame, is_read_as_it_was_written_and_byte_by_byte)
{
	for (size_t i = 0; i < COUNT(lines); i++) {
		const struct line *line = &lines[i];
		uint64_t size = 7;
		int count = 0;

		while (line->length > 0 && count < line->length) {
			int more = carom_frame_decode(line->framing,
						      (const unsigned char *)line->bytes,
						      (size_t)count, &size);

			cr_assert(lt(int, 0, more), "line %zu", i);
			cr_assert(le(int, more, line->length - count), "line %zu", i);
			cr_expect(eq(u64, size, 7));
			count++;
		}
		if (line->length < 0)
			continue;
		cr_expect(zero(int,
			       carom_frame_decode(line->framing, (const unsigned char *)line->bytes,
						  (size_t)count, &size)));
		cr_expect(eq(u64, size, line->size), "line %zu", i);
	}
}

Test(frame, that_no_peer_may_send_is_refused)
{
	static const struct {
		enum carom_framing framing;
		const char *bytes;
	} wrong[] = {
		{ CAROM_FRAMING_PYTHON, "\x80\0\0\0\0\0\0\0\0\0\0\0" },         /* -2^31 */
		{ CAROM_FRAMING_PYTHON, "\xff\xff\xff\xfe\0\0\0\0\0\0\0\0" },   /* -2 */
		{ CAROM_FRAMING_PYTHON, "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0" }, /* 2^63 */
		{ CAROM_FRAMING_PYTHON, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" },
		{ CAROM_FRAMING_LEGACY, "\xff\xff\xff\xff\0\0\0\0\x80\0\0\0" },
		{ CAROM_FRAMING_LEGACY, "\x80\0\0\0\0\0\0\0\0\0\0\0" },
	};

	for (size_t i = 0; i < COUNT(wrong); i++) {
		uint64_t size = 7;

		cr_expect(eq(int,
			     carom_frame_decode(wrong[i].framing,
						(const unsigned char *)wrong[i].bytes,
						CAROM_FRAME_SIZE_MAX, &size),
			     -EBADMSG),
			  "line %zu", i);
		cr_expect(eq(u64, size, 7));
	}
}
