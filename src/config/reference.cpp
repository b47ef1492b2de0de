#include "config/config.h"
#include "config/keys.h"
#include "config/types.h"
#include "config/values.h"
#include "config/variables.h"

namespace seatrial::config {
namespace {

constexpr std::string_view intro = R"(# Configuration

<!-- Made from the key table by `seatrial reference docs/reference`; do not edit. -->

Seatrial reads two YAML files. The **app file**, `seatrial.yaml` in the repository, says what the
app is. The **server file**, given to `seatrial serve --config`, says what the machine allows. A
daemon without a server file takes both parts from the repository it was started in.

```yaml
# seatrial.yaml
app: shop
components:
  web: { run: pnpm dev:web, port: WEB_PORT, health: / }
  api: { run: pnpm dev:api, port: API_PORT, health: /healthz }
install: { run: pnpm install --frozen-lockfile, key: [pnpm-lock.yaml], keep: [node_modules] }
migrate: pnpm db:migrate
database: { engine: postgres, template: shop_dev, url: DATABASE_URL }
env: { required: [SESSION_SECRET], LOG_LEVEL: debug }
```

```yaml
# the server's file
environments:
  int: { ttl: 24h, max: 5 }
  prd: { ttl: 8h, approval: { approvers: ["unix:alice"], expires: 4h } }
postgres: { url: postgresql:///postgres }
```

- `seatrial init` writes a first `seatrial.yaml`, `seatrial check` names every fault at once.
- A key in the wrong file is a fault: a branch must never choose its approvers.
- Of two values the stronger source wins: flag, then the daemon's variables, then the server's
  file, then the app's file, then the default. Flags and the app's file only tighten limits.
- Durations have units (`90s`, `1h30m`, `7d`), sizes too (`512M`, `2G`; powers of 1024).
- Anchors, aliases and merge keys (`<<`) work; tags and a second document do not. A file has at
  most 256 KB.
- Editors that know YAML schemas: `# yaml-language-server: $schema=seatrial.schema.json`.
)";

constexpr std::string_view policies = R"(
Built-in policy, until the server's file says otherwise (`dev` is as `int`, `staging` as `stg`,
`prod`, `production` and `live` as `prd`):

| environment | start | life | branches |
|---|---|---|---|
| `int` | automatic | 24h | any |
| `stg` | automatic | 24h | `release/*`, `rc/*` |
| `prd` | after an approval | 8h | `hotfix/*` |
)";

// A '|' would end the table's cell.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c == '|' ? "\\|" : std::string(1, c);
    }
    return out;
}

std::string code(std::string_view text) {
    return text.empty() ? "" : "`" + cell(text) + "`";
}

std::string type_cell(const Key& key) {
    std::string out(describe(key.type).name);
    if (key.type == Type::choice) {
        out.clear();
        for (const auto word : choices(key)) {
            out += (out.empty() ? "`" : ", `") + std::string(word) + "`";
        }
    } else if (key.type == Type::integer) {
        out = std::to_string(key.min) + " to " + std::to_string(key.max);
    } else if (key.type == Type::duration) {
        out += ", " + render_duration(std::chrono::milliseconds(key.min)) + " to " +
               render_duration(std::chrono::milliseconds(key.max));
    }
    return out;
}

std::string readable(std::string_view path) {
    std::string out;
    for (const char c : path) {
        out += c == '*' ? "NAME" : std::string(1, c);
    }
    return out;
}

// One table for the rows that `keep` takes.
template <class Keep>
std::string key_rows(Keep keep) {
    std::string out =
        "\n| key | what it takes | default | meaning | example |\n|---|---|---|---|---|\n";
    for (const auto& key : all_keys()) {
        if (keep(key)) {
            out += "| " + code(readable(key.path)) + (key.required ? " (required)" : "") + " | " +
                   type_cell(key) + " | " + code(key.fallback) + " | " + cell(key.text) + " | " +
                   code(key.example) + " |\n";
        }
    }
    return out;
}

bool is_environment(const Key& key) {
    return key.path.starts_with("environments");
}

}    // namespace

std::string reference_page() {
    std::string out(intro);
    out += "\n## App file\n";
    out += key_rows([](const Key& key) { return key.where == Where::app; });
    out +=
        "\n## Environments\n\nIn the server's file; an app's file may give `ttl` and `max`, which "
        "then only tighten.\n";
    out += policies;
    out += key_rows(is_environment);
    out += "\n## Server file\n";
    out +=
        key_rows([](const Key& key) { return key.where == Where::server && !is_environment(key); });
    out +=
        "\n## Variables\n\nRead by the daemon; they override the files, but never loosen what the "
        "server's file sets. The `PREVIEW_*` variables alone, without any file, describe an app "
        "with `web` and `api`; the defaults are those of that app.\n\n"
        "| variable | default | sets | meaning |\n|---|---|---|---|\n";
    for (const auto& variable : variable_table()) {
        out += "| " + code(variable.name) + " | " + code(variable.fallback) + " | " +
               code(readable(variable.sets)) + " | " + cell(variable.text) + " |\n";
    }
    return out;
}

}    // namespace seatrial::config
