// The keys of secret sources: their part of the table in keys.h.
#include "config/keys.h"

namespace seatrial::config {
namespace {

constexpr Key table[] = {
    {.path = "environments.*.release.secrets",
     .where = Where::server,
     .type = Type::objects,
     .text = "Sources of variables beside the env files, read anew for each deploy. They win over "
             "`env_files`, later ones over earlier ones, and the environment's `env` over all.",
     .example = "[{doppler: shop, config: production, token_file: /etc/seatrial/doppler}]"},
    {.path = "environments.*.release.secrets.[]",
     .where = Where::server,
     .type = Type::object,
     .text = "One source: `doppler`, `aws` or `vault`.",
     .example = "{aws: shop/prd, region: ap-northeast-2}"},
    {.path = "environments.*.release.secrets.[].doppler",
     .where = Where::server,
     .type = Type::label,
     .text = "A project of Doppler. Its DOPPLER_PROJECT, DOPPLER_ENVIRONMENT and DOPPLER_CONFIG "
             "are left out: they differ wherever a release goes.",
     .example = "shop"},
    {.path = "environments.*.release.secrets.[].config",
     .where = Where::server,
     .type = Type::label,
     .text = "Of `doppler`: the config.",
     .example = "production"},
    {.path = "environments.*.release.secrets.[].aws",
     .where = Where::server,
     .type = Type::label,
     .text = "Name or ARN of a secret in AWS Secrets Manager. Its value is a JSON object, a member "
             "a variable, unless `as` is written.",
     .example = "shop/prd"},
    {.path = "environments.*.release.secrets.[].region",
     .where = Where::server,
     .type = Type::label,
     .text = "Of `aws`: the region.",
     .example = "ap-northeast-2"},
    {.path = "environments.*.release.secrets.[].profile",
     .where = Where::server,
     .type = Type::label,
     .text = "Of `aws`: the profile in the credentials file. Absent: the daemon's AWS_PROFILE, "
             "else `default`.",
     .example = "deploy"},
    {.path = "environments.*.release.secrets.[].credentials_file",
     .where = Where::server,
     .type = Type::file,
     .text = "Of `aws`: a shared credentials file of mode 0600. Absent: the daemon's "
             "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else AWS_SHARED_CREDENTIALS_FILE, else "
             "`~/.aws/credentials`.",
     .example = "/etc/seatrial/aws"},
    {.path = "environments.*.release.secrets.[].as",
     .where = Where::server,
     .type = Type::variable,
     .text = "Of `aws`: the secret's whole value is that of this one variable.",
     .example = "SESSION_SECRET"},
    {.path = "environments.*.release.secrets.[].vault",
     .where = Where::server,
     .type = Type::label,
     .text = "Path of a secret in the KV engine of HashiCorp Vault or OpenBao, as its API has it: "
             "`secret/data/shop/prd` (version 2), `kv/shop/prd` (version 1).",
     .example = "secret/data/shop/prd"},
    {.path = "environments.*.release.secrets.[].url",
     .where = Where::server,
     .type = Type::text,
     .text = "Where the source is: needed for `vault`, else the provider's own. `https://`, or "
             "`http://` on this machine.",
     .example = "https://vault.example.com"},
    {.path = "environments.*.release.secrets.[].ca_file",
     .where = Where::server,
     .type = Type::file,
     .text = "Of `vault`: certificates (PEM) that its own is checked with. Absent: the machine's.",
     .example = "/etc/ssl/certs/internal.pem"},
    {.path = "environments.*.release.secrets.[].namespace",
     .where = Where::server,
     .type = Type::label,
     .text = "Of `vault`: the namespace.",
     .example = "team/shop"},
    {.path = "environments.*.release.secrets.[].token_file",
     .where = Where::server,
     .type = Type::file,
     .text = "Of `doppler` and `vault`: file with the token alone, of mode 0600 and the daemon's "
             "user, read anew each time.",
     .example = "/etc/seatrial/doppler"},
    {.path = "environments.*.release.secrets.[].role_id",
     .where = Where::server,
     .type = Type::label,
     .text = "Of `vault`: log in by AppRole with this role.",
     .example = "59d6d1ca-47bb-4e7e-a40b-8be3bc5a0ba8"},
    {.path = "environments.*.release.secrets.[].secret_id_file",
     .where = Where::server,
     .type = Type::file,
     .text = "Of `vault`: file with the secret id of the role, as `token_file`.",
     .example = "/etc/seatrial/vault-secret-id"},
    {.path = "environments.*.release.secrets.[].sync",
     .where = Where::server,
     .type = Type::object,
     .shorthand = "file",
     .text = "`seatrial env sync` writes the values into files; deploys read these, and do not ask "
             "the source.",
     .example = "{file: /srv/shop/.env.production}"},
    {.path = "environments.*.release.secrets.[].sync.file",
     .where = Where::server,
     .type = Type::file,
     .required = true,
     .text = "The env file that is written, mode 0600; it must be one of `env_files`.",
     .example = "/srv/shop/.env.production"},
    {.path = "environments.*.release.secrets.[].sync.keys",
     .where = Where::server,
     .type = Type::object,
     .names = Names::variable,
     .text = "Variables that go into files of their own instead, such as keys: private ones get "
             "mode 0600, others 0644. `key_files` gives them to containers.",
     .example = "{JWT_PRIVATE_KEY: /srv/shop/keys/jwt_private.pem}"},
    {.path = "environments.*.release.secrets.[].sync.keys.*",
     .where = Where::server,
     .type = Type::file,
     .text = "Its file.",
     .example = "/srv/shop/keys/jwt_private.pem"},
};

}    // namespace

std::span<const Key> secret_keys() {
    return table;
}

}    // namespace seatrial::config
