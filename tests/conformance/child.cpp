#include "conformance/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/text.h"
#include "support/ordinary_user.h"
#include "support/temp_dir.h"

namespace seatrial::conformance {
namespace {

constexpr const char* variable = "SEATRIAL_CONFORMANCE_CHILD";

bool ordinary_user = false;

std::map<std::string, MakeSubject>& registry() {
    static std::map<std::string, MakeSubject> all;
    return all;
}

std::vector<std::string> environment_for(const std::string& job, const std::string& failpoints,
                                         const std::string& record) {
    std::vector<std::string> out;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        if (std::string_view(*entry).find("SEATRIAL_FAILPOINT") != 0) {
            out.emplace_back(*entry);
        }
    }
    out.push_back(std::string(variable) + "=" + job);
    out.push_back("SEATRIAL_FAILPOINTS=" + failpoints);
    out.push_back("SEATRIAL_FAILPOINT_RECORD=" + record);
    return out;
}

void read_record(const std::string& text, ChildRun& run) {
    for (const std::string_view line : split(text, '\n')) {
        const auto words = split(line, ' ');
        if (words.size() == 3) {
            (words[0] == "fired" ? run.fired : run.hit).emplace_back(words[1]);
        }
    }
}

std::string content(const std::filesystem::path& file) {
    return read_file(file, 16 << 20).value_or("");
}

}    // namespace

bool add_subject(const std::string& name, MakeSubject make) {
    return registry().emplace(name, make).second;
}

bool run_as_ordinary_user() {
    ordinary_user = true;
    return true;
}

int run_tests(int argc, char** argv) {
    if (!ordinary_user || ::geteuid() != 0) {
        testing::InitGoogleTest(&argc, argv);
        return RUN_ALL_TESTS();
    }
    // The report's folder, and the build folder with the helper, may be closed to that user.
    const test::TempDir dir;
    check(::chmod(dir.path().c_str(), 0777) == 0, "chmod of the folder for the report");
    const auto program = std::filesystem::read_symlink("/proc/self/exe");
    std::filesystem::copy_file(program.parent_path() / "seatrial-helper", dir.path() / "helper");
    ::setenv("SEATRIAL_HELPER", (dir.path() / "helper").c_str(), 1);
    const std::string output = testing::GTEST_FLAG(output);
    const auto report = dir.path() / "report.xml";
    testing::GTEST_FLAG(output) = "xml:" + report.string();
    const pid_t child = ::fork();
    check(child >= 0, "fork");
    if (child == 0) {
        test::leave_root();
        testing::InitGoogleTest(&argc, argv);
        const int code = RUN_ALL_TESTS();
        std::fflush(nullptr);
        ::_exit(code);
    }
    int state = 0;
    check(::waitpid(child, &state, 0) == child, "wait for the tests");
    if (output.starts_with("xml:") && std::filesystem::exists(report)) {
        std::filesystem::path to = output.substr(4);
        if (output.ends_with('/')) {
            to /= program.filename().string() + ".xml";
        }
        std::filesystem::copy_file(report, to, std::filesystem::copy_options::overwrite_existing);
    }
    return WIFEXITED(state) ? WEXITSTATUS(state) : 1;
}

const std::map<std::string, MakeSubject>& subjects() {
    return registry();
}

ChildRun run_in_child(const std::string& subject, const std::string& world,
                      const std::string& action, const std::string& name,
                      const std::string& failpoints) {
    const test::TempDir dir;
    const std::string record = dir.path() / "record";
    const std::string log = dir.path() / "log";
    const std::string job = subject + "\n" + action + "\n" + name + "\n" + world;
    std::vector<std::string> environment = environment_for(job, failpoints, record);
    std::vector<char*> pointers;
    for (std::string& entry : environment) {
        pointers.push_back(entry.data());
    }
    pointers.push_back(nullptr);
    char self[] = "/proc/self/exe";
    char* argv[] = {self, nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid = -1;
    const int code = ::posix_spawn(&pid, self, &actions, nullptr, argv, pointers.data());
    posix_spawn_file_actions_destroy(&actions);
    check(code == 0, "spawn of the child");
    ChildRun run;
    check(::waitpid(pid, &run.state, 0) == pid, "wait for the child");
    read_record(content(record), run);
    run.output = content(log);
    return run;
}

bool is_child() {
    return std::getenv(variable) != nullptr;
}

int run_as_child() {
    const char* given = std::getenv(variable);
    const std::string job = given == nullptr ? "" : given;
    ::unsetenv(variable);
    // Opens its record file while we still may.
    failpoints_active();
    if (ordinary_user) {
        test::leave_root();
    }
    std::vector<std::string> parts;
    std::size_t from = 0;
    for (int i = 0; i < 3; ++i) {
        const std::size_t end = job.find('\n', from);
        check(end != std::string::npos, "the child's job");
        parts.push_back(job.substr(from, end - from));
        from = end + 1;
    }
    const auto subject = subjects().at(parts[0])(job.substr(from));
    const plan::Ref ref{std::string(subject->type().name()), subject->place(), parts[2]};
    const Context ctx = Context().with_timeout(std::chrono::seconds(60));
    const Status done = parts[1] == "create"
                            ? subject->type().create(ref, subject->spec(parts[2]), {}, ctx)
                            : subject->type().destroy(ref, ctx).map([](const auto&) {});
    if (!done) {
        std::cerr << render_error(done.error()) << std::endl;
        return 3;
    }
    return 0;
}

}    // namespace seatrial::conformance
