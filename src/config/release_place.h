// How releases run in an environment on this host: `environments.*.release` as plain values.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/secret_source.h"

namespace seatrial::config {

// A file of the server that containers read, such as a key.
struct KeyFile {
    std::string file;
    std::string target;    // absolute, in the container
    bool operator==(const KeyFile&) const = default;
};

// Where a volume of the app lies.
struct VolumePlace {
    std::string source;    // a folder of the server, or a volume of the engine
    bool read_only = false;
    bool operator==(const VolumePlace&) const = default;
};

// A gate whose figure, a share from 0 to 1, Prometheus has.
struct AskedGate {
    std::string prometheus;    // URL
    std::string query;         // "": no such gate
    int limit = 0;             // percent
    std::string on_breach;     // stop | hold | rollback
    bool operator==(const AskedGate&) const = default;
};

// How releases run in an environment on this host.
struct ReleasePlace {
    std::vector<std::string> listen;       // "4400", "127.0.0.1:4400"; empty: no releases here
    std::string certificate;               // PEM with key; "" = plain HTTP
    std::vector<std::string> env_files;    // on the server; later ones win
    std::vector<SecretSource> secrets;     // win over env_files; later ones win
    std::map<std::string, KeyFile> key_files;
    std::map<std::string, VolumePlace> volumes;    // by the app's name of it
    std::vector<std::string> networks;             // of the engine, joined by every container
    // Variables whose values a promotion to here may find different; '*' is any text.
    std::vector<std::string> may_differ{"*PORT", "*DOMAIN", "PUBLIC_URL"};
    std::vector<std::string> canary;    // "1% 5m", steps in order; empty: all users at once
    std::chrono::milliseconds drain{60'000};
    std::chrono::milliseconds warm{3'600'000};
    std::chrono::milliseconds watch{300'000};
    std::chrono::milliseconds hold{900'000};
    int error_rate = 2;    // percent
    int slow_rate = 0;     // percent; 0 = no gate
    int min_sample = 50;
    std::string on_breach = "rollback";    // stop | hold | rollback
    AskedGate job_success{"", "", 95, "stop"};
    AskedGate api_errors{"", "", 2, "hold"};
    std::chrono::milliseconds migration_max{60'000};    // 0 = no gate
    std::string migration_breach = "stop";
    bool operator==(const ReleasePlace&) const = default;
};

// "0.1% 5m": per mille and how long. nullopt when it is no such text.
struct CanaryStep {
    int per_mille = 0;
    std::chrono::milliseconds hold{0};
};
std::optional<CanaryStep> parse_canary_step(std::string_view text);
// "4400" or "127.0.0.1:4400" or "[::1]:4400".
struct ListenAddress {
    std::string address;
    int port = 0;
};
std::optional<ListenAddress> parse_listen(std::string_view text);

}    // namespace seatrial::config
