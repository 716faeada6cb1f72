/*
 * Blocks
 *
 * Two-level segregated fit: free blocks are kept by size class, 16 steps to each
 * power of two, and two levels of bit masks find a class that has one, in a
 * number of steps that does not depend on how many blocks there are. What is cut
 * off a block goes back into its class at once, and what becomes free is joined
 * with its neighbours at once.
 *
 * Each block begins with its own size and that of the block before it, so the
 * region can be walked both ways. A tag in the size's upper bits says what the
 * block is; joining takes the tag away from the header that vanishes, so giving a
 * block back twice is noticed unless its room is in use again.
 *
 *   I1  The blocks fill the region from `first` to the end mark without a gap.
 *   I2  No two free blocks are neighbours.
 *   I3  A block is in the list of its class if and only if it is free, and a bit
 *       is set if and only if the list behind it is not empty.
 *   I4  `resident` of a free block is not less than the bytes of its whole pages
 *       that may hold memory.
 *
 * One call is one change in the journal: every state another process can see has
 * all of these. The longest, taking an aligned block out of the middle of a free
 * one, puts 27 words.
 *
 * A search takes the first block of a class in which every block fits. Only if
 * there is none, the lists of the classes in which some may fit are searched from
 * the smallest on: a full region is used to the last byte, at the price of time.
 */
#include "shm/blocks.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#define TAG_SHIFT 48
#define TAG_MASK  (UINT64_C(0xffff) << TAG_SHIFT)
#define TAG_USED  (UINT64_C(0x05ed) << TAG_SHIFT)
#define TAG_FREE  (UINT64_C(0xf4ee) << TAG_SHIFT)
#define TAG_END   (UINT64_C(0x0e0d) << TAG_SHIFT)

/* A free block is worth a system call once this much of it may hold memory. */
#define GIVE_BACK_SIZE (UINT64_C(1) << 20)

/**
 * struct block - how a block begins
 * @previous_size: of the block before; 0: there is none
 * @size:          of this one, header included, with its tag
 * @next, @previous, @resident: of a free block only; else the room begins here
 */
struct block {
	uint64_t previous_size;
	uint64_t size;
	uint64_t next;
	uint64_t previous;
	uint64_t resident;
};

#define HEADER_SIZE    offsetof(struct block, next)
#define BLOCK_SIZE_MIN ((sizeof(struct block) + 15) & ~UINT64_C(15))

#define FIELD(at, name) ((at) + offsetof(struct block, name))
#define GLOBAL(field)   offsetof(struct carom_blocks, field)
#define COLUMNS_OF(row) (GLOBAL(columns) + (row) * sizeof(uint64_t))
#define HEAD_OF(row, column) \
	(GLOBAL(heads) + ((row)*CAROM_BLOCKS_COLUMNS + (column)) * sizeof(uint64_t))

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) & ~(to - 1);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- size classes ---- */

struct size_class {
	uint32_t row;
	uint32_t column;
};

#define LINEAR_BITS 8 /* below 256 bytes a column is 16 bytes wide */
#define COLUMN_BITS 4

static uint32_t highest_bit(uint64_t value)
{
	return 63 - (uint32_t)__builtin_clzll(value);
}

static struct size_class class_of(uint64_t size)
{
	uint32_t bit;

	if (size < 1 << LINEAR_BITS)
		return (struct size_class){ 0, (uint32_t)(size >> (LINEAR_BITS - COLUMN_BITS)) };
	bit = highest_bit(size);
	return (struct size_class){ bit - LINEAR_BITS + 1, (uint32_t)(size >> (bit - COLUMN_BITS)) &
								   (CAROM_BLOCKS_COLUMNS - 1) };
}

/* The first class whose smallest block is not smaller than @size. */
static struct size_class class_above(uint64_t size)
{
	if (size >= 1 << LINEAR_BITS)
		size += (UINT64_C(1) << (highest_bit(size) - COLUMN_BITS)) - 1;
	return class_of(size);
}

/* The first class from @from on that has a block. Return: false if none has. */
static bool next_class(const struct carom_blocks *blocks, struct size_class from,
		       struct size_class *ret_class)
{
	uint64_t columns, rows;

	if (from.row >= CAROM_BLOCKS_ROWS)
		return false;
	columns = blocks->columns[from.row] & (~UINT64_C(0) << from.column);
	if (!columns) {
		rows = blocks->rows & (~UINT64_C(0) << from.row << 1);
		if (!rows)
			return false;
		from.row = (uint32_t)__builtin_ctzll(rows);
		columns = blocks->columns[from.row];
	}
	*ret_class = (struct size_class){ from.row, (uint32_t)__builtin_ctzll(columns) };
	return true;
}

/* ---- blocks as they will be after the change ---- */

static uint64_t size_of(const struct carom_change *change, uint64_t block)
{
	return carom_change_get(change, FIELD(block, size)) & ~TAG_MASK;
}

static bool has_tag(const struct carom_change *change, uint64_t block, uint64_t tag)
{
	return (carom_change_get(change, FIELD(block, size)) & TAG_MASK) == tag;
}

static void set_bit(struct carom_change *change, uint64_t word, uint32_t bit)
{
	uint64_t value = carom_change_get(change, word);

	if (!(value & UINT64_C(1) << bit))
		carom_change_put(change, word, value | UINT64_C(1) << bit);
}

static void clear_class(struct carom_change *change, struct size_class class)
{
	uint64_t columns =
		carom_change_get(change, COLUMNS_OF(class.row)) & ~(UINT64_C(1) << class.column);

	carom_change_put(change, COLUMNS_OF(class.row), columns);
	if (!columns)
		carom_change_put(change, GLOBAL(rows),
				 carom_change_get(change, GLOBAL(rows)) &
					 ~(UINT64_C(1) << class.row));
}

/* Take a free block off its list. */
static void unlist(struct carom_change *change, uint64_t block)
{
	struct size_class class = class_of(size_of(change, block));
	uint64_t next = carom_change_get(change, FIELD(block, next));
	uint64_t previous = carom_change_get(change, FIELD(block, previous));

	if (next)
		carom_change_put(change, FIELD(next, previous), previous);
	if (previous)
		carom_change_put(change, FIELD(previous, next), next);
	else
		carom_change_put(change, HEAD_OF(class.row, class.column), next);
	if (!next && !previous)
		clear_class(change, class);
}

/* Make a free block of [block, block + size), whose previous_size stands there already. */
static void list(struct carom_change *change, uint64_t block, uint64_t size, uint64_t resident)
{
	struct size_class class = class_of(size);
	uint64_t head = HEAD_OF(class.row, class.column);
	uint64_t next = carom_change_get(change, head);

	carom_change_put(change, FIELD(block, size), size | TAG_FREE);
	carom_change_put(change, FIELD(block, next), next);
	carom_change_put(change, FIELD(block, previous), 0);
	carom_change_put(change, FIELD(block, resident), min(resident, size));
	carom_change_put(change, FIELD(block + size, previous_size), size);
	carom_change_put(change, head, block);
	if (next)
		carom_change_put(change, FIELD(next, previous), block);
	set_bit(change, COLUMNS_OF(class.row), class.column);
	set_bit(change, GLOBAL(rows), class.row);
}

static void account(struct carom_change *change, int64_t size, int64_t count)
{
	carom_change_put(change, GLOBAL(used_size),
			 carom_change_get(change, GLOBAL(used_size)) + (uint64_t)size);
	carom_change_put(change, GLOBAL(used_count),
			 carom_change_get(change, GLOBAL(used_count)) + (uint64_t)count);
}

/* ---- take ---- */

/* What must be cut off the front so that the room is aligned: nothing, or a whole block. */
static uint64_t gap_of(const struct carom_blocks *blocks, uint64_t block, uint64_t alignment)
{
	uint64_t room = (uintptr_t)blocks + block + HEADER_SIZE;
	uint64_t gap = round_up(room, alignment) - room;

	while (gap > 0 && gap < BLOCK_SIZE_MIN)
		gap += alignment;
	return gap;
}

static const struct block *block_at(const struct carom_blocks *blocks, uint64_t block)
{
	return (const struct block *)((const unsigned char *)blocks + block);
}

static bool fits(const struct carom_blocks *blocks, uint64_t block, uint64_t need,
		 uint64_t alignment)
{
	uint64_t size = block_at(blocks, block)->size & ~TAG_MASK;

	return gap_of(blocks, block, alignment) + need <= size;
}

/* Every class that may have a fitting block, list by list. */
static uint64_t search_lists(const struct carom_blocks *blocks, uint64_t need, uint64_t alignment)
{
	struct size_class class = class_of(need);

	for (; next_class(blocks, class, &class); class.column++) {
		uint64_t block = blocks->heads[class.row][class.column];

		for (; block; block = block_at(blocks, block)->next)
			if (fits(blocks, block, need, alignment))
				return block;
	}
	return 0;
}

/* Return: the offset of a free block with room for @need at @alignment; 0: there is none. */
static uint64_t find(const struct carom_blocks *blocks, uint64_t need, uint64_t alignment)
{
	uint64_t slack = alignment > CAROM_BLOCKS_ALIGNMENT ? alignment + BLOCK_SIZE_MIN : 0;
	struct size_class class;

	if (next_class(blocks, class_above(need + slack), &class))
		return blocks->heads[class.row][class.column];
	return search_lists(blocks, need, alignment);
}

/* Cut [block, block + need) out of the free block and mark it used. Return: its size. */
static uint64_t cut(struct carom_change *change, uint64_t block, uint64_t gap, uint64_t need)
{
	uint64_t size = size_of(change, block) - gap;
	uint64_t resident = carom_change_get(change, FIELD(block, resident));

	unlist(change, block);
	if (gap)
		list(change, block, gap, resident);
	block += gap;
	if (size - need >= BLOCK_SIZE_MIN) {
		list(change, block + need, size - need, resident);
		size = need;
	}
	carom_change_put(change, FIELD(block, size), size | TAG_USED);
	carom_change_put(change, FIELD(block + size, previous_size), size);
	return size;
}

int carom_blocks_take(struct carom_blocks *blocks, uint64_t size, uint64_t alignment,
		      uint64_t *ret_offset)
{
	struct carom_change change;
	uint64_t need, block, gap;

	if (size > blocks->size || alignment > blocks->size)
		return -ENOMEM;
	need = round_up(size + HEADER_SIZE, CAROM_BLOCKS_ALIGNMENT);
	if (need < BLOCK_SIZE_MIN)
		need = BLOCK_SIZE_MIN;
	block = find(blocks, need, alignment);
	if (!block)
		return -ENOMEM;
	gap = gap_of(blocks, block, alignment);
	carom_change_begin(&change, &blocks->journal, blocks);
	account(&change, (int64_t)cut(&change, block, gap, need), 1);
	carom_change_commit(&change);
	*ret_offset = block + gap + HEADER_SIZE;
	return 0;
}

/* ---- give ---- */

static bool is_used_block(const struct carom_blocks *blocks, uint64_t block)
{
	const struct block *header = block_at(blocks, block);
	uint64_t size, end;

	if (block < blocks->first || block % CAROM_BLOCKS_ALIGNMENT != 0 ||
	    block > blocks->size - BLOCK_SIZE_MIN || (header->size & TAG_MASK) != TAG_USED)
		return false;
	size = header->size & ~TAG_MASK;
	end = blocks->size - HEADER_SIZE;
	return size <= end - block && block_at(blocks, block + size)->previous_size == size;
}

/* Pages that lie wholly in the free block, behind what it keeps for itself. */
static struct carom_pages pages_of(uint64_t block, uint64_t size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t begin = round_up(block + sizeof(struct block), page);
	uint64_t end = (block + size) & ~(page - 1);

	return (struct carom_pages){ .block = block,
				     .offset = begin,
				     .size = end > begin ? end - begin : 0 };
}

/* The block's free neighbours become part of it. */
static uint64_t join(struct carom_change *change, uint64_t *block, uint64_t size,
		     uint64_t *resident)
{
	uint64_t next = *block + size;
	uint64_t previous_size = carom_change_get(change, FIELD(*block, previous_size));

	if (has_tag(change, next, TAG_FREE)) {
		unlist(change, next);
		*resident += carom_change_get(change, FIELD(next, resident));
		size += size_of(change, next);
		carom_change_put(change, FIELD(next, size), 0);
	}
	if (previous_size && has_tag(change, *block - previous_size, TAG_FREE)) {
		carom_change_put(change, FIELD(*block, size), 0);
		*block -= previous_size;
		unlist(change, *block);
		*resident += carom_change_get(change, FIELD(*block, resident));
		size += previous_size;
	}
	return size;
}

int carom_blocks_give(struct carom_blocks *blocks, uint64_t offset, struct carom_pages *ret_pages)
{
	struct carom_change change;
	uint64_t block = offset - HEADER_SIZE, size, resident;

	if (!is_used_block(blocks, block))
		return -EINVAL;
	carom_change_begin(&change, &blocks->journal, blocks);
	resident = size = size_of(&change, block);
	account(&change, -(int64_t)size, -1);
	size = join(&change, &block, size, &resident);
	list(&change, block, size, resident);
	carom_change_commit(&change);
	*ret_pages = pages_of(block, size);
	if (resident < GIVE_BACK_SIZE)
		ret_pages->size = 0;
	return 0;
}

void carom_blocks_emptied(struct carom_blocks *blocks, const struct carom_pages *pages)
{
	struct carom_change change;

	carom_change_begin(&change, &blocks->journal, blocks);
	carom_change_put(&change, FIELD(pages->block, resident),
			 size_of(&change, pages->block) - pages->size);
	carom_change_commit(&change);
}

/* ---- the whole ---- */

void carom_blocks_init(struct carom_blocks *blocks, uint64_t first, uint64_t size)
{
	struct carom_change change;
	uint64_t end = size - HEADER_SIZE;

	assert(size <= CAROM_BLOCKS_SIZE_MAX);
	assert(first >= sizeof(*blocks) && first + 4096 <= size);
	blocks->size = size;
	blocks->first = round_up(first, CAROM_BLOCKS_ALIGNMENT);
	carom_change_begin(&change, &blocks->journal, blocks);
	list(&change, blocks->first, end - blocks->first, 0);
	carom_change_put(&change, FIELD(end, size), HEADER_SIZE | TAG_END);
	carom_change_commit(&change);
}

void carom_blocks_redo(struct carom_blocks *blocks)
{
	carom_journal_redo(&blocks->journal, blocks);
}

uint64_t carom_blocks_room(const struct carom_blocks *blocks)
{
	return blocks->size - HEADER_SIZE - blocks->first;
}

/**
 * struct census - what a walk over all blocks has counted
 */
struct census {
	uint64_t used_size;
	uint64_t used_count;
	uint64_t free_count;
};

static const char *walk(const struct carom_blocks *blocks, struct census *census)
{
	uint64_t end = blocks->size - HEADER_SIZE, previous_size = 0, size;
	bool previous_free = false;

	for (uint64_t at = blocks->first; at != end; at += size) {
		const struct block *block = block_at(blocks, at);
		bool is_free = (block->size & TAG_MASK) == TAG_FREE;

		size = block->size & ~TAG_MASK;
		if (!is_free && (block->size & TAG_MASK) != TAG_USED)
			return "a block has no tag";
		if (size < BLOCK_SIZE_MIN || size % CAROM_BLOCKS_ALIGNMENT || size > end - at)
			return "a block has an impossible size";
		if (block->previous_size != previous_size)
			return "a block is wrong about the one before it";
		if (is_free && previous_free)
			return "two free blocks are neighbours";
		census->free_count += is_free;
		census->used_count += !is_free;
		census->used_size += is_free ? 0 : size;
		previous_size = size;
		previous_free = is_free;
	}
	if (block_at(blocks, end)->size != (HEADER_SIZE | TAG_END) ||
	    block_at(blocks, end)->previous_size != previous_size)
		return "the end mark is wrong";
	return NULL;
}

/* Counts down *@left, so that a list that bites its tail is noticed. */
static const char *walk_list(const struct carom_blocks *blocks, struct size_class class,
			     uint64_t *left)
{
	uint64_t previous = 0;

	for (uint64_t at = blocks->heads[class.row][class.column]; at;) {
		const struct block *block = block_at(blocks, at);
		struct size_class own = class_of(block->size & ~TAG_MASK);

		if ((*left)-- == 0)
			return "a list has a block too many";
		if ((block->size & TAG_MASK) != TAG_FREE)
			return "a list has a block that is not free";
		if (own.row != class.row || own.column != class.column)
			return "a block is in the list of another class";
		if (block->previous != previous)
			return "a list's way back is wrong";
		if (block->resident > (block->size & ~TAG_MASK))
			return "a block holds more memory than it has";
		previous = at;
		at = block->next;
	}
	return NULL;
}

static const char *walk_lists(const struct carom_blocks *blocks, uint64_t free_count)
{
	const char *fault = NULL;

	for (uint32_t row = 0; row < CAROM_BLOCKS_ROWS && !fault; row++) {
		if (!(blocks->columns[row]) != !(blocks->rows >> row & 1))
			return "a row's bit is wrong";
		for (uint32_t column = 0; column < CAROM_BLOCKS_COLUMNS && !fault; column++) {
			if (!blocks->heads[row][column] != !(blocks->columns[row] >> column & 1))
				return "a column's bit is wrong";
			fault = walk_list(blocks, (struct size_class){ row, column }, &free_count);
		}
	}
	if (!fault && free_count)
		return "a free block is in no list";
	return fault;
}

const char *carom_blocks_fault(const struct carom_blocks *blocks)
{
	struct census census = { 0 };
	const char *fault;

	if (atomic_load(&blocks->journal.count))
		return "a change is not finished";
	fault = walk(blocks, &census);
	if (fault)
		return fault;
	if (census.used_size != blocks->used_size || census.used_count != blocks->used_count)
		return "the sums are wrong";
	return walk_lists(blocks, census.free_count);
}
