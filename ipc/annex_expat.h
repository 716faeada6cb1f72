/* Annex: expat, which takes XML apart. Stands on <expat.h>. */
#ifndef CAROM_IPC_ANNEX_EXPAT_H
#define CAROM_IPC_ANNEX_EXPAT_H

#include <expat.h>

#include "core/annex.h"

#define CAROM_EXPAT_NAMES(name)                                                            \
	name(XML_GetErrorCode) name(XML_Parse) name(XML_ParserCreate) name(XML_ParserFree) \
		name(XML_SetCharacterDataHandler) name(XML_SetElementHandler)              \
			name(XML_SetStartDoctypeDeclHandler) name(XML_SetUserData)         \
				name(XML_StopParser)

CAROM_ANNEX_DECLARE(expat, CAROM_EXPAT_NAMES);

#endif
