#include "proxy/base/log_limit.h"

#include "proxy/base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SOURCES 64 // that are loud at the same time; the quietest gives way
#define SOURCE_MAX 64

struct source {
	char name[SOURCE_MAX];
	uint64_t second;
	uint32_t lines;
	uint32_t suppressed;
};

static struct source sources[SOURCES];

static uint64_t second_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec + 1; // never 0: that is a free place
}

static void report(struct source *source)
{
	struct log_line line;

	if (source->suppressed > 0 && log_begin(&line, LOG_WARNING, "lines suppressed")) {
		log_string(&line, "peer", source->name);
		log_number(&line, "lines", source->suppressed);
		log_end(&line);
	}
	source->suppressed = 0;
}

/* The source's place; else the one that is worth least: free, or of few lines. */
static struct source *find(const char *name)
{
	struct source *least = &sources[0];

	for (size_t i = 0; i < SOURCES; i++) {
		if (strcmp(sources[i].name, name) == 0) {
			return &sources[i];
		}
		if (sources[i].second < least->second ||
		    (sources[i].second == least->second &&
		     sources[i].lines < least->lines)) {
			least = &sources[i];
		}
	}
	report(least);
	*least = (struct source){ 0 };
	snprintf(least->name, SOURCE_MAX, "%s", name);
	return least;
}

bool log_limit_allows(const char *name)
{
	const uint64_t now = second_now();
	struct source *source = find(name);

	if (source->second != now) {
		report(source);
		source->second = now;
		source->lines = 0;
	}
	if (source->lines < LOG_LIMIT_LINES) {
		source->lines++;
		return true;
	}
	source->suppressed++;
	return false;
}

bool log_limit_report(void)
{
	const uint64_t now = second_now();
	bool more = false;

	for (size_t i = 0; i < SOURCES; i++) {
		if (sources[i].suppressed == 0) {
			continue;
		}
		if (sources[i].second == now) {
			more = true;
		} else {
			report(&sources[i]);
		}
	}
	return more;
}
