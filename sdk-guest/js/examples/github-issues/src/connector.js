// The issues of GitHub repositories, as an example of a connector in JavaScript. plugins/github is the one to install.

import { AuthError, UnsupportedError, defineConnector, each, log, ok, upsert } from "sluice-sdk";

const API = "https://api.github.com";
const PER_PAGE = 100;

export default defineConnector({
  async check() {
    const response = ok(await github("/user"));
    const { id, login } = await response.json();
    if (!login) throw new AuthError("the token belongs to nobody");
    const scopes = (response.headers.get("x-oauth-scopes") ?? "").split(",").map((scope) => scope.trim());
    return { id, name: login, scopes: scopes.filter(Boolean) };
  },

  async read({ config }, request) {
    if (request.stream !== "issues") throw new UnsupportedError(`there is no stream \`${request.stream}\``);
    // `done`: the time of the newest issue read, by repository. `at`: where the pass under way stands.
    const { done = {}, at = null } = request.cursor ?? {};
    const number = Math.max(0, config.repositories.indexOf(at?.repository));
    const repository = config.repositories[number];
    const place = at?.repository === repository ? at : start(repository, done, request.window);

    const response = await page(place);
    if (response.status === 409 || response.status === 410) {
      log.info(`${repository}: there are no issues to read`, { status: response.status });
      return next(place.since);
    }
    const issues = each(await ok(response, `/repositories/${number}`).text());

    const changes = [];
    let newest = place.since;
    for (const { value: issue, text } of issues) {
      newest = issue.updated_at ?? newest;
      // GitHub lists pull requests among the issues.
      if (issue.pull_request || place.seen.includes(issue.id) || !within(request.window, issue.updated_at)) continue;
      changes.push(upsert(issue.id, text, issue.updated_at));
    }
    const enough = request.window && newest && Date.parse(newest) >= request.window.end;
    if (!response.link("next") || issues.length === 0 || enough) return { ...next(newest), changes };
    return { changes, cursor: { done, at: after(place, issues, newest) }, more: true };

    function next(since) {
      const marks = { ...done, [repository]: since };
      const following = config.repositories[number + 1];
      if (following === undefined) return { changes: [], cursor: { done: marks }, more: false };
      return { changes: [], cursor: { done: marks, at: start(following, marks, request.window) }, more: true };
    }
  },
});

function start(repository, done, window) {
  const known = done[repository] ?? null;
  const begin = window ? new Date(window.start).toISOString() : null;
  return { repository, since: begin && (!known || known < begin) ? begin : known, page: 1, seen: [] };
}

/**
 * The list moves while it is read: an issue that is changed goes to its end and pulls another one over the edge of a page that
 * was read already. So the next page begins at the time where this one ended, and shows the issues of that time once more.
 * Only if a whole page is of one time are pages counted.
 */
function after(place, issues, newest) {
  const last = issues.filter(({ value }) => value.updated_at === newest).map(({ value }) => value.id);
  if (newest > (place.since ?? "")) return { ...place, since: newest, page: 1, seen: last };
  return { ...place, page: place.page + 1, seen: [...place.seen, ...last].slice(-2 * PER_PAGE) };
}

function page({ repository, since, page: number }) {
  const query = new URLSearchParams({ state: "all", sort: "updated", direction: "asc", per_page: PER_PAGE });
  if (since) query.set("since", since);
  if (number > 1) query.set("page", number);
  return github(`/repos/${repository}/issues?${query}`);
}

function within(window, changed) {
  if (!window || !changed) return true;
  const time = Date.parse(changed);
  return window.start <= time && time < window.end;
}

function github(path) {
  return fetch(API + path, {
    headers: { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28" },
  });
}
