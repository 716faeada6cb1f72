/*
 * Proxy: what says which object it is, for somebody else
 *
 * A tuple (path, host, port, type, number), of which a path or a host is None. There is no key in
 * it: who opens it has the key, or does not get in.
 */
#include <errno.h>
#include <string.h>

#include "core/options.h"
#include "core/self.h"
#include "ipc/proxy_private.h"

#define DEPTH_DEFAULT 32

int carom_proxy_token(const struct carom_proxy *proxy, struct carom_document **ret_token)
{
	const struct carom_client_options *place = carom_line_place(carom_proxy_line(proxy));

	return carom_document_build(ret_token, "(ssisL)", place->path, place->host,
				    (int)place->port, carom_proxy_type(proxy),
				    (int64_t)carom_proxy_id(proxy));
}

/* None: @ret_text stays NULL */
static int take_text(const struct carom_object *object, const char **ret_text)
{
	return carom_object_kind(object) == CAROM_OBJECT_NONE
		       ? 0
		       : carom_object_text(object, ret_text, NULL);
}

struct token {
	const char *path;
	const char *host;
	const char *type;
	int64_t port;
	int64_t id;
};

static int take_token(const struct carom_object *object, struct token *ret_token)
{
	int r = carom_object_count(object) == 5 ? 0 : -EBADMSG;

	if (r == 0)
		r = take_text(carom_object_item(object, 0), &ret_token->path);
	if (r == 0)
		r = take_text(carom_object_item(object, 1), &ret_token->host);
	if (r == 0)
		r = carom_object_int(carom_object_item(object, 2), &ret_token->port);
	if (r == 0)
		r = carom_object_text(carom_object_item(object, 3), &ret_token->type, NULL);
	if (r == 0)
		r = carom_object_int(carom_object_item(object, 4), &ret_token->id);
	if (r == 0 && (ret_token->port < 0 || ret_token->port > UINT16_MAX || ret_token->id < 0))
		r = -EBADMSG;
	return r;
}

static int connect_to(const struct token *token, const struct carom_proxy_options *options,
		      uint64_t deadline_ns, struct carom_line **ret_line)
{
	struct carom_self self;
	int r;

	carom_self_copy(&self);
	r = carom_line_new(
		&CAROM_CLIENT_OPTIONS(.path = token->path, .host = token->host,
				      .authkey = options->authkey ? options->authkey
								  : self.authkey.bytes,
				      .authkey_size = options->authkey ? options->authkey_size
								       : self.authkey.size,
				      .message_max = CAROM_MESSAGE_MAX_DEFAULT,
				      .port = (uint16_t)token->port),
		&(struct carom_line_limits){ .depth_max = DEPTH_DEFAULT }, deadline_ns, ret_line);
	explicit_bzero(&self, sizeof(self));
	return r;
}

int carom_proxy_open(const struct carom_object *token, const struct carom_proxy_options *options,
		     uint64_t deadline_ns, struct carom_proxy **ret_proxy)
{
	CAROM_CLEANUP(carom_line_unrefp) struct carom_line *line = NULL;
	struct carom_proxy_options o;
	struct token t = { 0 };
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0 && (o.authkey != NULL) != (o.authkey_size > 0))
		r = -EINVAL;
	if (r == 0)
		r = take_token(token, &t);
	if (r == 0)
		r = connect_to(&t, &o, deadline_ns, &line);
	if (r == 0)
		r = carom_proxy_take(line, (uint64_t)t.id, deadline_ns, ret_proxy);
	return r;
}
