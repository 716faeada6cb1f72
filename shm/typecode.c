/*
 * Typecode
 */
#include "shm/typecode.h"

#include <wchar.h>

size_t carom_typecode_size(uint64_t type)
{
	switch (type) {
	case CAROM_TYPE_CHAR:
	case CAROM_TYPE_SCHAR:
	case CAROM_TYPE_UCHAR:
		return 1;
	case CAROM_TYPE_WCHAR:
		return sizeof(wchar_t);
	case CAROM_TYPE_SHORT:
	case CAROM_TYPE_USHORT:
		return sizeof(short);
	case CAROM_TYPE_INT:
	case CAROM_TYPE_UINT:
		return sizeof(int);
	case CAROM_TYPE_LONG:
	case CAROM_TYPE_ULONG:
		return sizeof(long);
	case CAROM_TYPE_LLONG:
	case CAROM_TYPE_ULLONG:
		return sizeof(long long);
	case CAROM_TYPE_FLOAT:
		return sizeof(float);
	case CAROM_TYPE_DOUBLE:
		return sizeof(double);
	default:
		return 0;
	}
}
