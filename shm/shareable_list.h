/**
 * DOC: shareable_list
 *
 * A list of fixed length in shared memory with a name, whose items are none, true or
 * false, whole numbers, floating point numbers, text and bytes: Python's
 * multiprocessing.shared_memory.ShareableList, attached to by either side.
 *
 *	struct carom_element items[] = { carom_element_int(1), carom_element_str("abc") };
 *
 *	r = carom_shareable_list_new(items, 2, &CAROM_SHAREABLE_LIST_OPTIONS(.name = "l"), &list);
 *	...				// Python: ShareableList(name="l")[1] = "xyz"
 *	r = carom_shareable_list_get(list, 1, text, sizeof(text), &item);
 *
 * An item may be given another value, of another type too; text and bytes as far as there
 * is room: that is what the first value had, rounded up to the next multiple of 8 above
 * it, 8 bytes for all else.
 *
 * In Python's layout a value cannot end in zero bytes: Python takes them for padding, and
 * what it is given of that kind comes back shorter. Here such a value is refused, and with
 * the option `exact` there is a layout of its own that keeps every byte, and that Python
 * refuses.
 *
 * Nothing is locked: who reads an item while it is written may see a part of each.
 * What others write is checked before it is used.
 */
#ifndef CAROM_SHM_SHAREABLE_LIST_H
#define CAROM_SHM_SHAREABLE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "shared_memory.h"

CAROM_BEGIN_DECLS

/* what an item is */
enum carom_element_type {
	CAROM_ELEMENT_NONE,
	CAROM_ELEMENT_BOOL,
	CAROM_ELEMENT_INT,
	CAROM_ELEMENT_FLOAT,
	CAROM_ELEMENT_STR, /* UTF-8 */
	CAROM_ELEMENT_BYTES,
};

/**
 * struct carom_element - a value; made by the functions below
 * @type:    one of enum carom_element_type
 * @integer: of an INT; of a BOOL 0 or 1
 * @real:    of a FLOAT
 * @data:    of STR and BYTES: not the item's; text needs no NUL at its end
 * @size:    of STR and BYTES, in bytes
 */
struct carom_element {
	int64_t type;
	int64_t integer;
	double real;
	const void *data;
	uint64_t size;
};

static inline struct carom_element carom_element_none(void)
{
	struct carom_element item = { CAROM_ELEMENT_NONE, 0, 0, NULL, 0 };

	return item;
}

static inline struct carom_element carom_element_bool(bool value)
{
	struct carom_element item = { CAROM_ELEMENT_BOOL, value, 0, NULL, 0 };

	return item;
}

static inline struct carom_element carom_element_int(int64_t value)
{
	struct carom_element item = { CAROM_ELEMENT_INT, value, 0, NULL, 0 };

	return item;
}

static inline struct carom_element carom_element_float(double value)
{
	struct carom_element item = { CAROM_ELEMENT_FLOAT, 0, value, NULL, 0 };

	return item;
}

static inline struct carom_element carom_element_bytes(const void *data, uint64_t size)
{
	struct carom_element item = { CAROM_ELEMENT_BYTES, 0, 0, data, size };

	return item;
}

/** carom_element_text() - text of this size */
static inline struct carom_element carom_element_text(const char *text, uint64_t size)
{
	struct carom_element item = { CAROM_ELEMENT_STR, 0, 0, text, size };

	return item;
}

/** carom_element_str() - text that ends with a NUL, which is not part of it; borrowed. MT-Safe, AS-Safe. */
CAROM_API struct carom_element carom_element_str(const char *text);

/**
 * carom_element_equals() - as Python's ==
 *
 * Numbers and truth values by what they amount to: 1, 1.0 and true are equal. Text and
 * bytes are never equal to each other. MT-Safe, AS-Safe.
 */
CAROM_API bool carom_element_equals(const struct carom_element *a, const struct carom_element *b);

struct carom_shareable_list;

/**
 * struct carom_shareable_list_options - how carom_shareable_list_new() makes one
 * @size_bytes: size of this struct; CAROM_SHAREABLE_LIST_OPTIONS() fills it in
 * @name:       of its memory; NULL: a random one
 * @exact:      1: every byte is kept, and Python cannot read it
 * @untracked:  as in struct carom_shared_memory_options
 */
struct carom_shareable_list_options {
	size_t size_bytes;
	const char *name;
	uint64_t exact;
	uint64_t untracked;
};
#define CAROM_SHAREABLE_LIST_OPTIONS(...) CAROM_OPTIONS(carom_shareable_list_options, __VA_ARGS__)

/**
 * carom_shareable_list_new() - make a list. Rows SM-11, SM-12
 * @items:    what stands in it; copied
 * @count:    how many; 0 makes an empty list
 * @options:  NULL for all defaults
 * @ret_list: the caller owns it and ends it with carom_shareable_list_free()
 *
 * Context: MT-Safe, AS-Unsafe heap lock.
 * Return: 0, what carom_shared_memory_new() says, or
 *	-EINVAL    an item of no known type; and in Python's layout: text or bytes that end in
 *	           a zero byte, text that is not UTF-8
 *	-EMSGSIZE  in Python's layout: more than 9,999,991 bytes in one item
 *	-EOVERFLOW all of it does not fit into a file
 */
CAROM_API int carom_shareable_list_new(const struct carom_element *items, size_t count,
				       const struct carom_shareable_list_options *options,
				       struct carom_shareable_list **ret_list);

/**
 * carom_shareable_list_attach() - to one that somebody else has made, of either layout
 * @ret_list: the caller owns it and ends it with carom_shareable_list_free()
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, what carom_shared_memory_attach() says, -EBADMSG (it is no such list).
 */
CAROM_API int carom_shareable_list_attach(const char *name, struct carom_shareable_list **ret_list);

/** carom_shareable_list_free() - the name stays; NULL is allowed. Context: MT-Safe, AS-Unsafe heap. */
CAROM_API struct carom_shareable_list *carom_shareable_list_free(struct carom_shareable_list *list);
CAROM_API void carom_shareable_list_freep(struct carom_shareable_list **list);

/** carom_shareable_list_memory() - what it stands in, to unlink it; stays the list's. MT-Safe, AS-Safe. */
CAROM_API struct carom_shared_memory *carom_shareable_list_memory(
	const struct carom_shareable_list *list);

/** carom_shareable_list_len() - how many items it has. MT-Safe, AS-Safe. */
CAROM_API size_t carom_shareable_list_len(const struct carom_shareable_list *list);

/**
 * carom_shareable_list_get() - an item. Row SM-13
 * @index:    from 0; from -1 backwards from the end
 * @buffer:   text and bytes are copied here; NULL if @size is 0
 * @size:     room there
 * @ret_item: its `data` is @buffer
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, or
 *	-ERANGE    there is no such item
 *	-EMSGSIZE  it has more than @size bytes: `size` of *@ret_item says how many, as it was
 *	-EBADMSG   somebody wrote nonsense there
 */
CAROM_API int carom_shareable_list_get(const struct carom_shareable_list *list, int64_t index,
				       void *buffer, size_t size, struct carom_element *ret_item);

/**
 * carom_shareable_list_set() - give an item another value. Row SM-13
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, or with the item as it was
 *	-ERANGE, -EINVAL  as above
 *	-EMSGSIZE  it has more bytes than there is room
 */
CAROM_API int carom_shareable_list_set(struct carom_shareable_list *list, int64_t index,
				       const struct carom_element *item);

/** carom_shareable_list_count() - how many items equal @item. Or -EBADMSG. MT-Safe, AS-Safe. */
CAROM_API int64_t carom_shareable_list_count(const struct carom_shareable_list *list,
					     const struct carom_element *item);

/** carom_shareable_list_index() - the first that equals @item. Or -ENOENT, -EBADMSG. MT-Safe, AS-Safe. */
CAROM_API int64_t carom_shareable_list_index(const struct carom_shareable_list *list,
					     const struct carom_element *item);

/**
 * carom_shareable_list_format() - of all items, as Python's struct module writes it: "qd8s"
 * @size: room in @buffer, with the NUL; what does not fit is cut
 *
 * Context: MT-Safe, AS-Safe.
 * Return: its length, without the NUL, however much fitted; -EBADMSG, -EOVERFLOW.
 */
CAROM_API int carom_shareable_list_format(const struct carom_shareable_list *list, char *buffer,
					  size_t size);

CAROM_END_DECLS

#endif
