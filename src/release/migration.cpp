#include "release/migration.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "git/run.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

constexpr std::size_t most_files = 2000;
constexpr std::size_t most_findings = 200;    // kept of one file
constexpr std::size_t largest_file = 4 << 20;

std::string render(const SqlFile& file, const guard::Finding& finding) {
    return printable(file.path) + ":" + std::to_string(finding.line) + " " +
           printable(finding.what) + ": " + finding.why;
}

// The worst are told; nobody reads more.
std::vector<guard::Finding> worst_of(const std::vector<guard::Finding>& all) {
    std::vector<guard::Finding> out;
    for (const auto effect :
         {guard::Effect::contract, guard::Effect::unclear, guard::Effect::slow}) {
        for (const auto& finding : all) {
            if (finding.effect == effect && out.size() < most_findings) {
                out.push_back(finding);
            }
        }
    }
    return out;
}

}    // namespace

Result<std::vector<SqlFile>> read_sql(const git::Mirror& mirror, const std::string& commit,
                                      const std::vector<std::string>& paths, const Context& ctx) {
    TRY_ASSIGN(const auto listed, mirror.list_files(commit, paths, ctx));
    std::vector<SqlFile> out;
    for (const auto& file : listed) {
        if (!file.path.ends_with(".sql")) {
            continue;
        }
        if (out.size() == most_files) {
            return fail(Code::invalid,
                        "more than " + std::to_string(most_files) + " SQL files to look at",
                        "name fewer in release.migrate.sql");
        }
        TRY_ASSIGN(const std::string text, mirror.read_blob(commit, file.path, ctx));
        SqlFile read{file.path, file.id, {}};
        if (text.size() > largest_file) {
            read.findings.push_back(
                {guard::Effect::unclear, 1, "a file of its size", "it is not looked at", ""});
        } else {
            read.findings = worst_of(guard::judge_sql(text));
        }
        out.push_back(std::move(read));
    }
    return out;
}

json sql_json(const std::vector<SqlFile>& files) {
    json out = json::array();
    for (const auto& file : files) {
        json findings = json::array();
        for (const auto& one : file.findings) {
            findings.push_back({{"effect", static_cast<int>(one.effect)},
                                {"line", one.line},
                                {"what", one.what},
                                {"why", one.why},
                                {"remedy", one.remedy}});
        }
        out.push_back({{"path", file.path}, {"id", file.id}, {"findings", findings}});
    }
    return out;
}

std::vector<SqlFile> sql_of(const json& in) {
    std::vector<SqlFile> out;
    for (const auto& file : in) {
        SqlFile read{file.at("path"), file.at("id"), {}};
        for (const auto& one : file.at("findings")) {
            read.findings.push_back({static_cast<guard::Effect>(one.at("effect").get<int>()),
                                     one.at("line"), one.at("what"), one.at("why"),
                                     one.at("remedy")});
        }
        out.push_back(std::move(read));
    }
    return out;
}

Status settle_migration(Migration& step, const std::vector<SqlFile>& files,
                        const std::vector<SqlFile>& before, const std::string& serving) {
    const bool declared = step.contract;
    step.notes.clear();
    step.unseen = files.empty();
    if (step.unseen) {
        step.notes.push_back("there is no SQL to look at: what it does to " + serving +
                             " cannot be told");
        return {};
    }
    std::set<std::pair<std::string, std::string>> known;
    for (const auto& file : before) {
        known.emplace(file.path, file.id);
    }
    std::vector<std::string> destructive;
    std::string remedy;
    for (const auto& file : files) {
        if (known.contains({file.path, file.id})) {
            continue;
        }
        for (const auto& finding : file.findings) {
            if (finding.effect != guard::Effect::contract) {
                step.notes.push_back(render(file, finding) +
                                     (finding.remedy.empty() ? "" : "; " + finding.remedy));
                continue;
            }
            destructive.push_back(render(file, finding));
            remedy = remedy.empty() ? finding.remedy : remedy;
        }
    }
    step.contract = !destructive.empty();
    if (declared || destructive.empty()) {
        step.notes.insert(step.notes.begin(), destructive.begin(), destructive.end());
        return {};
    }
    return fail(Code::refused,
                "the migration takes away what " + serving + ", which serves, may use:\n" +
                    join(destructive, "\n"),
                (remedy.empty() ? "" : remedy + ". ") +
                    "Once no release that serves uses it any more: `release.migrate.contract: "
                    "true`; there is no rollback behind it");
}

}    // namespace seatrial::release
