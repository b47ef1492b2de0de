// The handlers that the table in api.cpp names.
#pragma once

#include "api/api.h"

namespace seatrial::api {

http::Response get_healthz(Services&, const http::Request&, const Context&);
http::Response get_readyz(Services&, const http::Request&, const Context&);
http::Response get_metrics(Services&, const http::Request&, const Context&);
http::Response get_server(Services&, const http::Request&, const Context&);
http::Response list_previews(Services&, const http::Request&, const Context&);
http::Response post_preview(Services&, const http::Request&, const Context&);
http::Response post_cleanup(Services&, const http::Request&, const Context&);
http::Response get_preview(Services&, const http::Request&, const Context&);
http::Response delete_preview(Services&, const http::Request&, const Context&);
http::Response post_extend(Services&, const http::Request&, const Context&);
http::Response post_pin(Services&, const http::Request&, const Context&);
http::Response get_explain(Services&, const http::Request&, const Context&);
http::Response get_logs(Services&, const http::Request&, const Context&);
http::Response post_repository(Services&, const http::Request&, const Context&);
http::Response put_bundle(Services&, const http::Request&, const Context&);
http::Response post_release(Services&, const http::Request&, const Context&);
http::Response get_build_log(Services&, const http::Request&, const Context&);
http::Response list_releases(Services&, const http::Request&, const Context&);
http::Response post_deployment(Services&, const http::Request&, const Context&);
http::Response post_rollback(Services&, const http::Request&, const Context&);
http::Response post_restore(Services&, const http::Request&, const Context&);
http::Response list_snapshots(Services&, const http::Request&, const Context&);
http::Response post_resume(Services&, const http::Request&, const Context&);
http::Response list_deployments(Services&, const http::Request&, const Context&);
http::Response get_history(Services&, const http::Request&, const Context&);
http::Response list_incidents(Services&, const http::Request&, const Context&);
http::Response post_sync(Services&, const http::Request&, const Context&);
http::Response post_check(Services&, const http::Request&, const Context&);
http::Response get_differences(Services&, const http::Request&, const Context&);
http::Response list_approvals(Services&, const http::Request&, const Context&);
http::Response get_approval(Services&, const http::Request&, const Context&);
http::Response post_approve(Services&, const http::Request&, const Context&);
http::Response post_reject(Services&, const http::Request&, const Context&);
http::Response post_backup(Services&, const http::Request&, const Context&);
http::Response stream_logs(Services&, const http::Request&,
                           const std::shared_ptr<http::EventStream>&, const Context&);
http::Response stream_build(Services&, const http::Request&,
                            const std::shared_ptr<http::EventStream>&, const Context&);
http::Response stream_events(Services&, const http::Request&,
                             const std::shared_ptr<http::EventStream>&, const Context&);

}    // namespace seatrial::api
