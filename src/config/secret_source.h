// A source of an environment's variables beside its env files: where it is, and which files hold
// what we log in with. No secret is in here.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace seatrial::config {

struct Fault;
struct Node;

// Files that the source's values are written into; deploys then read these, not the source.
struct SecretSync {
    std::string file;                           // an env file; "" = not synchronised
    std::map<std::string, std::string> keys;    // variable → its own file
    bool operator==(const SecretSync&) const = default;
};

struct SecretSource {
    std::string kind;                       // doppler | aws | vault
    std::string place;                      // project, name of the secret, path
    std::string config;                     // doppler
    std::string region, profile;            // aws
    std::string credentials_file;           // aws; "" = the daemon's own
    std::string variable;                   // aws: the whole value is this variable's; "" = JSON
    std::string url;                        // "" = the provider's own
    std::string ca_file, name_space;        // vault
    std::string token_file;                 // doppler, vault
    std::string role_id, secret_id_file;    // vault: AppRole
    SecretSync sync;
    bool operator==(const SecretSource&) const = default;
};
// "doppler shop/production", for people.
std::string name_of(const SecretSource& source);

// From the list that validate() has put into its one form. What a source lacks, or has of another
// kind, becomes a fault at `path`; such a source is left out.
std::vector<SecretSource> read_secret_sources(const Node& list, const std::string& file,
                                              const std::string& path, std::vector<Fault>& faults);

// "" when it may be asked: https, or http, on this machine alone unless `plain`; no user, query or
// fragment.
std::string problem_of_url(std::string_view url, bool plain = false);

}    // namespace seatrial::config
