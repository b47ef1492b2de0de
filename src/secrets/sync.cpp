#include "secrets/sync.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/text.h"
#include "config/env_file.h"
#include "config/secret_text.h"
#include "crypto/crypto.h"

namespace seatrial::secrets {
namespace {

constexpr std::string_view mark = "# Written by `seatrial env sync` from ";
constexpr std::string_view sum_word = "# sum ";
constexpr std::string_view key_word = "# key ";
constexpr std::size_t file_limit = 2 << 20;
constexpr mode_t private_mode = 0600;
constexpr mode_t public_mode = 0644;

struct File {
    std::string path, text;
    mode_t mode = private_mode;
    bool changed = true;
};

// A file as it stands; nullopt: there is none.
struct Found {
    std::string text;
    mode_t mode = 0;
};
Result<std::optional<Found>> look(const std::string& path) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        return fail_errno("cannot look at " + path, errno);
    }
    if (!S_ISREG(info.st_mode)) {
        return fail(Code::refused, path + " is no plain file", "remove it, or name another file");
    }
    TRY_ASSIGN(auto text, read_file(path, file_limit));
    return Found{std::move(text), info.st_mode & 07777U};
}

// The head of an env file of ours.
struct Head {
    bool ours = false;                                       // has the mark
    bool touched = false;                                    // and was changed by hand since
    std::map<std::string, std::vector<std::string>> keys;    // digests: now, before
};

Head parse_head(std::string_view text) {
    Head out;
    const auto first = text.find('\n');
    if (!text.starts_with(mark) || first == std::string_view::npos) {
        return out;
    }
    out.ours = true;
    text.remove_prefix(first + 1);
    const auto second = text.find('\n');
    const bool summed = text.starts_with(sum_word) && second != std::string_view::npos;
    const std::string_view rest = summed ? text.substr(second + 1) : std::string_view();
    out.touched = !summed || crypto::sha256_hex(rest) !=
                                 text.substr(sum_word.size(), second - sum_word.size());
    for (const std::string_view line : split(rest, '\n')) {
        if (!line.starts_with(key_word)) {
            break;
        }
        const auto words = split(line.substr(key_word.size()), ' ');
        for (std::size_t i = 1; i < words.size(); ++i) {
            out.keys[std::string(words[0])].emplace_back(words[i]);
        }
    }
    return out;
}

bool is_public(std::string_view text) {
    return !config::is_private_key(text) &&
           (text.find("-----BEGIN PUBLIC KEY") != std::string_view::npos ||
            text.find("-----BEGIN RSA PUBLIC KEY") != std::string_view::npos ||
            text.find("-----BEGIN CERTIFICATE") != std::string_view::npos);
}

// Where lines cannot be typed, keys are kept with "\n" between them.
std::string key_text(std::string text) {
    if (text.find("-----BEGIN") != std::string::npos && text.find('\n') == std::string::npos) {
        for (auto at = text.find("\\n"); at != std::string::npos; at = text.find("\\n", at)) {
            text.replace(at, 2, "\n");
        }
    }
    return text.ends_with('\n') ? text : text + "\n";
}

bool wants_file(const std::string& name, const std::string& value) {
    return config::is_private_key(value) || (name.starts_with("JWT_") && name.ends_with("_KEY"));
}

// What goes where; all that is wrong at once.
struct Parts {
    Values variables;
    std::map<std::string, File> keys;
};
Result<Parts> part(const config::SecretSource& source, const Values& values) {
    Parts out;
    std::vector<std::string> wrong;
    for (const auto& [name, value] : values) {
        const auto file = source.sync.keys.find(name);
        if (file != source.sync.keys.end()) {
            const std::string text = key_text(value.reveal());
            out.keys[name] = {file->second, text, is_public(text) ? public_mode : private_mode};
        } else if (wants_file(name, value.reveal())) {
            wrong.push_back(name + " is a key, and has no file in sync.keys");
        } else {
            out.variables[name] = value;
        }
    }
    for (const auto& [name, file] : source.sync.keys) {
        if (!values.contains(name)) {
            wrong.push_back(name + " is in sync.keys, and not in the source");
        }
    }
    if (!wrong.empty()) {
        return fail(Code::invalid, config::name_of(source) + ": " + join(wrong, "; "),
                    "nothing was written; name a file for each key in sync.keys");
    }
    return out;
}

Values variables_of(std::string_view text, const std::string& name) {
    Values out;
    for (const auto& [key, entry] : config::parse_env_file(text, name).value) {
        out[key] = Secret(entry.value);
    }
    return out;
}

void compare(const Values& before, const Values& after, const std::string& file,
             std::vector<Change>& out) {
    for (const auto& [name, value] : after) {
        const auto old = before.find(name);
        if (old == before.end()) {
            out.push_back({name, "added", file});
        } else if (old->second.reveal() != value.reveal()) {
            out.push_back({name, "changed", file});
        }
    }
    for (const auto& [name, value] : before) {
        if (!after.contains(name)) {
            out.push_back({name, "removed", file});
        }
    }
}

Status write(const File& file) {
    ::unlink((file.path + ".tmp").c_str());    // of whoever was killed
    Status written = write_file_atomic(file.path, file.text, file.mode);
    if (!written && written.error().hint.empty()) {
        Error error = written.error();
        error.hint = "the daemon's user must own the folder of " + file.path;
        return tl::unexpected(std::move(error));
    }
    return written;
}

std::string render_head(const config::SecretSource& source, const std::string& rest) {
    return std::string(mark) + config::name_of(source) + "; changes by hand are lost.\n" +
           std::string(sum_word) + crypto::sha256_hex(rest) + "\n" + rest;
}

}    // namespace

Result<std::string> render_env(const Values& values) {
    std::string out;
    for (const auto& [name, value] : values) {
        std::string quoted;
        for (const char c : value.reveal()) {
            switch (c) {
                case '\n': quoted += "\\n"; break;
                case '\r': quoted += "\\r"; break;
                case '\t': quoted += "\\t"; break;
                case '"':
                case '\\':
                case '$':
                    quoted += '\\';
                    quoted += c;
                    break;
                default: quoted += c;
            }
        }
        out += name + "=\"" + quoted + "\"\n";
    }
    const auto again = variables_of(out, "");
    for (const auto& [name, value] : values) {
        const auto found = again.find(name);
        if (found == again.end() || found->second.reveal() != value.reveal()) {
            return fail(Code::invalid, name + " has a value that no env file can hold",
                        "remove odd characters from it");
        }
    }
    return out;
}

Result<SyncReport> synchronise(const config::SecretSource& source, const Values& values,
                               const SyncWish& wish) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    SyncReport out;
    TRY_ASSIGN(auto parts, part(source, values));
    TRY_ASSIGN(const std::string body, render_env(parts.variables));
    TRY_ASSIGN(const auto before, look(source.sync.file));
    const Head head = before ? parse_head(before->text) : Head();
    if (before && (!head.ours || head.touched)) {
        out.by_hand.push_back(source.sync.file);
    }
    compare(before ? variables_of(before->text, source.sync.file) : Values(), parts.variables,
            source.sync.file, out.changes);
    std::string rest;
    for (auto& [name, key] : parts.keys) {
        TRY_ASSIGN(const auto old, look(key.path));
        const std::string now = crypto::sha256_hex(key.text);
        const std::string was = old ? crypto::sha256_hex(old->text) : "";
        const auto known = head.keys.find(name);
        if (old && was != now &&
            (known == head.keys.end() ||
             std::ranges::find(known->second, was) == known->second.end())) {
            out.by_hand.push_back(key.path);
        }
        if (was != now) {
            out.changes.push_back({name, old ? "changed" : "added", key.path});
        }
        key.changed = was != now || old->mode != key.mode;
        rest += std::string(key_word) + name + " " + now;
        if (old && was != now) {
            rest += " " + was;    // it may still stand there when we die before it is written
        } else if (known != head.keys.end() && known->second.front() == now) {
            for (std::size_t i = 1; i < known->second.size(); ++i) {
                rest += " " + known->second[i];    // as the file has it
            }
        }
        rest += "\n";
    }
    if (wish.dry_run) {
        return out;
    }
    if (!out.by_hand.empty() && !wish.adopt) {
        return fail(Code::refused, join(out.by_hand, ", ") + ": written or changed by hand",
                    "`seatrial env sync --dry-run` shows what would change; --adopt overwrites it");
    }
    const File env{source.sync.file, render_head(source, rest + body), private_mode};
    const bool same = before && before->mode == private_mode && before->text == env.text;
    if (!same) {
        TRY(write(env));
        out.written = true;
    }
    TRY(failpoint("sync.env_written"));
    for (const auto& [name, key] : parts.keys) {
        if (key.changed) {
            TRY(write(key));
            out.written = true;
        }
        TRY(failpoint("sync.key_written"));
    }
    return out;
}

std::string unfinished_sync(const config::SecretSource& source) {
    const auto env = read_file(source.sync.file, file_limit);
    if (!env) {
        return "";    // told with the env files
    }
    const Head head = parse_head(*env);
    for (const auto& [name, path] : source.sync.keys) {
        const auto known = head.keys.find(name);
        const auto text = read_file(path, file_limit);
        const bool behind =
            known != head.keys.end() &&
            (!text ||
             (known->second.front() != crypto::sha256_hex(*text) &&
              std::ranges::find(known->second, crypto::sha256_hex(*text)) != known->second.end()));
        if (behind) {
            return path;
        }
    }
    return "";
}

}    // namespace seatrial::secrets
