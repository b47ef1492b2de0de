#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/variables.h"

namespace seatrial::config {
namespace {

using Json = nlohmann::json;

// The folder of the sources, found upward from this program in its build folder.
std::filesystem::path source_root() {
    auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    while (folder.has_relative_path() && !std::filesystem::exists(folder / "docs/reference")) {
        folder = folder.parent_path();
    }
    return folder;
}

void expect_current(const char* file, const std::string& expected) {
    const auto path = source_root() / "docs/reference" / file;
    const auto content = read_file(path, 1 << 20);
    ASSERT_TRUE(content.has_value()) << render_error(content.error());
    EXPECT_TRUE(*content == expected)
        << path << " is not what the key table gives; run: seatrial reference docs/reference";
}

TEST(Reference, PagesAreThoseOfTheTable) {
    expect_current("configuration.md", reference_page());
    expect_current("seatrial.schema.json", json_schema());
}

TEST(Reference, EveryKeyAndVariableIsOnThePage) {
    const auto page = reference_page();
    for (const auto& key : all_keys()) {
        std::string path(key.path);
        for (auto star = path.find('*'); star != std::string::npos; star = path.find('*')) {
            path.replace(star, 1, "NAME");
        }
        EXPECT_NE(page.find("| `" + path + "`"), std::string::npos) << path;
    }
    for (const auto& variable : variable_table()) {
        EXPECT_NE(page.find("`" + std::string(variable.name) + "`"), std::string::npos);
    }
}

TEST(Schema, IsStrictAndKeepsTheFilesApart) {
    const auto schema = Json::parse(json_schema());
    EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    const auto& defs = schema["$defs"];
    EXPECT_EQ(defs["app"]["required"], (Json{"app", "components"}));
    EXPECT_FALSE(defs["app"]["additionalProperties"].get<bool>());
    EXPECT_FALSE(defs["app"]["properties"].contains("postgres"));
    EXPECT_FALSE(defs["server"]["properties"].contains("components"));
    EXPECT_TRUE(defs["app_and_server"]["properties"].contains("postgres"));
    const auto policy = defs["app"]["properties"]["environments"].dump();
    EXPECT_EQ(policy.find("approval"), std::string::npos);
    EXPECT_NE(policy.find("ttl"), std::string::npos);
}

}    // namespace
}    // namespace seatrial::config
