/*
 * All goes well: a request comes, its task asks the provider on a thread, the answer goes
 * back, and the keeper says that it has stored what is new. What can go wrong: the
 * provider is down or slow (that is an answer, too); the keeper dies meanwhile: a
 * provider that rotates refresh tokens gives each of them once, so an answer with one is
 * kept until a keeper has stored it, and told to the next keeper by its tag. That one may
 * have asked with the same refresh token by then: the provider, which would take the
 * whole consent back, is not asked a second time.
 */
#include "proxy/oauth/oauth.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/base/metrics.h"
#include "proxy/oauth/exchange.h"
#include "proxy/oauth/http.h"
#include "proxy/rt/offload.h"
#include "proxy/rt/pem_expiry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DISCOVERY_MS ((uint64_t)3600 * 1000) // a document is good that long
#define DAY_S ((uint64_t)24 * 3600)
#define SEND_MS 5000 // a keeper that takes nothing is gone

struct provider {
	const struct config_provider *settings; // borrowed
	struct exchange_papers papers;
	struct answer_endpoints endpoints;
	uint64_t until_ms; // 0: not known yet
};

struct oauth {
	const struct config *config; // borrowed
	struct provider *providers;  // owned; in the order of the configuration
	struct channel *channel;     // owned; NULL: no keeper
	struct task *reader;         // a child, while there is a channel
	struct task *watcher;        // a child: warns of ends
	struct job *asking;          // job::next: the provider has not answered yet
	struct job *unkept;          // job::next, the newest first: answers to be stored
	size_t jobs;
	size_t answering; // jobs that send at this moment
	struct gate job_ended, answered;
};

/* One request. While a thread works on it, everything it touches is here. */
struct job {
	struct job *next; // oauth::asking or oauth::unkept
	struct oauth *oauth;
	char *packet; // owned, holds secrets; the request's texts are in it
	size_t packet_len;
	struct oauth_request request;
	const struct config_provider *provider;
	const struct exchange_papers *papers;
	struct answer_endpoints endpoints;
	bool discover;
	bool discovered;
	struct failure failure;
	struct exchange_result result;
};

/* When what proves us to the provider ends; 0: not known. */
static uint64_t end_of(const struct provider *provider)
{
	return provider->settings->client_secret_until_s > 0
		       ? provider->settings->client_secret_until_s
		       : pem_expiry_s(buffer_bytes(&provider->papers.certificate));
}

static void warn_of_end(const struct provider *provider, uint64_t until_s, uint64_t now_s)
{
	struct log_line line;

	if (log_begin(&line, LOG_WARNING, "provider credential ends")) {
		log_string(&line, "provider", provider->settings->name);
		log_number(&line, "days",
			   until_s > now_s ? (until_s - now_s) / DAY_S : 0);
		log_string(&line, "advice",
			   provider->settings->certificate
				   ? "give the provider another certificate, then "
				     "change certificate and key"
				   : "make another secret at the provider, then change "
				     "client-secret-file and client-secret-expires");
		log_end(&line);
	}
}

SUSPENDS static void watch_ends(void *argument)
{
	const struct oauth *oauth = argument;

	do {
		const uint64_t now_s = (uint64_t)time(NULL);

		for (size_t i = 0; i < oauth->config->provider_count; i++) {
			const uint64_t until_s = end_of(&oauth->providers[i]);

			metrics_provider(i, until_s);
			if (until_s > 0 && until_s < now_s + CONFIG_CREDENTIAL_WARN_S) {
				warn_of_end(&oauth->providers[i], until_s, now_s);
			}
		}
	} while (task_sleep_until(loop_deadline_ms(DAY_S * 1000)));
}

struct oauth *oauth_new(const struct config *config)
{
	struct oauth *oauth = memory_new(sizeof(*oauth));
	struct failure failure;

	http_setup();
	oauth->config = config;
	oauth->providers =
		memory_new_array(config->provider_count, sizeof(*oauth->providers));
	for (size_t i = 0; i < config->provider_count; i++) {
		oauth->providers[i].settings = &config->providers[i];
		if (!exchange_read_papers(&config->providers[i],
					  &oauth->providers[i].papers, &failure)) {
			log_say(LOG_ERROR, "provider of no use", "%s", failure.text);
		}
	}
	return oauth;
}

void oauth_watch(struct oauth *oauth)
{
	oauth->watcher = task_start_child(watch_ends, oauth);
}

static struct provider *find(struct oauth *oauth, struct bytes name)
{
	const struct config_provider *settings =
		config_provider_named(oauth->config, name);

	return settings ? &oauth->providers[settings - oauth->config->providers] : NULL;
}

static void refuse(struct job *job, enum oauth_verdict verdict, const char *why)
{
	struct answer *answer = &job->result.answer;

	answer->verdict = verdict;
	snprintf(answer->text, sizeof(answer->text), "%s", why);
}

/* On another thread. */
static void work(void *argument)
{
	struct job *job = argument;

	if (job->discover) {
		job->discovered =
			exchange_discover(job->provider, &job->endpoints, &job->failure);
	}
	if (!job->discover || job->discovered) {
		exchange(job->provider, job->papers, &job->endpoints, &job->request,
			 &job->result);
	}
}

SUSPENDS static void ask_provider(struct job *job)
{
	struct provider *provider = find(job->oauth, job->request.provider);

	if (!provider) {
		refuse(job, OAUTH_REFUSED, "no provider of that name is configured");
		return;
	}
	job->provider = provider->settings;
	job->papers = &provider->papers;
	job->discover = loop_now_ms() >= provider->until_ms;
	job->endpoints = provider->endpoints;
	offload(work, job);
	if (job->discovered) {
		provider->endpoints = job->endpoints;
		provider->until_ms = loop_deadline_ms(DISCOVERY_MS);
	} else if (job->discover) {
		refuse(job,
		       job->failure.kind == FAILURE_TEMPORARY ? OAUTH_TEMPORARY
							      : OAUTH_REFUSED,
		       job->failure.text);
	}
}

static void free_job(struct job *job)
{
	struct oauth *oauth = job->oauth;

	exchange_result_release(&job->result);
	memory_wipe(job->packet, job->packet_len);
	free(job->packet);
	free(job);
	oauth->jobs--;
	gate_open(&oauth->job_ended);
}

static bool must_be_kept(const struct job *job)
{
	return job->result.answer.refresh_token.len > 0;
}

/* To the keeper of now, if there is one: it may be another than the one who asked. */
SUSPENDS static void answer(const struct job *job)
{
	const struct answer *said = &job->result.answer;
	const struct oauth_reply reply = {
		.id = job->request.id,
		.verdict = said->verdict,
		.expires_s = said->expires_s,
		.refresh_expires_s = said->refresh_expires_s,
		.interval_s = said->interval_s,
		.tag = job->request.tag,
		.access_token = secret_bytes(&said->access_token),
		.refresh_token = secret_bytes(&said->refresh_token),
		.identity = bytes_of(job->result.identity),
		.device_code = secret_bytes(&said->device_code),
		.user_code = bytes_of(said->user_code),
		.url = bytes_of(said->verification_uri),
		.url_complete = bytes_of(said->verification_uri_complete),
		.text = bytes_of(said->text),
	};
	struct oauth *oauth = job->oauth; // the job may be kept and gone meanwhile
	struct buffer packet;
	struct failure ignored;

	buffer_init(&packet, CHANNEL_MESSAGE_MAX);
	if (oauth->channel && oauth_reply_encode(&reply, &packet)) {
		oauth->answering++;
		channel_send(oauth->channel, buffer_bytes(&packet), NULL,
			     loop_deadline_ms(SEND_MS), &ignored);
		oauth->answering--;
		gate_open(&oauth->answered);
		memory_wipe(packet.data, packet.len);
	}
	buffer_release(&packet);
}

static void unlink_job(struct job **link, const struct job *job)
{
	while (*link != job) {
		link = &(*link)->next;
	}
	*link = job->next;
}

SUSPENDS static void run_job(void *argument)
{
	struct job *job = argument;
	struct oauth *oauth = job->oauth;

	ask_provider(job);
	unlink_job(&oauth->asking, job);
	if (must_be_kept(job)) {
		job->next = oauth->unkept; // before anything waits: KEPT may come at once
		oauth->unkept = job;
		answer(job);
		return;
	}
	answer(job);
	free_job(job);
}

static struct job *with_tag(struct job *job, struct bytes tag)
{
	while (job && !bytes_equal(job->request.tag, tag)) {
		job = job->next;
	}
	return job;
}

static struct job *with_id(struct job *job, uint32_t id)
{
	while (job && job->request.id != id) {
		job = job->next;
	}
	return job;
}

/* The keeper has stored what was answered to this one. */
static void forget(struct oauth *oauth, const struct oauth_request *kept)
{
	struct job *job = kept->tag.len > 0 ? with_tag(oauth->unkept, kept->tag)
					    : with_id(oauth->unkept, kept->id);

	if (job) {
		unlink_job(&oauth->unkept, job);
		free_job(job);
	}
}

/* The same refresh token again: the one answer is for who asked last. */
SUSPENDS static bool is_asked_already(struct oauth *oauth,
				      const struct oauth_request *request)
{
	struct job *asking, *unkept;

	if (request->what != OAUTH_REFRESH || request->tag.len == 0) {
		return false;
	}
	asking = with_tag(oauth->asking, request->tag);
	unkept = with_tag(oauth->unkept, request->tag);
	if (asking) {
		asking->request.id = request->id;
	} else if (unkept) {
		unkept->request.id = request->id;
		answer(unkept);
	}
	return asking || unkept;
}

/* False: the keeper does not keep to the protocol. */
SUSPENDS static bool take(struct oauth *oauth, struct bytes packet)
{
	struct job *job = memory_new(sizeof(*job));

	job->oauth = oauth;
	job->packet = memory_copy_text(packet);
	job->packet_len = packet.len;
	oauth->jobs++;
	if (!oauth_request_decode((struct bytes){ job->packet, packet.len },
				  &job->request)) {
		free_job(job);
		return false;
	}
	if (job->request.what == OAUTH_KEPT) {
		forget(oauth, &job->request);
		free_job(job);
	} else if (is_asked_already(oauth, &job->request)) {
		free_job(job);
	} else if (oauth->jobs > OAUTH_REQUESTS_MAX) {
		refuse(job, OAUTH_TEMPORARY, "too many token requests at once");
		answer(job);
		free_job(job);
	} else {
		job->next = oauth->asking;
		oauth->asking = job;
		task_start(run_job, job);
	}
	return true;
}

SUSPENDS static void read_requests(void *argument)
{
	struct oauth *oauth = argument;
	char *packet = memory_new(CHANNEL_MESSAGE_MAX);
	struct failure ignored;
	size_t len;
	bool good = true;

	for (struct job *job = oauth->unkept; job; job = job->next) {
		answer(job);
	}
	while (good && channel_receive(oauth->channel, packet, &len, NULL, DEADLINE_NEVER,
				       &ignored)) {
		good = take(oauth, (struct bytes){ packet, len });
		memory_wipe(packet, len);
	}
	free(packet);
}

SUSPENDS static void leave_keeper(struct oauth *oauth)
{
	struct channel *channel = oauth->channel;
	struct failure ignored;

	if (!channel) {
		return;
	}
	task_cancel(oauth->reader);
	task_join(oauth->reader);
	oauth->channel = NULL;
	while (oauth->answering > 0) {
		gate_wait(&oauth->answered, DEADLINE_NEVER, &ignored);
	}
	channel_close(channel);
}

SUSPENDS void oauth_serve(struct oauth *oauth, int fd)
{
	leave_keeper(oauth);
	oauth->channel = channel_new(fd);
	oauth->reader = task_start_child(read_requests, oauth);
}

/* Those that the provider still works on; what no keeper took by then is lost. */
static size_t under_way(const struct oauth *oauth)
{
	size_t unkept = 0;

	for (const struct job *job = oauth->unkept; job; job = job->next) {
		unkept++;
	}
	return oauth->jobs - unkept;
}

SUSPENDS void oauth_free(struct oauth *oauth)
{
	struct failure ignored;

	if (!oauth) {
		return;
	}
	while (under_way(oauth) > 0) {
		gate_wait(&oauth->job_ended, loop_deadline_ms(1000), &ignored);
	}
	leave_keeper(oauth);
	if (oauth->watcher) {
		task_cancel(oauth->watcher);
		task_join(oauth->watcher);
	}
	while (oauth->unkept) {
		forget(oauth, &oauth->unkept->request);
	}
	for (size_t i = 0; i < oauth->config->provider_count; i++) {
		exchange_papers_release(&oauth->providers[i].papers);
	}
	free(oauth->providers);
	free(oauth);
}
