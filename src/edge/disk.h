// The folder that HAProxy is started from. Thread: one at a time.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/context.h"
#include "edge/files.h"

namespace seatrial::edge {

class Disk {
public:
    Disk(std::filesystem::path folder, std::string program);

    const std::filesystem::path& folder() const { return folder_; }
    std::filesystem::path admin() const { return folder_ / "admin.sock"; }
    std::filesystem::path master() const { return folder_ / "master.sock"; }
    std::string map_file(const std::string& name) const;
    const std::string& program() const { return program_; }

    // The previews' seats as the last process wrote them.
    PreviewSeats read_seats() const;
    Status write_maps(const Maps& maps);
    // `checked`: HAProxy is asked first, and what it refuses is not written.
    Status write_config(const Wanted& wanted, const PreviewSeats& seats,
                        const std::string& structure, bool checked, const Context& ctx);

    // Without the listeners that another program has, or whose certificate cannot be used, each
    // named in `warnings`: one of them must not stop the rest. Certificates are copies in this
    // folder, named by their content: HAProxy does not see every other folder, and one that is
    // being replaced is read once.
    Result<Wanted> usable(Wanted wanted, std::vector<std::string>* warnings, const Context& ctx);
    // Names the structure of what is usable, certificates' contents included.
    std::string structure(const Wanted& usable) const;

private:
    Status write_if_changed(const std::string& name, const std::string& content);
    Status check_config(const std::filesystem::path& file, const Context& ctx) const;
    // "" when it cannot be used.
    Result<std::string> take_certificate(const std::string& path, const Context& ctx);
    void drop_certificates(const std::string& config);

    std::filesystem::path folder_;
    std::string program_;
    std::map<std::string, std::string> written_;    // file name → content
    std::map<std::string, bool> certificates_;      // copy → usable
};

}    // namespace seatrial::edge
