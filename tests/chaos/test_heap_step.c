/*
 * Heap: a death at every instruction of taking, giving back, resizing and reclaiming, and
 * of finishing what a dead process had begun. The heap is whole each time, and no block is
 * lost or freed that somebody has.
 */
#include "tests/chaos/step.h"

#include "shm/blocks.h"
#include "shm/heap.h"
#include "shm/heap_check.h"

enum { PIECES = 5, CONTENT = 100 };

/**
 * struct root - a block of the heap with pointers to others
 * @pieces: side by side, until some are freed
 * @made:   what the victim asks for
 */
struct root {
	unsigned char *pieces[PIECES];
	unsigned char *made;
};

/**
 * struct stage - shared with the victim
 * @heap:    the handle has the same address in a child
 * @root:    in the heap
 * @known:   blocks in use before the victim acts
 * @outside: a pointer that does not stand in the heap
 * @lost:    deaths after which a block is in use that nobody knows
 * @owner:   a process that has died
 * @torn:    instructions of the victim's after which something is left to finish
 */
struct stage {
	struct carom_heap *heap;
	struct root *root;
	uint64_t known;
	void *outside;
	uint32_t lost;
	pid_t owner;
	uint32_t torn[2000];
};

static uint64_t used_count(struct stage *stage)
{
	struct carom_heap_stats stats = { 0 };

	cr_assert(zero(int, carom_heap_stats(stage->heap, &stats)));
	return stats.used_count;
}

/* All pieces stand side by side, 1, 3 and the last one freed again if @gaps. */
static void build(struct stage *stage, bool gaps)
{
	struct root *root = NULL;

	stage->heap = carom_heap_free(stage->heap);
	stage->outside = NULL;
	cr_assert(
		zero(int, carom_heap_new(&CAROM_HEAP_OPTIONS(.size = CAROM_MIB(4)), &stage->heap)));
	cr_assert(zero(int, carom_heap_alloc(stage->heap, sizeof(*root), (void **)&root)));
	memset(root, 0, sizeof(*root));
	for (int i = 0; i < PIECES; i++) {
		cr_assert(
			zero(int, carom_heap_alloc(stage->heap, 2000, (void **)&root->pieces[i])));
		for (int byte = 0; byte < CONTENT; byte++)
			root->pieces[i][byte] = (unsigned char)(i + byte);
	}
	for (int i = 1; gaps && i < PIECES; i += i == 1 ? 2 : 1) {
		carom_heap_dealloc(stage->heap, root->pieces[i]);
		root->pieces[i] = NULL;
	}
	stage->root = root;
	stage->known = used_count(stage);
}

static void renew(void *stage)
{
	build(stage, false);
}

static void renew_with_gaps(void *stage)
{
	build(stage, true);
}

static bool has_content(const unsigned char *piece, int number)
{
	for (int byte = 0; byte < CONTENT; byte++)
		if (piece[byte] != (unsigned char)(number + byte))
			return false;
	return true;
}

static void expect_whole(struct stage *stage, const struct step_death *death)
{
	const char *fault = carom_heap_check(stage->heap);

	cr_assert(eq(ptr, (void *)fault, NULL), "%s: %s", fault ? fault : "", step_where(death));
	for (int i = 0; i < PIECES; i++)
		if (stage->root->pieces[i])
			cr_expect(has_content(stage->root->pieces[i], i), "%s", step_where(death));
}

/* All that is known can be given back, and then nothing is left but the root and @lost blocks. */
static void expect_emptied(struct stage *stage, uint64_t lost, const struct step_death *death)
{
	void *block = NULL;

	cr_expect(zero(int, carom_heap_alloc(stage->heap, 700, &block)), "%s", step_where(death));
	cr_expect(zero(int, carom_heap_dealloc(stage->heap, block)), "%s", step_where(death));
	for (int i = 0; i < PIECES; i++)
		cr_expect(zero(int, carom_heap_dealloc(stage->heap, stage->root->pieces[i])),
			  "piece %d, %s", i, step_where(death));
	cr_expect(zero(int, carom_heap_dealloc(stage->heap, stage->root->made)), "%s",
		  step_where(death));
	memset(stage->root, 0, sizeof(*stage->root));
	cr_expect(eq(u64, used_count(stage), 1 + lost), "%s", step_where(death));
	expect_whole(stage, death);
}

/* Everything is called once, so that the linker has found it. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));
	void *block = NULL;

	renew(stage);
	carom_heap_alloc_owned(stage->heap, 100, 1, &block);
	carom_heap_realloc(stage->heap, block, CAROM_MIB(2), &block);
	memset(block, 1, CAROM_MIB(2));
	carom_heap_dealloc(stage->heap, block); /* gives pages back, too */
	carom_heap_reclaim(stage->heap, 0, NULL);
	return stage;
}

/* ---- taking ---- */

static void take_into_the_heap(void *userdata)
{
	struct stage *stage = userdata;

	carom_heap_alloc_aligned(stage->heap, 500, 256, (void **)&stage->root->made);
}

static void check_taken_into_the_heap(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	expect_whole(stage, death);
	cr_expect(eq(u64, used_count(stage), stage->known + (stage->root->made != NULL)), "%s",
		  step_where(death));
	expect_emptied(stage, 0, death);
}

Test(heap_step, of_taking_into_the_heap, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_gaps,
					  .act = take_into_the_heap,
					  .check = check_taken_into_the_heap },
		     new_stage());
}

static void take_outside(void *userdata)
{
	struct stage *stage = userdata;

	carom_heap_alloc(stage->heap, 500, &stage->outside);
}

/* The caller may have it, and not yet written it down. */
static void check_taken_outside(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	uint64_t more;

	expect_whole(stage, death);
	more = used_count(stage) - stage->known;
	cr_expect(le(u64, more, 1), "%s", step_where(death));
	if (stage->outside)
		cr_expect(zero(int, carom_heap_dealloc(stage->heap, stage->outside)), "%s",
			  step_where(death));
	stage->lost += more && !stage->outside;
	expect_emptied(stage, more && !stage->outside, death);
}

Test(heap_step, of_taking, .timeout = 120)
{
	struct stage *stage = new_stage();

	step_through(&(struct step_play){ .set_up = renew_with_gaps,
					  .act = take_outside,
					  .check = check_taken_outside },
		     stage);
	/* with the compiler's help one or two instructions; without it some more */
	cr_expect(le(u32, stage->lost, 8));
	fprintf(stderr, "# written down after %u instructions\n", stage->lost);
}

/* ---- giving back ---- */

/* The neighbours are free: three blocks become one. */
static void give_back(void *userdata)
{
	struct stage *stage = userdata;

	carom_heap_dealloc(stage->heap, stage->root->pieces[2]);
}

static void check_given_back(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	uint64_t used = used_count(stage);

	cr_expect(used == stage->known || used == stage->known - 1, "%s", step_where(death));
	if (death->complete)
		cr_expect(eq(u64, used, stage->known - 1));
	if (used < stage->known)
		stage->root->pieces[2] = NULL;
	expect_whole(stage, death);
	expect_emptied(stage, 0, death);
}

Test(heap_step, of_giving_back, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_gaps,
					  .act = give_back,
					  .check = check_given_back },
		     new_stage());
}

/* So many are worth being given back, touched or not. */
static const uint64_t PAGES_SIZE = CAROM_MIB(1) + CAROM_KIB(16);

static void renew_with_pages(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	carom_heap_realloc(stage->heap, stage->root->pieces[2], PAGES_SIZE,
			   (void **)&stage->root->pieces[2]);
}

Test(heap_step, of_giving_pages_back, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_pages,
					  .act = give_back,
					  .check = check_given_back },
		     new_stage());
}

/* ---- resizing ---- */

static void enlarge(void *userdata)
{
	struct stage *stage = userdata;

	carom_heap_realloc(stage->heap, stage->root->pieces[2], 3000,
			   (void **)&stage->root->pieces[2]);
}

static void shrink(void *userdata)
{
	struct stage *stage = userdata;

	carom_heap_realloc(stage->heap, stage->root->pieces[2], CONTENT,
			   (void **)&stage->root->pieces[2]);
}

static void check_resized(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	expect_whole(stage, death);
	cr_expect(eq(u64, used_count(stage), stage->known), "%s", step_where(death));
	expect_emptied(stage, 0, death);
}

Test(heap_step, of_growing_in_place, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_gaps,
					  .act = enlarge,
					  .check = check_resized },
		     new_stage());
}

Test(heap_step, of_growing_elsewhere, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew, .act = enlarge, .check = check_resized },
		     new_stage());
}

Test(heap_step, of_shrinking, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew, .act = shrink, .check = check_resized },
		     new_stage());
}

/* ---- owning ---- */

/* What it owns before, makes it known in the heap. */
static void own_something(void *userdata)
{
	struct stage *stage = userdata;

	carom_heap_alloc_owned(stage->heap, 64, 1, &stage->outside);
	stage->owner = getpid();
}

static void own_more(void *userdata)
{
	struct stage *stage = userdata;

	carom_heap_alloc_owned(stage->heap, 500, 1, &stage->outside);
}

static void check_owned(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	uint64_t count = 0;

	expect_whole(stage, death);
	cr_expect(zero(int, carom_heap_reclaim(stage->heap, stage->owner, &count)), "%s",
		  step_where(death));
	cr_expect(ge(u64, count, 1), "%s", step_where(death));
	cr_expect(le(u64, count, 2), "%s", step_where(death));
	expect_emptied(stage, 0, death);
}

Test(heap_step, of_taking_for_an_owner, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_gaps,
					  .prepare = own_something,
					  .act = own_more,
					  .check = check_owned },
		     new_stage());
}

static void leave_an_owner_dead(void *userdata)
{
	struct stage *stage = userdata;
	pid_t pid;

	renew_with_gaps(stage);
	pid = child();
	if (pid == 0) {
		for (int i = 0; i < 2; i++)
			own_something(stage);
		_exit(0);
	}
	cr_assert(zero(int, ended(pid)));
	stage->owner = pid;
}

static void reclaim(void *userdata)
{
	struct stage *stage = userdata;

	carom_heap_reclaim(stage->heap, stage->owner, NULL);
}

static void check_reclaimed(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	uint64_t count = 0;

	expect_whole(stage, death);
	cr_expect(zero(int, carom_heap_reclaim(stage->heap, stage->owner, &count)), "%s",
		  step_where(death));
	if (death->complete)
		cr_expect(zero(u64, count));
	expect_emptied(stage, 0, death);
}

Test(heap_step, of_reclaiming, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = leave_an_owner_dead,
					  .act = reclaim,
					  .check = check_reclaimed },
		     new_stage());
}

/* ---- a second death, in what the first one has left ---- */

/* What has a dead process left to finish? Bit 0: a change; bit 1: a block that it did not get. */
static int left_undone(struct stage *stage)
{
	struct carom_blocks *blocks =
		mmap(NULL, sizeof(*blocks), PROT_READ, MAP_SHARED, carom_heap_fd(stage->heap), 0);
	int undone;

	cr_assert(ne(ptr, blocks, MAP_FAILED));
	undone = (blocks->journal.count != 0) | (blocks->giving != 0) << 1;
	munmap(blocks, sizeof(*blocks));
	return undone;
}

static const struct step_play taking = { .set_up = renew_with_gaps,
					 .act = take_outside,
					 .check = check_taken_outside };

/* The next one to come finishes it, and does nothing else. */
static void finish(void *userdata)
{
	struct stage *stage = userdata;
	struct carom_heap_stats stats;

	carom_heap_stats(stage->heap, &stats);
}

static struct step_way way_of_taking;
static uint32_t first_death;

static void leave_taking_undone(void *stage)
{
	step_leave_dead(&taking, stage, &way_of_taking, first_death);
}

static void check_finished(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	expect_whole(stage, death);
	cr_expect(eq(u64, used_count(stage), stage->known), "%s", step_where(death));
	expect_emptied(stage, 0, death);
}

/* Return: the instructions after which @undone is left: the first and the last. */
static uint32_t find_undone(struct stage *stage, int undone, uint32_t found[2])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < way_of_taking.count; i++) {
		step_leave_dead(&taking, stage, &way_of_taking, i);
		if (left_undone(stage) == undone)
			stage->torn[count++] = i;
		finish(stage);
	}
	if (count > 0) {
		found[0] = stage->torn[0];
		found[1] = stage->torn[count - 1];
	}
	return count;
}

static void die_twice(struct stage *stage, int undone)
{
	uint32_t found[2] = { 0 }, count;

	step_record(&taking, stage, &way_of_taking);
	count = find_undone(stage, undone, found);
	fprintf(stderr, "# %d is left undone by a death before %u instructions\n", undone, count);
	cr_assert(lt(u32, 0, count));
	for (uint32_t i = 0; i < 2; i++) {
		first_death = found[i];
		step_through(&(struct step_play){ .set_up = leave_taking_undone,
						  .act = finish,
						  .check = check_finished },
			     stage);
	}
}

Test(heap_step, of_finishing_a_change, .timeout = 240)
{
	die_twice(new_stage(), 1);
}

Test(heap_step, of_taking_back_what_was_not_given, .timeout = 240)
{
	die_twice(new_stage(), 2);
}
