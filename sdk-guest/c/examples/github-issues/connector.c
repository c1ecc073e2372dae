/* The issues of GitHub repositories, as an example of a connector in C. plugins/github is the one to install. */

#include <sluice.h>

#define API "https://api.github.com"
#define PER_PAGE "100"

/* Ids of issues that the next page will show once more, as JSON: two pages of them at the most. */
enum { SEEN = 200 };

/* Where the pass under way stands; of the cursor's member `at`. */
typedef struct {
  sl_str repository;
  sl_str since; /* RFC 3339; empty: from the very start */
  uint64_t page;
  sl_str seen[SEEN];
  size_t seen_count;
} place;

static bool github(sl_str url, sl_response *response, sl_error *error) {
  static const sl_header HEADERS[] = {
      {SL("accept"), SL("application/vnd.github+json")},
      {SL("x-github-api-version"), SL("2022-11-28")},
  };
  sl_request request = {.url = url, .headers = HEADERS, .header_count = 2};
  return sl_send(&request, response, error);
}

static bool check(const sl_connection *connection, sl_account *account, sl_error *error) {
  (void)connection;
  sl_response response;
  if (!github(SL(API "/user"), &response, error) || !sl_ok(&response, NULL, error)) return false;
  account->id = sl_json_id(sl_member(response.body, "id"));
  if (account->id.len == 0 || !sl_json_text(sl_member(response.body, "login"), &account->name)) {
    return sl_fail(error, SL_INVALID_DATA, NULL, "GitHub does not say who the token belongs to");
  }
  sl_str rest = sl_header_of(&response, "x-oauth-scopes"), scope;
  while (rest.len > 0) {
    sl_cut(rest, ',', &scope, &rest);
    while (scope.len > 0 && *scope.ptr == ' ') scope.ptr++, scope.len--;
    if (scope.len > 0) sl_add(&account->scopes, scope);
  }
  return true;
}

/* The repository with this number in the configuration; false behind the last. */
static bool repository_of(sl_str config, size_t number, sl_str *name) {
  size_t at = 0;
  for (sl_walk w = sl_walk_of(sl_member(config, "repositories")); sl_next(&w); at++) {
    if (at == number) return sl_json_text(w.value, name);
  }
  return false;
}

/* The time of the newest issue read of a repository in passes that are over. */
static sl_str mark_of(sl_str done, sl_str repository) {
  sl_str since = {0};
  for (sl_walk w = sl_walk_of(done); sl_next(&w);) {
    if (sl_eq(w.name, repository)) sl_json_text(w.value, &since);
  }
  return since;
}

static place start(sl_str repository, sl_str done, const sl_read_request *request) {
  place at = {.repository = repository, .since = mark_of(done, repository), .page = 1};
  if (request->windowed) {
    sl_str begin = sl_time_text(request->start);
    if (sl_compare(at.since, begin) < 0) at.since = begin;
  }
  return at;
}

/* The place of the cursor; false if it is of a repository that the configuration does not have. */
static bool resume(sl_str cursor, sl_str config, place *at, size_t *number) {
  sl_str member = sl_member(cursor, "at"), name;
  if (!sl_json_text(sl_member(member, "repository"), &at->repository)) return false;
  for (*number = 0; repository_of(config, *number, &name); (*number)++) {
    if (!sl_eq(name, at->repository)) continue;
    sl_json_text(sl_member(member, "since"), &at->since);
    if (!sl_json_u64(sl_member(member, "page"), &at->page)) at->page = 1;
    for (sl_walk w = sl_walk_of(sl_member(member, "seen")); sl_next(&w) && at->seen_count < SEEN;) {
      at->seen[at->seen_count++] = w.value;
    }
    return true;
  }
  return false;
}

static bool seen(const place *at, sl_str id) {
  for (size_t known = 0; known < at->seen_count; known++) {
    if (sl_eq(at->seen[known], id)) return true;
  }
  return false;
}

static void remember(place *at, sl_str id) {
  if (at->seen_count == SEEN) {
    for (size_t known = 1; known < SEEN; known++) at->seen[known - 1] = at->seen[known];
    at->seen_count--;
  }
  at->seen[at->seen_count++] = id;
}

/* `done` with one more mark, and the place where there is one. */
static sl_str cursor_of(sl_str done, const place *marked, const place *at) {
  sl_buf out = {0};
  bool first = true;
  sl_put(&out, SL("{\"done\":{"));
  for (sl_walk w = sl_walk_of(done); sl_next(&w);) {
    if (marked != NULL && sl_eq(w.name, marked->repository)) continue;
    sl_printf(&out, "%s\"%.*s\":%.*s", first ? "" : ",", SL_ARG(w.name), SL_ARG(w.value));
    first = false;
  }
  if (marked != NULL) {
    sl_put(&out, first ? SL("") : SL(","));
    sl_put_json(&out, marked->repository);
    sl_put(&out, SL(":"));
    sl_put_json(&out, marked->since);
  }
  sl_put(&out, SL("}"));
  if (at != NULL) {
    sl_put(&out, SL(",\"at\":{\"repository\":"));
    sl_put_json(&out, at->repository);
    sl_put(&out, SL(",\"since\":"));
    sl_put_json(&out, at->since);
    sl_printf(&out, ",\"page\":%llu,\"seen\":[", (unsigned long long)at->page);
    for (size_t known = 0; known < at->seen_count; known++) {
      sl_printf(&out, "%s%.*s", known == 0 ? "" : ",", SL_ARG(at->seen[known]));
    }
    sl_put(&out, SL("]}"));
  }
  sl_put(&out, SL("}"));
  return sl_text(&out);
}

/* The end of a repository: on with the next one, or the end of the pass. */
static bool finished(const sl_connection *connection, const sl_read_request *request, sl_page *page, sl_str done, const place *at,
                     size_t number) {
  sl_str following;
  page->more = repository_of(connection->config, number + 1, &following);
  if (!page->more) {
    page->cursor = cursor_of(done, at, NULL);
    return true;
  }
  place next = start(following, done, request);
  page->cursor = cursor_of(done, at, &next);
  return true;
}

static bool read_page(const sl_connection *connection, const sl_read_request *request, sl_page *page, sl_error *error) {
  if (!sl_eq(request->stream, SL("issues"))) {
    return sl_fail(error, SL_UNSUPPORTED, NULL, "there is no stream `%.*s`", SL_ARG(request->stream));
  }
  sl_str done = sl_member(request->cursor, "done"), first;
  place at = {.page = 1};
  size_t number;
  if (!resume(request->cursor, connection->config, &at, &number)) {
    number = 0;
    if (!repository_of(connection->config, 0, &first)) {
      return sl_fail(error, SL_CONFIG, "/repositories", "name a repository");
    }
    at = start(first, done, request);
  }

  sl_buf url = {0};
  sl_printf(&url, API "/repos/%.*s/issues?state=all&sort=updated&direction=asc&per_page=" PER_PAGE, SL_ARG(at.repository));
  if (at.since.len > 0) sl_printf(&url, "&since=%.*s", SL_ARG(sl_encode(at.since)));
  if (at.page > 1) sl_printf(&url, "&page=%llu", (unsigned long long)at.page);
  sl_response response;
  if (!github(sl_text(&url), &response, error)) return false;
  if (response.status == 409 || response.status == 410) {
    sl_log(SL_INFO, "%.*s: there are no issues to read (%d)", SL_ARG(at.repository), response.status);
    return finished(connection, request, page, done, &at, number);
  }
  if (!sl_ok(&response, sl_format("/repositories/%zu", number).ptr, error)) return false;

  /* The list moves while it is read: an issue that is changed goes to its end and pulls another one over the edge of a page that
   * was read already. So the next page begins at the time where this one ended, and shows the issues of that time once more. Only
   * if a whole page is of one time are pages counted. */
  place after = at;
  sl_str newest = at.since;
  size_t issues = 0;
  bool fresh = false;
  sl_walk w = sl_walk_of(response.body);
  for (; sl_next(&w); issues++) {
    sl_str id = sl_member(w.value, "id"), changed = {0};
    sl_json_text(sl_member(w.value, "updated_at"), &changed);
    int64_t modified = sl_time(changed);
    if (changed.len > 0 && !sl_eq(changed, newest)) {
      fresh = fresh || sl_compare(changed, at.since) > 0;
      newest = changed;
      after.seen_count = 0;
    }
    /* GitHub lists pull requests among the issues. */
    bool wanted = !sl_json_there(sl_member(w.value, "pull_request")) && !seen(&at, id);
    bool inside = !request->windowed || modified < 0 || (request->start <= modified && modified < request->end);
    if (wanted && inside) sl_upsert(page, sl_json_id(id), w.value, modified);
    if (id.len > 0) remember(&after, id);
  }
  if (w.broken) return sl_fail(error, SL_INVALID_DATA, NULL, "the page is not a JSON array of issues");

  bool enough = request->windowed && sl_time(newest) >= request->end;
  if (sl_link(&response, "next").ptr == NULL || issues == 0 || enough) {
    at.since = newest;
    return finished(connection, request, page, done, &at, number);
  }
  if (fresh) {
    after.since = newest;
    after.page = 1;
  } else {
    after.page = at.page + 1;
  }
  page->more = true;
  page->cursor = cursor_of(done, NULL, &after);
  return true;
}

const sl_connector sluice_connector = {.check = check, .read = read_page};
