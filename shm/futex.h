/*
 * Futex
 *
 * The calls of futex(2) that everything shared between processes rests on,
 * with absolute deadlines on CLOCK_MONOTONIC and without FUTEX_PRIVATE_FLAG.
 */
#ifndef CAROM_SHM_FUTEX_H
#define CAROM_SHM_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * carom_futex_wait() - sleep while *@word is @expected, until woken or @deadline_ns
 *
 * Return: 0 (woken, perhaps for nothing: look again), -EAGAIN (*@word was not
 * @expected), -ETIMEDOUT, -EINTR.
 */
int carom_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);

/** carom_futex_wait_briefly() - the same, but it also ends, with 0, after 100 ms */
int carom_futex_wait_briefly(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);

/**
 * carom_futex_wait_interruptible() - as carom_futex_wait(), ended by every signal handler
 *
 * The kernel itself goes on with a wait without a deadline if the handler was installed
 * with SA_RESTART: not with this one.
 */
int carom_futex_wait_interruptible(const _Atomic uint32_t *word, uint32_t expected,
				   uint64_t deadline_ns);

/**
 * carom_futex_wait_any() - sleep until one of several words has changed, or is woken
 * @words:  queued, and compared, one after the other: who is to hear of a wake-up that no word
 *          shows, and of the change that came before it, puts the former first
 * @main:   which of them it is that changes in the common run of things
 * @is_all: there are no others that matter
 *
 * Where there is no futex_waitv(2) it sleeps on @main alone. Then, and if these are not all, it
 * ends after 100 ms: the price of not being stuck.
 *
 * Return: 0 (look again), -ETIMEDOUT, -EINTR, -EAGAIN.
 */
int carom_futex_wait_any(const struct futex_waitv *words, unsigned int count, unsigned int main,
			 bool is_all, uint64_t deadline_ns);

/** carom_futex_wake() - wake up to @count sleepers. Return: how many were woken. AS-Safe. */
int carom_futex_wake(const _Atomic uint32_t *word, int count);

/**
 * carom_futex_clear() - set *@word to 0 and wake one sleeper, in one step. AS-Safe.
 *
 * Whoever is stopped or killed on the way has done both or neither.
 */
void carom_futex_clear(_Atomic uint32_t *word);

/**
 * carom_futex_or_and_wake_all() - set @bits in *@word and wake all sleepers, in one step. AS-Safe.
 * @bits: below 2048
 *
 * As carom_futex_clear(). Either has release semantics.
 */
void carom_futex_or_and_wake_all(_Atomic uint32_t *word, uint32_t bits);

#endif
