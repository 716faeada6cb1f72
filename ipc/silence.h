/*
 * Silence: how long the machine at the other end of a TCP connection may say nothing
 *
 * A cut network says nothing, and a machine that was switched off neither: without this, who waits
 * for an answer from there waits for ever, and what such a client has is never given back. The
 * kernel asks now and then whether the other one is still there, by itself.
 */
#ifndef CAROM_IPC_SILENCE_H
#define CAROM_IPC_SILENCE_H

#include <stdint.h>

#define CAROM_SILENCE_DEFAULT_NS CAROM_SECONDS(30)
#define CAROM_SILENCE_MAX_NS     CAROM_SECONDS(86400)

/**
 * carom_silence_limit() - after this time, and up to half as much again, the connection is lost
 * @fd:         any socket; of what is no TCP the kernel knows more, and nothing is done
 * @silence_ns: whole seconds count, from 2 on; 0: the default
 *
 * Return: 0, or what setsockopt(2) says.
 */
int carom_silence_limit(int fd, uint64_t silence_ns);

#endif
