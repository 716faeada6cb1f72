/* Documents through connections and queues. */
#include "ipc/exchange.h"

#include "tests/ipc/ends.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "ipc/client.h"
#include "ipc/listener.h"
#include "ipc/passing.h"
#include "tests/core/methods.h"
#include "tests/ipc/typed.h"

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *
#define QUEUE(queue, ...)                                                  \
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL; \
	cr_assert(zero(int, carom_queue_new(&CAROM_QUEUE_OPTIONS(__VA_ARGS__), &queue)))

TestSuite(exchange, .init = need_robust_lists);

static struct carom_document *begin(void)
{
	struct carom_document *document = NULL;

	cr_assert(zero(int, carom_document_new(NULL, &document)));
	return document;
}

/* [1, "a"] */
static struct carom_document *small(void)
{
	struct carom_document *document = begin();
	struct carom_object *list = carom_document_list(document);

	carom_document_append(document, list, carom_document_int(document, 1));
	carom_document_append(document, list, carom_document_text(document, "a"));
	cr_assert(zero(int, carom_document_finish(document, list)));
	return document;
}

static void expect_small(const struct carom_document *document)
{
	const struct carom_object *list = carom_document_root(document);
	const char *text = "";
	int64_t number = 0;

	cr_assert(zero(int, carom_object_int(carom_object_item(list, 0), &number)));
	cr_assert(zero(int, carom_object_text(carom_object_item(list, 1), &text, NULL)));
	cr_expect(eq(i64, number, 1));
	cr_expect(eq(str, (char *)(uintptr_t)text, (char *)"a"));
}

static struct carom_document *point_at(int64_t x, int64_t y)
{
	struct carom_document *document = begin();
	struct point point = { x, y };

	cr_assert(zero(int, carom_document_finish(
				    document, carom_document_item(document, POINT_TAG, &point))));
	return document;
}

static void expect_point(const struct carom_document *document, int64_t x, int64_t y)
{
	struct point *point = NULL;

	cr_assert(zero(int, carom_object_item_of(carom_document_root(document), POINT_TAG,
						 (void **)&point)));
	cr_expect(eq(i64, point->x, x));
	cr_expect(eq(i64, point->y, y));
	free(point);
}

Test(exchange, takes_values_with_their_types_through_a_queue, .timeout = 20)
{
	QUEUE(queue);
	DOCUMENT sent = small();
	DOCUMENT got = NULL;

	cr_assert(zero(int, carom_queue_put_document(queue, sent, soon())));
	cr_assert(zero(int, carom_queue_get_document(queue, NULL, soon(), &got)));
	expect_small(got);
	cr_expect(eq(int, carom_queue_get_document(queue, NULL, CAROM_PASSED, &got), -EAGAIN));
}

Test(exchange, takes_values_with_their_types_through_a_connection, .timeout = 20)
{
	PIPE(mine, theirs, );
	DOCUMENT sent = small();
	DOCUMENT got = NULL;

	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	cr_assert(zero(int, carom_connection_recv_document(theirs, NULL, soon(), &got)));
	expect_small(got);
	cr_expect(
		eq(int, carom_connection_recv_document(theirs, NULL, CAROM_PASSED, &got), -EAGAIN));
}

/* ---- types of the program's ---- */

/* RD-06 */
Test(exchange, takes_a_type_of_the_program_to_children_of_every_method, .timeout = 120)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		QUEUE(questions);
		QUEUE(answers);
		DOCUMENT point = point_at(3, -4);
		DOCUMENT mirrored = NULL;
		int fds[] = { carom_queue_fd(questions), carom_queue_fd(answers) };
		struct carom_process *process = START(.context = context, .function = mirror_points,
						      .fds = fds, .fd_count = 2);

		cr_assert(zero(int, carom_queue_put_document(questions, point, soon())));
		cr_assert(zero(int, carom_queue_get_document(answers, NULL, soon(), &mirrored)));
		expect_point(mirrored, -4, 3);
		carom_queue_close(questions);
		cr_expect(zero(int, exitcode_of(process)), "%s", methods[each_]);
		carom_process_free(process);
	}
}

Test(exchange, has_one_codec_for_a_tag, .timeout = 20)
{
	struct carom_codec mine = CAROM_CODEC(.write = write_point, .read = read_point);
	struct carom_codec other = CAROM_CODEC(.write = write_point, .read = NULL);
	DOCUMENT document = begin();
	DOCUMENT point = point_at(1, 2);
	void *item;

	cr_expect(zero(int, carom_codec_register(POINT_TAG, &mine)), "the same again");
	cr_expect(eq(int, carom_codec_register(101, &other), -EINVAL));
	cr_expect(eq(int, carom_codec_register(0, &mine), -EINVAL));
	cr_expect(eq(int, carom_codec_register(CAROM_TAG_OWN, &mine), -EINVAL));
	mine.read = (carom_codec_read_fn *)(void (*)(void))write_point;
	cr_expect(eq(int, carom_codec_register(POINT_TAG, &mine), -EEXIST));

	cr_expect(eq(ptr, carom_document_item(document, 99, &mine), NULL));
	cr_expect(eq(int, carom_document_finish(document, NULL), -ENOENT));
	cr_expect(eq(int, carom_object_item_of(carom_document_root(point), 99, &item), -EBADMSG));
	cr_expect(eq(int,
		     carom_object_item_of(carom_object_content(carom_document_root(point)),
					  POINT_TAG, &item),
		     -EBADMSG));
}

/* ---- serializers ---- */

/* CX-15 */
Test(exchange, uses_the_serializer_of_its_context, .timeout = 120)
{
	struct carom_context *context, *plain = NULL;

	EACH_METHOD(context)
	{
		QUEUE(questions);
		QUEUE(answers);
		DOCUMENT point = point_at(5, 6);
		DOCUMENT mirrored = NULL;
		DOCUMENT nothing = NULL;
		int fds[] = { carom_queue_fd(questions), carom_queue_fd(answers) };
		struct carom_process *process;

		cr_assert(zero(
			int, carom_context_configure(
				     context, &CAROM_CONTEXT_OPTIONS(.serializer = "scrambled"))));
		process = START(.context = context, .function = mirror_points, .fds = fds,
				.fd_count = 2);
		carom_queue_set_context(questions, context);
		carom_queue_set_context(answers, context);
		cr_assert(zero(int, carom_queue_put_document(questions, point, soon())));
		cr_assert(zero(int, carom_queue_get_document(answers, NULL, soon(), &mirrored)));
		expect_point(mirrored, 6, 5);
		carom_queue_close(questions);
		cr_expect(zero(int, exitcode_of(process)), "%s", methods[each_]);
		carom_process_free(process);

		/* no pickle goes through */
		cr_assert(zero(int, carom_queue_put_document(answers, point, soon())));
		cr_assert(zero(int, carom_context_get("thread", &plain)));
		carom_queue_set_context(answers, plain);
		cr_expect(eq(int, carom_queue_get_document(answers, NULL, soon(), &nothing),
			     -EBADMSG));
	}
}

Test(exchange, of_a_connection_uses_the_serializer_of_its_context, .timeout = 20)
{
	PIPE(mine, theirs, );
	DOCUMENT sent = small();
	DOCUMENT got = NULL;
	struct carom_context *fork = NULL;

	cr_assert(zero(int, carom_context_get("fork", &fork)));
	cr_assert(zero(int, carom_context_configure(
				    fork, &CAROM_CONTEXT_OPTIONS(.serializer = "scrambled"))));
	carom_connection_set_context(mine, fork);
	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	cr_expect(eq(int, carom_connection_recv_document(theirs, NULL, soon(), &got), -EBADMSG));
	carom_connection_set_context(theirs, fork);
	cr_assert(zero(int, carom_connection_recv_document(theirs, NULL, soon(), &got)));
	expect_small(got);
}

static const struct carom_serializer same_name =
	CAROM_SERIALIZER(.name = "pickle", .dump = dump_scrambled, .load = load_scrambled);
static const struct carom_serializer half_made =
	CAROM_SERIALIZER(.name = "half", .dump = dump_scrambled);
static const struct carom_serializer long_name =
	CAROM_SERIALIZER(.name = "a name that is a little too long", .dump = dump_scrambled,
			 .load = load_scrambled);

Test(exchange, needs_a_serializer_that_is_registered, .timeout = 20)
{
	QUEUE(queue);
	DOCUMENT sent = small();
	struct carom_context_options options = CAROM_CONTEXT_OPTIONS(.serializer = "unheard of");
	const struct carom_serializer *serializer = NULL;

	cr_expect(zero(int, carom_serializer_register(&scrambled)), "the same again");
	cr_expect(eq(int, carom_serializer_register(&same_name), -EEXIST));
	cr_expect(eq(int, carom_serializer_register(&half_made), -EINVAL));
	cr_expect(eq(int, carom_serializer_register(&long_name), -ENAMETOOLONG));

	cr_assert(zero(int, carom_serializer_of(NULL, &serializer)));
	cr_expect(eq(str, (char *)(uintptr_t)serializer->name, (char *)"pickle"));
	cr_assert(zero(int, carom_context_configure(NULL, &options)));
	cr_expect(eq(int, carom_serializer_of(NULL, &serializer), -ENOENT));
	cr_expect(eq(int, carom_queue_put_document(queue, sent, soon()), -ENOENT));
	memset(options.serializer, 'x', sizeof(options.serializer));
	cr_expect(eq(int, carom_context_configure(NULL, &options), -ENAMETOOLONG));
}

/* ---- what cannot be sent ---- */

struct report {
	const struct carom_document *document;
	int error;
	int count;
};

static void note(const struct carom_document *document, int error, void *userdata)
{
	struct report *report = userdata;

	report->document = document;
	report->error = error;
	report->count++;
}

/* QU-15 */
Test(exchange, tells_the_hook_what_has_no_bytes, .timeout = 20)
{
	QUEUE(queue);
	DOCUMENT unfinished = begin();
	DOCUMENT fine = small();
	struct report report = { .count = 0 };

	carom_queue_on_encode_error(queue, note, &report);
	cr_expect(eq(int, carom_queue_put_document(queue, unfinished, soon()), -EINVAL));
	cr_expect(eq(int, report.count, 1));
	cr_expect(eq(int, report.error, -EINVAL));
	cr_expect(eq(ptr, (void *)(uintptr_t)report.document, unfinished));
	cr_expect(zero(u32, carom_queue_qsize(queue)));

	cr_expect(zero(int, carom_queue_put_document(queue, fine, soon())), "it goes on");
	cr_expect(eq(int, report.count, 1));
	carom_queue_on_encode_error(queue, NULL, NULL);
	cr_expect(eq(int, carom_queue_put_document(queue, unfinished, soon()), -EINVAL));
	cr_expect(eq(int, report.count, 1));
}

Test(exchange, says_of_a_message_that_it_is_no_document, .timeout = 20)
{
	QUEUE(queue);
	PIPE(mine, theirs, );
	DOCUMENT got = NULL;
	DOCUMENT sent = small();
	struct carom_document_limits limits = CAROM_DOCUMENT_LIMITS(.depth_max = 1);

	cr_assert(zero(int, carom_queue_put(queue, "nonsense", 8, soon())));
	cr_expect(eq(int, carom_queue_get_document(queue, NULL, soon(), &got), -EBADMSG));
	cr_expect(eq(int, carom_queue_get_document(queue, NULL, CAROM_PASSED, &got), -EAGAIN));
	cr_assert(zero(int, give(mine, "nonsense", 8)));
	cr_expect(eq(int, carom_connection_recv_document(theirs, NULL, soon(), &got), -EBADMSG));
	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	cr_expect(eq(int, carom_connection_recv_document(theirs, &limits, soon(), &got), -EBADMSG));

	limits.depth_max = 1001;
	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	cr_expect(eq(int, carom_connection_recv_document(theirs, &limits, soon(), &got), -EINVAL));
	cr_assert(zero(int, carom_connection_recv_document(theirs, NULL, soon(), &got)));
	expect_small(got);
}

/* ---- descriptors through a connection ---- */

/* The writing ends of @count pipes, of which the reading ends are @ret_ends. */
static struct carom_document *writers(size_t count, int *ret_ends)
{
	struct carom_document *document = begin();
	struct carom_object *list = carom_document_list(document);

	for (size_t i = 0; i < count; i++) {
		int ends[2];

		cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
		carom_document_append(document, list, carom_document_fd(document, ends[1]));
		close(ends[1]);
		ret_ends[i] = ends[0];
	}
	cr_assert(zero(int, carom_document_finish(document, list)));
	return document;
}

/* Each writes to its own, and they are gone with the document. */
static void expect_writers(struct carom_document *document, size_t count, const int *ends)
{
	const struct carom_object *list = carom_document_root(document);
	char byte;

	cr_assert(eq(sz, carom_object_count(list), count));
	for (size_t i = 0; i < count; i++) {
		int fd = -1;

		byte = (char)i;
		cr_assert(zero(int, carom_object_fd(carom_object_item(list, i), &fd)));
		cr_assert(eq(int, (int)write(fd, &byte, 1), 1));
		cr_assert(eq(int, (int)read(ends[i], &byte, 1), 1));
		cr_expect(eq(chr, byte, (char)i));
	}
	carom_document_free(document);
	for (size_t i = 0; i < count; i++) {
		cr_expect(zero(int, (int)read(ends[i], &byte, 1)), "nobody else has it");
		close(ends[i]);
	}
}

static void descriptors_arrive(bool is_socket, size_t count)
{
	CONNECTION mine = NULL;
	CONNECTION theirs = NULL;
	DOCUMENT plain = small();
	DOCUMENT again = NULL;
	struct carom_document *sent, *got = NULL;
	int ends[253];

	cr_assert(zero(int, new_pipe(&CAROM_PIPE_OPTIONS(), is_socket, &mine, &theirs)));
	sent = writers(count, ends);
	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	sent = carom_document_free(sent);
	cr_assert(zero(int, carom_connection_send_document(mine, plain, soon())));
	cr_assert(zero(int, carom_connection_recv_document(theirs, NULL, soon(), &got)));
	expect_writers(got, count, ends);
	cr_assert(zero(int, carom_connection_recv_document(theirs, NULL, soon(), &again)));
	expect_small(again);
}

Test(exchange, takes_descriptors_along, .timeout = 60)
{
	for (int is_socket = 0; is_socket < 2; is_socket++) {
		descriptors_arrive(is_socket, 1);
		descriptors_arrive(is_socket, 3);
		descriptors_arrive(is_socket, 253);
	}
}

Test(exchange, sends_the_descriptors_that_a_document_uses_and_no_others, .timeout = 20)
{
	SOCKETS(mine, theirs, );
	struct carom_document *sent = begin(), *got = NULL;
	struct carom_object *list = carom_document_list(sent);
	int first = -1, second = -1;

	carom_document_append(sent, list, carom_document_fd(sent, 0));
	carom_document_fd(sent, 1); /* which is in no list */
	cr_assert(zero(int, carom_document_finish(sent, list)));
	cr_assert(zero(int, carom_connection_send_document(mine, sent, soon())));
	cr_assert(zero(int, carom_connection_recv_document(theirs, NULL, soon(), &got)));
	cr_expect(zero(int, carom_object_fd(carom_object_item(list, 0), &first)));
	cr_expect(zero(int,
		       carom_object_fd(carom_object_item(carom_document_root(got), 0), &second)));
	cr_expect(ne(int, first, second));
	carom_document_free(sent);
	carom_document_free(got);
}

/* What there was no room for goes, with its descriptors, when there is. */
Test(exchange, keeps_descriptors_of_a_message_that_went_in_part, .timeout = 60)
{
	for (int is_socket = 0; is_socket < 2; is_socket++) {
		CONNECTION mine = NULL;
		CONNECTION theirs = NULL;
		struct carom_document *sent = begin(), *got = NULL;
		struct carom_object *list = carom_document_list(sent);
		char *large = calloc(1, CAROM_MIB(16));
		int ends[2], fd, r;
		char byte;

		cr_assert(zero(int, new_pipe(&CAROM_PIPE_OPTIONS(), is_socket, &mine, &theirs)));
		cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
		carom_document_append(sent, list, carom_document_bytes(sent, large, CAROM_MIB(16)));
		carom_document_append(sent, list, carom_document_fd(sent, ends[1]));
		close(ends[1]);
		cr_assert(zero(int, carom_document_finish(sent, list)));
		r = carom_connection_send_document(mine, sent, CAROM_PASSED);
		cr_assert(eq(int, r, -EINPROGRESS));
		sent = carom_document_free(sent);
		free(large);

		while ((r = carom_connection_recv_document(theirs, NULL, CAROM_PASSED, &got)) ==
		       -EAGAIN)
			carom_connection_flush(mine, CAROM_PASSED);
		cr_assert(zero(int, r));
		cr_assert(zero(
			int, carom_object_fd(carom_object_item(carom_document_root(got), 1), &fd)));
		cr_assert(eq(int, (int)write(fd, "x", 1), 1));
		carom_document_free(got);
		cr_expect(eq(int, (int)read(ends[0], &byte, 1), 1));
		cr_expect(zero(int, (int)read(ends[0], &byte, 1)), "nobody else has it");
		close(ends[0]);
	}
}

static int64_t open_count(void)
{
	int64_t count = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* A pickle that speaks of a descriptor, with what comes behind it, or not. */
static const unsigned char of_one[] = { 0, 0, 0, 6, 0x80, 4, 'K', 0, 'Q', '.' };

Test(exchange, keeps_a_message_whose_descriptors_have_not_come, .timeout = 20)
{
	HALF(connection, fd);
	DOCUMENT got = NULL;
	CONNECTION other = NULL;
	int copy = dup(fd);

	put(fd, of_one, sizeof(of_one));
	cr_expect(eq(int, carom_connection_recv_document(connection, NULL, CAROM_PASSED, &got),
		     -ETIMEDOUT));
	cr_assert(zero(int, carom_connection_new_take(copy, NULL, &other)));
	cr_assert(zero(int, carom_connection_send_fd(other, 0, soon())));
	cr_expect(zero(int, carom_connection_recv_document(connection, NULL, soon(), &got)));
}

Test(exchange, is_told_when_descriptors_never_come, .timeout = 20)
{
	int64_t before = open_count();

	for (int wrong = 0; wrong < 3; wrong++) {
		HALF(connection, fd);
		CONNECTION other = NULL;
		DOCUMENT got = NULL;
		int both[] = { 0, 1 }, r;

		put(fd, of_one, sizeof(of_one));
		if (wrong == 0)
			put(fd, "x", 1);
		cr_assert(zero(int, carom_connection_new_take(dup(fd), NULL, &other)));
		if (wrong == 1)
			cr_assert(zero(int, carom_connection_send_fds(other, both, 2, soon())));
		other = carom_connection_free(other);
		carom_closep(&fd);
		r = carom_connection_recv_document(connection, NULL, soon(), &got);
		cr_expect(eq(int, r, wrong == 2 ? -ECONNRESET : -EBADMSG), "%d", wrong);
	}
	cr_expect(eq(i64, open_count(), before));
}

Test(exchange, does_not_take_descriptors_off_the_machine, .timeout = 20)
{
	CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
	CONNECTION mine = NULL;
	CONNECTION theirs = NULL;
	DOCUMENT sent = begin();
	DOCUMENT got = NULL;
	DOCUMENT plain = small();

	cr_assert(zero(
		int, carom_listener_new(&CAROM_LISTENER_OPTIONS(.host = "127.0.0.1"), &listener)));
	cr_assert(zero(int, carom_client_connect(
				    &CAROM_CLIENT_OPTIONS(.host = "127.0.0.1",
							  .port = carom_listener_port(listener)),
				    soon(), &mine)));
	cr_assert(zero(int, carom_listener_accept(listener, soon(), &theirs)));
	cr_assert(zero(int, carom_document_finish(sent, carom_document_fd(sent, 0))));
	cr_expect(eq(int, carom_connection_send_document(mine, sent, soon()), -EPERM));
	cr_assert(zero(int, give(mine, of_one + 4, sizeof(of_one) - 4)));
	cr_expect(eq(int, carom_connection_recv_document(theirs, NULL, soon(), &got), -EBADMSG));
	cr_assert(zero(int, carom_connection_send_document(mine, plain, soon())));
	cr_assert(zero(int, carom_connection_recv_document(theirs, NULL, soon(), &got)));
	expect_small(got);
}
