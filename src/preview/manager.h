// The preview manager: what people, timers and webhooks propose becomes wanted here, through
// admit, and nowhere else. It never touches the world; the reconciler does.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "preview/parts.h"
#include "preview/reconciler.h"

namespace seatrial::preview {

struct UpRequest {
    std::string actor;          // "uid:1000"
    std::string key;            // issue key
    std::string branch;         // full ref, or "" for a bare commit
    std::string base_branch;    // of the repository; the app's file may name another
    std::string base_commit;    // where that is; "" = not known
    std::string env;            // "" = the server's default
    std::string commit;         // 40 hex; "" = fetch the branch from `remote`
    std::string repository;     // identity of the caller's repository (its common dir)
    std::string remote;
    std::string app_file = "seatrial.yaml";
    std::string app_text;    // "" = the variables alone
    std::string app_name;    // for an app without a file: the repository's folder name
    config::Variables variables;
    bool embedded = true;                            // server keys are allowed in the app's file
    std::optional<std::chrono::milliseconds> ttl;    // tightens only
    bool replace = false;
    std::string fresh_database;    // "", "template", "empty"
    bool fresh_template = false;
    std::chrono::milliseconds keep_failed{0};
};

struct Wanted {
    std::string life;
    std::int64_t generation = 0;
    std::int64_t after = 0;    // events before this one belong to earlier requests
    bool update = false;
};

// Which preview is meant: "KEY" or "app/KEY", in one environment or in any.
struct Address {
    std::string key;
    std::string app, env;
};

// Thread: any. Errors: `invalid` (input), `refused` (policy, limit), `not_found`.
class Manager {
public:
    Manager(Parts parts, Reconciler& reconciler)
        : parts_(std::move(parts)), reconciler_(reconciler) {}

    // Folder name of the mirror for a repository or remote.
    std::string mirror_name(const std::string& repository, const std::string& remote) const;
    // `not_found` with mark "commit" when the mirror lacks the commit: send a bundle first.
    Result<Wanted> up(const UpRequest& request, const Context& ctx);
    // The commits a bundle may leave out.
    Result<std::vector<std::string>> known_commits(const std::string& mirror, const Context& ctx);
    Status receive_bundle(const std::string& mirror, const std::filesystem::path& bundle,
                          const std::string& commit, const Context& ctx);

    // Exactly one life; `invalid` with all candidates when the key is ambiguous.
    Result<store::Life> find(const Address& address, bool removed = false);
    Result<Wanted> stop(const store::Life& life, const std::string& actor,
                        const std::string& reason);
    Result<store::Life> extend(const store::Life& life, std::chrono::milliseconds by,
                               const std::string& actor);
    Result<store::Life> pin(const store::Life& life, bool pinned, const std::string& actor);

    // Ends what is past its time, at most `limit` at once; returns what was (or would be) ended.
    Result<std::vector<store::Life>> expire(WallTime now, int limit, bool dry_run,
                                            const std::string& actor);
    Status warn_expiring(WallTime now);

private:
    Result<Wanted> admit_up(const UpRequest& request, const config::App& app,
                            const config::Environment& environment);

    Parts parts_;
    Reconciler& reconciler_;
};

}    // namespace seatrial::preview
