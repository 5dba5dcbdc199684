#include "tests/bench/load/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option known[] = {
	{ "port", 1, NULL, 'p' },     { "tls", 1, NULL, 't' },
	{ "user", 1, NULL, 'u' },     { "password", 1, NULL, 'w' },
	{ "ca", 1, NULL, 'C' },       { "first", 1, NULL, 'f' },
	{ "count", 1, NULL, 'n' },    { "window", 1, NULL, 'W' },
	{ "conc", 1, NULL, 'c' },     { "sessions", 1, NULL, 's' },
	{ "users", 1, NULL, 'U' },    { "seconds", 1, NULL, 'S' },
	{ "base", 1, NULL, 'b' },     { "sources", 1, NULL, 'a' },
	{ "rate", 1, NULL, 'r' },     { "ledger", 1, NULL, 'l' },
	{ "progress", 1, NULL, 'P' }, { "hash", 0, NULL, 'H' },
	{ "burst", 0, NULL, 'B' },    { 0 },
};

static enum tls_mode tls_mode(const char *text)
{
	if (strcmp(text, "tls") == 0) {
		return TLS_AT_ONCE;
	}
	return strcmp(text, "stls") == 0 ? TLS_BY_COMMAND : TLS_NONE;
}

static void take_text(struct options *options, int name, const char *value)
{
	if (name == 't') {
		options->tls = tls_mode(value);
	} else if (name == 'u') {
		options->user = value;
	} else if (name == 'w') {
		options->password = value;
	} else if (name == 'C') {
		options->ca_file = value;
	} else if (name == 'l') {
		options->ledger = value;
	} else if (name == 'H') {
		options->hash = true;
	} else if (name == 'B') {
		options->burst = true;
	}
}

static void take_number(struct options *options, int name, const char *value)
{
	const long number = strtol(value, NULL, 10);

	if (name == 'p') {
		options->port = (uint16_t)number;
	} else if (name == 'f') {
		options->first = number;
	} else if (name == 'n') {
		options->count = number;
	} else if (name == 'W') {
		options->window = number;
	} else if (name == 'c') {
		options->conc = number;
	} else if (name == 's') {
		options->sessions = number;
	} else if (name == 'U') {
		options->users = number;
	} else if (name == 'P') {
		options->progress = number;
	} else if (name == 'b') {
		options->base = number;
	} else if (name == 'a') {
		options->sources = number;
	} else if (name == 'r') {
		options->rate = strtod(value, NULL);
	} else {
		options->seconds = strtod(value, NULL);
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	int name;

	*options = (struct options){
		.user = "u10k",
		.password = "secret",
		.ca_file = "",
		.first = 1,
		.conc = 1,
		.users = 1,
	};
	while ((name = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (name == '?') {
			exit(2);
		}
		if (strchr("twuCHBl", name)) {
			take_text(options, name, optarg);
		} else {
			take_number(options, name, optarg);
		}
	}
	if (optind != argc - 1 || options->port == 0) {
		fprintf(stderr, "usage: %s MODE --port N [--name value]...\n", argv[0]);
		exit(2);
	}
	options->mode = argv[optind];
}

void options_user(const struct options *options, long number, char *out, size_t size)
{
	const char *place = strchr(options->user, '%');
	const int before = place ? (int)(place - options->user) : 0;

	if (place) {
		snprintf(out, size, "%.*s%04ld", before, options->user,
			 (options->base + number) % options->users);
	} else {
		snprintf(out, size, "%s", options->user);
	}
}

uint32_t options_source(const struct options *options, long number)
{
	const uint32_t first = 0x7f010001; // 127.1.0.1

	if (options->sources == 0) {
		return 0;
	}
	return first + (uint32_t)((options->base + number) % options->sources);
}
