/* What is installed as <carom/carom.h>: the way to the headers that stand beside it. */
#include "pool/carom.h"
