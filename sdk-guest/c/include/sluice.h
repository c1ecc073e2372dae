/* Write a Sluice connector in C: define `sluice_connector` with the functions that the manifest declares.
 *
 * A connector runs in a sandbox. It gets a fresh instance for every call, keeps nothing between calls but what it returns, and
 * reaches the outside only through `sl_send`. It never holds a secret: the host puts credentials on the wire.
 *
 * Memory: the instance ends with the call, so nothing is freed. What a function here gives stays valid until then (the piece of
 * `sl_read` alone is good until the next one), and what it is given is only read. Where there is no memory left, which the manifest's
 * `memory_bytes` says, the call ends, and the host says so. There is nothing to initialise and no state: two calls share no memory.
 *
 * Texts are slices (`sl_str`), not terminated by a zero. A slice of a longer text shares its bytes.
 */
#ifndef SLUICE_H
#define SLUICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- texts ---------------------------------------------------------------------------------------------------------- */

typedef struct sl_str {
  const char *ptr;
  size_t len;
} sl_str;

/* A literal, or any text that ends with a zero. */
#define SL(literal) ((sl_str){(literal), sizeof(literal) - 1})
sl_str sl_of(const char *text);

bool sl_eq(sl_str a, sl_str b);
/* Byte order: below, at or above 0. */
int sl_compare(sl_str a, sl_str b);
/* The text up to the first `mark`, and behind it; false, and all of it in `before`, where there is none. */
bool sl_cut(sl_str text, char mark, sl_str *before, sl_str *after);

/* A text that grows. Begin with `{0}`; `sl_text` gives what is in it. */
typedef struct sl_buf {
  char *ptr;
  size_t len, room;
} sl_buf;

void sl_put(sl_buf *buf, sl_str text);
void sl_printf(sl_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
sl_str sl_text(const sl_buf *buf);
/* One text of it all, with a zero behind it. In `format`, write a slice as `%.*s` with `SL_ARG(slice)`. */
sl_str sl_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define SL_ARG(slice) (int)(slice).len, (slice).ptr
/* Percent-encodes all but RFC 3986's unreserved characters, so that a text stays one segment of a path or one value of a query. */
sl_str sl_encode(sl_str text);

/* Texts of which there may be many. Begin with `{0}` and add. */
typedef struct sl_list {
  sl_str *items;
  size_t count, room;
} sl_list;

void sl_add(sl_list *list, sl_str text);

/* ---- errors --------------------------------------------------------------------------------------------------------- */

/* What went wrong, by who has to act. The host decides about retries from the case alone. */
typedef enum sl_case {
  SL_CONFIG,       /* the user: the configuration is wrong, at `pointer` */
  SL_AUTH,         /* the user: the credential no longer works */
  SL_RATE_LIMITED, /* nobody: the vendor asked to wait, `retry_after_ms` */
  SL_TRANSIENT,    /* nobody: a fault that passes */
  SL_INVALID_DATA, /* the vendor sent, or the caller gave, what breaks its schema */
  SL_UNSUPPORTED,  /* the connector does not offer this */
  SL_INTERNAL      /* the author: a bug */
} sl_case;

typedef struct sl_error {
  sl_case kind;
  sl_str message;
  sl_str pointer;        /* RFC 6901; empty: none */
  int64_t retry_after_ms; /* below 0: not known */
} sl_error;

/* Sets the error and is false, so that a function ends with `return sl_fail(error, SL_CONFIG, "/list", "no such list")`. */
bool sl_fail(sl_error *error, sl_case kind, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A bug of the connector's, with the place in the source: `if (!id) return SL_BUG(error, "no id in %zu bytes", length);` */
#define SL_BUG(error, ...) sl_bug(error, __FILE__, __LINE__, __func__, __VA_ARGS__)
bool sl_bug(sl_error *error, const char *file, int line, const char *function, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Ends the call when something that cannot be is; the run says what, and where in the source. `assert` does the same. */
#define SL_ASSERT(condition) ((condition) ? (void)0 : sl_broken(__FILE__, __LINE__, __func__, #condition))
_Noreturn void sl_broken(const char *file, int line, const char *function, const char *condition);

/* ---- requests ------------------------------------------------------------------------------------------------------- */

typedef struct sl_header {
  sl_str name, value;
} sl_header;

/* Where the broker puts a value of the response instead of handing it over. */
typedef enum sl_into {
  SL_INTO_SECRET,       /* a secret of this connection, by the name the manifest gives it */
  SL_INTO_EXPIRES_IN_S, /* lifetime of the captured credential in seconds */
  SL_INTO_EXPIRES_AT_S, /* end of its life as seconds since 1970 */
  SL_INTO_SCOPES,
  SL_INTO_ACCOUNT
} sl_into;

/* For auth flows and webhooks' secrets: what `pointer` (RFC 6901) finds in the JSON body is kept, and the body shows a placeholder. */
typedef struct sl_capture {
  const char *pointer;
  sl_into into;
  const char *secret; /* of SL_INTO_SECRET */
} sl_capture;

typedef struct sl_request {
  const char *method; /* in upper case; none: GET */
  sl_str url;         /* absolute */
  const sl_header *headers;
  size_t header_count;
  sl_str body;
  const char *credential;      /* the manifest's auth scheme to apply; none: the connection's own; "": no credential */
  const char *idempotency_key; /* makes an unsafe method retryable */
  uint32_t timeout_ms;         /* in all, retries included; 0: the host's own */
  const sl_capture *captures;
  size_t capture_count;
} sl_request;

typedef struct sl_response {
  int status;
  const sl_header *headers;
  size_t header_count;
  sl_str body;
} sl_response;

/* Sends it and holds the whole response, whatever its status. False: there was none, and `error` says who has to act. */
bool sl_send(const sl_request *request, sl_response *response, sl_error *error);

/* What came of one of many: `response` where it is `ok`, else `error`. */
typedef struct sl_answer {
  bool ok;
  sl_response response;
  sl_error error;
} sl_answer;

/* Sends all of them concurrently, within the connection's limits. `answers` has room for `count`; they are in the order of the requests. */
void sl_send_all(const sl_request *requests, size_t count, sl_answer *answers);

/* A response whose body is read piece by piece, for bodies that should not be held in memory. */
typedef struct sl_incoming {
  int status;
  const sl_header *headers;
  size_t header_count;
  int32_t handle; /* the host's */
  void *piece;    /* the last one that was read */
} sl_incoming;

/* Sends it and returns as soon as the head of the response is there. Captures are refused here. */
bool sl_open(const sl_request *request, sl_incoming *incoming, sl_error *error);
/* At least one and at most `max` bytes, good until the next piece is read; an empty one at the end of the body. */
bool sl_read(sl_incoming *incoming, uint32_t max, sl_str *piece, sl_error *error);
/* Gives the rest of it up. */
void sl_close(sl_incoming *incoming);

/* Whether the status is 2xx or 304; otherwise `error` is what it means. With a `pointer` (not NULL), "there is no such thing" is the
 * configuration's fault: what it points at named the thing. */
bool sl_ok(const sl_response *response, const char *pointer, sl_error *error);
/* The first header of this name, in any case; `ptr` is NULL where there is none. */
sl_str sl_header_of(const sl_response *response, const char *name);
/* The target of the `Link` header (RFC 8288) with this relation, such as `next`; `ptr` is NULL where there is none. */
sl_str sl_link(const sl_response *response, const char *relation);

/* ---- JSON ----------------------------------------------------------------------------------------------------------- */

/* A value is a slice of the text that it stands in, so a record is handed on as the vendor wrote it. Every function looks before it
 * goes on; what is not JSON is false. Values nested deeper than 100 are refused. */

/* Whether the text is one JSON value (RFC 8259) and nothing else. */
bool sl_json_valid(sl_str text);

/* Walks over an array or an object: `for (sl_walk w = sl_walk_of(array); sl_next(&w);) use(w.value);`. Afterwards `w.broken` says
 * whether it ended because something is not JSON. */
typedef struct sl_walk {
  sl_str value;
  sl_str name; /* of an object's member, as it is written: without the quotes, escapes and all */
  bool broken;
  const char *at, *end;
  char close;
  bool first;
} sl_walk;
sl_walk sl_walk_of(sl_str array_or_object);
bool sl_next(sl_walk *walk);

/* The member of an object; an empty slice where there is none. */
sl_str sl_member(sl_str object, const char *name);
/* A text's characters with its escapes read; false for anything else. */
bool sl_json_text(sl_str value, sl_str *text);
/* A whole number from 0 on; false for anything else. */
bool sl_json_u64(sl_str value, uint64_t *number);
/* A record's id as vendors write them: a whole number or a text; otherwise empty, and the host sets the record aside. */
sl_str sl_json_id(sl_str value);
/* Whether there is a value and it is not null. */
bool sl_json_there(sl_str value);
/* Writes a text as JSON, with its quotes. */
void sl_put_json(sl_buf *buf, sl_str text);

/* ---- time ----------------------------------------------------------------------------------------------------------- */

/* An RFC 3339 time as milliseconds since 1970; below 0 if it is not one. There is no clock: what a connector does follows from what
 * it was given. */
int64_t sl_time(sl_str text);
/* Milliseconds since 1970 as an RFC 3339 text, to the second. */
sl_str sl_time_text(int64_t ms);

/* ---- log ------------------------------------------------------------------------------------------------------------ */

typedef enum sl_level { SL_DEBUG, SL_INFO, SL_WARN, SL_ERROR } sl_level;
void sl_log(sl_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with more about the line: a JSON object. */
void sl_log_with(sl_level level, sl_str message, sl_str fields);
/* Adds to a counter of the connector's own; names are `[a-z][a-z0-9_]*` of at most 64 bytes, at most 32 of them a call. */
void sl_count(const char *name, uint64_t by);
/* Sets a value that goes up and down. */
void sl_gauge(const char *name, double value);

/* ---- storage -------------------------------------------------------------------------------------------------------- */

/* Key-value storage of the connection, within the manifest's `storage_bytes`; writes become durable with the call's outcome or not at
 * all. A cursor belongs in the page, not here. */
typedef struct sl_entry {
  sl_str value;
  uint64_t version; /* counts the writes of the key, from 1 on */
} sl_entry;

bool sl_get(const char *key, sl_str *value);
bool sl_get_entry(const char *key, sl_entry *entry);

typedef enum sl_stored {
  SL_STORED,
  SL_OVER_QUOTA, /* the bytes of keys and values would be more than the grant's */
  SL_CONFLICT,   /* the entry is not at the expected version */
  SL_NO_KEY      /* a key is 1 to 256 bytes of UTF-8 without control characters */
} sl_stored;

/* Writes and says what became of it. `expect`: the version seen before (0: must not exist); below 0: whatever is there. */
sl_stored sl_store(const char *key, sl_str value, int64_t expect);
/* The same, where all but SL_STORED is an error. */
bool sl_set(const char *key, sl_str value, int64_t expect, sl_error *error);
/* Deleting what is not there succeeds. */
bool sl_delete(const char *key, sl_error *error);
/* Keys with this prefix that sort after `after` (NULL: from the first), in byte order, at most `limit` of them (1,000 at the most). */
sl_list sl_keys(const char *prefix, const char *after, uint32_t limit);

/* ---- secrets -------------------------------------------------------------------------------------------------------- */

/* A secret is a handle: it can be put on the wire and derived from, it can't be read. What is derived is again one. */
typedef struct sl_secret {
  int32_t handle;
} sl_secret;

typedef enum sl_algorithm { SL_HMAC_SHA1, SL_HMAC_SHA256, SL_HMAC_SHA512 } sl_algorithm;
typedef enum sl_encoding { SL_HEX, SL_BASE64, SL_BASE64URL } sl_encoding;

/* The name of the webhook's secret in the functions that set it up; a vendor that makes it has it captured under this name. */
#define SL_WEBHOOK_SECRET "webhook.secret"

/* The secret that the manifest names, if this connection has it; false for somebody else's too. */
bool sl_secret_open(const char *name, sl_secret *secret);
/* A text that stands for the value in a header, the query or the body of a request of this same call. */
sl_str sl_placeholder(sl_secret secret);
/* The keyed hash of `message`, bound to the same origins. */
sl_secret sl_hmac(sl_secret secret, sl_algorithm algorithm, sl_str message, sl_encoding encoding);
/* A compact JWS over header and claims (JSON texts); `alg` is HS256 or RS256. */
bool sl_sign_jwt(sl_secret secret, sl_str header, sl_str claims, sl_secret *jws, sl_error *error);
/* Whether `signature` (its bytes) is the keyed hash of `message`; compared in constant time. */
bool sl_verify_hmac(sl_secret secret, sl_algorithm algorithm, sl_str message, sl_str signature);
/* Gives a handle back: only for calls that open or derive hundreds. */
void sl_forget(sl_secret secret);
/* The address that makes the request possible for so many seconds, for whoever has it: method, URL and credential count, which has to
 * be an `aws-sigv4` one. Its placeholder goes into the output of an action that `presigns`. */
bool sl_presign(const sl_request *request, uint32_t expires_s, sl_secret *address, sl_error *error);

/* ---- files ---------------------------------------------------------------------------------------------------------- */

/* An attachment, an export, a recording: the host downloads it by the same road as every request and keeps it; the connector has a
 * reference. What is kept and deleted becomes durable with the call's outcome or not at all. */
typedef struct sl_file {
  sl_str id; /* `fil_...`; the same as long as its key is kept */
  sl_str name, media_type;
  sl_str sha256; /* lower-case hexadecimal */
  uint64_t bytes;
} sl_file;

typedef struct sl_save {
  sl_str key;                    /* the vendor's own id of the file; what is fetched again under it takes the place of what was there */
  sl_str name;                   /* for people; empty: the key */
  sl_str owner_stream, owner_id; /* the record that it belongs to, and goes with; empty: none */
} sl_save;

/* Downloads and keeps what comes. A status other than 2xx is told as what it means. */
bool sl_file_fetch(const sl_request *request, const sl_save *into, sl_file *file, sl_error *error);
/* What is kept under the key, this call's own files among it. */
bool sl_file_get(sl_str key, sl_file *file);
/* Deleting what is not there succeeds. */
bool sl_file_delete(sl_str key, sl_error *error);
/* Writes the reference as JSON, as the API tells of a file: to be put in a record, an event or an action's output. */
void sl_put_file(sl_buf *buf, const sl_file *file);

/* ---- the connector -------------------------------------------------------------------------------------------------- */

typedef struct sl_connection {
  sl_str id;
  sl_str config; /* a JSON object; it has passed the manifest's `[config]` schema */
  sl_str account;
} sl_connection;

typedef struct sl_account {
  sl_str id, name;
  sl_list scopes; /* where the vendor tells them */
} sl_account;

/* Where to send the user's browser, and what to keep until they come back: JSON; empty: null. */
typedef struct sl_redirect {
  sl_str url, state;
} sl_redirect;

/* A stream that only the account has. */
typedef struct sl_stream {
  sl_str name;
  sl_str schema;           /* JSON Schema of a record's data */
  sl_list primary_key;     /* empty: `id` */
  uint32_t cursor_version; /* 0: 1 */
} sl_stream;

/* Begin with nothing and add. */
typedef struct sl_streams {
  sl_stream *items;
  size_t count, room;
} sl_streams;

void sl_discovered(sl_streams *streams, const sl_stream *stream);

typedef struct sl_read_request {
  sl_str stream;
  sl_str partition;      /* empty: none */
  sl_str cursor;         /* JSON, what the last committed page returned; empty at the very start */
  bool windowed;         /* only what changed from `start` up to but not including `end`, in milliseconds */
  int64_t start, end;
  uint32_t page_hint;
} sl_read_request;

/* One bounded step. The host commits changes and cursor together; a page with `more` must move the cursor. */
typedef struct sl_page {
  struct sl_change *changes;
  size_t count, room;
  sl_str cursor; /* JSON; empty: it stays as it was */
  bool more;
  int64_t total_hint; /* how many records the whole run will read, where the vendor tells; below 0: not known */
} sl_page;

/* A record that is to be there: `data` is a JSON object, `modified` in milliseconds or below 0. */
void sl_upsert(sl_page *page, sl_str id, sl_str data, int64_t modified);
/* A record that is gone at the vendor. */
void sl_remove(sl_page *page, sl_str id);

/* A write to the vendor. */
typedef struct sl_write {
  enum { SL_CREATE, SL_UPDATE, SL_DELETE } op;
  sl_str id;              /* empty to create */
  sl_str data;            /* a JSON object; empty to delete */
  int64_t modified;       /* of an update, in milliseconds or below 0 */
  sl_str idempotency_key; /* the same for every try of the same write */
  sl_str revision;        /* the vendor's revision that it builds on; empty: whatever is there */
} sl_write;

/* What became of it: the record as the vendor has it now. Of a conflict: the vendor's other revision, or nothing where not known. */
typedef struct sl_written {
  bool conflict;
  sl_str id;
  sl_str data; /* of what was deleted it stays empty */
  int64_t modified;
} sl_written;

/* A webhook's subscription at the vendor. */
typedef struct sl_registration {
  sl_str id;
  int64_t expires; /* in milliseconds; below 0: it does not end */
  sl_str state;    /* JSON that is given back; empty: null */
} sl_registration;

/* One webhook as it arrived: the exact bytes of the body, header names in lower case. */
typedef struct sl_receipt {
  sl_str id;
  sl_str webhook; /* which of the manifest's it came by */
  int64_t received; /* milliseconds since 1970 */
  sl_str method;
  const sl_header *query;
  size_t query_count;
  const sl_header *headers;
  size_t header_count;
  sl_str body;
} sl_receipt;

/* The first header of this name, in lower case; `ptr` is NULL where there is none. */
sl_str sl_receipt_header(const sl_receipt *receipt, const char *name);

/* What a receipt means. Begin with nothing and add. */
typedef struct sl_handled {
  struct sl_happening *events;
  size_t event_count, event_room;
  struct sl_told *changes;
  size_t change_count, change_room;
  sl_str *resync;
  size_t resync_count, resync_room;
  bool replies; /* only where the manifest says that the vendor waits for an answer from the code */
  int status;
  sl_str content_type, reply;
} sl_handled;

/* What happened, as the manifest lists it. `id` is the same for a redelivery; `occurred` in milliseconds or below 0. */
void sl_event(sl_handled *handled, sl_str kind, sl_str id, sl_str data, int64_t occurred);
/* A record that the webhook told of; `modified` in milliseconds or below 0. */
void sl_told_upsert(sl_handled *handled, sl_str stream, sl_str id, sl_str data, int64_t modified);
void sl_told_remove(sl_handled *handled, sl_str stream, sl_str id);
/* The stream is to be synced, because the webhook tells less than the API. */
void sl_resync(sl_handled *handled, sl_str stream);

/* An action beyond the manifest's; `input` and `output` are JSON Schemas. */
typedef struct sl_action {
  sl_str name, title; /* no title: the name */
  sl_str input, output;
} sl_action;

/* Begin with nothing and add. */
typedef struct sl_actions {
  sl_action *items;
  size_t count, room;
} sl_actions;

void sl_offer(sl_actions *actions, const sl_action *action);

/* What an author fills in; what is left out says `unsupported`, or nothing where nothing is a right answer. All of them may be called
 * again with the same arguments after a crash and must then do the same. False: it failed, and `error` says how. What they are given
 * is the host's and only read; what they fill in begins as nothing. */
typedef struct sl_connector {
  /* Who does the connection belong to? It is the connection test, so it should cost one cheap request. */
  bool (*check)(const sl_connection *connection, sl_account *account, sl_error *error);

  /* A custom auth flow (`scheme = "custom"`): where the browser goes, what it came back with, renewing and giving back what was got.
   * Secrets are captured and never seen. SL_AUTH from `refresh_auth` means that the grant is over. */
  bool (*begin_auth)(const sl_connection *connection, sl_str callback_url, sl_redirect *redirect, sl_error *error);
  bool (*complete_auth)(const sl_connection *connection, sl_str state, const sl_header *query, size_t query_count, sl_error *error);
  bool (*refresh_auth)(const sl_connection *connection, sl_error *error);
  bool (*revoke_auth)(const sl_connection *connection, sl_error *error);

  /* Streams beyond the manifest's, for vendors whose streams are the user's own (`[discovered]`). */
  bool (*discover)(const sl_connection *connection, sl_streams *streams, sl_error *error);
  /* The partitions of a stream (`partitioned = true`), each with a cursor of its own. */
  bool (*partitions)(const sl_connection *connection, sl_str stream, sl_list *partitions, sl_error *error);
  /* One page of a stream. */
  bool (*read)(const sl_connection *connection, const sl_read_request *request, sl_page *page, sl_error *error);
  /* A cursor of an older `cursor_version` as the current one; left empty, it can't be carried over: start again. */
  bool (*migrate_cursor)(sl_str stream, uint32_t from_version, sl_str cursor, sl_str *migrated, sl_error *error);
  /* Writes one record to the vendor. False: it failed; after SL_INVALID_DATA the next one is tried, after anything else none is. */
  bool (*write)(const sl_connection *connection, sl_str stream, const sl_write *write, sl_written *written, sl_error *error);

  /* Performs an action; input and output are JSON. */
  bool (*run_action)(const sl_connection *connection, sl_str name, sl_str input, sl_str idempotency_key, sl_str *output,
                     sl_error *error);
  /* Actions beyond the manifest's. */
  bool (*list_actions)(const sl_connection *connection, sl_actions *actions, sl_error *error);

  /* What a webhook means; the same receipt must give the same. It was verified by the manifest's recipe. */
  bool (*handle)(const sl_connection *connection, const sl_receipt *receipt, sl_handled *handled, sl_error *error);
  /* The ids of the accounts that a receipt concerns, where the manifest says `account = "code"`; there is no connection yet. */
  bool (*route)(const sl_receipt *receipt, sl_list *accounts, sl_error *error);
  /* Subscribes `url` to `events` at the vendor, once for the same `url` (`registration` of the manifest). */
  bool (*register_webhook)(const sl_connection *connection, sl_str webhook, sl_str url, const sl_list *events,
                           sl_registration *made, sl_error *error);
  /* Extends a registration before it ends; SL_INVALID_DATA where the vendor does not know it any more. */
  bool (*renew_webhook)(const sl_connection *connection, const sl_registration *known, sl_registration *renewed, sl_error *error);
  /* Ends it; succeeds where it is gone already. */
  bool (*unregister_webhook)(const sl_connection *connection, const sl_registration *known, sl_error *error);
} sl_connector;

extern const sl_connector sluice_connector;

#endif
