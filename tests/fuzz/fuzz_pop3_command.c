/* What is accepted obeys the grammar's promises: numbers from 1, text inside the line. */
#include "protocol/pop3_command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static void check(const struct pop3_command *cmd, struct bytes line)
{
	const char *name = pop3_verb_name(cmd->verb);

	require(bytes_has_prefix(line, name));
	if (cmd->text.len > 0) {
		require(cmd->text.at > line.at);
		require(cmd->text.at + cmd->text.len <= line.at + line.len);
	}
	if (cmd->verb == POP3_RETR || cmd->verb == POP3_DELE || cmd->verb == POP3_TOP) {
		require(cmd->msgno > 0);
	}
	if (cmd->verb == POP3_PASS) { // every octet after the one space
		require(cmd->text.len == line.len - bytes_of("PASS ").len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct bytes line = { (const char *)input, size };
	const enum pop3_state states[] = { POP3_AUTHORIZATION, POP3_TRANSACTION };
	bool unknown[2];

	for (size_t i = 0; i < 2; i++) {
		struct pop3_command cmd;
		enum pop3_parse result = pop3_command_parse(line, states[i], &cmd);

		unknown[i] = result == POP3_PARSE_UNKNOWN;
		if (result == POP3_PARSE_OK) {
			check(&cmd, line);
		}
	}
	require(unknown[0] == unknown[1]);
	return 0;
}
