/* A program for which none of the libraries that are loaded late can be: what it is told. */
#ifndef CAROM_TESTS_IPC_LACKING_H
#define CAROM_TESTS_IPC_LACKING_H

#include <errno.h>
#include <string.h>

#include "core/registry.h"
#include "core/sandbox.h"
#include "ipc/auth.h"
#include "ipc/client.h"
#include "ipc/listener.h"
#include "ipc/manager.h"
#include "ipc/pipe.h"
#include "ipc/server.h"
#include "ipc/xmlrpc.h"
#include "tests/core/apart.h"

#define KEY .authkey = "key", .authkey_size = 3

static inline void lack_keys(void)
{
	struct carom_auth_options options = CAROM_AUTH_OPTIONS(.key = "key", .key_size = 3);
	struct carom_connection *ends[2], *client = NULL;
	struct carom_listener *listener = NULL;

	CHECK(carom_listener_new(&CAROM_LISTENER_OPTIONS(KEY), &listener) == -EOPNOTSUPP);
	CHECK(!listener);
	CHECK(carom_client_connect(&CAROM_CLIENT_OPTIONS(.path = "/nowhere", KEY),
				   CAROM_NO_DEADLINE, &client) == -EOPNOTSUPP);
	CHECK(!client);
	CHECK(carom_pipe_new(NULL, &ends[0], &ends[1]) == 0);
	CHECK(carom_auth_deliver(ends[0], &options, CAROM_NO_DEADLINE) == -EOPNOTSUPP);
	CHECK(carom_auth_answer(ends[1], &options, CAROM_NO_DEADLINE) == -EOPNOTSUPP);
	carom_connection_free(ends[0]);
	carom_connection_free(ends[1]);
}

static inline void lack_values(void)
{
	struct carom_server *server = NULL;
	struct carom_manager *manager = NULL;

	CHECK(carom_server_new(&CAROM_SERVER_OPTIONS(), &server) == -EOPNOTSUPP && !server);
	CHECK(carom_manager_new(&CAROM_MANAGER_OPTIONS(), &manager) == 0);
	CHECK(carom_manager_start(manager) == -EOPNOTSUPP);
	carom_manager_free(manager);
	CHECK(carom_manager_new(&CAROM_MANAGER_OPTIONS(.path = "/nowhere/at/all"), &manager) == 0);
	CHECK(carom_manager_connect(manager, CAROM_NO_DEADLINE) == -EOPNOTSUPP);
	carom_manager_free(manager);
}

static inline void lack_xml(void)
{
	static const char text[] = "<params></params>";
	struct carom_document *document = NULL;

	CHECK(carom_xmlrpc_load(text, strlen(text), NULL, &document) == -EOPNOTSUPP);
	CHECK(!document);
}

static inline void lack_filters(void)
{
	struct carom_sandbox_options strict =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT);
	struct carom_sandbox *sandbox = NULL;
	char text[512] = "";

	CHECK(carom_sandbox_new(&strict, &sandbox) == -EOPNOTSUPP && !sandbox);
	CHECK(carom_sandbox_check(&strict, text, sizeof(text)) == -EOPNOTSUPP);
	CHECK(strstr(text, "libseccomp"));
}

static inline int lack_all(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	lack_keys();
	lack_values();
	lack_xml();
	lack_filters();
	return 42;
}
CAROM_REGISTER(lack_all);

#endif
