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
 *   I5  The last 16 bytes of a block that has TAG_OWNED are its link. It stands alone,
 *       if nobody owns the block, or in the ring of one who does.
 *   I6  `giving` is the room of a block in use that nobody outside has heard of, or 0.
 *
 * One call is one change in the journal: every state another process can see has
 * all of these. The longest, taking an aligned block for an owner out of the middle of
 * a free one, puts 32 words.
 *
 * Of room that is taken somebody must hear, and dies, perhaps, before. So the same change
 * that takes it tells where it is going: either to a word in the region itself, which holds
 * the address from that instant on; or to whoever called, whose private memory nobody can
 * look at when it is dead. Then it is in `giving` until the caller is about to write it
 * down, and still holds the lock:
 *
 *	dies before the commit          nothing was taken
 *	between commit and `giving = 0` the next one finds it in `giving`, and gives it back,
 *	                                in one change with `giving = 0`: it may die too
 *	after `giving = 0`              it had the room
 *
 * Had the word been written first, and `giving` cleared after, then a death between the two
 * would give back room of which, if the word was in memory that is shared, others know.
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

#include "shm/chain.h"

#define TAG_SHIFT 48
#define TAG_MASK  (UINT64_C(0xffff) << TAG_SHIFT)
#define TAG_USED  (UINT64_C(0x05ed) << TAG_SHIFT)
#define TAG_OWNED (UINT64_C(0x0ed5) << TAG_SHIFT)
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
#define LINK_SIZE      sizeof(struct carom_link)
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

/* Where a block with TAG_OWNED has its link. */
static uint64_t link_in(uint64_t block, uint64_t size)
{
	return block + size - LINK_SIZE;
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

/* Cut [block, block + need) out of the free block and mark it as @tag. Return: its size. */
static uint64_t cut(struct carom_change *change, uint64_t block, uint64_t gap, uint64_t need,
		    uint64_t tag)
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
	carom_change_put(change, FIELD(block, size), size | tag);
	carom_change_put(change, FIELD(block + size, previous_size), size);
	return size;
}

/* How large a block must be for @size bytes of room, and for a link, if it has one. */
static uint64_t block_size(uint64_t size, uint64_t tag)
{
	uint64_t link_size = tag == TAG_OWNED ? LINK_SIZE : 0;
	uint64_t need = round_up(size + HEADER_SIZE + link_size, CAROM_BLOCKS_ALIGNMENT);

	return need < BLOCK_SIZE_MIN ? BLOCK_SIZE_MIN : need;
}

/* The room at @offset goes to @place, or to whoever asks for it. */
static void send_to(struct carom_change *change, uint64_t place, uint64_t offset)
{
	if (place)
		carom_change_put(change, place, (uintptr_t)change->base + offset);
	else
		carom_change_put(change, GLOBAL(giving), offset);
}

int carom_blocks_take(struct carom_blocks *blocks, const struct carom_request *request,
		      uint64_t *ret_offset)
{
	uint64_t tag = request->owner ? TAG_OWNED : TAG_USED;
	struct carom_change change;
	uint64_t need, block, gap, size;

	if (request->size > blocks->size || request->alignment > blocks->size)
		return -ENOMEM;
	need = block_size(request->size, tag);
	block = find(blocks, need, request->alignment);
	if (!block)
		return -ENOMEM;
	gap = gap_of(blocks, block, request->alignment);
	carom_change_begin(&change, &blocks->journal, blocks);
	size = cut(&change, block, gap, need, tag);
	block += gap;
	account(&change, (int64_t)size, 1);
	if (request->owner)
		carom_chain_add(&change, request->owner, link_in(block, size));
	send_to(&change, request->place, block + HEADER_SIZE);
	carom_change_commit(&change);
	*ret_offset = block + HEADER_SIZE;
	return 0;
}

void carom_blocks_given(struct carom_blocks *blocks)
{
	/* one word, under the lock; nothing that comes after may be done before */
	atomic_store_explicit(&blocks->giving, 0, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

/* ---- give ---- */

static bool is_used_tag(uint64_t tag)
{
	return tag == TAG_USED || tag == TAG_OWNED;
}

static bool is_used_block(const struct carom_blocks *blocks, uint64_t block)
{
	const struct block *header = block_at(blocks, block);
	uint64_t size, end;

	if (block < blocks->first || block % CAROM_BLOCKS_ALIGNMENT != 0 ||
	    block > blocks->size - BLOCK_SIZE_MIN || !is_used_tag(header->size & TAG_MASK))
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

/* The block in use at @block becomes free, in a change that may have more in it. */
static struct carom_pages give(struct carom_change *change, uint64_t block)
{
	uint64_t size = size_of(change, block), resident = size;
	struct carom_pages pages;

	if (has_tag(change, block, TAG_OWNED))
		carom_chain_remove(change, link_in(block, size));
	account(change, -(int64_t)size, -1);
	size = join(change, &block, size, &resident);
	list(change, block, size, resident);
	pages = pages_of(block, size);
	if (resident < GIVE_BACK_SIZE)
		pages.size = 0;
	return pages;
}

int carom_blocks_give(struct carom_blocks *blocks, uint64_t offset, struct carom_pages *ret_pages)
{
	struct carom_change change;
	struct carom_pages pages;

	if (!is_used_block(blocks, offset - HEADER_SIZE))
		return -EINVAL;
	carom_change_begin(&change, &blocks->journal, blocks);
	pages = give(&change, offset - HEADER_SIZE);
	carom_change_commit(&change);
	*ret_pages = pages;
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

/* ---- resize ---- */

/* A link moves within its block; what it stood on may become room, and is not read again. */
static void move_link(struct carom_change *change, uint64_t from, uint64_t to)
{
	bool alone = carom_chain_next(change, from) == from;
	uint64_t previous = alone ? 0 : carom_chain_previous(change, from);

	if (from == to)
		return;
	if (alone) {
		carom_chain_init(change, to);
		return;
	}
	carom_chain_remove(change, from);
	carom_chain_add(change, previous, to);
}

/*
 * Of the block and the free one behind it, if there is one, @total bytes together, the
 * first @need become the block. Return: pages of the rest.
 */
static struct carom_pages resize(struct carom_change *change, uint64_t block, uint64_t need,
				 uint64_t total)
{
	uint64_t tag = carom_change_get(change, FIELD(block, size)) & TAG_MASK;
	uint64_t size = size_of(change, block), next = block + size;
	uint64_t resident = need < size ? size - need : 0;
	struct carom_pages pages = { 0 };

	if (total > size) {
		resident += carom_change_get(change, FIELD(next, resident));
		unlist(change, next);
		carom_change_put(change, FIELD(next, size), 0);
	}
	if (tag == TAG_OWNED)
		move_link(change, link_in(block, size), link_in(block, need));
	account(change, (int64_t)(need - size), 0);
	carom_change_put(change, FIELD(block, size), need | tag);
	carom_change_put(change, FIELD(block + need, previous_size), need);
	if (total > need) {
		list(change, block + need, total - need, resident);
		pages = pages_of(block + need, total - need);
	}
	if (resident < GIVE_BACK_SIZE)
		pages.size = 0;
	return pages;
}

int carom_blocks_resize(struct carom_blocks *blocks, uint64_t offset, uint64_t size, uint64_t place,
			struct carom_pages *ret_pages)
{
	uint64_t block = offset - HEADER_SIZE, need, total;
	struct carom_pages pages = { 0 };
	struct carom_change change;

	if (!is_used_block(blocks, block))
		return -EINVAL;
	if (size > blocks->size)
		return -ENOMEM;
	carom_change_begin(&change, &blocks->journal, blocks);
	need = block_size(size, block_at(blocks, block)->size & TAG_MASK);
	total = size_of(&change, block);
	if (has_tag(&change, block + total, TAG_FREE))
		total += size_of(&change, block + total);
	if (need > total)
		return -ENOMEM;
	if (total - need < BLOCK_SIZE_MIN)
		need = total;
	if (place)
		send_to(&change, place, offset);
	if (need != size_of(&change, block))
		pages = resize(&change, block, need, total);
	carom_change_commit(&change);
	*ret_pages = pages;
	return 0;
}

/* @place may lie in the old room: it is put first, so that what a free block needs counts. */
void carom_blocks_replace(struct carom_blocks *blocks, uint64_t offset, uint64_t by, uint64_t place,
			  struct carom_pages *ret_pages)
{
	struct carom_change change;
	struct carom_pages pages;

	carom_change_begin(&change, &blocks->journal, blocks);
	carom_change_put(&change, GLOBAL(giving), 0);
	if (place)
		send_to(&change, place, by);
	pages = give(&change, offset - HEADER_SIZE);
	carom_change_commit(&change);
	*ret_pages = pages;
}

/* ---- owners ---- */

uint64_t carom_blocks_link(const struct carom_blocks *blocks, uint64_t offset)
{
	uint64_t block = offset - HEADER_SIZE;

	if (!is_used_block(blocks, block) ||
	    (block_at(blocks, block)->size & TAG_MASK) != TAG_OWNED)
		return 0;
	return link_in(block, block_at(blocks, block)->size & ~TAG_MASK);
}

uint64_t carom_blocks_size(const struct carom_blocks *blocks, uint64_t offset)
{
	uint64_t block = offset - HEADER_SIZE;

	if (!is_used_block(blocks, block))
		return 0;
	return (block_at(blocks, block)->size & ~TAG_MASK) - HEADER_SIZE -
	       (carom_blocks_link(blocks, offset) ? LINK_SIZE : 0);
}

/* Behind the link stands the next block, which knows how long this one is. */
uint64_t carom_blocks_linked(const struct carom_blocks *blocks, uint64_t link)
{
	uint64_t next = link + LINK_SIZE;

	return next - block_at(blocks, next)->previous_size + HEADER_SIZE;
}

void carom_blocks_pass(struct carom_blocks *blocks, uint64_t link, uint64_t owner)
{
	struct carom_change change;

	carom_change_begin(&change, &blocks->journal, blocks);
	carom_chain_remove(&change, link);
	if (owner)
		carom_chain_add(&change, owner, link);
	else
		carom_chain_init(&change, link);
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

/* I6: pages are not given back here: what they may hold is counted, for the next give nearby */
static void take_back(struct carom_blocks *blocks, uint64_t offset)
{
	struct carom_change change;

	carom_change_begin(&change, &blocks->journal, blocks);
	carom_change_put(&change, GLOBAL(giving), 0);
	give(&change, offset - HEADER_SIZE);
	carom_change_commit(&change);
}

void carom_blocks_redo(struct carom_blocks *blocks)
{
	uint64_t giving;

	carom_journal_redo(&blocks->journal, blocks);
	/* relaxed: the lock orders processes */
	giving = atomic_load_explicit(&blocks->giving, memory_order_relaxed);
	if (giving)
		take_back(blocks, giving);
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

static const struct carom_link *link_at(const struct carom_blocks *blocks, uint64_t link)
{
	return (const struct carom_link *)((const unsigned char *)blocks + link);
}

static bool is_linked(const struct carom_blocks *blocks, uint64_t at)
{
	const struct carom_link *link = link_at(blocks, at);

	return link->next < blocks->size && link->previous < blocks->size &&
	       link_at(blocks, link->next)->previous == at &&
	       link_at(blocks, link->previous)->next == at;
}

static const char *walk(const struct carom_blocks *blocks, struct census *census)
{
	uint64_t end = blocks->size - HEADER_SIZE, previous_size = 0, size;
	bool previous_free = false;

	for (uint64_t at = blocks->first; at != end; at += size) {
		const struct block *block = block_at(blocks, at);
		bool is_free = (block->size & TAG_MASK) == TAG_FREE;

		size = block->size & ~TAG_MASK;
		if (!is_free && !is_used_tag(block->size & TAG_MASK))
			return "a block has no tag";
		if (size < BLOCK_SIZE_MIN || size % CAROM_BLOCKS_ALIGNMENT || size > end - at)
			return "a block has an impossible size";
		if (block->previous_size != previous_size)
			return "a block is wrong about the one before it";
		if (is_free && previous_free)
			return "two free blocks are neighbours";
		if ((block->size & TAG_MASK) == TAG_OWNED && !is_linked(blocks, link_in(at, size)))
			return "a link and its neighbours do not know each other";
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
	if (atomic_load(&blocks->giving))
		return "a block was not given";
	fault = walk(blocks, &census);
	if (fault)
		return fault;
	if (census.used_size != blocks->used_size || census.used_count != blocks->used_count)
		return "the sums are wrong";
	return walk_lists(blocks, census.free_count);
}
