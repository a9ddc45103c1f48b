//! What the layer reads of a response, whatever type the client gives.

use http::{Extensions, Response, StatusCode, Version};

/// A response's head. Sealed by the privacy of this module.
pub trait Answer {
    fn status(&self) -> StatusCode;
    fn version(&self) -> Version;
    fn extensions(&self) -> &Extensions;
}

impl<B> Answer for Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn version(&self) -> Version {
        self.version()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }
}
