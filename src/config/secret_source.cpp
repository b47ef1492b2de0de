#include "config/secret_source.h"

#include <algorithm>

#include "base/text.h"
#include "config/fault.h"
#include "config/read.h"
#include "config/values.h"

namespace seatrial::config {
namespace {

constexpr std::size_t fault_limit = 50;

// The word that makes a source one of its kind, and what else it may and must say.
struct SourceKind {
    std::string_view word, may, must, example;
};
constexpr SourceKind kinds[] = {
    {"doppler", "config|token_file|url|sync", "config|token_file",
     "{doppler: shop, config: production, token_file: /etc/seatrial/doppler}"},
    {"aws", "region|profile|credentials_file|as|url|sync", "region",
     "{aws: shop/prd, region: ap-northeast-2}"},
    {"vault", "url|token_file|role_id|secret_id_file|namespace|ca_file|sync", "url",
     "{vault: secret/data/shop/prd, url: \"https://vault.example.com\", token_file: "
     "/etc/seatrial/vault}"},
};

bool among(std::string_view words, std::string_view word) {
    const auto list = split(words, '|');
    return std::ranges::find(list, word) != list.end();
}

std::string quoted(std::string_view word) {
    return "`" + excerpt(word) + "`";
}

// What is wrong with the words of it; "" when nothing is.
std::string problem_of(const Node& node, const SourceKind*& kind) {
    for (const auto& row : kinds) {
        if (node.find(row.word) == nullptr) {
            continue;
        }
        if (kind != nullptr) {
            return "it has both " + quoted(kind->word) + " and " + quoted(row.word);
        }
        kind = &row;
    }
    if (kind == nullptr) {
        return "it has none of doppler, aws, vault";
    }
    for (const auto& child : node.children) {
        if (child.key != kind->word && !among(kind->may, child.key)) {
            return quoted(child.key) + " says nothing about " + quoted(kind->word);
        }
    }
    for (const auto word : split(kind->must, '|')) {
        if (node.find(word) == nullptr) {
            return quoted(kind->word) + " needs " + quoted(word);
        }
    }
    const bool token = node.find("token_file") != nullptr;
    const bool role = node.find("role_id") != nullptr;
    if (kind->word == "vault" &&
        (token == role || role != (node.find("secret_id_file") != nullptr))) {
        return "`vault` needs either `token_file`, or `role_id` and `secret_id_file`";
    }
    return "";
}

// What is wrong with its values.
std::string problem_of(const SecretSource& source) {
    if (!source.url.empty()) {
        if (auto problem = problem_of_url(source.url); !problem.empty()) {
            return problem;
        }
    }
    // It stands in a host name.
    if (source.kind == "aws" && !is_short_name(source.region, 32)) {
        return "'" + excerpt(source.region) + "' is no region";
    }
    if (source.kind == "vault" && !is_path_below(source.place)) {
        return "'" + excerpt(source.place) + "' is no path of a secret";
    }
    return "";
}

SecretSource read_source(const Node& node, const SourceKind& kind) {
    SecretSource out;
    out.kind = kind.word;
    read(node, kind.word, out.place);
    read(node, "config", out.config);
    read(node, "region", out.region);
    read(node, "profile", out.profile);
    read(node, "credentials_file", out.credentials_file);
    read(node, "as", out.variable);
    read(node, "url", out.url);
    read(node, "ca_file", out.ca_file);
    read(node, "namespace", out.name_space);
    read(node, "token_file", out.token_file);
    read(node, "role_id", out.role_id);
    read(node, "secret_id_file", out.secret_id_file);
    if (const Node* sync = node.find("sync")) {
        read(*sync, "file", out.sync.file);
        read(*sync, "keys", out.sync.keys);
    }
    while (out.url.ends_with('/')) {
        out.url.pop_back();
    }
    return out;
}

bool is_this_machine(std::string_view host) {
    return host == "localhost" || host == "[::1]" ||
           (host.starts_with("127.") &&
            host.find_first_not_of("0123456789.") == std::string_view::npos);
}

}    // namespace

std::string name_of(const SecretSource& source) {
    return source.kind + " " + printable(source.place) +
           (source.config.empty() ? "" : "/" + printable(source.config));
}

std::string problem_of_url(std::string_view url, bool plain) {
    const bool secure = url.starts_with("https://");
    if (!secure && !url.starts_with("http://")) {
        return "'" + excerpt(url) + "' is no URL (https://...)";
    }
    std::string_view host = url.substr(secure ? 8 : 7);
    if (host.find_first_of("@?#\\ \t\r\n") != std::string_view::npos) {
        return "the URL holds more than scheme, host and path";
    }
    host = host.substr(0, host.find('/'));
    const auto colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
    const std::string_view name = host.substr(0, colon);
    const auto port = colon == std::string_view::npos ? 443 : parse_integer(host.substr(colon + 1));
    if (!is_host(name) || !port || *port < 1 || *port > 65535) {
        return "'" + excerpt(url) + "' is no URL (https://...)";
    }
    if (!secure && !plain && !is_this_machine(name)) {
        return "'" + excerpt(url) + "' would send secrets in the clear: write https://";
    }
    return "";
}

std::vector<SecretSource> read_secret_sources(const Node& list, const std::string& file,
                                              const std::string& path, std::vector<Fault>& faults) {
    std::vector<SecretSource> out;
    std::size_t found = 0;
    for (std::size_t i = 0; i < list.children.size() && found < fault_limit; ++i) {
        const Node& node = list.children[i];
        if (!node.is_map()) {
            continue;    // a fault already
        }
        const SourceKind* kind = nullptr;
        std::string problem = problem_of(node, kind);
        if (problem.empty()) {
            out.push_back(read_source(node, *kind));
            problem = problem_of(out.back());
            if (!problem.empty()) {
                out.pop_back();
            }
        }
        if (!problem.empty()) {
            ++found;
            const auto example = kind == nullptr ? kinds[0].example : kind->example;
            faults.push_back({file, node.line, path + "[" + std::to_string(i) + "]", problem,
                              "for example: " + std::string(example), false});
        }
    }
    return out;
}

}    // namespace seatrial::config
