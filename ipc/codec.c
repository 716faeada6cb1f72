/*
 * Codec
 *
 * A list that only grows, so that what was found once may be used without the lock. A child
 * by fork() finds it whole: an entry is linked by one store.
 */
#include "ipc/codec.h"

#include <errno.h>
#include <stdlib.h>

#include "core/fork_lock.h"
#include "core/options.h"
#include "ipc/object_private.h"

struct entry {
	uint32_t tag;
	struct carom_codec codec;
	struct entry *next;
};

static CAROM_FORK_LOCK(lock);
static struct entry *entries;

static struct entry *find(uint32_t tag)
{
	struct entry *entry = entries;

	while (entry && entry->tag != tag)
		entry = entry->next;
	return entry;
}

static const struct carom_codec *codec_of(uint32_t tag)
{
	struct entry *entry;

	carom_fork_lock_acquire(&lock);
	entry = find(tag);
	carom_fork_lock_release(&lock);
	return entry ? &entry->codec : NULL;
}

static int add(uint32_t tag, const struct carom_codec *codec)
{
	struct entry *entry = find(tag);

	if (entry)
		return entry->codec.write == codec->write && entry->codec.read == codec->read
			       ? 0
			       : -EEXIST;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){ .tag = tag, .codec = *codec, .next = entries };
	entries = entry;
	return 0;
}

int carom_codec_register(uint32_t tag, const struct carom_codec *codec)
{
	struct carom_codec ours;
	int r = carom_options_take(codec, &ours, sizeof(ours));

	if (r < 0)
		return r;
	if (tag == 0 || tag >= CAROM_TAG_OWN || !ours.write || !ours.read)
		return -EINVAL;
	carom_fork_lock_acquire(&lock);
	r = add(tag, &ours);
	carom_fork_lock_release(&lock);
	return r;
}

struct carom_object *carom_document_item(struct carom_document *document, uint32_t tag,
					 const void *item)
{
	const struct carom_codec *codec = codec_of(tag);

	if (!codec)
		return carom_document_fail(document, -ENOENT);
	return carom_document_tagged(document, tag, codec->write(document, item));
}

int carom_object_item_of(const struct carom_object *object, uint32_t tag, void **ret_item)
{
	const struct carom_codec *codec = codec_of(tag);
	uint32_t its_tag;
	int r = carom_object_tag(object, &its_tag);

	if (r < 0 || its_tag != tag)
		return -EBADMSG;
	return codec ? codec->read(carom_object_content(object), ret_item) : -ENOENT;
}
