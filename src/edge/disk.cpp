#include "edge/disk.h"

#include "base/file.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "edge/ports.h"
#include "process/command.h"

namespace seatrial::edge {
namespace {

constexpr std::size_t file_limit = 64 << 20;

std::string digest_of(const std::string& path) {
    return crypto::sha256_hex(read_file(path, file_limit).value_or(""));
}

}    // namespace

Disk::Disk(std::filesystem::path folder, std::string program)
    : folder_(std::move(folder)), program_(std::move(program)) {}

std::string Disk::map_file(const std::string& name) const {
    return (folder_ / (name + ".map")).string();
}

PreviewSeats Disk::read_seats() const {
    PreviewSeats out;
    const std::string text = read_file(map_file("previews"), file_limit).value_or("");
    for (const std::string_view line : split(text, '\n')) {
        if (const std::size_t space = line.find(' '); space != std::string_view::npos) {
            out[std::string(line.substr(0, space))] = line.substr(space + 1);
        }
    }
    return out;
}

Status Disk::write_if_changed(const std::string& name, const std::string& content) {
    const auto found = written_.find(name);
    if (found != written_.end() && found->second == content) {
        return {};
    }
    TRY(make_dirs(folder_, 0700));
    // A probe's value is a secret.
    TRY(write_file_atomic(folder_ / name, content, 0600));
    written_[name] = content;
    return {};
}

Status Disk::write_maps(const Maps& maps) {
    for (const auto& [name, rows] : maps) {
        TRY(write_if_changed(name + ".map", render_map(rows)));
    }
    return write_if_changed("pause.lua", render_pause_gate(folder_));
}

Status Disk::check_config(const std::filesystem::path& file, const Context& ctx) const {
    process::Command command;
    command.argv = {program_, "-c", "-q", "-f", file.string()};
    TRY_ASSIGN(const auto output, process::run_command(command, ctx));
    if (output.exit_code != 0) {
        return fail(Code::invalid,
                    "HAProxy refuses its configuration: " + printable(trim(output.err), true));
    }
    return {};
}

Status Disk::write_config(const Wanted& wanted, const PreviewSeats& seats,
                          const std::string& structure, bool checked, const Context& ctx) {
    const std::string text = render_config(wanted, seats, folder_, structure);
    if (checked && written_["haproxy.cfg"] != text) {
        TRY(write_if_changed("haproxy.cfg.new", text));
        TRY(check_config(folder_ / "haproxy.cfg.new", ctx));
    }
    return write_if_changed("haproxy.cfg", text);
}

Result<bool> Disk::good_certificate(const std::string& path, const Context& ctx) {
    const std::string digest = digest_of(path);
    if (const auto found = certificates_.find(digest); found != certificates_.end()) {
        return found->second;
    }
    const std::string trial =
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
        "frontend trial\n  bind 127.0.0.1:1 ssl crt " +
        path + "\n";
    TRY(write_if_changed("certificate.cfg", trial));
    const Status usable = check_config(folder_ / "certificate.cfg", ctx);
    if (!usable && usable.error().code != Code::invalid) {
        return tl::unexpected(usable.error());
    }
    return certificates_[digest] = usable.has_value();
}

Result<Wanted> Disk::usable(Wanted wanted, std::vector<std::string>* warnings, const Context& ctx) {
    const auto sift = [&](std::vector<Listen>* listens) -> Status {
        std::vector<Listen> good;
        for (const auto& listen : *listens) {
            if (const auto obstacle = find_obstacle(listen)) {
                warnings->push_back(to_string(listen) + " is not served: " + *obstacle);
                continue;
            }
            if (!listen.certificate.empty()) {
                TRY_ASSIGN(const bool fine, good_certificate(listen.certificate, ctx));
                if (!fine) {
                    warnings->push_back("port " + std::to_string(listen.port) +
                                        " is not served: the certificate " +
                                        listen.certificate.string() + " cannot be used");
                    continue;
                }
            }
            good.push_back(listen);
        }
        *listens = std::move(good);
        return {};
    };
    for (auto& site : wanted.sites) {
        TRY(sift(&site.listens));
    }
    TRY(sift(&wanted.preview_listens));
    return wanted;
}

std::string Disk::structure(const Wanted& wanted) const {
    std::string text = structure_of(wanted, folder_);
    const auto add = [&](const std::vector<Listen>& listens) {
        for (const auto& listen : listens) {
            text += listen.certificate.empty() ? "" : digest_of(listen.certificate);
        }
    };
    for (const auto& site : wanted.sites) {
        add(site.listens);
    }
    add(wanted.preview_listens);
    return crypto::sha256_hex(text);
}

}    // namespace seatrial::edge
