#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layers/regauth.h"
#include "unit/layers/httpd.h"

/* Challenges: "scheme realm service scope error;" with "-" for what is absent. */
static const struct {
	const char *value, *want;
} challenges[] = {
	{ "Basic", "basic - - - -;" },
	{ "Basic realm=\"x\"", "basic x - - -;" },
	{ "Basic realm=x", "basic x - - -;" },
	{ "BASIC Realm = \"a \\\"b\\\\ c\"", "basic a \"b\\ c - - -;" },
	{ "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull\",error=\"invalid_token\"",
		"bearer https://a/t s repository:x:pull invalid_token;" },
	{ "Bearer realm=\"https://a/t?x=1,2\" , service=s", "bearer https://a/t?x=1,2 s - -;" },
	{ "Basic realm=\"b\", Bearer realm=\"t\", service=\"s\"", "basic b - - -;bearer t s - -;" },
	{ "Negotiate, Basic realm=\"b\"", "negotiate - - - -;basic b - - -;" },
	{ ", ,Basic realm=\"b\", ,", "basic b - - -;" },
	{ "Bearer realm=\"a\",realm=\"b\",unknown=\"c\"", "bearer a - - -;" },
	{ "Bearer realm=\"never closed", "bearer - - - -;" },
	{ "Bearer realm=\"x\\", "bearer - - - -;" },
	{ "", "" },
	{ "=", "" },
	{ "\"quoted\"", "" },
	{ "a, b, c, d, e, f, g, h, i, j",
		"a - - - -;b - - - -;c - - - -;d - - - -;e - - - -;f - - - -;g - - - -;h - - - -;" },
};

static void parse_challenges(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(challenges); i++) {
		cleanup_challenges struct cb_challenges list = { 0 };
		cleanup_buf struct cb_buf got = { 0 };

		cb_challenges_parse(challenges[i].value, &list);
		for (size_t k = 0; k < list.n; k++) {
			const struct cb_challenge *c = &list.v[k];

			cb_buf_addf(&got, "%s %s %s %s %s;", c->scheme, c->realm ? c->realm : "-",
				c->service ? c->service : "-", c->scope ? c->scope : "-", c->error ? c->error : "-");
		}
		print_message("# %s\n", challenges[i].value);
		assert_string_equal(cb_buf_str(&got), challenges[i].want);
	}
}

/* A registry and its token service in one server. /v2/… wants what `accept` says. */
static struct {
	struct httpd *server;
	struct cb_http *http;
	pthread_mutex_t lock;
	const char *challenge;    /* NULL: Bearer with the realm of this server */
	const char *token_answer; /* NULL: a fresh token */
	int token_status;
	int tokens;     /* handed out */
	int valid_from; /* serial number below which a token is refused */
	bool refuse_all;
	char last_auth[256], last_body[1024];
} world = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool token_request(struct httpd_request *req)
{
	char text[128];

	httpd_header(req, "Authorization", world.last_auth, sizeof(world.last_auth));
	snprintf(world.last_body, sizeof(world.last_body), "%.*s", (int)req->body.len, cb_buf_str(&req->body));
	if (world.token_status)
		return httpd_text(req, world.token_status, NULL, "{\"details\": \"wrong password\"}");
	if (world.token_answer)
		return httpd_text(req, 200, NULL, world.token_answer);
	snprintf(text, sizeof(text), "{\"token\": \"t%d\", \"expires_in\": 300}", world.tokens++);
	return httpd_text(req, 200, NULL, text);
}

static bool registry_request(struct httpd_request *req)
{
	cleanup_free char *header = NULL;
	char auth[256] = "";
	int serial = -1;

	httpd_header(req, "Authorization", auth, sizeof(auth));
	if (!world.refuse_all && ((sscanf(auth, "Bearer t%d", &serial) == 1 && serial >= world.valid_from) ||
					 strcmp(auth, "Bearer fixed") == 0 || strcmp(auth, "Basic dTpw") == 0))
		return httpd_text(req, 200, NULL, auth);
	header = world.challenge
			 ? cb_xasprintf("WWW-Authenticate: %s\r\n", world.challenge)
			 : cb_xasprintf(
				   "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%d/token\",service=\"reg\"\r\n",
				   httpd_port(world.server));
	return httpd_text(req, 401, header, "");
}

static bool handle(struct httpd_request *req)
{
	bool keep;

	pthread_mutex_lock(&world.lock);
	keep = cb_str_starts(req->path, "/token") ? token_request(req) : registry_request(req);
	pthread_mutex_unlock(&world.lock);
	return keep;
}

static int ask(struct cb_regauth *auth, const char *repository, int *status, struct cb_buf *body, struct cb_err **err)
{
	cleanup_free char *host = cb_xasprintf("127.0.0.1:%d", httpd_port(world.server));
	cleanup_free char *url = cb_xasprintf("http://%s/v2/", host);
	cleanup_http_response struct cb_http_response resp = { 0 };
	struct cb_regauth_scope scope = {
		.auth = auth, .host = host, .config_host = "h", .repository = repository, .actions = "pull"
	};
	struct cb_http_authorizer authorizer;
	struct cb_http_request req = { .url = url, .authorizer = &authorizer };
	int r;

	cb_regauth_authorizer(&scope, &authorizer);
	r = cb_http_do(world.http, &req, &resp, err);
	*status = resp.status;
	if (body) {
		cb_buf_clear(body);
		cb_buf_add(body, resp.body.data, resp.body.len);
	}
	return r;
}

#define USER "{\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}"
#define IDENTITY "{\"auths\":{\"h\":{\"identitytoken\":\"i&d\"}}}"
#define FIXED "{\"auths\":{\"h\":{\"registrytoken\":\"fixed\"}}}"

static const struct {
	const char *name, *config, *challenge, *answer;
	int token_status;
	bool refuse_all;
	const char *repository;
	/* expected: */
	int code, status;
	const char *auth; /* of the token request, or that the registry saw; or the message */
	const char *log;  /* the token request */
} logins[] = {
	{ "anonymous token", "{}", NULL, NULL, 0, false, "a/b", 0, 200, "",
		"GET /token?service=reg&scope=repository%3Aa%2Fb%3Apull" },
	{ "user and password", USER, NULL, NULL, 0, false, "a/b", 0, 200, "Basic dTpw",
		"GET /token?service=reg&scope=repository%3Aa%2Fb%3Apull&account=u" },
	{ "refresh token", IDENTITY, NULL, NULL, 0, false, "x", 0, 200, "", "POST /token" },
	{ "registry token", FIXED, NULL, NULL, 0, false, "x", 0, 200, "", "" },
	{ "access_token", USER, NULL, "{\"access_token\": \"fixed\"}", 0, false, "x", 0, 200, "Basic dTpw",
		"GET /token" },
	{ "basic", USER, "Basic realm=\"x\"", NULL, 0, false, "x", 0, 200, "", "" },
	{ "basic without credentials", "{}", "Basic realm=\"x\"", NULL, 0, false, "x", 0, 401, "", "" },
	{ "wrong password for basic", USER, "Basic realm=\"x\"", NULL, 0, true, "x", 0, 401, "", "" },
	{ "bearer goes before basic", USER, "Basic realm=\"x\", Bearer realm=\"nonsense\"", NULL, 0, false, "x",
		CB_ERR_CORRUPT, 0, "names a token service that is no URL", "" },
	{ "unknown scheme", USER, "Negotiate", NULL, 0, false, "x", 0, 401, "", "" },
	{ "every token is refused", USER, NULL, NULL, 0, true, "x", 0, 401, "Basic dTpw", "GET /token" },
	{ "wrong password", USER, NULL, NULL, 401, false, "x", CB_ERR_DENIED, 0,
		"log in to h as u: get a token: HTTP status 401 (authentication required): wrong password",
		"GET /token" },
	{ "service down", USER, NULL, NULL, 503, false, "x", CB_ERR_NETWORK, 0,
		"log in to h as u: get a token: HTTP status 503 (service unavailable): wrong password", "GET /token" },
	{ "no JSON", USER, NULL, "<html>", 0, false, "x", CB_ERR_CORRUPT, 0, "answer of the token service",
		"GET /token" },
	{ "no token", USER, NULL, "{\"expires_in\": 5}", 0, false, "x", CB_ERR_CORRUPT, 0,
		"the token service answered without a token", "GET /token" },
	{ "a list", USER, NULL, "[]", 0, false, "x", CB_ERR_CORRUPT, 0, "the token service answered without a token",
		"GET /token" },
	{ "a token with a line break", USER, NULL, "{\"token\": \"a\\r\\nX-Evil: 1\"}", 0, false, "x", CB_ERR_CORRUPT,
		0, "the token service answered without a token", "GET /token" },
	{ "scope of the challenge", "{}", NULL, NULL, 0, false, NULL, 0, 200, "", "GET /token?service=reg" },
};

static void log_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(logins); i++) {
		CB_CLEANUP(cb_dockercfg_free) struct cb_dockercfg *cfg = NULL;
		CB_CLEANUP(cb_regauth_free) struct cb_regauth *auth = NULL;
		cleanup_free char *log = NULL;
		cleanup_err struct cb_err *err = NULL;
		size_t before;
		int status = 0, r;

		print_message("# %s\n", logins[i].name);
		world.challenge = logins[i].challenge;
		world.token_answer = logins[i].answer;
		world.token_status = logins[i].token_status;
		world.refuse_all = logins[i].refuse_all;
		world.last_auth[0] = world.last_body[0] = '\0';
		log = httpd_log(world.server);
		before = strlen(log);
		free(CB_TAKE_PTR(log));

		assert_int_equal(cb_dockercfg_parse(logins[i].config, strlen(logins[i].config), "t", &cfg, NULL), 0);
		auth = cb_regauth_new(world.http, cfg);
		r = ask(auth, logins[i].repository, &status, NULL, &err);
		log = httpd_log(world.server);
		assert_int_equal(r, logins[i].code);
		if (r < 0) {
			assert_non_null(strstr(cb_err_msg(err), logins[i].auth));
		} else {
			assert_int_equal(status, logins[i].status);
			assert_string_equal(world.last_auth, logins[i].auth);
		}
		if (*logins[i].log)
			assert_non_null(strstr(log + before, logins[i].log));
		else
			assert_null(strstr(log + before, "/token"));
	}
	assert_string_equal(world.last_body, "");
	world.challenge = world.token_answer = NULL;
	world.token_status = 0;
	world.refuse_all = false;
}

static void refresh_token_form(void **state)
{
	CB_CLEANUP(cb_dockercfg_free) struct cb_dockercfg *cfg = NULL;
	CB_CLEANUP(cb_regauth_free) struct cb_regauth *auth = NULL;
	int status = 0;

	(void)state;
	assert_int_equal(cb_dockercfg_parse(IDENTITY, strlen(IDENTITY), "t", &cfg, NULL), 0);
	auth = cb_regauth_new(world.http, cfg);
	assert_int_equal(ask(auth, "a/b", &status, NULL, NULL), 0);
	assert_string_equal(world.last_body, "service=reg&scope=repository%3Aa%2Fb%3Apull&grant_type=refresh_token&"
					     "client_id=cbuild&refresh_token=i%26d");
}

/* Tokens serve until they expire or are refused; each scope has its own. */
static void token_cache(void **state)
{
	CB_CLEANUP(cb_regauth_free) struct cb_regauth *auth = cb_regauth_new(world.http, NULL);
	cleanup_buf struct cb_buf one = { 0 }, two = { 0 };
	int status = 0, before = world.tokens;

	(void)state;
	assert_int_equal(ask(auth, "a", &status, &one, NULL), 0);
	assert_int_equal(ask(auth, "a", &status, &two, NULL), 0);
	assert_string_equal(cb_buf_str(&one), cb_buf_str(&two));
	assert_int_equal(world.tokens, before + 1);
	assert_int_equal(ask(auth, "b", &status, &two, NULL), 0);
	assert_int_equal(world.tokens, before + 2);

	world.valid_from = world.tokens; /* all that were handed out are void now */
	assert_int_equal(ask(auth, "a", &status, &two, NULL), 0);
	assert_int_equal(status, 200);
	assert_int_equal(world.tokens, before + 3);

	world.token_answer = "{\"token\": \"fixed\", \"expires_in\": 1}";
	assert_int_equal(ask(auth, "c", &status, NULL, NULL), 0);
	world.token_answer = NULL;
	usleep(950000);
	before = world.tokens;
	assert_int_equal(ask(auth, "c", &status, &two, NULL), 0);
	assert_int_equal(world.tokens, before + 1);
	assert_string_not_equal(cb_buf_str(&two), "Bearer fixed");
}

static void *ask_often(void *arg)
{
	int status = 0;

	for (int i = 0; i < 5; i++)
		if (ask(arg, "shared", &status, NULL, NULL) != 0 || status != 200)
			return (void *)"failed";
	return NULL;
}

static void threads_fetch_once(void **state)
{
	CB_CLEANUP(cb_regauth_free) struct cb_regauth *auth = cb_regauth_new(world.http, NULL);
	int before = world.tokens;
	pthread_t threads[6];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, auth), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *failed = NULL;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(world.tokens, before + 1);
}

/* A challenge that came over HTTPS does not lure the password to a plain service. */
static void no_credentials_without_encryption(void **state)
{
	CB_CLEANUP(cb_dockercfg_free) struct cb_dockercfg *cfg = NULL;
	CB_CLEANUP(cb_regauth_free) struct cb_regauth *auth = NULL;
	struct cb_http_header header = { (char *)"www-authenticate",
		cb_xasprintf("Bearer realm=\"http://127.0.0.1:%d/token\"", httpd_port(world.server)) };
	struct cb_http_response resp = {
		.status = 401, .url = (char *)"https://h/v2/", .headers = &header, .n_headers = 1
	};
	struct cb_regauth_scope scope = { .host = "h", .config_host = "h", .repository = "x", .actions = "pull" };
	struct cb_http_authorizer authorizer;
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *value = NULL;
	int before = httpd_count(world.server);

	(void)state;
	assert_int_equal(cb_dockercfg_parse(USER, strlen(USER), "t", &cfg, NULL), 0);
	auth = cb_regauth_new(world.http, cfg);
	scope.auth = auth;
	cb_regauth_authorizer(&scope, &authorizer);
	assert_int_equal(authorizer.challenged(&scope, &resp, NULL, &err), 0);
	assert_int_equal(authorizer.value(&scope, NULL, &value, &err), CB_ERR_DENIED);
	assert_non_null(strstr(cb_err_msg(err), "refused to send credentials without encryption"));
	assert_int_equal(httpd_count(world.server), before);
	free(header.value);
}

static int set_up(void **state)
{
	struct cb_http_options options = { .backoff_ms = 2, .retries = 2 };

	(void)state;
	world.server = httpd_start(handle, NULL);
	return cb_http_new(&options, &world.http, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	cb_http_free(world.http);
	httpd_stop(world.server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_challenges),
		cmocka_unit_test(log_in),
		cmocka_unit_test(refresh_token_form),
		cmocka_unit_test(token_cache),
		cmocka_unit_test(threads_fetch_once),
		cmocka_unit_test(no_credentials_without_encryption),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
