/*
 * Address
 */
#include "core/address.h"

bool carom_address_is_abstract(const char *name, size_t size)
{
	return size > 0 && name[0] == '\0';
}
