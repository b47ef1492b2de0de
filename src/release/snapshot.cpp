#include "release/snapshot.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "release/snapshot_sql.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

constexpr std::string_view losses_mark = "seatrial: written since ";
constexpr std::size_t losses_told = 20;

// Where tools for migrations keep what ran; nobody else writes there.
constexpr std::string_view tools_tables[] = {
    "_prisma_migrations",    "flyway_schema_history", "alembic_version",      "schema_migrations",
    "knex_migrations",       "knex_migrations_lock",  "__drizzle_migrations", "django_migrations",
    "databasechangelog",     "databasechangeloglock", "goose_db_version",     "pgmigrations",
    "__EFMigrationsHistory", "SequelizeMeta"};

std::string sql_text(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        out += c == '\'' ? "''" : std::string(1, c);
    }
    return out + "'";
}

}    // namespace

json to_json(const Snapshot& snapshot) {
    return {{"id", snapshot.id},
            {"tag", snapshot.tag},
            {"serving", snapshot.serving},
            {"at", snapshot.at.time_since_epoch().count()},
            {"bytes", snapshot.bytes}};
}

Snapshot snapshot_of(const json& in) {
    return {in.at("id"), in.at("tag"), in.at("serving"),
            WallTime(std::chrono::milliseconds(in.at("at").get<std::int64_t>())), in.at("bytes")};
}

json to_json(const Restoring& wanted) {
    return {{"snapshot", wanted.snapshot},
            {"slot", wanted.slot},
            {"discard", wanted.discard},
            {"container", wanted.container}};
}

Restoring restoring_of(const json& in) {
    return {in.at("snapshot"), in.at("slot"), in.at("discard"), in.at("container")};
}

std::string counting_sql() {
    return std::string(rows_sql) + std::string(counting_select);
}

Result<std::string> guard_sql(std::string_view counted, const std::vector<std::string>& ignored,
                              bool discard) {
    const json known = json::parse(trim(counted), nullptr, false);
    if (!known.is_object() || !known.contains("low") || !known["low"].is_number_integer() ||
        !known.contains("tables") || !known["tables"].is_object()) {
        return fail(Code::invalid, "what was counted when the copy was made cannot be read");
    }
    std::string out(rows_sql);
    out += "SET seatrial.known = " + sql_text(known.dump()) + ";\n";
    out += "SET seatrial.ignored = " + sql_text(json(ignored).dump()) + ";\n";
    out += "SET seatrial.tools = " + sql_text(json(tools_tables).dump()) + ";\n";
    out += std::string("SET seatrial.discard = ") + (discard ? "'yes'" : "'no'") + ";\n";
    out.append(refuse_losses_sql).append(drop_all_sql);
    return out;
}

std::vector<Loss> losses_in(std::string_view said) {
    const auto begin = said.find(losses_mark);
    if (begin == std::string_view::npos) {
        return {};
    }
    std::string_view text = said.substr(begin + losses_mark.size());
    text = text.substr(0, text.find('\n'));
    const json all = json::parse(text, nullptr, false);
    std::vector<Loss> out;
    for (const auto& one : all.is_array() ? all : json::array()) {
        if (one.is_object()) {
            out.push_back({one.value("table", ""), one.value("written", std::int64_t{-1}),
                           one.value("gone", std::int64_t{-1})});
        }
    }
    if (out.empty()) {    // it refused, whatever became of its words
        out.push_back({"a table", -1, -1});
    }
    return out;
}

std::string render_losses(const std::vector<Loss>& losses) {
    std::vector<std::string> out;
    for (const auto& loss : losses) {
        if (out.size() == losses_told) {
            out.push_back(std::to_string(losses.size() - losses_told) + " more tables");
            break;
        }
        out.push_back(printable(loss.table) +
                      (loss.written < 0
                           ? " (it is gone: what was in it cannot be told)"
                           : " (" + std::to_string(loss.written) + " rows added or changed, " +
                                 std::to_string(std::max<std::int64_t>(0, loss.gone)) +
                                 " changed or removed)"));
    }
    return join(out, ", ");
}

}    // namespace seatrial::release
