/* UTF-8: is it? */
#ifndef CAROM_CORE_UTF8_H
#define CAROM_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/** carom_utf8_is_valid() - of characters up to U+10FFFF, each as short as can be; no surrogates */
bool carom_utf8_is_valid(const void *data, size_t size);

/** carom_utf8_continues() - whether a byte goes on with a character that began before it */
static inline bool carom_utf8_continues(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

#endif
