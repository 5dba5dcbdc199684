#include "proxy/web/consent_page.h"

#include "proxy/web/consent_style.h"
#include "proxy/web/escape.h"
#include "proxy/web/form.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void say(struct buffer *out, const char *text)
{
	buffer_append(out, bytes_of(text));
}

/* Our own words around somebody's text. */
static void say_with(struct buffer *out, const char *before, const char *text,
		     const char *after)
{
	say(out, before);
	escape_html(out, text);
	say(out, after);
}

static void begin(const struct consent_view *view, const char *title, struct buffer *out)
{
	buffer_printf(out,
		      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		      "<title>%s</title>"
		      "<meta name=\"viewport\" content=\"width=device-width,"
		      "initial-scale=1\"><meta name=\"robots\" content=\"noindex\">"
		      "<link rel=\"icon\" href=\"data:,\"><style nonce=\"%s\">",
		      title, view->nonce);
	say(out, consent_style);
	say(out, "</style>");
}

static void begin_body(const char *title, struct buffer *out)
{
	buffer_printf(out, "</head><body><main>\n<h1>%s</h1>\n", title);
}

static void begin_page(const struct consent_view *view, const char *title,
		       struct buffer *out)
{
	begin(view, title, out);
	begin_body(title, out);
}

static void end_page(struct buffer *out)
{
	say(out, "</main></body></html>\n");
}

/* What people call it. */
static const char *provider_words(const struct consent_view *view)
{
	static const char *const words[] = {
		[CONFIG_GOOGLE] = "Google",
		[CONFIG_MICROSOFT] = "Microsoft",
		[CONFIG_YAHOO] = "Yahoo",
		[CONFIG_FASTMAIL] = "Fastmail",
		[CONFIG_CUSTOM] = "your mail provider",
	};
	const struct config_provider *provider = config_provider_named(
		view->config, bytes_of(consent_text(view->answer, PAGE_PROVIDER)));

	return words[provider ? provider->kind : CONFIG_CUSTOM];
}

static void hidden(const char *name, const char *value, struct buffer *out)
{
	buffer_printf(out, "<input type=\"hidden\" name=\"%s\" value=\"", name);
	escape_html(out, value);
	say(out, "\">");
}

/* A form of one button that changes something in this visit. */
static void begin_form(const struct consent_view *view, const char *path,
		       struct buffer *out)
{
	buffer_printf(out, "<form method=\"post\" action=\"%s\">", path);
	hidden(form_names[FORM_WORD], consent_text(view->answer, PAGE_FORM), out);
}

/* ---- without an answer ---- */

void consent_page_home(const struct consent_view *view, struct buffer *out)
{
	begin_page(view, "Mail for your device", out);
	say(out,
	    "<p>Here you let a device or a program that only speaks POP3 read your "
	    "mail.</p><div class=\"card\"><p>You need a <b>link</b> from whoever runs "
	    "this service. Open it, and you are led through.</p><p>You used yours in "
	    "this browser a moment ago? <a href=\"/account\">Go on where you "
	    "were</a>.</p></div>\n");
	end_page(out);
}

void consent_page_left(const struct consent_view *view, struct buffer *out)
{
	begin_page(view, "You are signed out", out);
	say(out,
	    "<p>Your device goes on reading mail with its password. You can close this "
	    "window.</p><p class=\"soft\">To come back, ask whoever runs this service "
	    "for a new link.</p>\n");
	end_page(out);
}

void consent_page_problem(const struct consent_view *view, const char *sentence,
			  const char *advice, struct buffer *out)
{
	begin_page(view, "That did not work", out);
	buffer_printf(out, "<div class=\"card bad\"><p><b>%s</b></p><p>%s</p></div>\n",
		      sentence, advice);
	end_page(out);
}

/* ---- the way to the provider ---- */

void consent_page_invitation(const struct consent_view *view, struct buffer *out)
{
	const char *person = consent_text(view->answer, PAGE_PERSON);
	const char *provider = provider_words(view);

	begin_page(view, "Mail for your device", out);
	say_with(out, "<p>You are invited to let a device read the mail of <b>",
		 consent_text(view->answer, PAGE_USER), "</b>.</p>\n");
	buffer_printf(out, "<ol class=\"card\"><li>You sign in with %s as <b>", provider);
	escape_html(out, person);
	buffer_printf(out,
		      "</b>, and allow the access to mail.</li><li>Here you get the "
		      "settings and a password for the device. Your own password stays "
		      "between you and %s.</li></ol>\n",
		      provider);
	say(out, "<form method=\"post\" action=\"/start\">");
	hidden(form_names[FORM_TOKEN], view->token, out);
	buffer_printf(out, "<button class=\"main\">Sign in with %s</button></form>",
		      provider);
	say(out, "<p class=\"soft\">The link that led you here works once: go on in this "
		 "browser. You did not ask for this, or know nothing of such a device? "
		 "Then close the window.</p>\n");
	end_page(out);
}

/* "https://login.example/..." : its host. */
static struct bytes host_of(const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	return (struct bytes){ host, strcspn(host, "/?#") };
}

/*
 * No redirect: browsers let a form lead to its own site only (form-action), and the
 * person sees where this goes.
 */
void consent_page_onward(const struct consent_view *view, struct buffer *out)
{
	const char *url = consent_text(view->answer, PAGE_URL);
	char *host = memory_copy_text(host_of(url));
	const char *title = "On to your provider";

	begin(view, title, out);
	say_with(out, "<meta http-equiv=\"refresh\" content=\"0;url=", url, "\">");
	begin_body(title, out);
	say_with(out, "<p>You sign in at <b>", host,
		 "</b>, and come back here by yourself.</p>");
	say_with(out, "<p><a class=\"button main\" href=\"", url, "\">Go on</a></p>\n");
	free(host);
	end_page(out);
}

/* ---- the account ---- */

static const char *security_words(enum config_tls tls)
{
	switch (tls) {
	case CONFIG_TLS_NONE:
		return "none";
	case CONFIG_TLS_STARTTLS:
		return "STARTTLS";
	case CONFIG_TLS_IMPLICIT:
		return "SSL/TLS";
	}
	return "";
}

/* One line to type in, with what copies it where there is a script. */
static void setting(const char *name, const char *words, const char *value,
		    struct buffer *out)
{
	buffer_printf(out,
		      "<div class=\"row\"><label for=\"%s\">%s</label>"
		      "<input id=\"%s\" readonly size=\"1\" value=\"",
		      name, words, name);
	escape_html(out, value);
	buffer_printf(out,
		      "\"><button type=\"button\" class=\"copy\" hidden data-for=\"%s\" "
		      "aria-label=\"Copy: %s\">Copy</button></div>\n",
		      name, words);
}

static void write_settings(const struct consent_view *view, struct buffer *out)
{
	const struct config_consent *consent = &view->config->consent;
	const char *password = consent_text(view->answer, PAGE_SECRET);
	char port[8] = "";
	struct buffer number = { .max = sizeof(port) };

	buffer_printf(&number, "%u", consent->pop3_port);
	memcpy(port, number.data, number.len);
	buffer_release(&number);
	say(out, "<h2>Settings for the device</h2><div class=\"card list\">\n");
	setting("server", "POP3 server", consent->pop3_host, out);
	setting("port", "Port", port, out);
	setting("security", "Security", security_words(consent->pop3_tls), out);
	setting("user", "User name", consent_text(view->answer, PAGE_USER), out);
	if (*password) {
		setting("password", "Password", password, out);
	}
	say(out, "</div><p id=\"said\" class=\"soft\" role=\"status\"></p>\n");
	if (*password) {
		say(out, "<div class=\"card note\"><p><b>The password is shown only "
			 "now.</b> Copy it, or type it in, before you leave this page. "
			 "Lost? Make another one below. Each device gets its own.</p>"
			 "</div>\n");
	} else {
		say(out, "<p class=\"soft\">A password is shown once, when it is made. "
			 "For a device that has none, make one below.</p>\n");
	}
}

static void write_day(uint64_t at_s, const char *never, struct buffer *out)
{
	const time_t at = (time_t)at_s;
	struct tm day;
	char text[16];

	if (at_s == 0 || !gmtime_r(&at, &day) ||
	    strftime(text, sizeof(text), "%Y-%m-%d", &day) == 0) {
		say(out, never);
		return;
	}
	say(out, text);
}

static void write_device(const struct consent_view *view,
			 const struct consent_device *device, struct buffer *out)
{
	const char *label = *device->label ? device->label : "without a name";

	say_with(out, "<li><div><b>", label, "</b><span>made ");
	write_day(device->since_s, "long ago", out);
	say(out, device->last_s > 0 ? ", last used " : ", ");
	write_day(device->last_s, "never used", out);
	say(out, "</span></div>");
	begin_form(view, "/revoke", out);
	buffer_printf(out,
		      "<input type=\"hidden\" name=\"%s\" value=\"%" PRIu64 "\">"
		      "<button class=\"quiet\" aria-label=\"Remove ",
		      form_names[FORM_ID], device->id);
	escape_html(out, label);
	say(out, "\">Remove</button></form></li>\n");
}

static void write_devices(const struct consent_view *view, struct buffer *out)
{
	const struct consent_answer *answer = view->answer;

	say(out, "<h2>Device passwords</h2>\n");
	if (answer->device_count > 0) {
		say(out, "<ul class=\"card list devices\">\n");
	}
	for (size_t i = 0; i < answer->device_count; i++) {
		write_device(view, &answer->devices[i], out);
	}
	say(out, answer->device_count > 0
			 ? "</ul><p class=\"soft\">A device whose password is removed "
			   "reads no more mail, at once.</p>\n"
			 : "<p class=\"soft\">There is none: no device reads this "
			   "mail.</p>\n");
	begin_form(view, "/password", out);
	buffer_printf(
		out,
		"<div class=\"make\"><label for=\"label\">For another device</label>"
		"<input id=\"label\" name=\"%s\" maxlength=\"%d\" "
		"autocomplete=\"off\" placeholder=\"scanner, 2nd floor\">"
		"<button>Make a password</button></div></form>\n",
		form_names[FORM_LABEL], PAGE_LABEL_MAX);
}

/* Shows what copies, and copies. */
static void write_script(const struct consent_view *view, struct buffer *out)
{
	buffer_printf(out, "<script nonce=\"%s\">", view->nonce);
	say(out, consent_script);
	say(out, "</script>\n");
}

static void write_not_signed_in(const struct consent_view *view, struct buffer *out)
{
	begin_page(view, "You have not signed in yet", out);
	buffer_printf(out, "<p>Sign in with %s as <b>", provider_words(view));
	escape_html(out, consent_text(view->answer, PAGE_PERSON));
	say_with(out, "</b> to let a device read the mail of <b>",
		 consent_text(view->answer, PAGE_USER), "</b>.</p>\n");
	begin_form(view, "/again", out);
	buffer_printf(out, "<button class=\"main\">Sign in with %s</button></form>\n",
		      provider_words(view));
	end_page(out);
}

void consent_page_account(const struct consent_view *view, struct buffer *out)
{
	if (!view->answer->signed_in) {
		write_not_signed_in(view, out);
		return;
	}
	begin_page(view, "Your device can read mail now", out);
	say_with(out, "<p>The mail of <b>", consent_text(view->answer, PAGE_USER),
		 "</b> is here for devices that speak POP3.</p>\n");
	write_settings(view, out);
	write_devices(view, out);
	begin_form(view, "/leave", out);
	say(out, "<button class=\"quiet\">I am done: sign out here</button></form>\n");
	write_script(view, out);
	end_page(out);
}

/* ---- what went wrong ---- */

static const struct {
	const char *sentence, *advice;
	bool again; // the visit goes on
} refusals[PAGE_WHYS] = {
	[PAGE_NO_INVITATION] = { "This link is not good, or no more.",
				 "A link works once, and for a few days. Ask whoever "
				 "runs this service for a new one.",
				 true },
	[PAGE_NO_SESSION] = { "Your visit here is over, or began in another browser.",
			      "It ends after half an hour, and cookies must be allowed "
			      "for this site. Ask whoever runs this service for a new "
			      "link, and open it in this browser.",
			      false },
	[PAGE_OTHER_FORM] = { "This did not come from a page of ours.",
			      "Nothing was changed. Use the buttons on this site's own "
			      "pages.",
			      true },
	[PAGE_NOT_NOW] = { "This sign-in is over already, or is not the one that you "
			   "began here.",
			   "Nothing was changed. That happens when a page is loaded "
			   "again, or by the browser's Back.",
			   true },
	[PAGE_DENIED] = { "Access to your mail was not allowed.",
			  "Nothing was stored. You may try again, and say yes there.",
			  true },
	[PAGE_OTHER_PERSON] = { "Somebody else signed in.",
				"Nothing was stored. Sign out there first, or choose "
				"\"another account\".",
				true },
	[PAGE_NO_CONSENT] = { "The provider's answer is no consent.",
			      "Nothing was stored. Tell whoever runs this service what "
			      "it says:",
			      true },
	[PAGE_LATER] = { "That cannot be done just now.",
			 "The provider or a part of this service does not answer. Try "
			 "again in a minute.",
			 true },
	[PAGE_TOO_MANY] = { "No password was made.",
			    "There are 64 already: remove one first. Else the service "
			    "cannot write just now.",
			    true },
};

void consent_page_refused(const struct consent_view *view, struct buffer *out)
{
	const enum page_why why = view->answer->why;
	const char *more = consent_text(view->answer, PAGE_TEXT);

	begin_page(view, "That did not work", out);
	buffer_printf(out, "<div class=\"card bad\"><p><b>%s</b></p>",
		      refusals[why].sentence);
	if (why == PAGE_OTHER_PERSON && *more) {
		say_with(out, "<p>It was <b>", more, "</b>.</p>");
	}
	buffer_printf(out, "<p>%s</p>", refusals[why].advice);
	if (why != PAGE_OTHER_PERSON && *more) {
		say_with(out, "<p class=\"quoted\">", more, "</p>");
	}
	say(out, "</div>\n");
	if (refusals[why].again) {
		say(out, "<p><a class=\"button\" href=\"/account\">Go on with your "
			 "visit</a></p>\n");
	}
	end_page(out);
}
