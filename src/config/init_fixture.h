// For tests of init: a repository made of texts, and the file made of it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "config/config.h"
#include "config/init.h"

namespace seatrial::config {

using Files = std::vector<std::pair<std::string, std::string>>;

// A repository in a folder of its own.
class Init : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "seatrial-init-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        root_ = folder_ / "shop";
        std::filesystem::create_directory(root_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    void write(const Files& files) {
        for (const auto& [path, text] : files) {
            std::filesystem::create_directories((root_ / path).parent_path());
            std::ofstream(root_ / path) << text;
        }
    }
    // The file made from `files`, read back; it must be without fault.
    App inspect(const Files& files) {
        write(files);
        const auto result = inspect_repository(root_);
        if (!result) {
            ADD_FAILURE() << render_error(result.error());
            return {};
        }
        findings_ = *result;
        const auto parsed = parse_app(findings_.yaml, "seatrial.yaml", false);
        for (const auto& fault : parsed.faults) {
            ADD_FAILURE() << render_fault(fault) << "\n" << findings_.yaml;
        }
        return parsed.value;
    }

    std::filesystem::path folder_, root_;
    Findings findings_;
};

inline std::vector<std::string> names(const App& app) {
    std::vector<std::string> out;
    for (const auto& component : app.components) {
        out.push_back(component.name);
    }
    return out;
}

}    // namespace seatrial::config
