#include "process/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "process/wire.h"

namespace seatrial::process {
namespace {

constexpr std::array<std::string_view, 3> controllers{"memory", "pids", "cpu"};

// One write(2), as the kernel wants it. Returns errno.
int write_value(const std::string& file, std::string_view value) {
    const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), value.data(), value.size()) < 0) {
        return errno;
    }
    return 0;
}

Status set_value(const std::string& file, std::string_view value) {
    if (const int error = write_value(file, value); error != 0) {
        return fail_errno("cannot write " + file, error);
    }
    return {};
}

bool make_folder(const std::string& path) {
    return ::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST;
}

std::vector<std::string> subfolders(const std::string& path) {
    std::vector<std::string> names;
    DIR* dir = path.empty() ? nullptr : ::opendir(path.c_str());
    while (dir != nullptr) {
        const dirent* entry = ::readdir(dir);
        if (entry == nullptr) {
            ::closedir(dir);
            break;
        }
        const std::string name(static_cast<const char*>(entry->d_name));
        if (entry->d_type == DT_DIR && name != "." && name != "..") {
            names.push_back(name);
        }
    }
    return names;
}

std::array<const std::string*, 4> trees(const CgroupLayout& layout) {
    return {&layout.v2, &layout.v1_memory, &layout.v1_pids, &layout.v1_cpu};
}

// Switches on what the tree offers, from its top down to our folder, and keeps what arrived.
std::vector<std::string> enable_controllers(const std::string& ours) {
    const std::string above = ours.substr(0, ours.rfind('/'));
    for (const auto controller : controllers) {
        const std::string word = "+" + std::string(controller);
        write_value(above + "/cgroup.subtree_control", word);
        write_value(ours + "/cgroup.subtree_control", word);
    }
    std::vector<std::string> usable;
    if (const auto text = read_file(ours + "/cgroup.subtree_control", 4096)) {
        for (const auto word : split(trim(*text), ' ')) {
            if (std::find(controllers.begin(), controllers.end(), word) != controllers.end()) {
                usable.emplace_back(word);
            }
        }
    }
    return usable;
}

Status limit_v2(const CgroupLayout& layout, const std::string& app, const Limits& limits) {
    if (limits.memory_bytes > 0 && layout.v2_has("memory")) {
        TRY(set_value(app + "/memory.max", std::to_string(limits.memory_bytes)));
        // Absent on hosts without swap accounting, and on older kernels.
        write_value(app + "/memory.swap.max", "0");
        write_value(app + "/memory.oom.group", "1");
    }
    if (limits.pids > 0 && layout.v2_has("pids")) {
        TRY(set_value(app + "/pids.max", std::to_string(limits.pids)));
    }
    if (limits.cpu_percent > 0 && layout.v2_has("cpu")) {
        TRY(set_value(app + "/cpu.max", std::to_string(limits.cpu_percent * 1000) + " 100000"));
    }
    return {};
}

Status limit_v1(const CgroupLayout& layout, const std::string& name, const Limits& limits) {
    if (limits.memory_bytes > 0 && !layout.v1_memory.empty()) {
        const std::string group = layout.v1_memory + "/" + name;
        TRY(set_value(group + "/memory.limit_in_bytes", std::to_string(limits.memory_bytes)));
        // Absent without swap accounting.
        write_value(group + "/memory.memsw.limit_in_bytes", std::to_string(limits.memory_bytes));
    }
    if (limits.pids > 0 && !layout.v1_pids.empty()) {
        TRY(set_value(layout.v1_pids + "/" + name + "/pids.max", std::to_string(limits.pids)));
    }
    if (limits.cpu_percent > 0 && !layout.v1_cpu.empty()) {
        TRY(set_value(layout.v1_cpu + "/" + name + "/cpu.cfs_quota_us",
                      std::to_string(limits.cpu_percent * 1000)));
    }
    return {};
}

// A group is busy for a moment after its last process went: the kernel takes it out later than
// the parent hears of it; and a shim that has told its end may not have ended yet.
Status remove_group(const std::string& path) {
    for (const auto& below : subfolders(path)) {
        TRY(remove_group(path + "/" + below));
    }
    for (int tries = 0; ::rmdir(path.c_str()) != 0 && errno != ENOENT; ++tries) {
        if (errno != EBUSY) {
            return fail_errno("cannot remove " + path, errno);
        }
        constexpr int patience = 1000;    // milliseconds
        if (tries >= patience) {
            return fail(Code::conflict, path + " still holds processes", "kill the run first");
        }
        ::usleep(1000);
    }
    return {};
}

}    // namespace

bool CgroupLayout::v2_has(std::string_view controller) const {
    return std::find(v2_controllers.begin(), v2_controllers.end(), controller) !=
           v2_controllers.end();
}

bool CgroupLayout::has(std::string_view controller) const {
    return v2_has(controller) || (controller == "memory" && !v1_memory.empty()) ||
           (controller == "pids" && !v1_pids.empty()) || (controller == "cpu" && !v1_cpu.empty());
}

std::string CgroupLayout::kind() const {
    if (v2_has("memory") || v2_has("pids")) {
        return "v2";
    }
    if (!v1_memory.empty() || !v1_pids.empty()) {
        return "v1";
    }
    return v2.empty() ? "none" : "kill-only";
}

std::string encode(const CgroupLayout& layout) {
    WireWriter out;
    out.texts({layout.v2, layout.v1_memory, layout.v1_pids, layout.v1_cpu});
    out.texts(layout.v2_controllers);
    return out.bytes();
}

Result<CgroupLayout> decode_cgroup(std::string_view bytes) {
    WireReader in(bytes);
    const auto folders = in.texts();
    auto usable = in.texts();
    if (!in.done() || folders.size() != 4) {
        return fail(Code::internal, "the helper's cgroups are malformed");
    }
    return CgroupLayout{folders[0], std::move(usable), folders[1], folders[2], folders[3]};
}

CgroupLayout find_cgroup_mounts(std::string_view mountinfo) {
    CgroupLayout found;
    for (const auto line : split(mountinfo, '\n')) {
        const auto dash = line.find(" - ");
        const auto left = split(line.substr(0, dash), ' ');
        if (dash == std::string_view::npos || left.size() < 6) {
            continue;
        }
        const auto right = split(line.substr(dash + 3), ' ');
        const auto folder = std::string(left[4]) + "/seatrial";
        if (right[0] == "cgroup2" && found.v2.empty()) {
            found.v2 = folder;
        }
        if (right[0] != "cgroup" || right.size() < 3) {
            continue;
        }
        for (const auto option : split(right[2], ',')) {
            std::string* place = option == "memory" ? &found.v1_memory
                                 : option == "pids" ? &found.v1_pids
                                 : option == "cpu"  ? &found.v1_cpu
                                                    : nullptr;
            if (place != nullptr && place->empty()) {
                *place = folder;
            }
        }
    }
    return found;
}

CgroupLayout open_cgroups(CgroupLayout found, std::string_view mode) {
    if (mode == "none" || mode == "v1") {
        found.v2.clear();
    }
    if (mode == "none" || mode == "v2") {
        found.v1_memory.clear();
        found.v1_pids.clear();
        found.v1_cpu.clear();
    }
    for (std::string* folder : {&found.v2, &found.v1_memory, &found.v1_pids, &found.v1_cpu}) {
        if (!folder->empty() && (!make_folder(*folder) || ::access(folder->c_str(), W_OK) != 0 ||
                                 ::access((*folder + "/cgroup.procs").c_str(), W_OK) != 0)) {
            folder->clear();
        }
    }
    if (!found.v2.empty()) {
        found.v2_controllers = enable_controllers(found.v2);
    }
    return found;
}

void close_cgroups(const CgroupLayout& layout) {
    for (const std::string* tree : trees(layout)) {
        ::rmdir(tree->c_str());
    }
}

Status create_cgroups(const CgroupLayout& layout, const std::string& name, const Limits& limits) {
    if (!layout.v2.empty() && ::mkdir(layout.v2.c_str(), 0755) == 0) {
        enable_controllers(layout.v2);    // another instance closed the folder when it ended
    }
    for (const std::string* tree : trees(layout)) {
        if (!tree->empty() && !(make_folder(*tree) && make_folder(*tree + "/" + name))) {
            return fail_errno("cannot make cgroup " + *tree + "/" + name, errno);
        }
    }
    if (!layout.v2.empty()) {
        const std::string group = layout.v2 + "/" + name;
        for (const auto& controller : layout.v2_controllers) {
            TRY(set_value(group + "/cgroup.subtree_control", "+" + controller));
        }
        if (!make_folder(group + "/shim") || !make_folder(group + "/app")) {
            return fail_errno("cannot make cgroups below " + group, errno);
        }
        TRY(limit_v2(layout, group + "/app", limits));
    }
    return limit_v1(layout, name, limits);
}

Status enter_cgroups(const CgroupLayout& layout, const std::string& name, const char* leaf,
                     pid_t pid) {
    const std::string number = std::to_string(pid);
    const bool app = std::string_view(leaf) == "app";
    if (!layout.v2.empty()) {
        TRY(set_value(layout.v2 + "/" + name + "/" + leaf + "/cgroup.procs", number));
    }
    for (const std::string* tree : {&layout.v1_memory, &layout.v1_pids, &layout.v1_cpu}) {
        if (app && !tree->empty()) {
            TRY(set_value(*tree + "/" + name + "/cgroup.procs", number));
        }
    }
    return {};
}

Status remove_cgroups(const CgroupLayout& layout, const std::string& name) {
    for (const std::string* tree : trees(layout)) {
        if (!tree->empty()) {
            TRY(remove_group(*tree + "/" + name));
        }
    }
    return {};
}

std::vector<std::string> list_cgroups(const CgroupLayout& layout) {
    std::set<std::string> names;
    for (const std::string* tree : trees(layout)) {
        for (auto& name : subfolders(*tree)) {
            names.insert(std::move(name));
        }
    }
    return {names.begin(), names.end()};
}

std::string app_cgroup(const CgroupLayout& layout, const std::string& name) {
    if (!layout.v2.empty()) {
        return layout.v2 + "/" + name + "/app";
    }
    for (const std::string* tree : {&layout.v1_pids, &layout.v1_memory, &layout.v1_cpu}) {
        if (!tree->empty()) {
            return *tree + "/" + name;
        }
    }
    return "";
}

std::vector<pid_t> cgroup_pids(const std::string& folder) {
    std::vector<pid_t> pids;
    const auto text = read_file(folder + "/cgroup.procs", 8 << 20);
    for (const auto line : split(text ? std::string_view(*text) : "", '\n')) {
        pid_t pid = 0;
        const auto parsed = std::from_chars(line.data(), line.data() + line.size(), pid);
        if (parsed.ec == std::errc{} && pid > 0) {
            pids.push_back(pid);
        }
    }
    for (const auto& below : subfolders(folder)) {
        for (const pid_t pid : cgroup_pids(folder + "/" + below)) {
            pids.push_back(pid);
        }
    }
    return pids;
}

std::string oom_file(const CgroupLayout& layout, const std::string& name) {
    if (layout.v2_has("memory")) {
        return layout.v2 + "/" + name + "/app/memory.events";
    }
    return layout.v1_memory.empty() ? "" : layout.v1_memory + "/" + name + "/memory.oom_control";
}

bool counts_oom_kill(std::string_view content) {
    for (const auto line : split(content, '\n')) {
        if (line.starts_with("oom_kill ") && trim(line.substr(9)) != "0") {
            return true;
        }
    }
    return false;
}

}    // namespace seatrial::process
