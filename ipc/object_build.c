/*
 * Object: made from a line that says what follows
 *
 * A list is filled while it is open, by the levels of the calls, and goes into what it stands in
 * when its bracket closes: its depth is final then.
 */
#include <errno.h>
#include <string.h>

#include "core/utf8.h"
#include "ipc/object_private.h"

/** struct builder - @next: of the format */
struct builder {
	struct carom_document *document;
	const char *next;
	va_list *arguments;
	uint32_t depth;
};

static int build_items(struct builder *builder, char end, struct carom_object *into);

static int build_group(struct builder *builder, enum carom_object_kind kind, char end,
		       struct carom_object **ret_object)
{
	struct carom_object *object;
	int r = carom_object_new(builder->document, kind, &object);

	if (r < 0)
		return r;
	if (builder->depth++ == builder->document->depth_max)
		return -EMSGSIZE;
	r = build_items(builder, end, object);
	builder->depth--;
	if (r == 0)
		*ret_object = object;
	return r;
}

static int build_bytes(struct builder *builder, enum carom_object_kind kind, const void *data,
		       size_t size, struct carom_object **ret_object)
{
	struct carom_object *object;
	int r;

	if (!data && size > 0)
		return -EINVAL;
	if (kind == CAROM_OBJECT_TEXT && !carom_utf8_is_valid(data, size))
		return -EILSEQ;
	r = carom_object_new(builder->document, kind, &object);
	if (r == 0)
		r = carom_object_set_bytes(builder->document, object, size > 0 ? data : "", size);
	if (r == 0)
		*ret_object = object;
	return r;
}

static int build_text(struct builder *builder, struct carom_object **ret_object)
{
	const char *text = va_arg(*builder->arguments, const char *);

	if (!text)
		return carom_object_new(builder->document, CAROM_OBJECT_NONE, ret_object);
	return build_bytes(builder, CAROM_OBJECT_TEXT, text, strlen(text), ret_object);
}

static int build_blob(struct builder *builder, struct carom_object **ret_object)
{
	const void *data = va_arg(*builder->arguments, const void *);
	size_t size = va_arg(*builder->arguments, size_t);

	return build_bytes(builder, CAROM_OBJECT_BYTES, data, size, ret_object);
}

static int build_integer(struct builder *builder, char letter, struct carom_object **ret_object)
{
	int r = carom_object_new(builder->document, CAROM_OBJECT_INT, ret_object);

	if (r < 0)
		return r;
	if (letter == 'i')
		(*ret_object)->integer = va_arg(*builder->arguments, int);
	else if (letter == 'l')
		(*ret_object)->integer = va_arg(*builder->arguments, long);
	else
		(*ret_object)->integer = va_arg(*builder->arguments, int64_t);
	return 0;
}

static int build_bool(struct builder *builder, struct carom_object **ret_object)
{
	int r = carom_object_new(builder->document, CAROM_OBJECT_BOOL, ret_object);

	if (r == 0)
		(*ret_object)->truth = va_arg(*builder->arguments, int) != 0;
	return r;
}

static int build_real(struct builder *builder, struct carom_object **ret_object)
{
	int r = carom_object_new(builder->document, CAROM_OBJECT_FLOAT, ret_object);

	if (r == 0)
		(*ret_object)->real = va_arg(*builder->arguments, double);
	return r;
}

static int build_copy(struct builder *builder, struct carom_object **ret_object)
{
	const struct carom_object *from = va_arg(*builder->arguments, const struct carom_object *);

	*ret_object = carom_document_copy(builder->document, from);
	return builder->document->error;
}

static int build_proxy(struct builder *builder, struct carom_object **ret_object)
{
	const struct carom_proxy *proxy = va_arg(*builder->arguments, const struct carom_proxy *);

	return proxy ? carom_object_put_proxy(builder->document, proxy, ret_object) : -EINVAL;
}

static int build_one(struct builder *builder, char letter, struct carom_object **ret_object)
{
	switch (letter) {
	case 'n':
		return carom_object_new(builder->document, CAROM_OBJECT_NONE, ret_object);
	case 'p':
		return build_bool(builder, ret_object);
	case 'i':
	case 'l':
	case 'L':
		return build_integer(builder, letter, ret_object);
	case 'd':
		return build_real(builder, ret_object);
	case 's':
		return build_text(builder, ret_object);
	case 'y':
		return build_blob(builder, ret_object);
	case 'O':
		return build_copy(builder, ret_object);
	case 'P':
		return build_proxy(builder, ret_object);
	case '(':
		return build_group(builder, CAROM_OBJECT_TUPLE, ')', ret_object);
	case '[':
		return build_group(builder, CAROM_OBJECT_LIST, ']', ret_object);
	case '{':
		return build_group(builder, CAROM_OBJECT_DICT, '}', ret_object);
	default:
		return -EINVAL;
	}
}

static char next_letter(struct builder *builder)
{
	builder->next += strspn(builder->next, " \t,:");
	return *builder->next ? *builder->next++ : '\0';
}

/* @key: of the pair that is not complete */
static int add(struct builder *builder, struct carom_object *into, struct carom_object **key,
	       struct carom_object *object)
{
	struct carom_object *items[2] = { *key, object };
	int r;

	if (into->kind == CAROM_OBJECT_DICT && !*key) {
		*key = object;
		return 0;
	}
	r = *key ? carom_object_add(builder->document, into, items, 2, UINT32_MAX)
		 : carom_object_add(builder->document, into, &object, 1, UINT32_MAX);
	*key = NULL;
	return r == -EBADMSG ? -EINVAL : r;
}

static int build_items(struct builder *builder, char end, struct carom_object *into)
{
	struct carom_object *object, *key = NULL;
	char letter;
	int r = 0;

	while (r == 0 && (letter = next_letter(builder)) != end) {
		r = build_one(builder, letter, &object);
		if (r == 0)
			r = add(builder, into, &key, object);
	}
	return r == 0 && key ? -EINVAL : r;
}

/* What stands at the top, if it is one object; else all of it. */
static const struct carom_object *root_of(const struct carom_object *top)
{
	return top->items.count == 1 ? top->items.data[0] : top;
}

int carom_document_vbuild(struct carom_document **ret_document, const char *format,
			  va_list arguments)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	struct carom_object *top;
	int r = carom_document_new(NULL, &document);

	if (r == 0)
		r = carom_object_vbuild(document, format, arguments, &top);
	if (r < 0)
		return r;
	carom_document_set_root(document, root_of(top));
	*ret_document = carom_take_ptr(document);
	return 0;
}

int carom_object_vbuild(struct carom_document *document, const char *format, va_list arguments,
			struct carom_object **ret_tuple)
{
	struct builder builder = { .document = document, .next = format };
	struct carom_object *top;
	va_list copy;
	int r = carom_object_new(document, CAROM_OBJECT_TUPLE, &top);

	if (r < 0)
		return r;
	va_copy(copy, arguments);
	builder.arguments = &copy;
	r = build_items(&builder, '\0', top);
	va_end(copy);
	if (r == 0)
		*ret_tuple = top;
	return r;
}

int carom_document_build(struct carom_document **ret_document, const char *format, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = carom_document_vbuild(ret_document, format, arguments);
	va_end(arguments);
	return r;
}
