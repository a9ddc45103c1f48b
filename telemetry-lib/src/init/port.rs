//! The port of OTEL_EXPORTER_PROMETHEUS_PORT, which an `init` takes before everything that stays.

use std::net::SocketAddr;
use std::sync::Arc;

use super::InitError;
use crate::admin::{Admin, Taken, Wanted};
use crate::config::Config;
use crate::endpoint::EndpointSet;
use crate::notice::Notices;

/// What a handle has of the port that it was told to serve.
pub(super) enum Port {
    /// It was told none.
    None,
    /// And what it was told.
    Taken(Taken, SocketAddr),
    /// An earlier handle of the process serves it.
    Theirs(SocketAddr),
}

impl Port {
    /// Of a handle that is the first, or apart from all others.
    pub(super) fn take(config: &Config) -> Result<Self, InitError> {
        let Some(address) = config.admin else {
            return Ok(Self::None);
        };
        let taken = Taken::new(address);
        let taken = taken.map_err(|source| InitError::Listen { address, source })?;
        Ok(Self::Taken(taken, address))
    }

    /// Of a handle that comes after others.
    pub(super) fn join(config: &Config) -> Result<Self, InitError> {
        let Some(address) = config.admin else {
            return Ok(Self::None);
        };
        let wanted = Wanted::new(address);
        match wanted.map_err(|source| InitError::Listen { address, source })? {
            Wanted::Free(taken) => Ok(Self::Taken(taken, address)),
            Wanted::Ours => Ok(Self::Theirs(address)),
        }
    }

    /// `/metrics` leaves the service's own port also where another handle serves it: whoever names a
    /// port wants it only there.
    pub(super) fn serve(self, endpoints: &Arc<EndpointSet>, notices: &Notices) -> Option<Admin> {
        match self {
            Self::None => None,
            Self::Taken(taken, asked) => {
                tell_choice(asked, &taken, notices);
                Some(taken.serve(Arc::clone(endpoints)))
            }
            Self::Theirs(address) => {
                notices.once("port of another handle", || {
                    format!(
                        "{address} is served by an earlier handle already, with that one's \
                         metrics: use one handle, or open a port for this one with \
                         `telemetry.admin`"
                    )
                });
                endpoints.move_metrics();
                None
            }
        }
    }
}

/// Nobody else knows which port it is.
fn tell_choice(asked: SocketAddr, taken: &Taken, notices: &Notices) {
    if asked.port() == 0 {
        notices.once("chosen port", || {
            format!(
                "OTEL_EXPORTER_PROMETHEUS_PORT is 0, so the system chose a port: /metrics \
                 is served at http://{}/metrics",
                taken.address()
            )
        });
    }
}
