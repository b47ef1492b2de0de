// sqlite-file: from a template in the tree, and empty.
#include "sql/sqlite.h"

#include <gtest/gtest.h>

#include <fstream>

#include "conformance/type_conformance.h"
#include "crypto/crypto.h"
#include "resource/sqlite_file.h"
#include "support/temp_dir.h"

namespace seatrial::conformance {
namespace {

namespace fs = std::filesystem;

// Everything below a folder with its content's digest.
std::string census_of(const fs::path& root) {
    std::vector<std::string> lines;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        std::string line = entry.path().lexically_relative(root);
        if (entry.is_regular_file()) {
            std::ifstream in(entry.path(), std::ios::binary);
            const std::string content((std::istreambuf_iterator<char>(in)), {});
            line += " " + crypto::sha256_hex(content);
        }
        lines.push_back(line);
    }
    std::sort(lines.begin(), lines.end());
    std::string out;
    for (const auto& line : lines) {
        out += line + "\n";
    }
    return out;
}

class SqliteSubject : public Subject {
public:
    SqliteSubject(bool from_template, const std::string& world)
        : from_template_(from_template), data_(world) {
        if (world.empty()) {    // a child may be killed: it makes nothing of its own
            dir_ = std::make_unique<test::TempDir>();
            data_ = dir_->path() / "data";
            fs::create_directories(tree());
            auto db = sql::Sqlite::open(tree() / "dev.sqlite3");
            EXPECT_TRUE(db && db->script("CREATE TABLE t (v); INSERT INTO t VALUES (1)"));
        }
        type_ = std::make_unique<resource::SqliteFile>(instance, data_);
    }
    std::string world() const override { return data_; }
    plan::Type& type() override { return *type_; }
    std::string place() const override { return "host"; }
    nlohmann::json spec(const std::string& name) override {
        const std::string source = from_template_ ? (tree() / "dev.sqlite3").string() : "";
        return {{"template", source}, {"file", file(name).string()}, {"uid_slot", -1}};
    }
    nlohmann::json changed_spec(const std::string& name) override {
        nlohmann::json changed = spec(name);
        changed["template"] = from_template_ ? "" : (tree() / "dev.sqlite3").string();
        return changed;
    }
    bool make_foreign(const std::string& name) override {
        fs::create_directories(home() / "data");
        std::ofstream(file(name)) << "the books";
        std::ofstream(home() / (name + ".sqlite.json")) << R"({"seatrial": "other1"})";
        return true;
    }
    bool foreign_intact(const std::string& name) override {
        std::ifstream in(file(name));
        return std::string((std::istreambuf_iterator<char>(in)), {}) == "the books";
    }
    void remove_foreign(const std::string& name) override {
        fs::remove_all(home() / "data");
        fs::remove(home() / (name + ".sqlite.json"));
    }
    std::string census() override { return census_of(data_); }

private:
    fs::path home() const { return data_ / "previews" / "st-tstcfm-tree-0123456789ab"; }
    fs::path tree() const { return home() / "tree"; }
    fs::path file(const std::string& name) const { return home() / "data" / (name + ".sqlite"); }

    std::unique_ptr<test::TempDir> dir_;
    bool from_template_;
    fs::path data_;
    std::unique_ptr<plan::Type> type_;
};

template <bool from_template>
std::unique_ptr<Subject> make(const std::string& world) {
    return std::make_unique<SqliteSubject>(from_template, world);
}

const bool added[] = {
    add_subject("sqlite-file from a template", &make<true>),
    add_subject("sqlite-file empty", &make<false>),
};

}    // namespace
}    // namespace seatrial::conformance
