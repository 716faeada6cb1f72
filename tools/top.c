/*
 * carom top
 *
 * A look (top_look.h), told in one of three forms (top_text.h), and again after a while. On
 * a terminal the screen is drawn over, as much as fits, and keys are heard; elsewhere each
 * look stands below the one before.
 *
 *   I1  However it ends, the terminal is as it was: the signals that end a program are
 *       waited for like keys, and the rest (SIGKILL) leaves a terminal that `reset` mends.
 */
#include "tools/top.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/time.h"
#include "tools/say.h"
#include "tools/stop_signals.h"
#include "tools/terminal.h"
#include "tools/top_look.h"
#include "tools/top_options.h"
#include "tools/top_places.h"
#include "tools/top_text.h"

#define STATUS_NONE  1
#define ROWS_USUAL   24
#define ENTER_SCREEN "\033[?1049h\033[?25l"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"
#define HOME         "\033[H"
#define CLEAR_LINE   "\033[K"
#define CLEAR_BELOW  "\033[J"

struct top {
	struct carom_top_options options;
	struct carom_top_look before; /* @has_before */
	bool has_before;
	struct carom_top_places places;
	bool has_screen;
	int signals_fd;
	struct termios usual;
	size_t first_line; /* on the screen: those above are scrolled away */
	bool is_ending;
};

/* ---- the terminal ---- */

static void enter_screen(struct top *top)
{
	struct termios raw;

	top->has_screen = top->options.form == CAROM_TOP_TEXT && top->options.look_count == 0 &&
			  carom_terminal_is(STDOUT_FILENO) &&
			  tcgetattr(STDIN_FILENO, &top->usual) == 0;
	if (!top->has_screen)
		return;
	raw = top->usual;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	carom_print(ENTER_SCREEN);
}

static void leave_screen(struct top *top)
{
	if (!top->has_screen)
		return;
	carom_print(LEAVE_SCREEN);
	tcsetattr(STDIN_FILENO, TCSANOW, &top->usual);
}

static size_t row_count(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 ? ROWS_USUAL
									       : size.ws_row;
}

/* What a terminal shows of a line: escape sequences take no column, bytes after the first of UTF-8 none. */
static size_t fitting_length(const char *line, size_t length, size_t columns)
{
	bool in_escape = false;
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)line[i];

		if (in_escape)
			in_escape = c != 'm';
		else if (c == '\033')
			in_escape = true;
		else if ((c & 0xc0) != 0x80 && ++used > columns)
			return i;
	}
	return length;
}

/* As many lines as there is room for, from the first on that is not scrolled away. */
static void write_screen(struct top *top, const char *text, FILE *file)
{
	size_t columns = (size_t)carom_terminal_columns(STDOUT_FILENO), rows = row_count();
	size_t line = 0, shown = 0;

	fputs(HOME, file);
	for (; *text && shown < rows; line++) {
		size_t length = strcspn(text, "\n");

		if (line >= top->first_line) {
			fprintf(file, "%s%.*s\033[0m" CLEAR_LINE, shown ? "\r\n" : "",
				(int)fitting_length(text, length, columns), text);
			shown++;
		}
		text += length + (text[length] == '\n');
	}
	fputs(CLEAR_BELOW, file);
}

static int print_on_screen(struct top *top, const char *text)
{
	char *drawn = NULL;
	size_t size;
	FILE *file = open_memstream(&drawn, &size);
	int status;

	if (!file)
		return CAROM_EXIT_ERROR;
	write_screen(top, text, file);
	status = fclose(file) == 0 ? carom_print(drawn) : CAROM_EXIT_ERROR;
	free(drawn);
	return status;
}

/* ---- a look ---- */

static int write_look(const struct top *top, const struct carom_top_look *look, FILE *file)
{
	switch (top->options.form) {
	case CAROM_TOP_JSON:
		return carom_top_print_json(look, file);
	case CAROM_TOP_OPENMETRICS:
		carom_top_print_openmetrics(look, file);
		return 0;
	default:
		carom_top_print(look, carom_terminal_has_colour(STDOUT_FILENO), file);
		return 0;
	}
}

/* Return: 0 or an exit status, all being said. */
static int print_look(struct top *top, const struct carom_top_look *look)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r = file ? write_look(top, look, file) : -ENOMEM;

	if (file && fclose(file) != 0)
		r = -ENOMEM;
	if (r < 0)
		carom_say("no memory");
	r = r < 0             ? CAROM_EXIT_ERROR
	    : top->has_screen ? print_on_screen(top, text)
			      : carom_print(text);
	free(text);
	return r;
}

static int look_once(struct top *top)
{
	struct carom_top_look look;
	int r = carom_top_places_search(&top->options, &top->places);

	if (r == 0)
		r = carom_top_look(&top->options, &top->places,
				   top->has_before ? &top->before : NULL, &look);
	if (r < 0) {
		carom_say("cannot look for pools in /proc: %s", strerror(-r));
		return CAROM_EXIT_ERROR;
	}
	r = print_look(top, &look);
	if (top->has_before)
		carom_top_look_deinit(&top->before);
	top->before = look;
	top->has_before = true;
	return r;
}

/* ---- between looks ---- */

static void take_key(struct top *top, char key)
{
	switch (key) {
	case 'q':
		top->is_ending = true;
		break;
	case 's':
		top->options.order = (top->options.order + 1) % CAROM_TOP_ORDERS;
		break;
	case 'j':
		top->first_line++;
		break;
	case 'k':
		top->first_line -= top->first_line > 0;
		break;
	default:
		carom_top_places_expect(&top->places);
	}
}

/* Until it is time to look again: at the deadline, or because of a key. */
static void rest(struct top *top, uint64_t deadline_ns)
{
	struct pollfd watched[] = {
		{ .fd = top->signals_fd, .events = POLLIN },
		{ .fd = top->has_screen ? STDIN_FILENO : -1, .events = POLLIN },
	};
	uint64_t now = carom_now(), rest_ns = deadline_ns > now ? deadline_ns - now : 0;
	struct timespec time = { (time_t)(rest_ns / CAROM_NS_PER_SEC),
				 (long)(rest_ns % CAROM_NS_PER_SEC) };
	char key;

	if (ppoll(watched, 2, &time, NULL) <= 0)
		return;
	if (watched[0].revents)
		top->is_ending = true;
	else if (read(STDIN_FILENO, &key, 1) == 1)
		take_key(top, key);
	else
		top->is_ending = true; /* the terminal is gone */
}

static int watch(struct top *top)
{
	uint64_t count = top->options.look_count;
	int status = 0;

	for (uint64_t i = 1; status == 0 && !top->is_ending; i++) {
		status = look_once(top);
		if (i == count)
			break;
		if (status == 0)
			rest(top, carom_deadline_after(top->options.delay_ns));
	}
	if (status == 0 && top->has_before && top->before.pool_count == 0)
		status = STATUS_NONE;
	return status;
}

int carom_top_main(int argc, char *argv[])
{
	struct top top = { .signals_fd = -1 };
	int status;

	if (!carom_top_options_parse(argc, argv, &top.options, &status))
		return status;
	top.signals_fd = carom_stop_signals_open();
	enter_screen(&top);
	status = watch(&top);
	leave_screen(&top);
	if (top.has_before)
		carom_top_look_deinit(&top.before);
	carom_closep(&top.signals_fd);
	free(top.places.list);
	free(top.options.pids);
	return status;
}
