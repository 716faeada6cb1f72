/*
 * UTF-8
 */
#include "core/utf8.h"

#include <stdint.h>
#include <string.h>

/* bytes of the sequence that begins here; 0: it is none */
static size_t sequence_size(const unsigned char *text, size_t left)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} kinds[] = { { 0x80, 0x00, 0 },
		      { 0xe0, 0xc0, 0x80 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };

	for (size_t i = 0; i < 4; i++) {
		uint32_t point = text[0] & (unsigned char)~kinds[i].mask;

		if ((text[0] & kinds[i].mask) != kinds[i].lead)
			continue;
		for (size_t k = 1; k <= i; k++) {
			if (k >= left || (text[k] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (text[k] & 0x3f);
		}
		if (point < kinds[i].least || point > 0x10ffff || (point >> 11) == 0x1b)
			return 0;
		return i + 1;
	}
	return 0;
}

static bool are_8_ascii(const unsigned char *text)
{
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return (word & UINT64_C(0x8080808080808080)) == 0;
}

bool carom_utf8_is_valid(const void *data, size_t size)
{
	const unsigned char *text = data;

	while (size > 0) {
		size_t step = size >= 8 && are_8_ascii(text) ? 8 : sequence_size(text, size);

		if (step == 0)
			return false;
		text += step;
		size -= step;
	}
	return true;
}
