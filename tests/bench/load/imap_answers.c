#include "tests/bench/load/imap_answers.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PASSWORD "secret"
#define CREDENTIAL_MAX 400
#define WORDS "IMAP4rev1 SASL-IR AUTH=PLAIN ID UIDPLUS"
#define ROW_MAX 128

enum answer_kind { ANSWER_TEXT, ANSWER_ROWS, ANSWER_BODIES, ANSWER_FOUND };

/* What one command is answered with: text, then a line or a message for each UID. */
struct answer {
	char text[512];
	bool is_said; // text was given out
	enum answer_kind kind;
	char *set;           // owned: UIDs yet to come
	uint32_t next, last; // the range under way; next 0: none
	uint32_t at, end;    // of the message under way, in octets
	bool in_body;        // its announcement was given out
	bool partial;        // BODY.PEEK[]<origin.length>
	uint32_t origin, most;
	char end_line[96];
};

static struct answer *begin(struct imap_answers *answers)
{
	answers->current = calloc(1, sizeof(*answers->current));
	if (!answers->current) {
		abort();
	}
	return answers->current;
}

static void __attribute__((format(printf, 2, 3)))
say(struct imap_answers *answers, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(begin(answers)->text, sizeof(answers->current->text), format,
		  arguments);
	va_end(arguments);
}

void imap_answers_init(struct imap_answers *answers)
{
	*answers = (struct imap_answers){ 0 };
	say(answers, "* OK [CAPABILITY " WORDS "] stand-in ready\r\n");
}

static void end(struct imap_answers *answers)
{
	if (answers->current) {
		free(answers->current->set);
	}
	free(answers->current);
	answers->current = NULL;
}

void imap_answers_release(struct imap_answers *answers)
{
	end(answers);
}

static void sign_in(struct imap_answers *answers, const char *user, const char *password)
{
	if (strcmp(password, PASSWORD) == 0 &&
	    made_mailbox_parse(user, &answers->mailbox)) {
		say(answers, "%s OK [CAPABILITY " WORDS "] signed in\r\n", answers->tag);
	} else {
		say(answers, "%s NO [AUTHENTICATIONFAILED] no such user or password\r\n",
		    answers->tag);
	}
}

/* authzid NUL authcid NUL password, in base64. */
static void sign_in_by_plain(struct imap_answers *answers, const char *message)
{
	/* A message without NULs has an empty user and password behind it. */
	unsigned char text[CREDENTIAL_MAX + 8] = { 0 };
	const size_t len = strlen(message);
	const char *user, *password;

	if (len <= CREDENTIAL_MAX && len % 4 == 0) {
		EVP_DecodeBlock(text, (const unsigned char *)message, (int)len);
	}
	user = (const char *)text + strlen((const char *)text) + 1;
	password = user + strlen(user) + 1;
	sign_in(answers, user, password);
}

static void authenticate(struct imap_answers *answers, char *rest)
{
	const char *mechanism = strsep(&rest, " ");

	if (!mechanism || strcasecmp(mechanism, "PLAIN") != 0) {
		say(answers, "%s NO only PLAIN\r\n", answers->tag);
	} else if (rest) {
		sign_in_by_plain(answers, rest);
	} else {
		answers->awaits_credential = true;
		say(answers, "+ \r\n");
	}
}

static void select_folder(struct imap_answers *answers)
{
	const uint32_t messages = answers->mailbox.messages;

	say(answers,
	    "* %u EXISTS\r\n* FLAGS (\\Seen \\Deleted)\r\n"
	    "* OK [PERMANENTFLAGS ()] none\r\n"
	    "* OK [UIDVALIDITY 1] fixed\r\n* OK [UIDNEXT %u] next\r\n"
	    "%s OK [READ-ONLY] selected\r\n",
	    messages, messages + 1, answers->tag);
}

/* What follows answers a set of UIDs. */
static void walk(struct imap_answers *answers, enum answer_kind kind, const char *set,
		 const char *end_text)
{
	struct answer *answer = begin(answers);

	answer->kind = kind;
	answer->set = strdup(set);
	if (!answer->set) {
		abort();
	}
	snprintf(answer->end_line, sizeof(answer->end_line), "%s%s OK done\r\n", end_text,
		 answers->tag);
}

static void fetch(struct imap_answers *answers, char *rest)
{
	const char *set = strsep(&rest, " ");
	const char *body = rest ? strstr(rest, "BODY.PEEK[]") : NULL;

	if (!set || !rest) {
		say(answers, "%s BAD UID FETCH what\r\n", answers->tag);
	} else if (body) {
		walk(answers, ANSWER_BODIES, set, "");
		answers->current->partial =
			sscanf(body, "BODY.PEEK[]<%u.%u>", &answers->current->origin,
			       &answers->current->most) == 2;
	} else if (strcasecmp(rest, "(UID RFC822.SIZE)") == 0) {
		walk(answers, ANSWER_ROWS, set, "");
	} else {
		say(answers, "%s BAD cannot fetch %.80s\r\n", answers->tag, rest);
	}
}

static void search(struct imap_answers *answers, char *rest)
{
	const char *key = rest ? strsep(&rest, " ") : "";

	if (strcasecmp(key, "DELETED") == 0) {
		say(answers, "* SEARCH\r\n%s OK none\r\n", answers->tag);
	} else if (strcasecmp(key, "ALL") == 0 || (strcasecmp(key, "UID") == 0 && rest)) {
		walk(answers, ANSWER_FOUND, rest ? rest : "1:*", "\r\n");
		snprintf(answers->current->text, sizeof(answers->current->text),
			 "* SEARCH");
	} else {
		say(answers, "%s BAD cannot search %.80s\r\n", answers->tag, key);
	}
}

static void by_uid(struct imap_answers *answers, char *rest)
{
	const char *verb = rest ? strsep(&rest, " ") : "";

	if (strcasecmp(verb, "FETCH") == 0) {
		fetch(answers, rest);
	} else if (strcasecmp(verb, "SEARCH") == 0) {
		search(answers, rest);
	} else {
		say(answers, "%s NO the mailbox is fixed\r\n", answers->tag);
	}
}

static void signed_in(struct imap_answers *answers, const char *verb, char *rest)
{
	if (strcasecmp(verb, "SELECT") == 0 || strcasecmp(verb, "EXAMINE") == 0) {
		select_folder(answers);
	} else if (strcasecmp(verb, "UID") == 0) {
		by_uid(answers, rest);
	} else {
		say(answers, "%s BAD unknown command\r\n", answers->tag);
	}
}

void imap_answers_command(struct imap_answers *answers, char *line)
{
	if (answers->awaits_credential) {
		answers->awaits_credential = false;
		sign_in_by_plain(answers, line);
		return;
	}
	snprintf(answers->tag, sizeof(answers->tag), "%s", strsep(&line, " "));
	const char *verb = line ? strsep(&line, " ") : "";

	if (strcasecmp(verb, "CAPABILITY") == 0) {
		say(answers, "* CAPABILITY " WORDS "\r\n%s OK done\r\n", answers->tag);
	} else if (strcasecmp(verb, "ID") == 0) {
		say(answers, "* ID NIL\r\n%s OK done\r\n", answers->tag);
	} else if (strcasecmp(verb, "NOOP") == 0) {
		say(answers, "%s OK done\r\n", answers->tag);
	} else if (strcasecmp(verb, "LOGOUT") == 0) {
		answers->leaving = true;
		say(answers, "* BYE until then\r\n%s OK done\r\n", answers->tag);
	} else if (answers->mailbox.user[0]) {
		signed_in(answers, verb, line);
	} else if (strcasecmp(verb, "AUTHENTICATE") == 0) {
		authenticate(answers, line);
	} else if (strcasecmp(verb, "LOGIN") == 0 && line) {
		const char *user = strsep(&line, " ");

		sign_in(answers, user, line ? line : "");
	} else {
		say(answers, "%s BAD sign in first\r\n", answers->tag);
	}
}

static uint32_t number_of(const char *text, const struct made_mailbox *mailbox)
{
	return *text == '*' ? mailbox->messages : (uint32_t)strtoul(text, NULL, 10);
}

/* The next range of the set, cut to what there is. False: no more. */
static bool next_range(struct answer *answer, const struct made_mailbox *mailbox)
{
	while (answer->set[0]) {
		char *rest = answer->set;
		const char *range = strsep(&rest, ",");
		const char *colon = strchr(range, ':');

		answer->next = number_of(range, mailbox);
		answer->last = colon ? number_of(colon + 1, mailbox) : answer->next;
		if (rest) {
			memmove(answer->set, rest, strlen(rest) + 1);
		} else {
			answer->set[0] = '\0';
		}
		if (answer->last > mailbox->messages) {
			answer->last = mailbox->messages;
		}
		if (answer->next > 0 && answer->next <= answer->last) {
			return true;
		}
	}
	answer->next = 0;
	return false;
}

/* Is there a UID to answer for? */
static bool has_uid(struct answer *answer, const struct made_mailbox *mailbox)
{
	return (answer->next > 0 && answer->next <= answer->last) ||
	       next_range(answer, mailbox);
}

static int write_row(const struct answer *answer, const struct made_mailbox *mailbox,
		     char *out)
{
	return answer->kind == ANSWER_FOUND
		       ? snprintf(out, ROW_MAX, " %u", answer->next)
		       : snprintf(out, ROW_MAX, "* %u FETCH (UID %u RFC822.SIZE %u)\r\n",
				  answer->next, answer->next,
				  made_mail_octets(mailbox, answer->next));
}

static size_t write_rows(struct answer *answer, const struct made_mailbox *mailbox,
			 char *out, size_t size)
{
	size_t len = 0;

	while (size - len > ROW_MAX && has_uid(answer, mailbox)) {
		len += (size_t)write_row(answer, mailbox, out + len);
		answer->next++;
	}
	return len;
}

/* "* 7 FETCH (UID 7 BODY[] {1234}" */
static size_t announce(struct answer *answer, const struct made_mailbox *mailbox,
		       char *out)
{
	const uint32_t octets = made_mail_octets(mailbox, answer->next);
	char origin[24] = "";

	answer->at = answer->partial && answer->origin < octets ? answer->origin : 0;
	answer->end = octets;
	if (answer->partial) {
		snprintf(origin, sizeof(origin), "<%u>", answer->origin);
		answer->at = answer->origin < octets ? answer->origin : octets;
		if (octets - answer->at > answer->most) {
			answer->end = answer->at + answer->most;
		}
	}
	answer->in_body = true;
	return (size_t)snprintf(out, ROW_MAX, "* %u FETCH (UID %u BODY[]%s {%u}\r\n",
				answer->next, answer->next, origin,
				answer->end - answer->at);
}

/* As much of one message as there is room for. */
static size_t write_body(struct answer *answer, const struct made_mailbox *mailbox,
			 char *out, size_t size)
{
	size_t len = 0;

	if (!answer->in_body) {
		len = announce(answer, mailbox, out);
	}
	const size_t left = answer->end - answer->at;
	const size_t part = left < size - len - 4 ? left : size - len - 4;

	made_mail_read(mailbox, answer->next, answer->at, part, out + len);
	answer->at += (uint32_t)part;
	len += part;
	if (answer->at == answer->end) {
		memcpy(out + len, ")\r\n", 3);
		len += 3;
		answer->in_body = false;
		answer->next++;
	}
	return len;
}

static size_t write_more(struct answer *answer, const struct made_mailbox *mailbox,
			 char *out, size_t size)
{
	size_t len = 0;

	if (answer->kind == ANSWER_ROWS || answer->kind == ANSWER_FOUND) {
		return write_rows(answer, mailbox, out, size);
	}
	while (answer->kind == ANSWER_BODIES && size - len >= ANSWER_PIECE_MIN &&
	       has_uid(answer, mailbox)) {
		len += write_body(answer, mailbox, out + len, size - len);
	}
	return len;
}

size_t imap_answers_next(struct imap_answers *answers, char *out, size_t size)
{
	struct answer *answer = answers->current;
	size_t len = 0;

	if (!answer) {
		return 0;
	}
	if (!answer->is_said) {
		answer->is_said = true;
		len = (size_t)snprintf(out, size, "%s", answer->text);
	}
	if (size - len >= ANSWER_PIECE_MIN / 2) {
		len += write_more(answer, &answers->mailbox, out + len, size - len);
	}
	if (answer->kind == ANSWER_TEXT || (!has_uid(answer, &answers->mailbox) &&
					    size - len > sizeof(answer->end_line))) {
		len += (size_t)snprintf(out + len, size - len, "%s", answer->end_line);
		end(answers);
	}
	return len;
}
