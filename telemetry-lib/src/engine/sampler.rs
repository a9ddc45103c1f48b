//! The configured sampler in the SDK's terms.

use opentelemetry_sdk::trace::{ParentBasedSampler, Sampler, ShouldSample};

pub(super) fn build(config: crate::config::Sampler) -> Box<dyn ShouldSample> {
    let root = if config.ratio >= 1.0 {
        Sampler::AlwaysOn
    } else if config.ratio <= 0.0 {
        Sampler::AlwaysOff
    } else {
        Sampler::TraceIdRatioBased(config.ratio)
    };
    // Not `Sampler::ParentBased`: it takes an empty active span for an unsampled parent.
    if config.parent_based {
        Box::new(ParentBasedSampler::new(root))
    } else {
        Box::new(root)
    }
}
