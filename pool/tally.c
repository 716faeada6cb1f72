/*
 * Tally
 *
 * A task that is counted costs three looks at the clock (one when it is submitted, two in
 * the worker), some sixteen stores to lines that nobody else writes, and the transfer of
 * the worker's line of its slot, where the parent leaves the time of submission (in
 * ended_ns, which nobody looks at before the task has ended): 75 ns of a round trip of
 * 190, and 35 ns of each task of many, but no system call, lock or read-modify-write.
 * Without `statistics` the worker tests a pointer, and the parent a descriptor, of its own.
 *
 * The sum of what has ended is exact, whenever a worker dies:
 *
 *	worker                                    parent, once it is dead
 *	claim (the slot's word names it)
 *	at_hand := mark(ended before, task)
 *	call the function
 *	ending_kind := kind                       RUNNING still, the mark is this task's,
 *	ended_counts[kind]++                      and the sum is no more the mark's: it was
 *	finish (the slot's word says DONE)        counted, and is to be uncounted
 *	at_hand := 0
 *
 *   T1  A task is counted before its answer can be seen: who has that, finds it counted.
 *   T2  A task that a dead worker has counted and not finished is still RUNNING when the
 *       sweep looks, so it is uncounted there, and counted by how it ends then.
 *   T3  A process that is killed has done its stores in the order of its program, up to
 *       some point. The compiler keeps that order: see fence().
 *   T4  A mark names a slot, and the parent notes each slot's task's id before it submits it:
 *       who reads that tells by the mark, and by what has ended, whether it was this one's.
 *   T5  Nothing that stands in a sheet decides anything: it is another process's word.
 */
#include "pool/tally.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/points.h"
#include "core/time.h"
#include "shm/memfd.h"
#include "shm/segment_private.h"

#define TALLY_MAGIC UINT64_C(0x31796c6c61746d72) /* "rmtally1" */

/* T3 */
static void fence(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/* ---- layout ---- */

static void lay_out(uint64_t capacity, uint64_t slot_count, struct tally_layout *ret_layout)
{
	*ret_layout = (struct tally_layout){
		.magic = TALLY_MAGIC ^
			 slot_count, /* for all sizes follow from the others but this */
		.head_size = sizeof(struct tally_head),
		.place_size = sizeof(struct tally_place),
		.sheet_size = carom_page_ceil(sizeof(struct tally_sheet)),
		.capacity = capacity,
		.slot_count = slot_count,
	};
}

static uint64_t ids_offset(const struct tally_layout *layout)
{
	return layout->head_size + layout->capacity * layout->place_size;
}

static uint64_t sheets_offset(const struct tally_layout *layout)
{
	return carom_page_ceil(ids_offset(layout) + layout->slot_count * sizeof(uint64_t));
}

uint64_t carom_tally_size(const struct tally_layout *layout)
{
	return sheets_offset(layout) + layout->capacity * layout->sheet_size;
}

int carom_tally_read_layout(int fd, struct tally_layout *ret_layout)
{
	struct tally_layout layout, expected;
	uint64_t size;

	if (carom_memfd_check(fd, &size) < 0 ||
	    pread(fd, &layout, sizeof(layout), 0) != (ssize_t)sizeof(layout))
		return -EBADMSG;
	lay_out(layout.capacity, layout.slot_count, &expected);
	if (memcmp(&layout, &expected, sizeof(layout)) != 0 ||
	    layout.capacity - 1 >= CAROM_WORKERS_MAX || layout.slot_count > CAROM_LANE_SLOTS_MAX ||
	    size < carom_tally_size(&layout))
		return -EBADMSG;
	*ret_layout = layout;
	return 0;
}

const struct tally_place *carom_tally_place(const void *base, uint64_t worker)
{
	return (const struct tally_place *)((const struct tally_head *)base + 1) + worker;
}

uint64_t carom_tally_id(const void *base, const struct tally_layout *layout, uint64_t at_hand)
{
	const uint64_t *ids = (const void *)((const unsigned char *)base + ids_offset(layout));
	uint64_t slot = tally_marked_slot(at_hand);

	/* acquire: what is read after it is no older */
	return slot < layout->slot_count ? __atomic_load_n(&ids[slot], __ATOMIC_ACQUIRE) : 0;
}

const struct tally_sheet *carom_tally_sheet(const void *base, const struct tally_layout *layout,
					    uint64_t worker)
{
	return (const void *)((const unsigned char *)base + sheets_offset(layout) +
			      worker * layout->sheet_size);
}

/* ---- the parent ---- */

static struct tally_place *place_of(const struct carom_tally *tally, uint32_t worker)
{
	return (struct tally_place *)(tally->head + 1) + worker;
}

static struct tally_sheet *sheet_of(const struct carom_tally *tally, uint32_t worker)
{
	return (struct tally_sheet *)((unsigned char *)tally->head + sheets_offset(&tally->layout) +
				      worker * tally->layout.sheet_size);
}

static void describe(struct tally_head *head, const struct carom_pool_options *options)
{
	const char *name = options->name ? options->name : "pool";

	strncpy(head->name, name, sizeof(head->name) - 1);
	head->pid = (uint64_t)getpid();
	head->is_counted = options->statistics != 0;
	head->created_ns = carom_now();
	head->max_tasks_per_child = options->max_tasks_per_child;
	head->max_memory_per_child_bytes = options->max_memory_per_child_bytes;
	head->slot_count = options->slot_count;
	head->put_locks = options->put_locks;
	head->schedule = options->schedule;
	head->soft_limit_ns = options->soft_limit_ns;
	head->hard_limit_ns = options->hard_limit_ns;
	head->worker_count = options->worker_count;
}

/* what is counted is shared, and has ids and sheets; else the parent has it for itself, without */
static int make_memory(struct carom_tally *tally, bool is_on)
{
	uint64_t private_size = carom_page_ceil(ids_offset(&tally->layout));
	int r;

	if (!is_on) {
		tally->head = aligned_alloc(_Alignof(struct tally_head), private_size);
		if (!tally->head)
			return -ENOMEM;
		memset(tally->head, 0, private_size);
		return 0;
	}
	r = carom_segment_new(
		&CAROM_SEGMENT_OPTIONS(.name = CAROM_TALLY_NAME,
				       .size = carom_tally_size(&tally->layout),
				       .populate_size = sheets_offset(&tally->layout)),
		&tally->segment);
	if (r < 0)
		return r;
	tally->head = carom_segment_data(tally->segment);
	tally->fd = carom_segment_fd(tally->segment);
	carom_private_fd_add(&tally->private_fd, tally->fd);
	return 0;
}

int carom_tally_new(const struct carom_pool_options *options, uint32_t capacity,
		    struct carom_tally **ret_tally)
{
	struct carom_tally *tally = calloc(1, sizeof(*tally));
	int r;

	if (!tally)
		return -ENOMEM;
	tally->fd = -1;
	lay_out(capacity, options->slot_count, &tally->layout);
	r = make_memory(tally, options->statistics != 0);
	if (r < 0) {
		free(tally);
		return r;
	}
	describe(tally->head, options);
	tally->head->layout = tally->layout;
	*ret_tally = tally;
	return 0;
}

void carom_tally_lose_fd(struct carom_tally *tally)
{
	if (!tally->segment)
		return;
	carom_private_fd_remove(&tally->private_fd);
	carom_segment_lose_fd(tally->segment);
	tally->fd = -1;
}

struct carom_tally *carom_tally_free(struct carom_tally *tally)
{
	if (!tally)
		return NULL;
	if (tally->segment) {
		carom_private_fd_remove(&tally->private_fd);
		carom_segment_free(tally->segment);
	} else {
		free(tally->head);
	}
	free(tally);
	return NULL;
}

void carom_tally_name(struct carom_tally *tally, uint32_t slot, uint64_t id)
{
	uint64_t *ids = (void *)((unsigned char *)tally->head + ids_offset(&tally->layout));

	tally_set(&ids[slot], id);
}

void carom_tally_submitted(struct carom_tally *tally, uint64_t item_count)
{
	tally_add(&tally->head->submitted_count, 1);
	tally_add(&tally->head->submitted_item_count, item_count);
}

void carom_tally_answered(struct carom_tally *tally, uint64_t kind)
{
	tally_add(&tally->head->ended_counts[kind % CAROM_STATISTICS_KINDS], 1);
}

static uint64_t ended_count(const struct tally_sheet *sheet)
{
	uint64_t count = 0;

	for (int kind = 0; kind < CAROM_STATISTICS_KINDS; kind++)
		count += tally_get(&sheet->ended_counts[kind]);
	return count;
}

void carom_tally_interrupted(struct carom_tally *tally, uint32_t worker, uint32_t slot,
			     uint32_t generation, uint64_t item_count)
{
	struct tally_sheet *sheet = sheet_of(tally, worker);
	uint64_t seen = ended_count(sheet), at_hand = tally_get(&sheet->at_hand);
	uint64_t kind = tally_get(&sheet->ending_kind) % CAROM_STATISTICS_KINDS;

	if (at_hand == tally_mark(seen - 1, slot, generation)) /* T2 */
		tally_add(&sheet->ended_counts[kind], (uint64_t)-1);
	else if (at_hand != tally_mark(seen, slot, generation))
		return; /* it had claimed the task, and noted nothing */
	tally_set(&sheet->item_count, tally_get(&sheet->item_count_before) + item_count);
	tally_set(&sheet->at_hand, 0);
}

void carom_tally_born(struct carom_tally *tally, uint32_t worker, pid_t pid)
{
	struct tally_place *place = place_of(tally, worker);

	tally_set(&place->born_ns, carom_now());
	tally_add(&place->process_count, 1);
	tally_add(&tally->head->process_count, 1);
	tally_set(&place->pid, (uint64_t)pid);
}

void carom_tally_ended(struct carom_tally *tally, uint32_t worker, enum carom_exit_reason reason)
{
	tally_set(&place_of(tally, worker)->pid, 0);
	tally_add(&tally->head->exit_counts[reason % CAROM_STATISTICS_REASONS], 1);
	if (!carom_tally_is_on(tally))
		return;
	tally_set(&sheet_of(tally, worker)->at_hand, 0);
	tally_set(&sheet_of(tally, worker)->since_ns, 0);
	tally_set(&sheet_of(tally, worker)->phase, CAROM_WORKER_STARTING);
}

/* ---- a worker ---- */

static int map_sheet(int fd, const struct tally_layout *layout, uint32_t worker,
		     struct tally_sheet **ret_sheet)
{
	off_t offset = (off_t)(sheets_offset(layout) + worker * layout->sheet_size);
	void *sheet = mmap(NULL, layout->sheet_size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, fd, offset);

	if (sheet == MAP_FAILED)
		return -ENOMEM;
	/* a process forked by a task must not write here after its worker's death */
	if (madvise(sheet, layout->sheet_size, MADV_DONTFORK) < 0) {
		munmap(sheet, layout->sheet_size);
		return -ENOMEM;
	}
	madvise(sheet, layout->sheet_size, MADV_DONTDUMP);
	*ret_sheet = sheet;
	return 0;
}

static struct carom_tally_writer writer_to(struct tally_sheet *sheet)
{
	return (struct carom_tally_writer){ .sheet = sheet,
					    .ended_count = ended_count(sheet),
					    .sleep_count_before = tally_get(&sheet->sleep_count) };
}

int carom_tally_attach(int fd, uint32_t worker, struct carom_tally_writer *ret_writer)
{
	struct tally_layout layout;
	struct tally_sheet *sheet;
	int r = carom_tally_read_layout(fd, &layout);

	if (r < 0)
		return r;
	if (worker >= layout.capacity)
		return -EINVAL;
	r = map_sheet(fd, &layout, worker, &sheet);
	if (r < 0)
		return r;
	*ret_writer = writer_to(sheet);
	return 0;
}

void carom_tally_share(const struct carom_tally *tally, uint32_t worker,
		       struct carom_tally_writer *ret_writer)
{
	if (carom_tally_is_on(tally))
		*ret_writer = writer_to(sheet_of(tally, worker));
}

void carom_tally_phase(struct carom_tally_writer *writer, enum carom_worker_state phase)
{
	if (writer->sheet)
		tally_set(&writer->sheet->phase, phase);
}

static void add_to(struct carom_histogram *histogram, uint64_t value)
{
	tally_add(&histogram->sum, value);
	if (value > tally_get(&histogram->largest))
		tally_set(&histogram->largest, value);
	tally_add(&histogram->buckets[carom_histogram_bucket(value)], 1);
}

void carom_tally_begin(struct carom_tally_writer *writer, const struct carom_slot *task,
		       uint32_t slot, uint64_t sleep_count)
{
	struct tally_sheet *sheet = writer->sheet;
	uint64_t submitted_ns = task->ended_ns;
	uint64_t word = atomic_load_explicit(&task->word, memory_order_relaxed); /* it is ours */

	CAROM_POINT("tally.claimed");
	writer->begun_ns = carom_now();
	tally_set(&sheet->item_count_before, tally_get(&sheet->item_count));
	tally_set(&sheet->since_ns, writer->begun_ns);
	fence();
	tally_set(&sheet->at_hand,
		  tally_mark(writer->ended_count, slot, carom_slot_generation(word)));
	CAROM_POINT("tally.marked");
	tally_set(&sheet->sleep_count, writer->sleep_count_before + sleep_count);
	if (submitted_ns && submitted_ns <= writer->begun_ns)
		add_to(&sheet->wait_ns, writer->begun_ns - submitted_ns);
}

void carom_tally_end(struct carom_tally_writer *writer, uint64_t kind, uint64_t item_count)
{
	struct tally_sheet *sheet = writer->sheet;
	uint64_t now = carom_now();

	add_to(&sheet->run_ns, now - writer->begun_ns);
	writer->begun_ns = now; /* of its rest */
	tally_add(&sheet->item_count, item_count);
	tally_set(&sheet->ending_kind, kind);
	fence();
	CAROM_POINT("tally.uncounted");
	tally_add(&sheet->ended_counts[kind % CAROM_STATISTICS_KINDS], 1);
	fence();
	writer->ended_count++;
	CAROM_POINT("tally.counted");
}

void carom_tally_rest(struct carom_tally_writer *writer)
{
	CAROM_POINT("tally.finished");
	tally_set(&writer->sheet->since_ns, writer->begun_ns);
	fence();
	tally_set(&writer->sheet->at_hand, 0);
}
