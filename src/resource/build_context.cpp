#include "resource/build_context.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "docker/ignore_file.h"

namespace seatrial::resource {
namespace {

constexpr std::size_t block = 512;

// One file as POSIX ustar has it (IEEE Std 1003.1, pax, "ustar Interchange Format").
std::string tar_entry(const std::string& name, const std::string& content) {
    char header[block] = {};
    std::snprintf(header, 100, "%s", name.c_str());
    std::snprintf(header + 100, 8, "%07o", 0644U);
    std::snprintf(header + 108, 8, "%07o", 0U);
    std::snprintf(header + 116, 8, "%07o", 0U);
    std::snprintf(header + 124, 12, "%011zo", content.size());
    std::snprintf(header + 136, 12, "%011o", 0U);    // the epoch: builds of one commit are equal
    std::memset(header + 148, ' ', 8);
    header[156] = '0';
    std::snprintf(header + 257, 6, "ustar");
    header[263] = header[264] = '0';    // the version
    unsigned sum = 0;
    for (const char c : header) {
        sum += static_cast<unsigned char>(c);
    }
    std::snprintf(header + 148, 8, "%06o", sum);
    std::string out(header, block);
    out += content;
    out.append((block - content.size() % block) % block, '\0');
    return out;
}

// Little: it fits into a pipe.
Status write_text(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno != EINTR) {
            return fail_errno("write to a pipe", errno);
        }
        text.remove_prefix(n < 0 ? 0 : static_cast<std::size_t>(n));
    }
    return {};
}

std::string entries_of(const std::map<std::string, std::string>& files) {
    std::string out;
    for (const auto& [name, content] : files) {
        out += tar_entry(name, content);
    }
    return out;
}

}    // namespace

std::string tar_of(const std::map<std::string, std::string>& files) {
    return entries_of(files) + std::string(2 * block, '\0');
}

Status write_build_context(const git::Mirror& mirror, const BuildContext& context, int out_fd,
                           const Context& ctx) {
    TRY(write_text(out_fd, entries_of(context.files)));
    const auto& [commit, folder, dockerfile, files] = context;
    for (const auto& name : {dockerfile + ".dockerignore", std::string(".dockerignore")}) {
        const auto path = folder.empty() ? name : folder + "/" + name;
        const auto text = mirror.read_blob(commit, path, ctx);
        if (!text && text.error().code == Code::not_found) {
            continue;
        }
        TRY(text);
        const auto ignores = docker::parse_ignore_file(*text);
        if (!ignores) {
            Error error = ignores.error();
            error.message = printable(path) + ", " + error.message;
            return tl::unexpected(std::move(error));
        }
        return mirror.archive(commit, folder, out_fd, ctx,
                              [&, &own = dockerfile](std::string_view file) {
                                  return file != own && file != name && (*ignores)(file);
                              });
    }
    return mirror.archive(commit, folder, out_fd, ctx);
}

}    // namespace seatrial::resource
