/* Segment: for the library only. */
#ifndef CAROM_SHM_SEGMENT_PRIVATE_H
#define CAROM_SHM_SEGMENT_PRIVATE_H

#include "shm/segment.h"

/** carom_segment_lose_fd() - its descriptor was taken away, and is not to be closed; the memory stays */
void carom_segment_lose_fd(struct carom_segment *segment);

/** carom_segment_close_fd() - it is not handed to anybody any more; the memory stays */
void carom_segment_close_fd(struct carom_segment *segment);

#endif
