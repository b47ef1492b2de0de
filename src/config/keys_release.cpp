// The keys of an app's releases: part of the table in keys.h.
#include "config/keys.h"

namespace seatrial::config {
namespace {

constexpr std::int64_t second = 1000;    // durations are in milliseconds
constexpr std::int64_t minute = 60 * second;
constexpr std::int64_t hour = 60 * minute;

constexpr Key table[] = {
    {.path = "release",
     .type = Type::object,
     .text = "What every release of the app has to show.",
     .example = "{checks: [/healthz]}"},
    {.path = "release.checks",
     .type = Type::objects,
     .text =
         "What a new release must answer through the edge: before any user reaches it, and once "
         "more when they are on it; then a failure takes it back. They are done in this order.",
     .example = "[/healthz, {post: /jobs, poll: \"/jobs/{id}\", until: {status: done}}]"},
    {.path = "release.checks.[]",
     .type = Type::object,
     .shorthand = "get",
     .text = "One check: `get`, `post` (a job), `sse`, `download` or `metric`. A path alone stands "
             "for `get`.",
     .example = "{get: /readyz, contains: ok}"},
    {.path = "release.checks.[].get",
     .type = Type::url_path,
     .text = "A path that must answer.",
     .example = "/readyz"},
    {.path = "release.checks.[].status",
     .type = Type::integer,
     .min = 100,
     .max = 599,
     .text = "Of `get`, `download` and the answer to `post`: the status expected. Absent: 2xx or "
             "3xx.",
     .example = "204"},
    {.path = "release.checks.[].contains",
     .type = Type::text,
     .text = "Of `get`: text in the answer.",
     .example = "ready"},
    {.path = "release.checks.[].post",
     .type = Type::url_path,
     .text = "Starts a job; `poll` is then asked until it is done.",
     .example = "/jobs"},
    {.path = "release.checks.[].body",
     .type = Type::text,
     .text = "Of `post`: what is sent.",
     .example = "'{\"source\": \"sample\"}'"},
    {.path = "release.checks.[].type",
     .type = Type::text,
     .text =
         "Of `post`: the content type of `body` (absent: `application/json`). Of `download`: the "
         "content type expected.",
     .example = "application/pdf"},
    {.path = "release.checks.[].poll",
     .type = Type::url_path,
     .text = "Of `post`: the path of the job; `{NAME}` is a member of the JSON answered to `post`.",
     .example = "\"/jobs/{id}\""},
    {.path = "release.checks.[].until",
     .type = Type::object,
     .names = Names::variable,
     .text = "Of `post`: members of the JSON at `poll`, and their values when the job is done.",
     .example = "{status: done}"},
    {.path = "release.checks.[].until.*",
     .type = Type::text,
     .text = "The value of that member.",
     .example = "done"},
    {.path = "release.checks.[].sse",
     .type = Type::url_path,
     .text = "An event stream that must send its first event `within` (absent: 2s).",
     .example = "/events"},
    {.path = "release.checks.[].download",
     .type = Type::url_path,
     .text = "A file that must come, of `type` and with `min_bytes`.",
     .example = "/export.pdf"},
    {.path = "release.checks.[].min_bytes",
     .type = Type::size,
     .fallback = "1",
     .min = 1,
     .max = 16 << 20,
     .text = "Of `download`: the least size; files up to 16M are read.",
     .example = "1K"},
    {.path = "release.checks.[].metric",
     .type = Type::url_path,
     .text = "Prometheus' text format: `name` must grow while the other checks are done.",
     .example = "/metrics"},
    {.path = "release.checks.[].name",
     .type = Type::text,
     .text = "Of `metric`: the metric, summed over its labels. With several instances each has its "
             "own figures: let the edge's answer be the same for all.",
     .example = "jobs_total"},
    {.path = "release.checks.[].by",
     .type = Type::integer,
     .fallback = "1",
     .min = 1,
     .max = 1'000'000,
     .text = "Of `metric`: by how much at least.",
     .example = "2"},
    {.path = "release.checks.[].within",
     .type = Type::duration,
     .fallback = "10s",
     .min = 100,
     .max = 10 * minute,
     .text = "How long it may take; a metric that has not moved is asked again.",
     .example = "30s"},
    {.path = "release.migrate",
     .type = Type::object,
     .shorthand = "run",
     .text = "How a release changes the database, once, before its components start. A command "
             "alone stands for `run`.",
     .example = "{run: npm run migrate, sql: [migrations]}"},
    {.path = "release.migrate.run",
     .type = Type::command,
     .required = true,
     .text = "The command, run in a container of the release's own image with its variables.",
     .example = "npm run migrate"},
    {.path = "release.migrate.component",
     .type = Type::label,
     .text = "Whose image and limits. Absent: the first component of the release.",
     .example = "api"},
    {.path = "release.migrate.sql",
     .type = Type::paths,
     .text = "SQL files, or folders of them. What is new since the release that serves is looked "
             "at: what removes or renames is refused.",
     .example = "[migrations]"},
    {.path = "release.migrate.contract",
     .type = Type::boolean,
     .fallback = "false",
     .text = "`true`: it may remove what the release before used. There is no rollback behind it.",
     .example = "true"},
    {.path = "release.migrate.timeout",
     .type = Type::duration,
     .fallback = "60s",
     .min = second,
     .max = hour,
     .text = "After this it is ended and the deploy fails.",
     .example = "2m"},
};

}    // namespace

std::span<const Key> release_keys() {
    return table;
}

}    // namespace seatrial::config
