#include "sql/postgres.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "sql/postgres_error.h"

namespace seatrial::sql {
namespace {

constexpr std::chrono::seconds connect_timeout{10};
// A cancelled statement gets this long to end on the server; then the connection is dropped and
// client_connection_check_interval ends it there.
constexpr std::chrono::seconds cancel_grace{3};

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;
using ResultPtr = std::unique_ptr<PGresult, decltype(&PQclear)>;

struct FreeMem {
    void operator()(void* memory) const { PQfreemem(memory); }
};
using Text = std::unique_ptr<char, FreeMem>;

void drop_notice(void*, const PGresult*) {}

std::string one_line(const char* message) {
    std::string text(trim(message == nullptr ? "" : message));
    for (char& c : text) {
        c = c == '\n' || c == '\t' ? ' ' : c;
    }
    return printable(text);
}

std::string field(const PGresult* result, int code) {
    const char* value = PQresultErrorField(result, code);
    return value == nullptr ? "" : value;
}

tl::unexpected<Error> fail_result(const PGresult* result, PGconn* connection) {
    const std::string state = field(result, PG_DIAG_SQLSTATE);
    if (state.empty()) {    // libpq's own: the connection is gone
        return fail(Code::unavailable, "PostgreSQL: " + one_line(PQerrorMessage(connection)));
    }
    std::string message = "PostgreSQL: " + field(result, PG_DIAG_MESSAGE_PRIMARY);
    if (const std::string detail = field(result, PG_DIAG_MESSAGE_DETAIL); !detail.empty()) {
        message += " (" + detail + ")";
    }
    auto failed = fail_sqlstate(state, one_line(message.c_str()));
    failed.value().hint = one_line(field(result, PG_DIAG_MESSAGE_HINT).c_str());
    return failed;
}

}    // namespace

struct Postgres::Impl {
    explicit Impl(PGconn* connected) : connection(connected) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() { PQfinish(connection); }

    Status poll_connect(const Context& ctx);
    Status flush(const Context& ctx);
    Status wait_result(const Context& ctx);
    Status collect(std::vector<PgRow>* rows, const Context& ctx);
    Status collect_or_cancel(std::vector<PgRow>* rows, const Context& ctx);
    tl::unexpected<Error> broken() const {
        return fail(Code::unavailable, "PostgreSQL: " + one_line(PQerrorMessage(connection)));
    }

    PGconn* connection;
};

Status Postgres::Impl::poll_connect(const Context& ctx) {
    // As libpq demands: first wait as if it had said "writing".
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED) {
            std::string text = one_line(PQerrorMessage(connection));
            const std::string sqlstate(find_sqlstate(text));
            text.resize(std::min(text.size(), text.find(" LOCATION: ")));
            if (sqlstate.empty()) {
                return fail(Code::unavailable, "cannot reach PostgreSQL: " + text,
                            "is the server running, and is its address right?");
            }
            return fail_sqlstate(sqlstate, "PostgreSQL refused the connection: " + text);
        }
        const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        const auto ready = wait_fd(PQsocket(connection), events, ctx);
        if (!ready) {
            return tl::unexpected(ready.error());
        }
        state = PQconnectPoll(connection);
    }
    return {};
}

Status Postgres::Impl::flush(const Context& ctx) {
    while (true) {
        const int left = PQflush(connection);
        if (left == 0) {
            return {};
        }
        if (left < 0) {
            return broken();
        }
        // The server may have to be read before it reads more of ours.
        TRY_ASSIGN(const short ready, wait_fd(PQsocket(connection), POLLIN | POLLOUT, ctx));
        if ((ready & POLLIN) != 0 && PQconsumeInput(connection) == 0) {
            return broken();
        }
    }
}

Status Postgres::Impl::wait_result(const Context& ctx) {
    while (PQisBusy(connection) != 0) {
        TRY(wait_fd(PQsocket(connection), POLLIN, ctx));
        if (PQconsumeInput(connection) == 0) {
            return broken();
        }
    }
    return {};
}

// All results of what was sent; the first error counts, the rest is read and dropped.
Status Postgres::Impl::collect(std::vector<PgRow>* rows, const Context& ctx) {
    TRY(flush(ctx));
    Status outcome;
    while (true) {
        TRY(wait_result(ctx));
        const ResultPtr result(PQgetResult(connection), &PQclear);
        if (result == nullptr) {
            return outcome;
        }
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            PQfinish(connection);
            connection = nullptr;
            return fail(Code::internal, "COPY is not for this connection");
        }
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
            status != PGRES_EMPTY_QUERY && outcome) {
            outcome = fail_result(result.get(), connection);
        }
        for (int row = 0; rows != nullptr && row < PQntuples(result.get()); ++row) {
            PgRow& values = rows->emplace_back();
            for (int column = 0; column < PQnfields(result.get()); ++column) {
                values.push_back(
                    PQgetisnull(result.get(), row, column) != 0
                        ? std::nullopt
                        : std::optional<std::string>(PQgetvalue(result.get(), row, column)));
            }
        }
    }
}

Status Postgres::Impl::collect_or_cancel(std::vector<PgRow>* rows, const Context& ctx) {
    Status outcome = collect(rows, ctx);
    const bool given_up = !outcome && (outcome.error().code == Code::cancelled ||
                                       outcome.error().code == Code::timed_out);
    if (!given_up || connection == nullptr || PQtransactionStatus(connection) != PQTRANS_ACTIVE) {
        return outcome;
    }
    std::array<char, 256> ignored{};
    PGcancel* cancel = PQgetCancel(connection);
    PQcancel(cancel, ignored.data(), static_cast<int>(ignored.size()));
    PQfreeCancel(cancel);
    const Status ended = collect(nullptr, Context().with_timeout(cancel_grace));
    if (!ended && ended.error().code == Code::timed_out) {
        PQfinish(connection);
        connection = nullptr;
    }
    return outcome;
}

Postgres::Postgres(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Postgres::Postgres(Postgres&&) noexcept = default;
Postgres& Postgres::operator=(Postgres&&) noexcept = default;
Postgres::~Postgres() = default;

Result<Postgres> Postgres::open(const PostgresTarget& target, const Context& ctx) {
    TRY(ctx.ok());
    // libpq repeats what it cannot read, password and all: find out first and say nothing.
    char* raw_message = nullptr;
    const Options parsed(PQconninfoParse(target.conninfo.reveal().c_str(), &raw_message),
                         &PQconninfoFree);
    const Text message(raw_message);
    if (parsed == nullptr) {
        return fail(Code::invalid, "the PostgreSQL address cannot be read",
                    "write postgresql://user@host:port/database or key=value pairs");
    }
    // The first dbname is taken apart as a connection string, the later one overrides it.
    std::array<const char*, 7> keywords = {
        "dbname", "application_name", "client_encoding", "tcp_user_timeout", nullptr, nullptr};
    std::array<const char*, 7> values = {target.conninfo.reveal().c_str(), "seatrial", "UTF8",
                                         "10000"};
    if (!target.database.empty()) {
        keywords[4] = "dbname";
        values[4] = target.database.c_str();
    }
    auto impl =
        std::make_unique<Impl>(PQconnectStartParams(keywords.data(), values.data(), /*expand=*/1));
    check(impl->connection != nullptr, "out of memory");
    PQsetNoticeReceiver(impl->connection, &drop_notice, nullptr);
    // Connection errors carry their SQLSTATE in the text only, and only when verbose.
    PQsetErrorVerbosity(impl->connection, PQERRORS_VERBOSE);
    if (PQstatus(impl->connection) == CONNECTION_BAD) {
        return impl->broken();
    }
    const Status connected = impl->poll_connect(ctx.with_timeout(connect_timeout));
    if (!connected) {
        TRY(ctx.ok());
        const bool slow = connected.error().code == Code::timed_out;
        return slow ? fail(Code::unavailable, "PostgreSQL did not answer within 10 s")
                    : tl::unexpected(connected.error());
    }
    PQsetErrorVerbosity(impl->connection, PQERRORS_DEFAULT);
    PQsetnonblocking(impl->connection, 1);
    Postgres opened(std::move(impl));
    if (opened.server_version() >= 140000) {
        TRY(opened.execute("SET client_connection_check_interval = '200ms'", ctx));
    }
    return opened;
}

Result<std::vector<PgRow>> Postgres::query(std::string_view sql,
                                           const std::vector<std::optional<std::string>>& values,
                                           const Context& ctx) {
    TRY(ctx.ok());
    if (impl_->connection == nullptr) {
        return fail(Code::unavailable, "the connection to PostgreSQL was given up");
    }
    std::vector<const char*> pointers;
    for (const auto& value : values) {
        if (value && value->find('\0') != std::string::npos) {
            return fail(Code::invalid, "PostgreSQL text cannot hold a zero byte");
        }
        pointers.push_back(value ? value->c_str() : nullptr);
    }
    if (PQsendQueryParams(impl_->connection, std::string(sql).c_str(),
                          static_cast<int>(pointers.size()), nullptr, pointers.data(), nullptr,
                          nullptr, 0) == 0) {
        return impl_->broken();
    }
    std::vector<PgRow> rows;
    TRY(impl_->collect_or_cancel(&rows, ctx));
    return rows;
}

Status Postgres::execute(std::string_view sql, const Context& ctx) {
    TRY(ctx.ok());
    if (impl_->connection == nullptr) {
        return fail(Code::unavailable, "the connection to PostgreSQL was given up");
    }
    if (sql.find('\0') != std::string_view::npos) {
        return fail(Code::internal, "SQL cannot hold a zero byte");
    }
    if (PQsendQuery(impl_->connection, std::string(sql).c_str()) == 0) {
        return impl_->broken();
    }
    return impl_->collect_or_cancel(nullptr, ctx);
}

std::string Postgres::quote_identifier(std::string_view name) const {
    const Text quoted(PQescapeIdentifier(impl_->connection, name.data(), name.size()));
    return quoted == nullptr ? "\"\"" : quoted.get();
}

std::string Postgres::quote_literal(std::string_view text) const {
    const Text quoted(PQescapeLiteral(impl_->connection, text.data(), text.size()));
    return quoted == nullptr ? "<cannot be quoted>" : quoted.get();
}

Result<std::string> Postgres::scram_verifier(const std::string& role,
                                             const Secret& password) const {
    const Text verifier(PQencryptPasswordConn(impl_->connection, password.reveal().c_str(),
                                              role.c_str(), "scram-sha-256"));
    if (verifier == nullptr) {
        return fail(Code::internal, "the password's verifier could not be made");
    }
    return std::string(verifier.get());
}

bool Postgres::reusable() const {
    if (impl_ == nullptr || impl_->connection == nullptr ||
        PQtransactionStatus(impl_->connection) != PQTRANS_IDLE) {
        return false;
    }
    // An end that the server has told, or any other news, shows as something to read.
    pollfd socket{PQsocket(impl_->connection), POLLIN, 0};
    return ::poll(&socket, 1, 0) == 0;
}

int Postgres::server_version() const {
    return PQserverVersion(impl_->connection);
}

std::string Postgres::host() const {
    const char* host = PQhost(impl_->connection);
    return host == nullptr ? "" : host;
}

std::string Postgres::port() const {
    const char* port = PQport(impl_->connection);
    return port == nullptr ? "" : port;
}

std::vector<std::string> Postgres::tool_environment() const {
    std::vector<std::string> out;
    const Options options(PQconninfo(impl_->connection), &PQconninfoFree);
    for (const PQconninfoOption* option = options.get();
         option != nullptr && option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        const bool wanted = option->envvar != nullptr && option->val != nullptr &&
                            option->val[0] != '\0' && keyword != "dbname" && keyword != "host" &&
                            keyword != "port" && keyword != "application_name" &&
                            keyword != "client_encoding";
        if (wanted) {
            out.push_back(std::string(option->envvar) + "=" + option->val);
        }
    }
    // As connected: of several hosts, the one that answered.
    out.push_back("PGHOST=" + host());
    out.push_back("PGPORT=" + port());
    return out;
}

}    // namespace seatrial::sql
