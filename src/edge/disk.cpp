#include "edge/disk.h"

#include "base/file.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "edge/ports.h"
#include "process/command.h"

namespace seatrial::edge {
namespace {

constexpr std::size_t file_limit = 64 << 20;

constexpr std::string_view certificate_prefix = "certificate-";

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
    TRY(write_if_changed("haproxy.cfg", text));
    drop_certificates(text);
    return {};
}

Result<std::string> Disk::take_certificate(const std::string& path, const Context& ctx) {
    const auto content = read_file(path, file_limit);
    if (!content) {
        return std::string();
    }
    const std::string name =
        std::string(certificate_prefix) + crypto::sha256_hex(*content).substr(0, 32) + ".pem";
    const std::string copy = (folder_ / name).string();
    if (const auto found = certificates_.find(name); found != certificates_.end()) {
        TRY(found->second ? write_if_changed(name, *content) : Status());
        return found->second ? copy : std::string();
    }
    TRY(write_if_changed(name, *content));
    const std::string trial =
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
        "frontend trial\n  bind 127.0.0.1:1 ssl crt " +
        copy + "\n";
    TRY(write_if_changed("certificate.cfg", trial));
    const Status usable = check_config(folder_ / "certificate.cfg", ctx);
    if (!usable && usable.error().code != Code::invalid) {
        return tl::unexpected(usable.error());
    }
    certificates_[name] = usable.has_value();
    return usable ? copy : std::string();
}

Result<Wanted> Disk::usable(Wanted wanted, std::vector<std::string>* warnings, const Context& ctx) {
    const auto sift = [&](std::vector<Listen>* listens) -> Status {
        std::vector<Listen> good;
        for (auto& listen : *listens) {
            if (const auto obstacle = find_obstacle(listen)) {
                warnings->push_back(to_string(listen) + " is not served: " + *obstacle);
                continue;
            }
            if (!listen.certificate.empty()) {
                TRY_ASSIGN(const std::string copy, take_certificate(listen.certificate, ctx));
                if (copy.empty()) {
                    warnings->push_back("port " + std::to_string(listen.port) +
                                        " is not served: the certificate " +
                                        listen.certificate.string() + " cannot be used");
                    continue;
                }
                listen.certificate = copy;
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

std::string Disk::structure(const Wanted& usable) const {
    return crypto::sha256_hex(structure_of(usable, folder_));
}

// Keys of certificates that are not served any more lie about nowhere.
void Disk::drop_certificates(const std::string& config) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(certificate_prefix) && config.find(name) == std::string::npos) {
            std::filesystem::remove(entry.path(), error);
            written_.erase(name);
        }
    }
}

}    // namespace seatrial::edge
