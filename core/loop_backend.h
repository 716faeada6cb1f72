/*
 * Loop back end
 *
 * What loop.c and its two back ends know of each other, and nobody else does.
 *
 * Every watch has a slot, and the kernel is told a token made of the slot's
 * index and its generation; it is even, what guests have is odd. A slot's generation moves on when its watch is gone,
 * so what the kernel still reports for a watch of yesterday carries a token that
 * no slot has, and falls through.
 */
#ifndef CAROM_CORE_LOOP_BACKEND_H
#define CAROM_CORE_LOOP_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/canary.h"
#include "core/loop.h"
#include "core/timer_heap.h"
#include "core/word_watch.h"

/* No watch has this token. */
#define CAROM_LOOP_NO_TOKEN UINT64_C(0)

/**
 * struct carom_loop_slot - one watch
 * @watch:      a carom_loop_fd, or a carom_loop_word if @is_word; NULL: unwatched
 * @next:       of the free list; else the back end's
 * @in_use:     not in the free list; a slot in use without a watch waits for its
 *              back end to call carom_loop_release()
 * @is_own:     the loop's own: its calls are not counted as callbacks
 * @is_armed:   the back end's: the kernel holds a request with this slot's token
 * @is_listed:  the back end's: the slot is in a list of things to be submitted
 */
struct carom_loop_slot {
	void *watch;
	uint32_t generation;
	uint32_t next;
	bool in_use;
	bool is_word;
	bool is_own;
	bool is_armed;
	bool is_listed;
};

/**
 * struct carom_loop_ops - a back end
 * @open:      make loop->state; set loop->has_native_words if watch() takes words
 * @close:     give back what open() made; @is_copy: in a child made by fork(),
 *             where only descriptors and private memory may be touched
 * @watch:     have the kernel report the slot from now on
 * @unwatch:   have it forget the slot, and carom_loop_release() it now or later
 * @wait:      wait for reports if @block, and pass each to the loop. Number of
 *             reports, stale ones included; 0 if interrupted; or negative errno
 * @settle:    called after changes made outside of wait(): let go of what is
 *             unwatched, make the pollable descriptor tell the truth; may be NULL
 * @rung:      the bell was heard, and emptied; it may have been the back end's own; may be NULL
 * @lose:      the descriptors are gone, and other files may stand under their numbers:
 *             let go of the numbers. Only close() is called from now on
 * @pollable_fd: as carom_loop_pollable_fd()
 */
struct carom_loop_ops {
	const char *name;
	int (*open)(struct carom_loop *loop);
	void (*close)(struct carom_loop *loop, bool is_copy);
	int (*watch)(struct carom_loop *loop, uint32_t index);
	void (*unwatch)(struct carom_loop *loop, uint32_t index);
	int (*wait)(struct carom_loop *loop, bool block);
	void (*settle)(struct carom_loop *loop);
	void (*rung)(struct carom_loop *loop);
	void (*lose)(struct carom_loop *loop);
	int (*pollable_fd)(struct carom_loop *loop);
};

extern const struct carom_loop_ops carom_loop_epoll_ops;
extern const struct carom_loop_ops carom_loop_uring_ops;

struct carom_loop {
	const struct carom_loop_ops *ops;
	void *state; /* the back end's */
	bool has_native_words;
	bool goes_without_threads;
	bool is_running; /* inside carom_loop_run_once(): changes are settled at its end */
	uint64_t origin;

	struct carom_loop_slot *slots;
	uint32_t slot_count;
	uint32_t first_free; /* slot_count: none */

	struct carom_timer_heap timers;
	uint64_t round_ns; /* while due timers are called: the time this began; else 0 */
	uint64_t armed_ns; /* what the timerfd is set to; CAROM_NO_DEADLINE: to nothing */

	struct carom_canary canary; /* its cookies are 0: nobody asked for one */
	_Atomic bool is_lost;
	struct carom_loop_fd guard;

	struct carom_loop_fd bell;
	struct carom_loop_fd clock;
	struct carom_word_watch *words; /* NULL until a word is watched without the kernel's help */

	_Atomic bool is_rung; /* by carom_loop_ring(): not for words alone */
	void (*rung)(void *userdata);
	void (*guest)(void *userdata, uint64_t data);
	void *userdata;
	int callback_count; /* of this round */
	int error;          /* of this round, seen inside a callback; 0 or negative errno */
};

/** carom_loop_token() - what the kernel is told for a slot that has a watch */
uint64_t carom_loop_token(const struct carom_loop *loop, uint32_t index);

/** carom_loop_slot_of() - the slot that has this token and a watch, or NULL */
struct carom_loop_slot *carom_loop_slot_of(struct carom_loop *loop, uint64_t token);

/** carom_loop_release() - the back end is done with an unwatched slot */
void carom_loop_release(struct carom_loop *loop, uint32_t index);

/** carom_loop_deliver() - call back the watch that has this token, if there still is one, or a guest */
void carom_loop_deliver(struct carom_loop *loop, uint64_t token);

/** carom_loop_ring_again() - if somebody has rung who was not called back: the bell was emptied */
void carom_loop_ring_again(struct carom_loop *loop);

/** carom_loop_must_wake() - a wait ends when the descriptors are taken away, if that can be done */
bool carom_loop_must_wake(const struct carom_loop *loop);

/** carom_loop_watch_own() - carom_loop_watch_fd() for the loop itself */
int carom_loop_watch_own(struct carom_loop *loop, struct carom_loop_fd *watch);

/* What both back ends do with an epoll set; the last as carom_loop_ops.wait(). */
int carom_loop_epoll_add(struct carom_loop *loop, int epoll_fd, uint32_t index);
void carom_loop_epoll_remove(int epoll_fd, const struct carom_loop_fd *watch);
int carom_loop_epoll_wait(struct carom_loop *loop, int epoll_fd, bool block);

#endif
