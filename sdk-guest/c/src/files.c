/* Answers that the host keeps as files. */

#include "contract.h"

static bool unkept(const sluice_connector_files_error_t *from, sl_str key, sl_error *error) {
  switch (from->tag) {
    case SLUICE_CONNECTOR_FILES_ERROR_HTTP:
      return sl_refused(&from->val.http, error);
    case SLUICE_CONNECTOR_FILES_ERROR_TOO_LARGE:
      if (from->val.too_large == 0) return sl_fail(error, SL_CONFIG, NULL, "not permitted: to keep files");
      return sl_fail(error, SL_CONFIG, NULL, "the file is larger than the %llu bytes of the grant",
                     (unsigned long long)from->val.too_large);
    case SLUICE_CONNECTOR_FILES_ERROR_QUOTA:
      return sl_fail(error, SL_CONFIG, NULL, "the files would be more than the %llu bytes of the grant",
                     (unsigned long long)from->val.quota);
    case SLUICE_CONNECTOR_FILES_ERROR_UNAVAILABLE:
      return sl_fail(error, SL_TRANSIENT, NULL, "the file is not kept: %.*s", SL_ARG(taken(from->val.unavailable)));
    default:
      return sl_fail(error, SL_INTERNAL, NULL, "`%.*s` is no key of a file, or its owner is none", SL_ARG(key));
  }
}

static sl_file reference(const sluice_connector_files_file_t *from) {
  return (sl_file){
      .id = taken(from->id),
      .name = taken(from->name),
      .media_type = taken(from->media_type),
      .sha256 = taken(from->sha256),
      .bytes = from->size,
  };
}

bool sl_file_fetch(const sl_request *request, const sl_save *into, sl_file *file, sl_error *error) {
  sluice_connector_http_request_t sent = sl_asked(request);
  sluice_connector_files_save_t save = {
      .key = given(into->key),
      .name = given(into->name.len > 0 ? into->name : into->key),
      .owner = {into->owner_id.len > 0, {given(into->owner_stream), given(into->owner_id)}},
  };
  sluice_connector_files_fetched_t fetched;
  sluice_connector_files_error_t failure;
  if (!sluice_connector_files_fetch(&sent, &save, &fetched, &failure)) return unkept(&failure, into->key, error);
  if (fetched.tag == SLUICE_CONNECTOR_FILES_FETCHED_FILE) {
    *file = reference(&fetched.val.file);
    return true;
  }
  sl_response response = sl_answered(&fetched.val.response);
  if (!sl_ok(&response, NULL, error)) return false;
  /* 304 is no error, and no file either. */
  return sl_fail(error, SL_TRANSIENT, NULL, "the vendor answered %d, which is no file", response.status);
}

bool sl_file_get(sl_str key, sl_file *file) {
  connector_string_t wanted = given(key);
  sluice_connector_files_file_t found;
  if (!sluice_connector_files_get(&wanted, &found)) return false;
  *file = reference(&found);
  return true;
}

bool sl_file_delete(sl_str key, sl_error *error) {
  connector_string_t wanted = given(key);
  sluice_connector_files_error_t failure;
  return sluice_connector_files_delete(&wanted, &failure) || unkept(&failure, key, error);
}

void sl_put_file(sl_buf *buf, const sl_file *file) {
  const struct {
    const char *name;
    sl_str value;
  } texts[] = {{"{\"id\":", file->id}, {",\"name\":", file->name}, {",\"media_type\":", file->media_type},
               {",\"sha256\":", file->sha256}};
  for (size_t at = 0; at < sizeof texts / sizeof *texts; at++) {
    sl_put(buf, sl_of(texts[at].name));
    sl_put_json(buf, texts[at].value);
  }
  sl_printf(buf, ",\"bytes\":%llu}", (unsigned long long)file->bytes);
}
