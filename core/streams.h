/* Streams: where a child reads from, and what stands in buffers at the end of a process. */
#ifndef CAROM_CORE_STREAMS_H
#define CAROM_CORE_STREAMS_H

/**
 * carom_streams_flush() - write out what is in the buffers of all, wherever it can go
 *
 * That they are closed, full or nobody reads them is no error at an end, and no reason
 * to die by SIGPIPE. MT-Safe. Blocks as long as the one who reads them.
 */
void carom_streams_flush(void);

/** carom_streams_read_nothing() - what the program has on its stdin is not for its children */
void carom_streams_read_nothing(void);

#endif
