//! An alert that is too long is heard all the same: it keeps its labels, which say which alert it is,
//! and its annotations are cut. Unknown fields go first.

use std::borrow::Cow;

use bytes::Bytes;

use super::alert::WireAlert;
use super::{BodyLimits, Pairs, Text};

/// Cuts the annotations of an alert to half of what an alert may hold, all alike; more of them than
/// the limit are left out, the last ones by name. Returns the alert as it would have come.
pub(super) fn shorten(alert: &mut WireAlert<'_>, limits: &BodyLimits) -> Bytes {
    alert.unknown.clear();
    let annotations = alert.annotations.get_or_insert_default();
    while annotations.0.len() > limits.labels {
        annotations.0.pop_last();
    }
    cut(annotations, limits.alert_bytes / 2);
    let bytes = serde_json::to_vec(alert).expect("strings always serialise");
    bytes.into()
}

fn cut(annotations: &mut Pairs<'_>, most: usize) {
    let each = most / annotations.0.len().max(1);
    for value in annotations.0.values_mut() {
        let whole = value.as_str().len();
        if whole > each {
            let start = &value.as_str()[..value.as_str().floor_char_boundary(each)];
            *value = Text(Cow::Owned(format!("{start}… (cut: {whole} bytes)")));
        }
    }
}
