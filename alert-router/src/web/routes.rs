//! Every route of the API in one list, from which the router is made and against which its
//! description in `openapi.yaml` is held.

use axum::Router;
use axum::routing::{delete, get, post};

use super::{Web, api, kept, page, trials};

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path;)*) => {
        /// The API as axum serves it.
        pub(super) fn api() -> Router<Web> {
            Router::new()$(.route($path, $method($handler)))*
        }

        /// Method and path of each route.
        #[cfg(test)]
        const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];
    };
}

routes! {
    get "/api/v1/openapi.yaml" => api::openapi;
    get "/api/v1/status" => api::status;
    get "/api/v1/events" => page::events;
    get "/api/v1/groups" => api::groups;
    get "/api/v1/sources" => api::sources;
    get "/api/v1/inbox" => api::inbox;
    get "/api/v1/history" => api::history;
    get "/api/v1/dead-letters" => kept::dead_letters;
    get "/api/v1/dead-letters/{id}" => kept::dead_letter;
    delete "/api/v1/dead-letters/{id}" => kept::drop_dead_letter;
    post "/api/v1/dead-letters/{id}/replay" => kept::replay_dead_letter;
    get "/api/v1/quarantine" => kept::quarantine;
    get "/api/v1/quarantine/{id}" => kept::quarantined;
    delete "/api/v1/quarantine/{id}" => kept::drop_quarantined;
    post "/api/v1/quarantine/{id}/replay" => kept::replay_quarantined;
    post "/api/v1/receivers/{name}/test" => trials::send;
    post "/api/v1/test-alert" => api::test_alert;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is described beside the API; `mod.rs` makes these routes.
    const OTHERS: [(&str, &str); 6] = [
        ("post", "/webhook"),
        ("post", "/webhook/{source}"),
        ("get", "/-/healthy"),
        ("get", "/-/ready"),
        ("post", "/-/reload"),
        ("get", "/metrics"),
    ];

    #[test]
    fn the_description_names_every_route_and_no_other() {
        let described: serde_json::Value = serde_yaml::from_str(api::OPENAPI).unwrap();
        let mut found = BTreeSet::new();
        for (path, item) in described["paths"].as_object().unwrap() {
            for method in item
                .as_object()
                .unwrap()
                .keys()
                .filter(|key| *key != "parameters")
            {
                found.insert((method.as_str(), path.as_str()));
            }
        }
        assert_eq!(found, ROUTES.iter().copied().chain(OTHERS).collect());
    }
}
