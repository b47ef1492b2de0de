#include "docker/images.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/names.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "docker/json.h"

namespace seatrial::docker {
namespace {

using nlohmann::json;

std::vector<std::string> list_of(const json& object, std::string_view name) {
    std::vector<std::string> out;
    for (const json& one : member(object, name)) {
        if (one.is_string() && !one.get<std::string>().starts_with("<none>")) {
            out.push_back(one.get<std::string>());
        }
    }
    return out;
}

// "host:5000/a/b:tag" → "host:5000/a/b" and "tag", which may be missing.
std::pair<std::string, std::string> split_name(const std::string& name) {
    const auto colon = name.rfind(':');
    const auto slash = name.rfind('/');
    if (colon == std::string::npos || (slash != std::string::npos && slash > colon)) {
        return {name, ""};
    }
    return {name.substr(0, colon), name.substr(colon + 1)};
}

bool is_named_by_us(const Engine& engine, const std::string& name) {
    return is_our_name(engine.instance(), split_name(name).first);
}

net::Pairs login_header(const std::optional<RegistryLogin>& login) {
    const json text = login ? json{{"username", login->user},
                                   {"password", login->password.reveal()},
                                   {"serveraddress", login->server}}
                            : json::object();
    return {{"X-Registry-Auth", crypto::base64url(text.dump())}};
}

void tell(const OnLine& on_line, const json& object) {
    if (!on_line) {
        return;
    }
    const std::string status = text_of(object, "status");
    const std::string id = text_of(object, "id");
    // Bars of progress would be thousands of lines.
    if (!status.empty() && text_of(object, "progress").empty()) {
        on_line(printable(id.empty() ? status : id + ": " + status));
    }
}

// "... sha256:<64 hex> ..." → "sha256:<64 hex>"
std::string digest_in(const std::string& text) {
    constexpr std::size_t length = 7 + 64;
    const auto at = text.find("sha256:");
    return at == std::string::npos || at + length > text.size() ? "" : text.substr(at, length);
}

}    // namespace

Result<Image> inspect_image(Engine& engine, const std::string& name, const Context& ctx) {
    TRY(check_image_name(name));
    TRY_ASSIGN(const json answer, engine.call({.path = "/images/" + escape(name) + "/json"}, ctx));
    return Image{text_of(answer, "Id"), list_of(answer, "RepoTags"), list_of(answer, "RepoDigests"),
                 texts_of(member(answer, "Config"), "Labels"), number_of(answer, "Size")};
}

Result<std::vector<Image>> list_our_images(Engine& engine, const Context& ctx) {
    TRY_ASSIGN(const json answer, engine.call({.path = "/images/json"}, ctx));
    std::vector<Image> out;
    for (const json& one : answer) {
        Image image{text_of(one, "Id"), list_of(one, "RepoTags"), list_of(one, "RepoDigests"),
                    texts_of(one, "Labels"), number_of(one, "Size")};
        if (engine.is_ours(image.labels) ||
            std::ranges::any_of(image.names, [&](const std::string& name) {
                return is_named_by_us(engine, name);
            })) {
            out.push_back(std::move(image));
        }
    }
    return out;
}

Status tag_image(Engine& engine, const std::string& image, const std::string& name,
                 const Context& ctx) {
    TRY(check_image_name(image));
    TRY(check_image_name(name));
    const auto [repository, tag] = split_name(name);
    TRY(engine.call({.method = "POST",
                     .path = "/images/" + escape(image) + "/tag",
                     .query = {{"repo", repository}, {"tag", tag}}},
                    ctx));
    return {};
}

Status remove_image(Engine& engine, const std::string& name, const Context& ctx) {
    const auto image = inspect_image(engine, name, ctx);
    if (!image) {
        return image.error().code == Code::not_found ? Status() : tl::unexpected(image.error());
    }
    if (!is_named_by_us(engine, name)) {
        TRY(check_ours(engine, image->labels, "image " + name));
    }
    return forget_pulled_name(engine, name, ctx);
}

Status forget_pulled_name(Engine& engine, const std::string& name, const Context& ctx) {
    TRY(check_image_name(name));
    const auto removed = engine.call({.method = "DELETE", .path = "/images/" + escape(name)}, ctx);
    if (removed || removed.error().code == Code::not_found) {
        return {};
    }
    return tl::unexpected(removed.error());
}

Result<std::string> load_image(Engine& engine, int tar_fd, const Context& ctx) {
    std::string loaded;
    TRY(engine.stream_json(
        {.method = "POST", .path = "/images/load", .upload_fd = tar_fd},
        [&](const json& object) {
            const std::string line = text_of(object, "stream");
            const auto at = line.find(": ");
            if (line.starts_with("Loaded image") && at != std::string::npos) {
                loaded = trim(line.substr(at + 2));
            }
            return true;
        },
        ctx));
    if (loaded.empty()) {
        return fail(Code::invalid, "there is no image in what was to be loaded");
    }
    return loaded;
}

Result<std::string> import_image(Engine& engine, int tar_fd, const std::string& name,
                                 const std::vector<std::string>& changes, const Context& ctx) {
    TRY(check_image_name(name));
    const auto [repository, tag] = split_name(name);
    net::Pairs query = {{"fromSrc", "-"}, {"repo", repository}, {"tag", tag}};
    for (const std::string& line : changes) {
        query.emplace_back("changes", line);
    }
    query.emplace_back("changes", "LABEL " + std::string(instance_label) + "=" + engine.instance());
    std::string id;
    TRY(engine.stream_json(
        {.method = "POST",
         .path = "/images/create",
         .query = std::move(query),
         .upload_fd = tar_fd},
        [&](const json& object) {
            const std::string digest = digest_in(text_of(object, "status"));
            id = digest.empty() ? id : digest;
            return true;
        },
        ctx));
    return id;
}

Result<std::string> pull_image(Engine& engine, const std::string& name,
                               const std::optional<RegistryLogin>& login, const OnLine& on_line,
                               const Context& ctx) {
    TRY(check_image_name(name));
    const bool by_digest = name.find('@') != std::string::npos;
    const auto [repository, tag] =
        by_digest ? std::pair{name.substr(0, name.find('@')), name.substr(name.find('@') + 1)}
                  : split_name(name);
    std::string digest;
    TRY(engine.stream_json(
        {.method = "POST",
         .path = "/images/create",
         // Without a tag the engine would pull all of them.
         .query = {{"fromImage", repository}, {"tag", tag.empty() ? "latest" : tag}},
         .headers = login_header(login)},
        [&](const json& object) {
            tell(on_line, object);
            const std::string status = text_of(object, "status");
            digest = status.starts_with("Digest: ") ? digest_in(status) : digest;
            return true;
        },
        ctx));
    return digest;
}

Result<std::string> push_image(Engine& engine, const std::string& name,
                               const std::optional<RegistryLogin>& login, const OnLine& on_line,
                               const Context& ctx) {
    TRY(check_image_name(name));
    const auto [repository, tag] = split_name(name);
    std::string digest;
    TRY(engine.stream_json(
        {.method = "POST",
         .path = "/images/" + escape(repository) + "/push",
         .query = {{"tag", tag.empty() ? "latest" : tag}},
         .headers = login_header(login)},
        [&](const json& object) {
            tell(on_line, object);
            const std::string pushed = text_of(member(object, "aux"), "Digest");
            digest = pushed.empty() ? digest : pushed;
            return true;
        },
        ctx));
    return digest;
}

}    // namespace seatrial::docker
