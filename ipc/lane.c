/*
 * Lane: the layout, and what both sides do
 *
 *	header | workers | ring | notices | slots | usages |  arguments  |  values of worker 0 | of worker 1 ...
 *	`------- control: all write ----'  parent       one worker each
 *
 * A lane that is dealt is its one worker's, and has its arguments in a file of their own,
 * of which the worker gets a descriptor for reading only: a mapping of the other one could
 * be moved or grown over what stands beside it. One that deals is nobody's but the
 * parent's, and has room for values once.
 *
 * What workers may come to first, all in front of the slots, is given its pages by the
 * parent at once, so that they are charged to the program and to no worker's limit. A slot
 * has its page from the task that the parent writes to it: the lowest are used first, and
 * most programs never come to the others. Processes see pages as they need them; that is
 * a fault or two for a worker, and less for all of its life to carry and to take down.
 * The payload part is as wide as address space allows, and costs memory only where it is
 * used: a value of any size is written in place, and no second mechanism for large ones
 * exists.
 *
 *   L1  The geometry is fixed before the segment is sealed and handed out; each
 *       process computes with its private copy.
 *   L2  A worker's bit in a mask is set by that worker only, and cleared by it, by
 *       who wakes it, and by the sweep after its death.
 */
#include "ipc/lane.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/cpu.h"
#include "core/points.h"
#include "core/time.h"
#include "core/written.h"
#include "ipc/lane_private.h"
#include "shm/segment_private.h"
#include "shm/futex.h"
#include "shm/memfd.h"

#define PAYLOAD_DEFAULT  CAROM_GIB(16)
#define PAYLOAD_SMALLEST CAROM_MIB(1)
#define SPIN_DEFAULT_NS  CAROM_MICROSECONDS(50)

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/*
 * All of the machine's, not those that this process may use: the other side may be
 * allowed others. Two that share one find that out when they meet there.
 *
 * The parent asks for each lane. A worker is a copy of it, and mostly knows: to ask
 * would be three system calls of each birth, and two pages of each worker's stack.
 */
static uint32_t online_cpus(bool afresh)
{
	static _Atomic uint32_t known;

	/* relaxed: a number by itself */
	if (afresh || !atomic_load_explicit(&known, memory_order_relaxed))
		atomic_store_explicit(&known, (uint32_t)carom_cpu_count(CAROM_CPU_SYSTEM),
				      memory_order_relaxed);
	return atomic_load_explicit(&known, memory_order_relaxed);
}

/* ---- layout ---- */

static void lay_out(struct lane_header *header, const struct carom_lane_options *options)
{
	uint32_t ring_count = 1;

	while (ring_count < options->slot_count * RING_CELLS_PER_SLOT)
		ring_count *= 2;
	memset(header, 0, sizeof(*header));
	header->magic = LANE_MAGIC;
	header->worker_count = options->worker_count;
	header->slot_count = options->slot_count;
	header->ring_count = ring_count;
	header->backlog_max = options->backlog_max;
	header->kind = options->kind;
	header->arena_count = options->kind == CAROM_LANE_DEALING ? 1 : options->worker_count;
	header->payload_size = options->payload_size;
	header->spin_ns = options->spin_ns ? options->spin_ns : SPIN_DEFAULT_NS;
	header->workers_offset = round_up(sizeof(*header), 128);
	header->ring_offset =
		header->workers_offset + options->worker_count * sizeof(struct carom_lane_worker);
	header->notices_offset = round_up(header->ring_offset + ring_count * sizeof(uint64_t), 128);
	header->slots_offset = round_up(
		header->notices_offset + (options->slot_count + 63) / 64 * sizeof(uint64_t), 128);
	header->usages_offset =
		header->slots_offset + options->slot_count * sizeof(struct carom_slot);
	header->control_size = round_up(
		header->usages_offset + options->slot_count * sizeof(struct carom_lane_usage),
		4096);
}

static int total_size(const struct lane_header *layout, uint64_t *ret_size)
{
	bool has_arguments = layout->kind != CAROM_LANE_DEALT;
	uint64_t size;

	if (__builtin_mul_overflow(layout->payload_size,
				   layout->arena_count + (uint64_t)has_arguments, &size) ||
	    __builtin_add_overflow(size, layout->control_size, ret_size))
		return -EOVERFLOW;
	return 0;
}

static void take_view(struct carom_lane *lane, void *control, const struct lane_header *layout)
{
	unsigned char *base = control;
	uint32_t cpus = online_cpus(lane->segment != NULL);

	lane->header = control;
	lane->workers = (void *)(base + layout->workers_offset);
	lane->ring = (void *)(base + layout->ring_offset);
	lane->notices = (void *)(base + layout->notices_offset);
	lane->view.slots = (void *)(base + layout->slots_offset);
	lane->view.usages = (void *)(base + layout->usages_offset);
	lane->bell_fd = -1;
	lane->ticket = 1;
	lane->control_size = layout->control_size;
	lane->view.payload_size = layout->payload_size;
	lane->view.worker_count = layout->worker_count;
	lane->view.slot_count = layout->slot_count;
	lane->ring_count = layout->ring_count;
	lane->backlog_max = layout->backlog_max;
	lane->mask_words = (layout->worker_count + 63) / 64;
	lane->view.is_dealing = layout->kind == CAROM_LANE_DEALING;
	lane->is_dealt = layout->kind == CAROM_LANE_DEALT;
	carom_patience_init(&lane->patience, layout->spin_ns == CAROM_LANE_SPIN_NEVER || cpus < 2
						     ? 0
						     : layout->spin_ns);
	lane->spinner_max = cpus - 1;
}

/* ---- the parent's view ---- */

static int map_segment(struct carom_lane *lane, struct lane_header *layout, bool exact)
{
	for (;;) {
		uint64_t size;
		int r = total_size(layout, &size);

		if (r < 0)
			return r;
		r = carom_segment_new(&CAROM_SEGMENT_OPTIONS(.name = "carom-lane", .size = size,
							     .populate_size = layout->slots_offset),
				      &lane->segment);
		if (r != -ENOMEM && r != -EFBIG && r != -EOVERFLOW)
			return r;
		if (exact || layout->payload_size <= PAYLOAD_SMALLEST)
			return r;
		layout->payload_size /= 2;
	}
}

static int make_private(struct carom_lane *lane)
{
	lane->own = calloc(lane->view.slot_count, sizeof(*lane->own));
	lane->free_slots = calloc(lane->view.slot_count, sizeof(*lane->free_slots));
	if (!lane->own || !lane->free_slots)
		return -ENOMEM;
	while (lane->free_count < lane->view.slot_count) {
		lane->free_slots[lane->free_count] = lane->view.slot_count - 1 - lane->free_count;
		lane->free_count++;
	}
	return 0;
}

/* by descriptor, and not by a seal: what stood there is to be given back to the machine */
static int map_arguments(struct carom_lane *lane, const struct lane_header *layout)
{
	return carom_segment_new(
		&CAROM_SEGMENT_OPTIONS(.name = "carom-arguments", .size = layout->payload_size),
		&lane->arguments_segment);
}

/*
 * No copy of this process has the lane. Of what is between the parent and one worker none
 * is to know; and the fork server is made with the first pool, of which all that comes
 * from it would carry the lane for life: its memory would stay when the pool is gone, any
 * worker of a later pool could spoil it, and each would take one mapping more down at its end.
 */
static int keep_to_oneself(struct carom_segment *segment)
{
	return madvise(carom_segment_data(segment), carom_segment_size(segment), MADV_DONTFORK) < 0
		       ? -ENOMEM
		       : 0;
}

static int set_apart(struct carom_lane *lane, const struct lane_header *layout)
{
	int r = keep_to_oneself(lane->segment);

	if (r == 0 && layout->kind == CAROM_LANE_DEALT)
		r = map_arguments(lane, layout);
	if (r == 0 && lane->arguments_segment)
		r = keep_to_oneself(lane->arguments_segment);
	return r;
}

/*
 * A worker's process attaches to one lane, and needs no other memory before its first task:
 * from the heap, this would take two pages for each worker.
 */
static struct carom_lane the_attached CAROM_WRITTEN;
static _Atomic bool is_attached CAROM_WRITTEN;

static struct carom_lane *allocate_attached(void)
{
	if (atomic_exchange(&is_attached, true))
		return calloc(1, sizeof(struct carom_lane));
	memset(&the_attached, 0, sizeof(the_attached));
	return &the_attached;
}

static void discard(struct carom_lane *lane)
{
	if (lane == &the_attached)
		atomic_store(&is_attached, false);
	else
		free(lane);
}

static void freep(struct carom_lane **lane)
{
	carom_lane_free(*lane);
}

static void place_payload(struct carom_lane *lane)
{
	unsigned char *behind = (unsigned char *)lane->header + lane->control_size;

	if (lane->arguments_segment) {
		lane->view.arguments = carom_segment_data(lane->arguments_segment);
		lane->view.values = behind;
	} else {
		lane->view.arguments = behind;
		lane->view.values = behind + lane->view.payload_size;
	}
}

int carom_lane_new(const struct carom_lane_options *options, struct carom_lane **ret_lane)
{
	CAROM_CLEANUP(freep) struct carom_lane *lane = calloc(1, sizeof(*lane));
	struct carom_lane_options chosen = *options;
	struct lane_header layout;
	int r;

	if (!lane)
		return -ENOMEM;
	chosen.payload_size =
		round_up(options->payload_size ? options->payload_size : PAYLOAD_DEFAULT, 4096);
	lay_out(&layout, &chosen);
	r = map_segment(lane, &layout, options->payload_size != 0);
	if (r == 0)
		r = set_apart(lane, &layout);
	if (r < 0)
		return r;
	memcpy(carom_segment_data(lane->segment), &layout, sizeof(layout));
	take_view(lane, carom_segment_data(lane->segment), &layout);
	carom_lane_use(lane, lane->view.worker_count);
	place_payload(lane);
	lane->view.worker = CAROM_LANE_NOBODY;
	r = make_private(lane);
	if (r == 0 && options->kind == CAROM_LANE_DEALING)
		r = carom_dealer_new(lane, options);
	if (r < 0)
		return r;
	*ret_lane = carom_take_ptr(lane);
	return 0;
}

/* ---- a worker's view ---- */

static int map_part(int fd, uint64_t offset, uint64_t size, int protection,
		    unsigned char **ret_address)
{
	void *address = mmap(NULL, size, protection, MAP_SHARED, fd, (off_t)offset);

	if (address == MAP_FAILED)
		return -errno;
	/* a process forked by a task must not write here after its worker's death */
	if (madvise(address, size, MADV_DONTFORK) < 0) {
		munmap(address, size);
		return -ENOMEM;
	}
	madvise(address, size, MADV_DONTDUMP);
	*ret_address = address;
	return 0;
}

/* is it what lay_out() makes of these numbers, and may they be such? */
static bool layout_is_ours(const struct lane_header *layout)
{
	struct carom_lane_options options = {
		.worker_count = layout->worker_count,
		.slot_count = layout->slot_count,
		.backlog_max = layout->backlog_max,
		.payload_size = layout->payload_size,
		.spin_ns = layout->spin_ns,
		.kind = (enum carom_lane_kind)layout->kind,
	};
	struct lane_header expected;

	if (layout->worker_count - UINT32_C(1) >= CAROM_LANE_WORKERS_MAX ||
	    layout->slot_count - UINT32_C(1) >= CAROM_LANE_SLOTS_MAX || !layout->payload_size ||
	    layout->payload_size % 4096 || layout->kind == CAROM_LANE_DEALING ||
	    layout->kind > CAROM_LANE_DEALT)
		return false;
	lay_out(&expected, &options);
	return memcmp(&expected, layout, offsetof(struct lane_header, head)) == 0;
}

static int read_layout(int fd, uint32_t worker, struct lane_header *layout)
{
	uint64_t size, needed;

	if (carom_memfd_check(fd, &size) < 0 ||
	    pread(fd, layout, sizeof(*layout), 0) != (ssize_t)sizeof(*layout) ||
	    !layout_is_ours(layout) || total_size(layout, &needed) < 0 || size < needed)
		return -EBADMSG;
	return worker < layout->worker_count ? 0 : -EINVAL;
}

static void become_worker(struct carom_lane *lane, uint32_t worker, uint64_t begin, uint64_t end)
{
	lane->view.worker = worker;
	lane->last_submit_cpu = CAROM_LANE_NOBODY;
	carom_arena_init(&lane->arena, lane->view.values, begin,
			 end < lane->view.payload_size ? end : lane->view.payload_size,
			 &lane->workers[worker].returned);
}

static int map_payload(struct carom_lane *lane, const struct lane_header *layout, int fd,
		       int arguments_fd, uint32_t worker)
{
	bool is_apart = layout->kind == CAROM_LANE_DEALT;
	uint64_t values = layout->control_size +
			  (is_apart ? 0 : (worker + UINT64_C(1)) * layout->payload_size);
	uint64_t size;
	int r;

	if (is_apart && (carom_memfd_check(arguments_fd, &size) < 0 || size < layout->payload_size))
		return -EBADMSG;
	r = map_part(is_apart ? arguments_fd : fd, is_apart ? 0 : layout->control_size,
		     layout->payload_size, PROT_READ, &lane->view.arguments);
	if (r < 0)
		return r;
	return map_part(fd, values, layout->payload_size, PROT_READ | PROT_WRITE,
			&lane->view.values);
}

int carom_lane_attach(int fd, int arguments_fd, uint32_t worker, uint64_t begin, uint64_t end,
		      struct carom_lane **ret_lane)
{
	CAROM_CLEANUP(freep) struct carom_lane *lane = allocate_attached();
	struct lane_header layout;
	unsigned char *control = NULL;
	int r;

	if (!lane)
		return -ENOMEM;
	r = read_layout(fd, worker, &layout);
	if (r < 0)
		return r;
	r = map_part(fd, 0, layout.control_size, PROT_READ | PROT_WRITE, &control);
	if (r < 0)
		return r;
	take_view(lane, control, &layout);
	r = map_payload(lane, &layout, fd, arguments_fd, worker);
	if (r < 0)
		return r;
	become_worker(lane, worker, begin, end);
	*ret_lane = carom_take_ptr(lane);
	return 0;
}

int carom_lane_share(const struct carom_lane *parent, uint32_t worker, uint64_t begin, uint64_t end,
		     struct carom_lane **ret_lane)
{
	struct carom_lane *lane;

	if (worker >= parent->view.worker_count)
		return -EINVAL;
	lane = calloc(1, sizeof(*lane));
	if (!lane)
		return -ENOMEM;
	lane->is_shared = true;
	take_view(lane, parent->header, parent->header);
	lane->view.arguments = parent->view.arguments;
	lane->view.values = parent->view.values + worker * parent->view.payload_size;
	become_worker(lane, worker, begin, end);
	*ret_lane = lane;
	return 0;
}

struct carom_lane *carom_lane_free(struct carom_lane *lane)
{
	if (!lane)
		return NULL;
	if (lane->is_shared) {
		free(lane);
		return NULL;
	}
	carom_dealer_free(lane->dealer);
	carom_segment_free(lane->arguments_segment);
	if (lane->segment) {
		carom_segment_free(lane->segment);
	} else if (lane->header) {
		if (lane->view.values)
			munmap(lane->view.values, lane->view.payload_size);
		if (lane->view.arguments)
			munmap(lane->view.arguments, lane->view.payload_size);
		munmap(lane->header, lane->control_size);
	}
	free(lane->own);
	free(lane->free_slots);
	discard(lane);
	return NULL;
}

/* ---- accessors ---- */

int carom_lane_fd(const struct carom_lane *lane)
{
	return carom_segment_fd(lane->segment);
}

void carom_lane_lose_fds(struct carom_lane *lane)
{
	lane->bell_fd = -1;
	carom_segment_lose_fd(lane->segment);
	if (lane->dealer)
		carom_dealer_lose_fds(lane->dealer);
}

struct carom_lane_worker *carom_lane_worker(const struct carom_lane *lane, uint32_t worker)
{
	return &lane->workers[worker];
}

/* ---- hints ---- */

bool carom_lane_nonempty(const struct carom_lane *lane)
{
	uint64_t head = atomic_load(&lane->header->head);

	return atomic_load(ring_at(lane, head)) >> 48 == ring_lap(lane, head) ||
	       atomic_load(&lane->header->head) != head;
}

/*
 * The bit is taken before the word is set. Killed in between, the waker strands
 * the sleeper: the sweep after its death wakes every worker without an idle bit.
 */
bool carom_lane_wake_one(struct carom_lane *lane)
{
	uint32_t words = lane_mask_words(lane);

	for (uint32_t i = 0; i < words; i++) {
		_Atomic uint64_t *word = &lane->header->idle[i];
		uint64_t bits = atomic_load(word);

		/* each bit once: one that comes back meanwhile is of a worker that looks itself */
		while (bits) {
			uint32_t index = i * 64 + (uint32_t)__builtin_ctzll(bits);
			uint64_t bit = bits & -bits;

			if (index >= lane->view.worker_count)
				break; /* a worker wrote nonsense */
			bits = atomic_fetch_and(word, ~bit) & -bit;
			if (bits & bit) {
				CAROM_POINT("lane.wake.taken");
				atomic_store(&lane->workers[index].wake, 1);
				CAROM_POINT("lane.wake.set");
				carom_futex_wake(&lane->workers[index].wake, 1);
				return true;
			}
		}
	}
	return false;
}

uint32_t carom_lane_spinner_count(const struct carom_lane *lane)
{
	uint32_t words = lane_mask_words(lane);
	uint32_t count = 0;

	for (uint32_t i = 0; i < words; i++)
		count += (uint32_t)__builtin_popcountll(
			atomic_load_explicit(&lane->header->spinning[i], memory_order_relaxed));
	return count;
}

/* Where the parent sleeps on the bell instead, that is rung. */
void carom_lane_announce_ready(struct carom_lane *lane)
{
	atomic_fetch_add(&lane->header->ready_event, 1);
	carom_futex_wake(&lane->header->ready_event, INT_MAX);
	if (lane->bell_fd >= 0)
		carom_lane_wake_noticer(lane);
}
