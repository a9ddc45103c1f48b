//! The port of OTEL_EXPORTER_PROMETHEUS_PORT, which an `init` takes before everything that stays.

use std::sync::Arc;

use super::InitError;
use crate::admin::{Admin, Taken};
use crate::config::Config;
use crate::endpoint::EndpointSet;

/// What a handle has of the port that it was told to serve.
pub(super) enum Port {
    /// It was told none.
    None,
    Taken(Taken),
}

impl Port {
    pub(super) fn take(config: &Config) -> Result<Self, InitError> {
        let Some(address) = config.admin else {
            return Ok(Self::None);
        };
        let taken = Taken::new(address);
        let taken = taken.map_err(|source| InitError::Listen { address, source })?;
        Ok(Self::Taken(taken))
    }

    pub(super) fn serve(self, endpoints: &Arc<EndpointSet>) -> Option<Admin> {
        match self {
            Self::None => None,
            Self::Taken(taken) => Some(taken.serve(Arc::clone(endpoints))),
        }
    }
}
